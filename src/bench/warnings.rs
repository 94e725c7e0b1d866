//! What makes the numbers less trustworthy: a symptom, its likely cause, and what to do about it.

use std::fs;

use super::experiment::{Experiment, Kind};
use super::report::number;
use super::samples::Results;

/// A warning to the reader of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What was seen.
    pub symptom: String,
    /// What it comes from, likely.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// The state of the machine at some moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moment {
    /// Processes that ran or wanted to, on average over the last minute.
    pub load: f64,
    /// Processors.
    pub processors: usize,
    /// Time of all processors since the start, and how much of it the host gave to other guests, in ticks.
    pub ticks: u64,
    pub stolen: u64,
    /// How the frequency of the first processor is chosen, where there is a choice.
    pub governor: Option<String>,
}

impl Moment {
    /// Now.
    pub fn now() -> Moment {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let stat = read("/proc/stat");
        let line = stat.lines().next().unwrap_or_default();
        let ticks: Vec<u64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
        let governor = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").trim().to_owned();
        Moment {
            load: read("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            // user nice system idle iowait irq softirq steal; what follows is part of the first two.
            ticks: ticks.iter().take(8).sum(),
            stolen: ticks.get(7).copied().unwrap_or(0),
            governor: Some(governor).filter(|governor| !governor.is_empty()),
        }
    }
}

/// What is to be said about the machine, from before and after the run.
pub fn of_machine(before: &Moment, after: &Moment) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |symptom, cause, remedy| warnings.push(Warning { symptom, cause, remedy });
    if cfg!(debug_assertions) {
        warn(
            "this is an unoptimised build".into(),
            "cargo builds for debugging unless told otherwise",
            "run it with cargo run --release -- bench",
        );
    }
    if before.load > 0.5 * before.processors as f64 {
        warn(
            format!("the load was {:.2} on {} processors when the run began", before.load, before.processors),
            "other programs ran",
            "end them, wait for a minute, and run it again",
        );
    }
    let (ticks, stolen) = (after.ticks.saturating_sub(before.ticks), after.stolen.saturating_sub(before.stolen));
    if stolen * 100 > ticks {
        warn(
            format!("{} % of the processors' time was given to other guests", stolen * 100 / ticks.max(1)),
            "this virtual machine shares its processors",
            "compare the medians rather than the tails, or measure on a machine of your own",
        );
    }
    if let Some(governor) = before.governor.as_ref().filter(|governor| *governor != "performance") {
        warn(
            format!("the processors' frequency follows the load (governor {governor})"),
            "the kernel saves power: short measurements run at low frequency",
            "cpupower frequency-set -g performance, and run it again",
        );
    }
    warnings
}

