//! What the pictures of `spawn` show, in a sentence each.

use crate::bench::experiment::Graph;
use crate::bench::report::number;
use crate::bench::samples::Series;
use crate::bench::says::{self, at, last, median};

/// The ways to make a child, beside each other where there are most children.
pub fn first(graph: &Graph, series: &[Series]) -> String {
    let sentence = || {
        let x = last(&series.iter().filter(|s| s.method == "fork").cloned().collect::<Vec<_>>())?;
        let [woken, fork, vfork, exec] =
            ["prefork hand-over", "fork", "vfork + exec", "fork + exec"].map(|method| median(series, method, x));
        let (woken, fork, vfork, exec) = (woken?, fork?, vfork?, exec?);
        let show = |value| number::text(graph.y.unit, value);
        Some(format!(
            "{} a child that waits answers after {}, a forked one after {} ({}), a small program after {} by vfork and \
             exec and {} by fork and exec.",
            at(graph, x),
            show(woken),
            show(fork),
            number::factor(fork / woken),
            show(vfork),
            show(exec)
        ))
    };
    sentence().unwrap_or_else(|| says::growth(graph, series))
}

/// What looking through all children costs.
pub fn reap(graph: &Graph, series: &[Series]) -> String {
    let sentence = || {
        let x = last(series)?;
        let (any, one) = (median(series, "fork, wait for any", x)?, median(series, "fork, wait for one", x)?);
        let least = series.iter().find(|s| s.method == "fork, wait for any")?.points.first()?;
        let show = |value| number::text(graph.y.unit, value);
        Some(format!(
            "{} a wait for any of them takes {}, {} what it takes with {}; a wait for the one that is known to have ended \
             takes {}.",
            at(graph, x),
            show(any),
            number::factor(any / least.summary.median),
            number::text(graph.x.unit, least.x),
            show(one)
        ))
    };
    sentence().unwrap_or_else(|| says::growth(graph, series))
}

/// What a parent's memory costs.
pub fn heap(graph: &Graph, series: &[Series]) -> String {
    let sentence = || {
        let x = last(series)?;
        let fork = series.iter().find(|s| s.method == "fork")?;
        let least = fork.points.first()?;
        let (most, vfork) = (fork.at(x)?.median, median(series, "vfork + exec", x)?);
        let show = |value| number::text(graph.y.unit, value);
        Some(format!(
            "A parent with {} forks in {}, one with {} in {}, {} as long, for its page tables are copied; vfork copies \
             nothing and takes {}.",
            number::text(graph.x.unit, least.x),
            show(least.summary.median),
            number::text(graph.x.unit, x),
            show(most),
            number::factor(most / least.summary.median),
            show(vfork)
        ))
    };
    sentence().unwrap_or_else(|| says::growth(graph, series))
}

/// What linking costs the forking program.
pub fn forking(graph: &Graph, series: &[Series]) -> String {
    let sentence = || {
        let [fixed, dynamic, large] =
            ["static, small", "dynamic, small", "static, large"].map(|method| median(series, method, 1.0));
        let (fixed, dynamic, large) = (fixed?, dynamic?, large?);
        let show = |value| number::text(graph.y.unit, value);
        Some(format!(
            "With one other child alive, a fork takes the static program {} and the dynamic one {}, {} as long; 32 MiB of \
             memory make {} of it.",
            show(fixed),
            show(dynamic),
            number::factor(dynamic / fixed),
            show(large)
        ))
    };
    sentence().unwrap_or_else(|| says::growth(graph, series))
}
