//! samples.csv: every sample as it was measured. Lines that begin with # tell what it was measured on.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::number;
use super::table::places;
use crate::bench::experiment::Experiment;
use crate::bench::machine::Machine;
use crate::bench::recorder::Record;
use crate::bench::samples::Results;
use crate::bench::trouble::{Trouble, trouble};

const HEADER: &str = "experiment,graph,method,x,round,value,count";

/// Begins the file.
pub fn begin(file: &mut impl Write, machine: &Machine) -> io::Result<()> {
    let facts: String = machine.facts.iter().map(|(label, text)| format!("# {label}: {text}\n")).collect();
    file.write_all(format!("{facts}{HEADER}\n").as_bytes())
}

/// Adds an experiment's samples.
pub fn append(file: &mut impl Write, experiment: &str, results: &Results) -> io::Result<()> {
    let mut text = String::new();
    for sample in &results.samples {
        let (graph, method) = (quote(&sample.graph), quote(&sample.method));
        let (x, round, value, count) = (sample.x, sample.round, sample.value, sample.count);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{experiment},{graph},{method},{x},{round},{value},{count}");
    }
    file.write_all(text.as_bytes())
}

/// summary.csv: what the samples come to, in the units that they were measured in.
pub fn summary(done: &[(&'static Experiment, Results)]) -> String {
    let mut text = String::from("experiment,graph,method,x,unit,median,p5,p95,p99,max,far_out,samples\n");
    for (experiment, results) in done {
        for (graph, series) in results.graphs(experiment.graphs) {
            for series in series {
                for (x, s) in places(graph, &series) {
                    let x = x.map(|x| x.to_string()).unwrap_or_default();
                    let (name, method, unit) = (experiment.name, quote(&series.method), number::name(graph.y.unit));
                    let (p99, max, far, count) = (s.p99, s.max, s.outliers, s.count);
                    // Writing to a String cannot fail.
                    let _ = writeln!(
                        text,
                        "{name},{},{method},{x},{unit},{},{},{},{p99},{max},{far},{count}",
                        graph.name, s.median, s.p5, s.p95
                    );
                }
            }
        }
    }
    text
}

/// A run that was written earlier.
pub struct Earlier {
    /// What it was measured on: label and text.
    pub facts: Vec<(String, String)>,
    /// By experiment.
    experiments: Vec<(String, Results)>,
}

impl Earlier {
    /// Reads a samples.csv.
    pub fn read(path: &Path) -> Result<Self, Trouble> {
        let text = fs::read_to_string(path).map_err(trouble("read", path.display()))?;
        Self::parse(&text).map_err(|why| {
            Trouble::new("compare with", path.display(), why).remedy("--compare takes the samples.csv of another run")
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut earlier = Earlier { facts: Vec::new(), experiments: Vec::new() };
        let mut lines = text.lines().enumerate();
        for (i, line) in lines.by_ref() {
            match line.strip_prefix("# ").and_then(|fact| fact.split_once(": ")) {
                Some((label, text)) => earlier.facts.push((label.into(), text.into())),
                None if line == HEADER => break,
                None => return Err(format!("line {} is not {HEADER}", i + 1)),
            }
        }
        for (i, line) in lines {
            let (experiment, record) = sample(line).ok_or_else(|| format!("line {} is no sample", i + 1))?;
            match earlier.experiments.iter_mut().find(|(name, _)| *name == experiment) {
                Some((_, results)) => results.add(record),
                None => {
                    let mut results = Results::default();
                    results.add(record);
                    earlier.experiments.push((experiment, results));
                }
            }
        }
        if earlier.experiments.is_empty() {
            return Err("there are no samples in it".into());
        }
        Ok(earlier)
    }

    /// What it measured in this experiment.
    pub fn results(&self, experiment: &str) -> Option<&Results> {
        self.experiments.iter().find(|(name, _)| name == experiment).map(|(_, results)| results)
    }
}

/// A line of samples, as its experiment and what was recorded.
fn sample(line: &str) -> Option<(String, Record)> {
    let fields = unquote(line);
    let [experiment, graph, method, x, round, value, count] = fields.as_slice() else { return None };
    // The line as it came from the process that measured: checked in one place.
    let record = Record::parse(&["S", graph, method, x, round, value, count].join("\t"))?;
    Some((experiment.clone(), record))
}

/// A field, in quotation marks where it needs them (RFC 4180).
fn quote(field: &str) -> String {
    if field.contains([',', '"']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.to_owned() }
}

/// The fields of a line. No field has a line's end in it: the recorder takes control characters out.
fn unquote(line: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                fields.last_mut().into_iter().for_each(|field| field.push('"'));
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().into_iter().for_each(|field| field.push(c)),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut results = Results::default();
        let sample = Record::Sample {
            graph: "first".into(),
            method: "fork, \"any\"".into(),
            x: 10.0,
            round: 2,
            value: 123.5,
            count: 4,
        };
        results.add(sample);
        let mut file = Vec::new();
        begin(&mut file, &Machine { facts: vec![("Kernel", "Linux: 6".into())] }).unwrap();
        append(&mut file, "spawn", &results).unwrap();
        let text = String::from_utf8(file).unwrap();
        let earlier = Earlier::parse(&text).unwrap();
        assert_eq!(earlier.results("spawn").unwrap().samples, results.samples);
        assert_eq!(earlier.facts, [("Kernel".to_owned(), "Linux: 6".to_owned())]);
        assert!(earlier.results("http").is_none());
    }

    #[test]
    fn what_is_no_such_file_is_named_by_line() {
        let why = |text: &str| Earlier::parse(text).err().unwrap();
        assert_eq!(why("hello\n"), format!("line 1 is not {HEADER}"));
        assert_eq!(why(&format!("# A: b\n{HEADER}\nspawn,first,fork,1,0,x,1\n")), "line 3 is no sample");
        assert_eq!(why(&format!("{HEADER}\n")), "there are no samples in it");
        assert_eq!(why(""), "there are no samples in it");
    }
}
