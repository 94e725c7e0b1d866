//! How full the service is and what it does, in Prometheus' text format
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//!
//! The supervisor tells of itself. What children of a pool say of themselves is added up within bounds, and a sum never
//! sinks, whatever a child writes.

use std::fmt::{self, Display, Write};

use connection::Stage;
use nix::sys::signal::Signal;

use crate::listen::Listener;
use crate::scoreboard::{Board, Count, Histogram, Manner, REFUSALS, Slot};
use crate::sys;

/// What is remembered from one page to the next.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// The largest sums that were shown: connections, requests, bytes.
    shown: [u64; 3],
}

/// What a child does, by name.
pub const STATES: [&str; 5] = ["idle", "reading", "answering", "kept", "serving"];

/// In which state a child is, in the order of [`STATES`], as far as anybody knows.
#[must_use]
pub fn state(slot: Option<&Slot>) -> usize {
    match slot {
        None => 4,
        Some(slot) if !slot.is_busy() => 0,
        Some(slot) => match slot.progress().stage() {
            Stage::Waiting | Stage::Reading => 1,
            Stage::Answering => 2,
            Stage::Kept => 3,
        },
    }
}

impl Metrics {
    /// The whole page.
    pub(crate) fn page(&mut self, board: &Board, listeners: &[Listener], limit: usize) -> String {
        let (header, now) = (board.header(), sys::micros());
        let counters = &header.counters;
        let mut states = [0u64; STATES.len()];
        let mut sums = counters.retired.each_ref().map(Count::get);
        for (row, slot) in board.children() {
            states[state(slot)] += 1;
            let claims = slot.map_or([0; 3], |slot| slot.claims(now.saturating_sub(row.since())));
            sums.iter_mut().zip(claims).for_each(|(sum, claim)| *sum = sum.saturating_add(claim));
        }
        sums.iter_mut().zip(&mut self.shown).for_each(|(sum, shown)| {
            *shown = (*shown).max(*sum);
            *sum = *shown;
        });
        let mut page = Page(String::with_capacity(8192));
        let manner = header.manner().map_or("", Manner::as_str);
        let version = env!("CARGO_PKG_VERSION");
        page.about("build_info", "gauge", "Which program this is, and how it makes children.");
        page.sample("build_info", &[("version", version), ("mode", manner)], &1);
        let age = Seconds(now.saturating_sub(header.started()));
        page.one("uptime_seconds", "gauge", "Since the service began.", &age);
        self.told_by_the_kernel(&mut page, listeners);

        page.about("children", "gauge", "Live children by what they do.");
        let known = if manner == Manner::Prefork.as_str() { 0..4 } else { 4..5 };
        for (name, count) in STATES.iter().zip(states).skip(known.start).take(known.len()) {
            page.sample("children", &[("state", name)], &count);
        }
        page.one("children_limit", "gauge", "Children at once, at most.", &limit);
        let room = if known.start == 0 { states[0] } else { (limit as u64).saturating_sub(states[4]) };
        counters.idle(room);
        let fewest = counters.fewest_idle.get();
        counters.fewest_idle.set(room);
        let help =
            "The fewest children of a pool that were idle, or else that could still be made, since the last page.";
        page.one("children_spare_fewest", "gauge", help, &fewest);
        let full = Seconds(counters.time_full(now));
        page.one("full_seconds_total", "counter", "Time that was spent at the limit.", &full);

        page.one("children_made_total", "counter", "Children that were made.", &counters.made.get());
        page.about("children_ended_total", "counter", "Children that ended by themselves, by their report.");
        for (how, count) in ["served", "refused", "failed"].iter().zip(&counters.exits) {
            page.sample("children_ended_total", &[("how", how)], &count.get());
        }
        page.about("children_killed_total", "counter", "Children that a signal ended.");
        for (number, count) in counters.signals.iter().enumerate() {
            // Those that are looked for are always there, so that their first one is an increase.
            let signal = i32::try_from(number).ok().and_then(|number| Signal::try_from(number).ok());
            let common = [Signal::SIGSEGV, Signal::SIGKILL, Signal::SIGALRM, Signal::SIGABRT, Signal::SIGSYS];
            if count.get() > 0 || signal.is_some_and(|signal| common.contains(&signal)) {
                let name = signal.map_or_else(|| number.to_string(), |signal| signal.as_str().to_owned());
                page.sample("children_killed_total", &[("signal", &name)], &count.get());
            }
        }
        page.histogram("spawn_seconds", "How long it took to make a child.", &counters.spawn);
        let help = "Times that the supervisor had to wait for descriptors, processes or memory.";
        page.one("held_up_total", "counter", help, &counters.held_up.get());
        page.about("reloads_total", "counter", "Times that files were read anew.");
        for (result, count) in ["done", "failed"].iter().zip(&counters.reloads) {
            page.sample("reloads_total", &[("result", result)], &count.get());
        }
        let help = "Times that a new program did not come to serve; one that does begins with new counts.";
        page.one("upgrades_failed_total", "counter", help, &counters.upgrades_failed.get());

        page.about("refused_total", "counter", "Clients that were turned away without a child.");
        for (reason, count) in REFUSALS.iter().zip(&counters.refused) {
            page.sample("refused_total", &[("reason", reason)], &count.get());
        }
        page.one("connections_total", "counter", "Connections that were accepted.", &header.connections(sums[0]));
        if known.start == 0 {
            page.one("requests_total", "counter", "Requests, as children tell.", &sums[1]);
            page.one("sent_bytes_total", "counter", "Bytes to clients, as children tell.", &sums[2]);
        }
        page.0
    }

    /// The queues.
    fn told_by_the_kernel(&self, page: &mut Page, listeners: &[Listener]) {
        let queues: Vec<_> =
            listeners.iter().map(|listener| (listener.address().to_string(), sys::queue(listener))).collect();
        let told = || queues.iter().filter_map(|(name, queue)| queue.map(|queue| (name, queue)));
        page.about("queue_length", "gauge", "Connections that wait in the kernel's queue to be accepted.");
        told().for_each(|(name, (length, _))| page.sample("queue_length", &[("listen", name)], &length));
        page.about("queue_limit", "gauge", "How many may; further ones are not let in by the kernel.");
        told().for_each(|(name, (_, limit))| page.sample("queue_limit", &[("listen", name)], &limit));
    }
}

struct Page(String);

impl Page {
    fn about(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP tine_{name} {help}\n# TYPE tine_{name} {kind}\n"));
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: &dyn Display) {
        self.about(name, kind, help);
        self.sample(name, &[], value);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &dyn Display) {
        self.line(format_args!("tine_{name}"));
        for (at, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            self.line(format_args!("{}{label}=\"{text}\"", if at == 0 { '{' } else { ',' }));
        }
        self.line(format_args!("{} {value}\n", if labels.is_empty() { "" } else { "}" }));
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.about(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        let mut all = 0;
        for (at, count) in histogram.buckets.iter().enumerate() {
            all += count.get();
            let bound = Histogram::BOUNDS.get(at).map_or("+Inf".into(), |&bound| Seconds(bound).to_string());
            self.sample(&bucket, &[("le", &bound)], &all);
        }
        self.sample(&format!("{name}_sum"), &[], &Seconds(histogram.sum.get()));
        self.sample(&format!("{name}_count"), &[], &all);
    }

    fn line(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.0.write_fmt(text);
    }
}

/// Microseconds, shown as seconds.
struct Seconds(u64);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
