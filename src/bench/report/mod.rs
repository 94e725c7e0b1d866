//! From results to what the user gets: a table, samples.csv, pictures and report.html.

pub mod csv;
pub mod number;
mod table;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::experiment::Experiment;
use super::machine::Machine;
use super::options::Bench;
use super::samples::Results;
use super::trouble::{Trouble, trouble};

/// The report of a run, in a directory.
pub struct Report {
    directory: PathBuf,
    machine: Machine,
    samples: File,
    done: Vec<(&'static Experiment, Results)>,
}

impl Report {
    /// Makes the directory and the files, before anything is measured: who may not write learns it at once.
    pub fn open(bench: &Bench, machine: Machine) -> Result<Self, Trouble> {
        let directory = bench.out.clone();
        let shown = directory.display().to_string();
        let remedy = "choose another directory with --out";
        fs::create_dir_all(&directory).map_err(|error| Trouble::new("make", &shown, error).remedy(remedy))?;
        let path = directory.join("samples.csv");
        let mut samples =
            File::create(&path).map_err(|error| Trouble::new("write", path.display(), error).remedy(remedy))?;
        csv::begin(&mut samples, &machine).map_err(trouble("write", path.display()))?;
        Ok(Report { directory, machine, samples, done: Vec::new() })
    }

    /// An experiment has ended: its samples are written.
    pub fn add(&mut self, experiment: &'static Experiment, results: Results) -> Result<(), Trouble> {
        csv::append(&mut self.samples, experiment.name, &results)
            .map_err(trouble("write", self.path("samples.csv").display()))?;
        self.done.push((experiment, results));
        Ok(())
    }

    /// Writes the rest, prints the table, and returns how many experiments met trouble.
    pub fn finish(self, print: fn(&str), interrupted: bool) -> Result<usize, Trouble> {
        let _ = &self.machine;
        let mut text = String::new();
        for (experiment, results) in &self.done {
            text += &table::text(experiment, results);
        }
        if interrupted {
            text += "\nInterrupted: what was measured until then is kept.\n";
        }
        text += &format!("\nReport: {}\n", self.directory.display());
        print(&text);
        Ok(self.done.iter().filter(|(_, results)| results.trouble.is_some()).count())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Writes a file whole.
#[allow(dead_code)]
fn write(path: &Path, text: &str) -> Result<(), Trouble> {
    File::create(path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(trouble("write", path.display()))
}
