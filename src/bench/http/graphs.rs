//! The pictures of servers under load, and what they say.

use crate::bench::experiment::{Axis, Graph, Kind, Scale, Unit};
use crate::bench::report::number;
use crate::bench::samples::Series;
use crate::bench::says;

/// Where it is told that a server is missing.
pub const FIRST: &str = "rate-new";

/// Where it is told that a server does not keep connections.
pub const KEPT: &str = "rate-kept";

/// All of them.
pub const ALL: &[Graph] = &[
    rate(FIRST, "Requests a second, each over a connection of its own"),
    rate(KEPT, "Requests a second over kept connections"),
    time("time-new", "Time for a request over a connection of its own"),
    time("time-kept", "Time for a request over a kept connection"),
    distribution("connect", "Time to connect", "From the call until the client knows that it is connected. Open loop"),
    distribution("first", "Time to the first byte, over new connections", "From when the request was due. Open loop"),
    distribution(
        "complete-new",
        "Time to the last byte, over new connections",
        "From when the request was due. Open loop",
    ),
    distribution(
        "complete-kept",
        "Time to the last byte, over kept connections",
        "From when the request was due. Open loop",
    ),
    distribution(
        "closed-new",
        "Time to the last byte, when 16 clients ask as fast as they can",
        "From when the request was sent, over new connections. Closed loop: a server that is slow is asked less",
    ),
    Graph {
        name: "throughput",
        title: "Bytes a second of large files",
        method: "Four clients fetch a file of 16 MiB over kept connections; the client throws the bytes away without \
                 copying them.",
        kind: Kind::Bars,
        x: COUNT,
        y: Axis { label: "throughput", unit: Unit::BytesPerSecond, scale: Scale::Linear },
        says: says_most,
    },
    Graph {
        name: "generator",
        title: "What the load generator used",
        method: "Processor time of the generator in the closed loops, in percent of one processor. Near 100 it and not \
                 the server sets the pace.",
        kind: Kind::Bars,
        x: COUNT,
        y: Axis { label: "of a processor", unit: Unit::Percent, scale: Scale::Linear },
        says: says_generator,
    },
];

/// Of bars, which have none.
const COUNT: Axis = Axis { label: "", unit: Unit::Count, scale: Scale::Linear };

const fn rate(name: &'static str, title: &'static str) -> Graph {
    Graph {
        name,
        title,
        method: "16 clients ask for a file of 512 bytes as fast as they are answered, while so many other connections to \
                 the same server are open and silent. The load generator shares the machine.",
        kind: Kind::Lines,
        x: Axis { label: "idle connections", unit: Unit::Count, scale: Scale::Log },
        y: Axis { label: "requests", unit: Unit::PerSecond, scale: Scale::Linear },
        says: says_rate,
    }
}

const fn time(name: &'static str, title: &'static str) -> Graph {
    Graph {
        name,
        title,
        method: "Requests come at random at half the rate that the slowest server can do, whether it has answered the \
                 last ones or not, and count from when they were due.",
        kind: Kind::Lines,
        x: Axis { label: "idle connections", unit: Unit::Count, scale: Scale::Log },
        y: Axis { label: "time from due to answered", unit: Unit::Nanoseconds, scale: Scale::Log },
        says: says::growth,
    }
}

const fn distribution(name: &'static str, title: &'static str, method: &'static str) -> Graph {
    Graph {
        name,
        title,
        method,
        kind: Kind::Distribution,
        x: Axis { label: "percentile", unit: Unit::Percent, scale: Scale::Linear },
        y: Axis { label: "time", unit: Unit::Nanoseconds, scale: Scale::Log },
        says: says::tails,
    }
}

/// The methods by a number of theirs, the largest first.
fn ranked(series: &[Series], of: impl Fn(&Series) -> Option<f64>) -> Vec<(f64, &str)> {
    let mut all: Vec<(f64, &str)> = series.iter().filter_map(|s| Some((of(s)?, s.method.as_str()))).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all
}

/// All rates with the most idle connections, in order.
fn says_rate(graph: &Graph, series: &[Series]) -> String {
    let Some(last) = says::last(series) else { return says::nothing() };
    let ranks = ranked(series, |s| Some(s.at(last)?.median));
    let Some(&(best, first)) = ranks.first() else { return says::nothing() };
    let others: Vec<String> =
        ranks[1..].iter().map(|(rate, name)| format!("{name} {:.0} %", rate / best * 100.0)).collect();
    let others = if others.is_empty() { String::new() } else { format!("; of that, {}", others.join(", ")) };
    let (place, rate) = (number::text(graph.x.unit, last), number::text(graph.y.unit, best));
    format!("Beside {place} {} {first} answers {rate}{others}.", graph.x.label)
}

/// The largest, and what the others have of it.
fn says_most(graph: &Graph, series: &[Series]) -> String {
    let ranks = ranked(series, |s| Some(s.together().quantile(0.5)));
    let (Some(most), Some(least)) = (ranks.first(), ranks.last()) else { return says::nothing() };
    let show = |value| number::text(graph.y.unit, value);
    format!("{} sends most, {}; {} least, {}.", most.1, show(most.0), least.1, show(least.0))
}

/// Whether it was the bottleneck.
fn says_generator(graph: &Graph, series: &[Series]) -> String {
    let ranks = ranked(series, |s| Some(s.together().quantile(0.5)));
    let Some(&(most, name)) = ranks.first() else { return says::nothing() };
    let judgement = if most >= 90.0 { "there it may have set the pace" } else { "it was not what set the pace" };
    format!("Most was used on {name}, {}: {judgement}.", number::text(graph.y.unit, most))
}