/// What is to be said when the run that this one is compared with had another machine under it.
pub fn of_earlier(now: &[(&'static str, String)], earlier: &[(String, String)]) -> Option<Warning> {
    let was = |label: &str| earlier.iter().find(|(other, _)| other == label).map(|(_, text)| text);
    let differing = ["Processor", "Memory", "Kernel"].into_iter().filter_map(|label| {
        let now = now.iter().find(|(other, _)| *other == label).map(|(_, text)| text)?;
        let was = was(label).filter(|was| *was != now)?;
        Some(format!("{label} {was}, now {now}"))
    });
    let differing: Vec<String> = differing.collect();
    (!differing.is_empty()).then(|| Warning {
        symptom: format!("the earlier run had another machine: {}", differing.join("; ")),
        cause: "a difference may be the machine's",
        remedy: "compare runs on one machine to learn about a program",
    })
}

/// A tail of more than so many medians is long; rounds that differ by more than this factor disagree.
const LONG: f64 = 4.0;
const APART: f64 = 1.5;

/// What is to be said about an experiment's samples.
pub fn of_samples(experiment: &Experiment, results: &Results) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let (mut places, mut long, mut apart) = (0, 0, Vec::new());
    // A distribution is meant to show its tail.
    for graph in experiment.graphs.iter().filter(|graph| graph.kind != Kind::Distribution) {
        for series in results.series(graph.name) {
            for point in series.points {
                places += 1;
                long += usize::from(point.summary.p95 > LONG * point.summary.median);
                let least = point.rounds.iter().copied().fold(f64::INFINITY, f64::min);
                let most = point.rounds.iter().copied().fold(0.0, f64::max);
                if least > 0.0 && most > APART * least {
                    let show = |value| number::text(graph.y.unit, value);
                    apart.push((
                        most / least,
                        format!("{} in {}: {} to {}", series.method, graph.name, show(least), show(most)),
                    ));
                }
            }
        }
    }
    if long * 10 > places {
        warnings.push(Warning {
            symptom: format!(
                "{}: at {long} of {places} places, one sample in twenty took over four medians",
                experiment.name
            ),
            cause: "something else used the processors now and then",
            remedy: "leave the machine alone while it runs, or try --pin and more --rounds",
        });
    }
    if apart.len() * 5 > places {
        apart.sort_by(|a, b| b.0.total_cmp(&a.0));
        let worst = apart.first().map(|(_, text)| text.as_str()).unwrap_or_default();
        warnings.push(Warning {
            symptom: format!(
                "{}: at {} of {places} places the rounds disagree (most for {worst})",
                experiment.name,
                apart.len()
            ),
            cause: "the machine's speed changed during the run: other programs, its frequency, other guests",
            remedy: "run it again when it is quiet, or with more --rounds",
        });
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::recorder::Record;
    use crate::bench::spawn;

    /// What a machine would have told whose samples are these: method, round, value.
    fn results(samples: &[(&str, u32, f64)]) -> Results {
        let mut results = Results::default();
        for &(method, round, value) in samples {
            let (graph, method) = ("first".to_owned(), method.to_owned());
            results.add(Record::Sample { graph, method, x: 1.0, round, value, count: 1 });
        }
        results
    }

    #[test]
    fn a_quiet_run_has_none() {
        let even: Vec<(&str, u32, f64)> = (0..100).map(|i| ("fork", i / 50, 100.0 + f64::from(i % 10))).collect();
        assert_eq!(of_samples(&spawn::EXPERIMENT, &results(&even)), []);
        assert_eq!(of_samples(&spawn::EXPERIMENT, &Results::default()), []);
        let calm = Moment { load: 0.1, processors: 2, ..Moment::default() };
        let after = Moment { ticks: 1000, stolen: 3, ..calm.clone() };
        assert_eq!(of_machine(&calm, &after).len(), usize::from(cfg!(debug_assertions)));
    }

    #[test]
    fn an_earlier_run_on_another_machine() {
        let now = [("Processor", "2 × A".to_owned()), ("Memory", "1.0 GiB".into()), ("Kernel", "6.1".into())];
        let earlier = |kernel: &str| {
            let facts = [("Date", "yesterday"), ("Processor", "2 × A"), ("Memory", "1.0 GiB"), ("Kernel", kernel)];
            facts.map(|(label, text)| (label.to_owned(), text.to_owned()))
        };
        assert_eq!(of_earlier(&now, &earlier("6.1")), None);
        let warning = of_earlier(&now, &earlier("5.4")).expect("a warning");
        assert!(warning.symptom.ends_with("another machine: Kernel 5.4, now 6.1"), "{warning:?}");
        assert_eq!(of_earlier(&now, &[]), None, "a run that does not tell");
    }

    #[test]
    fn long_tails_and_rounds_that_disagree() {
        let tails: Vec<(&str, u32, f64)> =
            (0..100).map(|i| ("fork", 0, if i % 10 == 0 { 900.0 } else { 100.0 })).collect();
        let warnings = of_samples(&spawn::EXPERIMENT, &results(&tails));
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].symptom.contains("1 of 1 places"), "{warnings:?}");
        let drift: Vec<(&str, u32, f64)> =
            (0..100).map(|i| ("fork", i / 50, if i < 50 { 100.0 } else { 200.0 })).collect();
        let warnings = of_samples(&spawn::EXPERIMENT, &results(&drift));
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].symptom.contains("fork in first: 100 ns to 200 ns"), "{warnings:?}");
    }

    #[test]
    fn a_machine_that_others_use() {
        let before = Moment { load: 3.5, processors: 4, governor: Some("powersave".into()), ..Moment::default() };
        let after = Moment { ticks: 1000, stolen: 50, ..before.clone() };
        let warnings = of_machine(&before, &after);
        for part in ["load was 3.50 on 4", "5 % of the processors' time", "powersave"] {
            assert!(warnings.iter().any(|warning| warning.symptom.contains(part)), "{part} in {warnings:?}");
        }
    }
}
