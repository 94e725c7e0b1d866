//! Tables: the columns, and how they look in a terminal.

use super::number;
use crate::bench::experiment::{Experiment, Graph, Kind, Unit};
use crate::bench::samples::{Results, Series};
use crate::bench::stats::Summary;

/// A graph's numbers for a terminal: lines as a matrix of medians, methods by x, with the tail where x is largest; other
/// graphs whole. With an earlier run, how many times its median each is.
fn short(graph: &Graph, series: &[Series], old: Option<&[Series]>) -> Vec<Vec<String>> {
    if graph.kind != Kind::Lines {
        return rows(graph, series, old);
    }
    let mut xs: Vec<f64> = series.iter().flat_map(|series| &series.points).map(|point| point.x).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let mut heading = vec![format!("{}:", graph.x.label)];
    heading.extend(xs.iter().map(|&x| number::text(graph.x.unit, x)));
    heading.push("p99 at the last".into());
    let mut table = vec![heading];
    for series in series {
        let before = old.and_then(|old| old.iter().find(|before| before.method == series.method));
        let mut row = vec![series.method.clone()];
        row.extend(xs.iter().map(|&x| {
            let Some(now) = series.at(x) else { return String::new() };
            let median = number::text(graph.y.unit, now.median);
            let ratio = before.and_then(|before| ratio(now, before.at(x)?));
            median + &ratio.map(|ratio| format!(" (×{ratio})")).unwrap_or_default()
        }));
        row.extend(series.points.last().map(|point| number::text(graph.y.unit, point.summary.p99)));
        table.push(row);
    }
    table
}

/// A graph's numbers: the first row is the heading, the first column the method.
pub fn rows(graph: &Graph, series: &[Series], old: Option<&[Series]>) -> Vec<Vec<String>> {
    let lines = graph.kind == Kind::Lines;
    let mut heading = vec![String::new()];
    if lines {
        heading.push(graph.x.label.into());
    }
    heading.extend(["median", "p5", "p95", "p99", "max", "far out", "samples"].map(String::from));
    if old.is_some() {
        heading.extend(["before", "ratio"].map(String::from));
    }
    let mut rows = vec![heading];
    for series in series {
        let before = old.and_then(|old| old.iter().find(|before| before.method == series.method));
        for (x, summary) in places(graph, series) {
            let mut row = vec![series.method.clone()];
            row.extend(x.map(|x| number::text(graph.x.unit, x)));
            let values = [summary.median, summary.p5, summary.p95, summary.p99, summary.max];
            row.extend(values.map(|value| number::text(graph.y.unit, value)));
            row.extend([summary.outliers, summary.count].map(|count| number::text(Unit::Count, count as f64)));
            if old.is_some() {
                let before = before.and_then(|before| places(graph, before).into_iter().find(|(at, _)| *at == x));
                row.extend(match before {
                    Some((_, before)) => {
                        [number::text(graph.y.unit, before.median), ratio(&summary, &before).unwrap_or_default()]
                    }
                    None => [String::new(), String::new()],
                });
            }
            rows.push(row);
        }
    }
    rows
}

/// How a graph's medians are beside an earlier run's, in a sentence; `None` where the two have nothing in common.
pub fn compared(graph: &Graph, series: &[Series], old: &[Series]) -> Option<String> {
    let mut ratios: Vec<(f64, String)> = Vec::new();
    for now in series {
        let Some(before) = old.iter().find(|before| before.method == now.method) else { continue };
        let before = places(graph, before);
        for (x, summary) in places(graph, now) {
            let place = x.map(|x| format!(" at {}", number::text(graph.x.unit, x))).unwrap_or_default();
            let earlier = before.iter().find(|(at, earlier)| *at == x && earlier.median > 0.0);
            ratios.extend(earlier.map(|(_, earlier)| (summary.median / earlier.median, now.method.clone() + &place)));
        }
    }
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ((least, who), (most, whom)) = (ratios.first()?, ratios.last()?);
    Some(format!(
        "Beside the earlier run, medians are between {least:.2} times ({who}) and {most:.2} times ({whom}) what they were."
    ))
}

fn ratio(now: &Summary, before: &Summary) -> Option<String> {
    (before.median > 0.0).then(|| format!("{:.2}", now.median / before.median))
}

/// The summaries that a graph shows of a series, with their x where that matters.
pub fn places(graph: &Graph, series: &Series) -> Vec<(Option<f64>, Summary)> {
    if graph.kind == Kind::Lines {
        series.points.iter().map(|point| (Some(point.x), point.summary)).collect()
    } else {
        series.together().summary().map(|summary| (None, summary)).into_iter().collect()
    }
}

/// An experiment's tables, one for each graph, and what else there is to say, for a terminal.
pub fn text(experiment: &Experiment, results: &Results, old: Option<&Results>) -> String {
    let mut text = format!("\n== {}: {}\n", experiment.name, experiment.about);
    for (graph, series) in results.graphs(experiment.graphs) {
        let old = old.map(|old| old.series(graph.name));
        let table = columns(&short(graph, &series, old.as_deref()));
        text += &format!("\n  {}\n{table}  {}\n", graph.title, (graph.says)(graph, &series));
        if let Some(sentence) = old.and_then(|old| compared(graph, &series, &old)) {
            text += &format!("  {sentence}\n");
        }
    }
    for remark in remarks(results) {
        text += &format!("  {remark}\n");
    }
    text
}

/// What was not measured, limits, notes, trouble: a line each.
pub fn remarks(results: &Results) -> Vec<String> {
    let absent = results.absent.iter().map(|(_, method, why)| format!("not measured: {method}: {why}"));
    let limits = results.limits.iter().map(|limit| {
        let [value, needed] = [limit.value, limit.needed].map(|value| number::text(Unit::Count, value as f64));
        format!(
            "limit: {} is {value} and should be {needed}: {}; to raise it: {}",
            limit.which, limit.instead, limit.remedy
        )
    });
    let notes = results.notes.iter().map(|note| format!("note: {note}"));
    let trouble = results.trouble.iter().map(|trouble| format!("failed: {trouble}"));
    absent.chain(limits).chain(notes).chain(trouble).collect()
}

/// Rows with their columns under each other: words to the left, numbers to the right.
fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let numbers: String = (1..count).map(|i| format!("  {:>1$}", row[i], widths[i])).collect();
        format!("  {:<1$}{numbers}\n", row[0], widths[0])
    };
    rows.iter().map(line).collect()
}
