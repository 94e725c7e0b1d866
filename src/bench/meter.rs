//! Times single system calls at the steps of a growing number.

use super::experiment::Graph;
use super::plan::Plan;
use super::recorder::Recorder;
use super::report::number;
use super::samples::Series;
use super::{clock, says};

/// Times calls and records them in one graph.
pub struct Meter<'r> {
    recorder: &'r mut Recorder,
    graph: &'static str,
    x: f64,
    warming: bool,
}

impl<'r> Meter<'r> {
    /// For the calls of one graph.
    pub fn new(recorder: &'r mut Recorder, graph: &'static str) -> Self {
        Meter { recorder, graph, x: 0.0, warming: false }
    }

    /// The calls to come are made while so many are held.
    pub fn at(&mut self, x: u32) {
        self.x = f64::from(x);
    }

    /// Runs all rounds of a step: `turn` makes each call that is measured once.
    pub fn rounds<E>(
        &mut self,
        plan: &Plan,
        calls: u32,
        mut turn: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        for round in 0..plan.rounds {
            self.recorder.round(round);
            for call in 0..plan.warm_up + calls {
                self.warming = call < plan.warm_up;
                turn(self)?;
            }
        }
        self.warming = false;
        self.recorder.flush();
        Ok(())
    }

    /// Does something to prepare, of which nothing is recorded.
    pub fn aside<T>(&mut self, prepare: impl FnOnce(&mut Self) -> T) -> T {
        self.warming = true;
        let value = prepare(self);
        self.warming = false;
        value
    }

    /// Makes a call, and records how many nanoseconds it took.
    pub fn timed<T>(&mut self, method: &str, call: impl FnOnce() -> T) -> T {
        let start = clock::now();
        let value = call();
        let end = clock::now();
        if !self.warming {
            self.recorder.sample(self.graph, method, self.x, (end - start) as f64);
        }
        value
    }
}

/// What the picture of calls shows: which of them take longer the more there is of x, and which do not care. A call's
/// growth is from its least median to that at its largest x.
pub fn says(graph: &Graph, series: &[Series]) -> String {
    let Some(last) = says::last(series) else { return says::nothing() };
    let mut growths: Vec<(f64, String)> = series
        .iter()
        .filter_map(|s| {
            let least = s.points.iter().map(|point| point.summary.median).fold(f64::INFINITY, f64::min);
            let end = s.points.last()?;
            let (by, to) = (end.summary.median / least, number::text(graph.y.unit, end.summary.median));
            let at =
                if end.x < last { format!(" at {} already", number::text(graph.x.unit, end.x)) } else { String::new() };
            by.is_finite().then(|| (by, format!("{} takes {to}{at}, {} its least", s.method, number::factor(by))))
        })
        .collect();
    growths.sort_by(|a, b| b.0.total_cmp(&a.0));
    let place = format!("{} {}", number::text(graph.x.unit, last), graph.x.label);
    let growing: Vec<&str> = growths.iter().filter(|(by, _)| *by >= GROWS).map(|(_, text)| text.as_str()).collect();
    match growing.as_slice() {
        [] => format!("Up to {place}, none of these cares how many there are."),
        _ if growing.len() < growths.len() => {
            format!("With {place}, {}; the others do not care how many there are.", growing.join("; "))
        }
        _ => format!("With {place}, {}.", growing.join("; ")),
    }
}

/// Growth that is told: less is within what differs from run to run.
const GROWS: f64 = 1.5;
