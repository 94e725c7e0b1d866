//! The table at the end of a run, for a terminal.

use super::number;
use crate::bench::experiment::{Experiment, Graph, Kind};
use crate::bench::samples::{Results, Series};

/// An experiment's tables, one for each graph, and what else there is to say.
pub fn text(experiment: &Experiment, results: &Results) -> String {
    let mut text = format!("\n{}: {}\n", experiment.name, experiment.about);
    for graph in experiment.graphs {
        let series = results.series(graph.name);
        if !series.is_empty() {
            text += &format!("\n  {}\n{}  {}\n", graph.title, lines(graph, &series), (graph.says)(graph, &series));
        }
    }
    for (_, method, why) in &results.absent {
        text += &format!("  not measured: {method}: {why}\n");
    }
    for limit in &results.limits {
        text += &format!(
            "  limit: {} is {}, {} needed: {} ({})\n",
            limit.which, limit.value, limit.needed, limit.instead, limit.remedy
        );
    }
    for note in &results.notes {
        text += &format!("  note: {note}\n");
    }
    if let Some(trouble) = &results.trouble {
        text += &format!("  failed: {trouble}\n");
    }
    text
}

fn lines(graph: &Graph, series: &[Series]) -> String {
    let mut rows = vec![["", graph.x.label, "median", "p5", "p95", "p99", "max", "samples"].map(String::from)];
    let show = |value| number::text(graph.y.unit, value);
    for series in series {
        let points: Vec<_> = if graph.kind == Kind::Lines {
            series.points.iter().map(|point| (number::text(graph.x.unit, point.x), point.summary)).collect()
        } else {
            series.together().summary().map(|summary| (String::new(), summary)).into_iter().collect()
        };
        for (x, s) in points {
            let numbers = [s.median, s.p5, s.p95, s.p99, s.max].map(show);
            let [median, p5, p95, p99, max] = numbers;
            rows.push([series.method.clone(), x, median, p5, p95, p99, max, s.count.to_string()]);
        }
    }
    if graph.kind != Kind::Lines {
        rows[0][1].clear();
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..8).map(width).collect();
    let line = |row: &[String; 8]| {
        let numbers: String = (1..8).map(|i| format!("  {:>1$}", row[i], widths[i])).collect();
        format!("  {:<1$}{numbers}\n", row[0], widths[0])
    };
    rows.iter().map(line).collect()
}
