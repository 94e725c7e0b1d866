//! What a load generator counts, and how it is told to the process that asked for it.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use hdrhistogram::Histogram;

/// One time of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// From the call of connect until the connection is there.
    Connect,
    /// From the intended start until the first byte of the answer.
    First,
    /// From the intended start until its last byte.
    Complete,
}

const PHASES: [(Phase, &str); 3] =
    [(Phase::Connect, "connect"), (Phase::First, "first"), (Phase::Complete, "complete")];

/// Counts of one run. Times are kept to one part in a hundred, which is what two digits of a histogram are.
#[derive(Default)]
pub struct Tally {
    times: BTreeMap<Phase, Histogram<u64>>,
    problems: BTreeMap<String, u64>,
    /// Answers that were complete within the measured time.
    pub answers: u64,
    /// Bytes that came within it.
    pub bytes: u64,
    /// Requests that were due and never sent, or had no answer at the end.
    pub unanswered: u64,
}

impl Tally {
    /// Counts a time, in nanoseconds.
    pub fn time(&mut self, phase: Phase, nanoseconds: u64) {
        let histogram = self.times.entry(phase);
        // Two digits are within what such a histogram can have.
        let histogram = histogram.or_insert_with(|| Histogram::new(2).unwrap_or_else(|_| unreachable!()));
        // It grows with its values, so that none is too large.
        let _ = histogram.record(nanoseconds);
    }

    /// Counts something that went wrong.
    pub fn problem(&mut self, what: impl ToString) {
        *self.problems.entry(what.to_string()).or_default() += 1;
    }

    /// How much went wrong.
    pub fn problems(&self) -> u64 {
        self.problems.values().sum()
    }

    /// Writes it for [`Outcome::read`].
    pub fn tell(&self, seconds: f64, busy: f64, mut to: impl Write) -> io::Result<()> {
        let mut text = format!("run\t{seconds}\t{busy}\t{}\t{}\t{}\n", self.answers, self.bytes, self.unanswered);
        for (phase, name) in PHASES {
            for step in self.times.get(&phase).into_iter().flat_map(Histogram::iter_recorded) {
                text += &format!("{name}\t{}\t{}\n", step.value_iterated_to(), step.count_since_last_iteration());
            }
        }
        for (problem, count) in &self.problems {
            text += &format!("problem\t{}\t{count}\n", problem.replace(['\t', '\n'], " "));
        }
        to.write_all(text.as_bytes())
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Answers a second.
    pub rate: f64,
    /// Bytes a second, heads among them.
    pub throughput: f64,
    /// How much of a processor the generator used, 0 to 1.
    pub busy: f64,
    /// Requests that were due and have had no answer.
    pub unanswered: u64,
    /// Each time, in nanoseconds, and how often it was seen.
    pub connect: Vec<(f64, u64)>,
    /// The same for the first byte.
    pub first: Vec<(f64, u64)>,
    /// And for the whole answer.
    pub complete: Vec<(f64, u64)>,
    /// What went wrong, and how often.
    pub problems: Vec<(String, u64)>,
}

impl Outcome {
    /// Reads what [`Tally::tell`] wrote.
    pub fn read(mut from: impl Read) -> io::Result<Outcome> {
        let mut text = String::new();
        from.read_to_string(&mut text)?;
        let mut outcome = Outcome::default();
        let mut whole = false;
        for line in text.lines() {
            whole |= outcome.take(line).ok_or(io::ErrorKind::InvalidData)?;
        }
        whole.then_some(outcome).ok_or(io::ErrorKind::UnexpectedEof.into())
    }

    /// Whether the line was the one about the whole run; none when it is no such line.
    fn take(&mut self, line: &str) -> Option<bool> {
        let fields: Vec<&str> = line.split('\t').collect();
        let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
        let pair = || Some((number(1)?, number(2)? as u64));
        match *fields.first()? {
            "connect" => self.connect.push(pair()?),
            "first" => self.first.push(pair()?),
            "complete" => self.complete.push(pair()?),
            "problem" => self.problems.push(((*fields.get(1)?).to_owned(), number(2)? as u64)),
            "run" => {
                let seconds = number(1)?;
                self.busy = number(2)?;
                self.rate = number(3)? / seconds;
                self.throughput = number(4)? / seconds;
                self.unanswered = number(5)? as u64;
                return Some(true);
            }
            _ => return None,
        }
        Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read() {
        let mut tally = Tally { answers: 10, bytes: 5120, unanswered: 1, ..Tally::default() };
        for nanoseconds in [100, 100, 2000] {
            tally.time(Phase::Complete, nanoseconds);
        }
        tally.problem("it\tended");
        let mut text = Vec::new();
        tally.tell(2.0, 0.5, &mut text).unwrap();
        let outcome = Outcome::read(text.as_slice()).unwrap();
        assert_eq!((outcome.rate, outcome.throughput, outcome.busy, outcome.unanswered), (5.0, 2560.0, 0.5, 1));
        assert_eq!(outcome.problems, [("it ended".to_owned(), 1)]);
        let [(low, 2), (high, 1)] = outcome.complete.as_slice() else { panic!("{outcome:?}") };
        assert!((low / 100.0 - 1.0).abs() < 0.01 && (high / 2000.0 - 1.0).abs() < 0.01, "{outcome:?}");
        assert!(Outcome::read(&b"complete\t1\t1\n"[..]).is_err(), "the end is missing");
        assert!(Outcome::read(&b"hello\n"[..]).is_err());
    }
}
