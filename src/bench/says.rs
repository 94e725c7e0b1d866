//! Ready sentences on what a picture shows, drawn from its numbers.

use super::experiment::{Graph, Unit};
use super::report::number;
use super::samples::Series;
use super::stats::Summary;

/// For lines: who is least at the largest x, how much the last takes, and who has grown the most on the way.
pub fn growth(graph: &Graph, series: &[Series]) -> String {
    let Some(last) = last(series) else { return nothing() };
    let ends = sorted(series.iter().filter_map(|s| Some((s.method.as_str(), s.at(last)?))));
    let (Some(least), Some(most)) = (ends.first(), ends.last()) else { return nothing() };
    let (show, verb) = (|value| number::text(graph.y.unit, value), verb(graph));
    let grown = series.iter().filter_map(|s| {
        let (first, last) = (s.points.first()?, s.points.last()?);
        (first.x < last.x && first.summary.median > 0.0)
            .then(|| (s.method.as_str(), last.summary.median / first.summary.median))
    });
    let grown = grown.max_by(|a, b| a.1.total_cmp(&b.1));
    let growth = match grown {
        Some((_, factor)) if factor < 1.2 => "; on the way there none grows by as much as a fifth".into(),
        Some((method, factor)) if ends.len() > 1 => {
            format!("; {method} grows the most on the way there, by {}", number::factor(factor))
        }
        Some((_, factor)) => format!(", {} what it is at the beginning", number::factor(factor)),
        None => String::new(),
    };
    if ends.len() == 1 {
        return format!("{} {} {verb} {}{growth}.", at(graph, last), least.0, show(least.1));
    }
    format!(
        "{} {} {verb} {} and {} {}, {} as much{growth}.",
        at(graph, last),
        least.0,
        show(least.1),
        most.0,
        show(most.1),
        number::factor(most.1 / least.1)
    )
}

/// For bars: the least, and how much the others are beside it.
pub fn bars(graph: &Graph, series: &[Series]) -> String {
    let summaries: Vec<(&str, Summary)> =
        series.iter().filter_map(|s| Some((s.method.as_str(), s.together().summary()?))).collect();
    let ends = sorted(summaries.iter().map(|(method, summary)| (*method, summary)));
    let Some((least, rest)) = ends.split_first() else { return nothing() };
    let others: Vec<String> =
        rest.iter().map(|(method, value)| format!("{method} {}", number::factor(value / least.1))).collect();
    let beside = if others.is_empty() { String::new() } else { format!(", {} as much", list(&others)) };
    format!("{} {} {}{beside}.", capital(least.0), verb(graph), number::text(graph.y.unit, least.1))
}

/// For distributions: the median and the tail of the best and the worst.
pub fn tails(graph: &Graph, series: &[Series]) -> String {
    let show = |value| number::text(graph.y.unit, value);
    let mut all: Vec<(&str, Summary)> =
        series.iter().filter_map(|s| Some((s.method.as_str(), s.together().summary()?))).collect();
    all.sort_by(|a, b| a.1.p99.total_cmp(&b.1.p99));
    let one = |(method, s): &(&str, Summary)| {
        format!("{method} takes {} in the median and {} at the 99th percentile", show(s.median), show(s.p99))
    };
    match (all.first(), all.last()) {
        (Some(least), Some(most)) if all.len() > 1 => format!("{}; {}.", capital(&one(least)), one(most)),
        (Some(only), _) => format!("{}.", capital(&one(only))),
        (None, _) => nothing(),
    }
}

/// What methods do in this graph.
fn verb(graph: &Graph) -> &'static str {
    match graph.y.unit {
        Unit::Nanoseconds | Unit::Bytes | Unit::NanosecondsPerMegabyte => "takes",
        Unit::PerSecond | Unit::BytesPerSecond => "reaches",
        Unit::Count | Unit::Percent => "is at",
    }
}

/// For a picture without samples.
pub fn nothing() -> String {
    "Nothing was measured.".into()
}

/// The largest x of all.
pub fn last(series: &[Series]) -> Option<f64> {
    series.iter().flat_map(|s| &s.points).map(|point| point.x).max_by(f64::total_cmp)
}

/// "With 10,000 live children", "At 64 KiB".
pub fn at(graph: &Graph, x: f64) -> String {
    match graph.x.unit {
        Unit::Count => {
            let label = graph.x.label;
            let one = label.strip_suffix("ren").or_else(|| label.strip_suffix('s')).filter(|_| x == 1.0);
            format!("With {} {}", number::text(graph.x.unit, x), one.unwrap_or(label))
        }
        unit => format!("At {}", number::text(unit, x)),
    }
}

/// The median of a method at a place.
pub fn median(series: &[Series], method: &str, x: f64) -> Option<f64> {
    Some(series.iter().find(|s| s.method == method)?.at(x)?.median)
}

fn sorted<'a>(ends: impl Iterator<Item = (&'a str, &'a Summary)>) -> Vec<(&'a str, f64)> {
    let mut ends: Vec<(&str, f64)> = ends.map(|(method, summary)| (method, summary.median)).collect();
    ends.sort_by(|a, b| a.1.total_cmp(&b.1));
    ends
}

/// "a, b and c".
pub fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::recorder::Record;
    use crate::bench::samples::Results;
    use crate::bench::spawn;

    fn series(samples: &[(&str, f64, f64)]) -> Vec<Series> {
        let mut results = Results::default();
        for &(method, x, value) in samples {
            let (graph, method) = ("first".to_owned(), method.to_owned());
            results.add(Record::Sample { graph, method, x, round: 0, value, count: 1 });
        }
        results.series("first")
    }

    #[test]
    fn sentences_say_what_the_numbers_say() {
        let graph = &spawn::EXPERIMENT.graphs[0];
        let both =
            series(&[("fork", 1.0, 50e3), ("fork", 100.0, 200e3), ("thread", 1.0, 20e3), ("thread", 100.0, 20e3)]);
        assert_eq!(
            growth(graph, &both),
            "With 100 live children thread takes 20 µs and fork 200 µs, 10 times as much; fork grows the most on the way \
             there, by 4 times."
        );
        assert_eq!(growth(graph, &series(&[("fork", 1.0, 50e3)])), "With 1 live child fork takes 50 µs.");
        assert_eq!(growth(graph, &[]), nothing());
        assert_eq!(bars(graph, &both), "Thread takes 20 µs, fork 2.5 times as much.");
        assert_eq!(
            tails(graph, &both),
            "Thread takes 20 µs in the median and 20 µs at the 99th percentile; fork takes 50 µs in the median and 200 µs \
             at the 99th percentile."
        );
    }
}
