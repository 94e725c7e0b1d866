//! What was measured, by experiment, graph, method and x.

use std::collections::{HashMap, HashSet};

use super::experiment::Graph;
use super::recorder::{Limit, Record};
use super::stats::{Sorted, Summary};

/// All that one experiment told.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// In the order in which they came.
    pub samples: Vec<Sample>,
    /// Graph, method, and why it is not there.
    pub absent: Vec<(String, String, String)>,
    /// Limits that were too low.
    pub limits: Vec<Limit>,
    /// What the reader should know.
    pub notes: Vec<String>,
    /// What ended it early.
    pub trouble: Option<String>,
}

/// One measurement, or `count` equal ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub graph: String,
    pub method: String,
    pub x: f64,
    pub round: u32,
    pub value: f64,
    pub count: u64,
}

/// One method's samples in one graph.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name.
    pub method: String,
    /// The number of its colour and mark: the same in all graphs of an experiment, as far as there are enough.
    pub colour: usize,
    /// By x.
    pub points: Vec<Point>,
}

/// One method's samples at one x.
#[derive(Clone, Debug)]
pub struct Point {
    /// Where.
    pub x: f64,
    /// What.
    pub sorted: Sorted,
    /// What that comes to.
    pub summary: Summary,
    /// The median of each round, in order.
    pub rounds: Vec<f64>,
}

impl Results {
    /// Takes a record in. Progress is not kept.
    pub fn add(&mut self, record: Record) {
        match record {
            Record::Sample { graph, method, x, round, value, count } => {
                self.samples.push(Sample { graph, method, x, round, value, count });
            }
            Record::Absent { graph, method, why } => {
                let absent = (graph, method, why);
                if !self.absent.contains(&absent) {
                    self.absent.push(absent);
                }
            }
            Record::Limit(limit) if !self.limits.contains(&limit) => self.limits.push(limit),
            Record::Note(note) if !self.notes.contains(&note) => self.notes.push(note),
            Record::Trouble(trouble) if self.trouble.is_none() => self.trouble = Some(trouble),
            Record::Limit(_) | Record::Note(_) | Record::Trouble(_) | Record::Progress(..) => {}
        }
    }

    /// The series of a graph, in the order in which their first samples came.
    pub fn series(&self, graph: &str) -> Vec<Series> {
        let mut methods: Vec<(&str, Vec<&Sample>)> = Vec::new();
        for sample in self.samples.iter().filter(|sample| sample.graph == graph) {
            match methods.iter_mut().find(|(method, _)| *method == sample.method) {
                Some((_, samples)) => samples.push(sample),
                None => methods.push((&sample.method, vec![sample])),
            }
        }
        let series = methods.into_iter().enumerate();
        series
            .map(|(colour, (method, samples))| Series { method: method.into(), colour, points: points(samples) })
            .collect()
    }

    /// The graphs that have samples, with their series. A method keeps the colour that it had in the first of them.
    pub fn graphs<'g>(&self, graphs: &'g [Graph]) -> Vec<(&'g Graph, Vec<Series>)> {
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut found = Vec::new();
        for graph in graphs {
            let mut series = self.series(graph.name);
            let mut used = HashSet::new();
            // Who has a colour keeps it, unless somebody here has the same; then the others get what is left.
            let kept = series.iter().map(|one| known.get(&one.method).copied().filter(|&colour| used.insert(colour)));
            let kept: Vec<Option<usize>> = kept.collect();
            for (one, kept) in series.iter_mut().zip(kept) {
                one.colour = kept.or_else(|| (0..).find(|&colour| used.insert(colour))).unwrap_or(0);
                known.entry(one.method.clone()).or_insert(one.colour);
            }
            if !series.is_empty() {
                found.push((graph, series));
            }
        }
        found
    }
}

fn points(mut samples: Vec<&Sample>) -> Vec<Point> {
    samples.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.round.cmp(&b.round)));
    let same_x = samples.chunk_by(|a, b| a.x == b.x);
    same_x
        .filter_map(|samples| {
            let sort = |samples: &[&Sample]| Sorted::new(samples.iter().map(|sample| (sample.value, sample.count)));
            let sorted = sort(samples);
            let rounds = samples.chunk_by(|a, b| a.round == b.round).map(|round| sort(round).quantile(0.5)).collect();
            Some(Point { x: samples.first()?.x, summary: sorted.summary()?, sorted, rounds })
        })
        .collect()
}

impl Series {
    /// The summary at this x.
    pub fn at(&self, x: f64) -> Option<&Summary> {
        self.points.iter().find(|point| point.x == x).map(|point| &point.summary)
    }

    /// All samples, whatever their x.
    pub fn together(&self) -> Sorted {
        Sorted::new(self.points.iter().flat_map(|point| point.sorted.pairs()))
    }
}
