//! Ready sentences on what a picture shows, drawn from its numbers.

use super::experiment::Graph;
use super::report::number;
use super::samples::Series;

/// For lines: who is least at the largest x, how much more the others take, and how each grew.
pub fn growth(graph: &Graph, series: &[Series]) -> String {
    let Some(last) = series.iter().flat_map(|s| &s.points).map(|p| p.x).max_by(f64::total_cmp) else {
        return nothing();
    };
    let mut ends: Vec<(&str, f64)> =
        series.iter().filter_map(|s| Some((s.method.as_str(), s.at(last)?.median))).collect();
    ends.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (Some(least), Some(most)) = (ends.first(), ends.last()) else { return nothing() };
    let show = |value| number::text(graph.y.unit, value);
    let place = format!("With {} {}", number::text(graph.x.unit, last), graph.x.label);
    if ends.len() == 1 {
        return format!("{place} the median is {}.", show(least.1));
    }
    format!(
        "{place} {} takes {}, {} {}: {}.",
        least.0,
        show(least.1),
        most.0,
        show(most.1),
        number::times(most.1, least.1)
    )
}

/// For a picture without samples.
pub fn nothing() -> String {
    "Nothing was measured.".into()
}
