//! samples.csv: every sample as it was measured. Lines that begin with # tell what it was measured on.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::bench::machine::Machine;
use crate::bench::samples::Results;

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
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{experiment},{},{},{},{},{},{}",
            quote(&sample.graph),
            quote(&sample.method),
            sample.x,
            sample.round,
            sample.value,
            sample.count
        );
    }
    file.write_all(text.as_bytes())
}

/// A field, in quotation marks where it needs them (RFC 4180).
fn quote(field: &str) -> String {
    if field.contains([',', '"', '\n']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.to_owned() }
}
