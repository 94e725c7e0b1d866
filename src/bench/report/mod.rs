//! From results to what the user gets: a table, samples.csv, summary.csv, pictures and report.html.

mod csv;
mod html;
pub mod number;
mod svg;
mod table;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use self::csv::Earlier;
use super::experiment::Experiment;
use super::machine::Machine;
use super::options::Bench;
use super::samples::Results;
use super::trouble::{Trouble, trouble};
use super::warnings::{self, Moment, Warning};

/// The report of a run, in a directory.
pub struct Report {
    directory: PathBuf,
    machine: Machine,
    before: Moment,
    earlier: Option<Earlier>,
    samples: File,
    done: Vec<(&'static Experiment, Results)>,
}

impl Report {
    /// Reads what to compare with and makes the directory, before anything is measured: who may not write there learns
    /// it at once.
    pub fn open(bench: &Bench, machine: Machine) -> Result<Self, Trouble> {
        // First of all, for it may be the file that is to be written.
        let earlier = bench.compare.as_deref().map(Earlier::read).transpose()?;
        let directory = bench.out.clone();
        let remedy = "choose another directory with --out";
        let failed = |verb: &'static str, path: &Path| {
            let path = path.display().to_string();
            move |error| Trouble::new(verb, path, error).remedy(remedy)
        };
        fs::create_dir_all(&directory).map_err(failed("make", &directory))?;
        let path = directory.join("samples.csv");
        let mut samples = File::create(&path).map_err(failed("write", &path))?;
        csv::begin(&mut samples, &machine).map_err(failed("write", &path))?;
        Ok(Report { directory, machine, before: Moment::now(), earlier, samples, done: Vec::new() })
    }

    /// An experiment has ended: its samples are written.
    pub fn add(&mut self, experiment: &'static Experiment, results: Results) -> Result<(), Trouble> {
        let written = csv::append(&mut self.samples, experiment.name, &results);
        written.map_err(trouble("write", self.directory.join("samples.csv").display()))?;
        self.done.push((experiment, results));
        Ok(())
    }

    /// Writes the rest, prints the table, and returns how many experiments met trouble.
    pub fn finish(self, print: fn(&str), interrupted: bool) -> Result<usize, Trouble> {
        let mut all = warnings::of_machine(&self.before, &Moment::now());
        let earlier = self.earlier.as_ref();
        all.extend(earlier.and_then(|earlier| warnings::of_earlier(&self.machine.facts, &earlier.facts)));
        all.extend(self.done.iter().flat_map(|(experiment, results)| warnings::of_samples(experiment, results)));
        self.pictures()?;
        self.write("summary.csv", &csv::summary(&self.done))?;
        let page = html::Page {
            machine: &self.machine,
            done: &self.done,
            warnings: &all,
            earlier: self.earlier.as_ref(),
            interrupted,
        };
        self.write("report.html", &page.text())?;
        print(&self.text(&all, interrupted));
        Ok(self.done.iter().filter(|(_, results)| results.trouble.is_some()).count())
    }

    fn pictures(&self) -> Result<(), Trouble> {
        for (experiment, results) in &self.done {
            let earlier = self.earlier.as_ref().and_then(|earlier| earlier.results(experiment.name));
            for (graph, series) in results.graphs(experiment.graphs) {
                let old = earlier.map(|earlier| earlier.series(graph.name)).unwrap_or_default();
                let name = format!("{}-{}.svg", experiment.name, graph.name);
                self.write(&name, &svg::draw(graph, &series, &old, svg::Form::File))?;
            }
        }
        Ok(())
    }

    /// For the terminal.
    fn text(&self, warnings: &[Warning], interrupted: bool) -> String {
        let mut text = String::new();
        for (experiment, results) in &self.done {
            let earlier = self.earlier.as_ref().and_then(|earlier| earlier.results(experiment.name));
            text += &table::text(experiment, results, earlier);
        }
        text.push('\n');
        for Warning { symptom, cause, remedy } in warnings {
            text += &format!("warning: {symptom}: {cause}; {remedy}\n");
        }
        if interrupted {
            text += "interrupted: what was measured until then is kept\n";
        }
        text + &format!("report: {}\n", self.directory.join("report.html").display())
    }

    /// Writes a file of the report whole.
    fn write(&self, name: &str, text: &str) -> Result<(), Trouble> {
        let path = self.directory.join(name);
        let written = File::create(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(trouble("write", path.display()))
    }
}
