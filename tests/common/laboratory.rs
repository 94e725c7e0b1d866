//! Runs of `tine bench`, and what they measured.

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use super::{Scratch, guard, tine};

/// One run that has ended.
pub struct Run {
    pub output: Output,
    pub samples: Vec<Sample>,
    /// Where it wrote, temporary files too.
    pub out: Scratch,
}

/// A line of samples.csv.
#[derive(Clone, Debug)]
pub struct Sample {
    pub graph: String,
    pub method: String,
    pub x: f64,
    pub value: f64,
    pub count: u64,
}

/// `tine bench --quick` with these words, to its end.
#[track_caller]
pub fn bench(words: &[&str]) -> Run {
    let mut command = Command::new(tine());
    command.args(["bench", "--quick"]);
    run(command, words)
}

/// A command that comes to `tine bench` with these words behind it.
#[track_caller]
pub fn run(mut command: Command, words: &[&str]) -> Run {
    let out = Scratch::new();
    command.args(words).arg("--out").arg(out.join("out")).env("TMPDIR", out.dir("temporary"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap_or_else(|e| panic!("start {command:?}: {e}"));
    let pid = child.id();
    guard::add(pid);
    let output = child.wait_with_output().expect("wait for it");
    guard::remove(pid);
    let samples = fs::read_to_string(out.join("out/samples.csv")).unwrap_or_default();
    let samples = samples.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect();
    Run { output, samples, out }
}

fn sample(line: &str) -> Option<Sample> {
    let fields = fields(line);
    let [_, graph, method, x, _, value, count] = fields.as_slice() else { return None };
    Some(Sample {
        graph: graph.clone(),
        method: method.clone(),
        x: x.parse().ok()?,
        value: value.parse().ok()?,
        count: count.parse().ok()?,
    })
}

/// The fields of a line of CSV (RFC 4180), of which some are in quotes.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match (c, fields.last_mut()) {
            ('"', _) => quoted = !quoted,
            (',', _) if !quoted => fields.push(String::new()),
            (c, Some(field)) => field.push(c),
            (_, None) => {}
        }
    }
    fields
}

impl Run {
    /// What it printed, both streams.
    pub fn text(&self) -> String {
        [&self.output.stdout, &self.output.stderr].map(|stream| String::from_utf8_lossy(stream)).concat()
    }

    /// It must have ended well, and left no temporary file.
    #[track_caller]
    pub fn expect_success(self) -> Run {
        assert!(self.output.status.success(), "{}: {}", self.output.status, self.text());
        self.expect_nothing_left();
        self
    }

    /// It must have failed as a whole or in its only experiment, and said this.
    #[track_caller]
    pub fn expect_failure(self, says: &str) {
        assert_eq!(self.output.status.code(), Some(111), "{}", self.text());
        assert!(self.text().contains(says), "{says:?} in: {}", self.text());
        self.expect_nothing_left();
    }

    #[track_caller]
    pub fn expect_nothing_left(&self) {
        let left: Vec<_> = fs::read_dir(self.out.join("temporary")).expect("read it").collect();
        assert!(left.is_empty(), "temporary files are left: {left:?}");
    }

    /// The methods of a graph, each once, by name.
    pub fn methods(&self, graph: &str) -> Vec<&str> {
        let mut methods: Vec<&str> =
            self.samples.iter().filter(|sample| sample.graph == graph).map(|sample| sample.method.as_str()).collect();
        methods.sort_unstable();
        methods.dedup();
        methods
    }

    /// The places on a method's x axis.
    pub fn xs(&self, graph: &str, method: &str) -> Vec<f64> {
        let mut xs: Vec<f64> = self.of(graph, method).map(|sample| sample.x).collect();
        xs.sort_by(f64::total_cmp);
        xs.dedup();
        xs
    }

    /// The median of a method at a place.
    #[track_caller]
    pub fn median(&self, graph: &str, method: &str, x: f64) -> f64 {
        let at = self.of(graph, method).filter(|sample| sample.x == x);
        let mut values: Vec<f64> = at.flat_map(|s| std::iter::repeat_n(s.value, s.count as usize)).collect();
        assert!(!values.is_empty(), "no sample of {method} in {graph} at {x}: {}", self.text());
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    fn of(&self, graph: &str, method: &str) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| sample.graph == graph && sample.method == method)
    }
}
