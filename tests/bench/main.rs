//! Promise: `tine bench` measures what it says, writes what it measured, and leaves nobody behind; each experiment at a
//! small size, what is asked wrongly, an interruption in the middle, and outside measures.

#[path = "../common/mod.rs"]
mod common;

mod agreement;
mod interrupted;
mod report;
mod wrong;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::{Scratch, run, tine};

/// `tine bench` with these words, and its report in this directory.
fn bench(words: &[&str], out: &Path) -> Command {
    let mut command = Command::new(tine());
    command.arg("bench").args(words).arg("--out").arg(out);
    command
}

/// Runs it to a good end. What it printed.
#[track_caller]
fn measure(words: &[&str], out: &Path) -> String {
    let output = run(&mut bench(words, out));
    let story = story(&output);
    assert_eq!(output.status.code(), Some(0), "{words:?}: {story}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}: stderr is no terminal\n{story}");
    story
}

fn story(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// One line of summary.csv.
#[derive(Debug)]
struct Line {
    graph: String,
    method: String,
    x: String,
    median: f64,
    samples: u64,
}

/// What a run summed up. No method that is looked for here has a comma in its name.
fn summary(out: &Path) -> Vec<Line> {
    let text = fs::read_to_string(out.join("summary.csv")).expect("read summary.csv");
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let [_, graph, method, x, _, median, .., samples] = fields.as_slice() else { panic!("{line:?}") };
        let (graph, method, x) = (graph.to_string(), method.to_string(), x.to_string());
        // A method in quotation marks has a comma in its name: the columns are not where they are looked for.
        let (median, samples) = (median.parse().unwrap_or(f64::NAN), samples.parse().expect("a number"));
        Line { graph, method, x, median, samples }
    };
    text.lines().skip(1).map(line).collect()
}

/// The median of a method in a graph at an x.
#[track_caller]
fn median(summary: &[Line], graph: &str, method: &str, x: &str) -> f64 {
    let find = |line: &&Line| line.graph == graph && line.method == method && line.x == x;
    summary.iter().find(find).unwrap_or_else(|| panic!("{graph}, {method}, {x} in {summary:#?}")).median
}

#[test]
fn spawn_measures_every_way_at_every_step() {
    let out = Scratch::new();
    let said = measure(&["spawn", "--quick", "--rounds", "2", "--children", "12"], out.path());
    let summary = summary(out.path());
    for method in ["fork", "clone3", "fork + exec", "vfork + exec", "posix_spawn + exec", "thread", "prefork hand-over"]
    {
        for x in ["1", "10", "12"] {
            let median = median(&summary, "first", method, x);
            assert!((1e3..1e9).contains(&median), "{method} at {x}: {median} ns\n{said}");
        }
    }
    for program in ["freestanding: tine-time", "static with Rust's std: tine", "dynamic: echo"] {
        assert!(median(&summary, "executed", program, "") > 1e3, "{program}\n{said}");
    }
    // A fork of 16 MiB copies the page tables for them, which no noise hides.
    let heap = |method, bytes| median(&summary, "heap", method, bytes);
    assert!(heap("fork", "16777216") > heap("fork", "65536"), "{said}");
    // 15 samples in each of two rounds; half of them were waited for in either way.
    assert!(summary.iter().all(|line| line.samples >= 14), "{summary:#?}");
    for part in ["wait for any", "static, small", "dynamic, large", "report: "] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
}

#[test]
fn memory_is_that_of_every_connection() {
    let out = Scratch::new();
    let said = measure(&["memory", "--quick", "--rounds", "1", "--children", "60"], out.path());
    let summary = summary(out.path());
    for mode in ["prefork", "fork", "vfork"] {
        for graph in ["pages", "tables"] {
            let bytes = median(&summary, graph, mode, "60");
            assert!((4096.0..4e6).contains(&bytes), "{graph} of {mode}: {bytes}\n{said}");
        }
        // Others change the machine's memory too: that there is a number is all that holds here.
        assert!(median(&summary, "held", mode, "60").is_finite());
    }
    // Each of them was looked into, up to 50.
    assert!(summary.iter().filter(|line| line.graph == "pages").all(|line| line.samples == 50), "{summary:#?}");
}
