//! What a measuring process tells: lines on its stdout, which the process that draws pictures reads.
//!
//! Lines are kept until [`Recorder::flush`] or [`Recorder::progress`], so that nobody wakes up and reads in the middle of
//! a measurement; call one of them between two steps. Any program that prints such lines can be part of an experiment:
//! fields are separated by tabs, the first says what the line is.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use super::trouble::Trouble;

/// Where measurements go.
#[derive(Default)]
pub struct Recorder {
    lines: String,
    round: u32,
}

/// A limit that was lower than what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its name, as the user finds it: "ulimit -u (RLIMIT_NPROC)".
    pub which: String,
    /// What it is.
    pub value: u64,
    /// What it should be.
    pub needed: u64,
    /// How to raise it.
    pub remedy: String,
    /// What was done instead: "measured up to 3,000 children".
    pub instead: String,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A measurement.
    Sample {
        /// The name of its picture.
        graph: String,
        /// Who was measured.
        method: String,
        /// Where on the x axis.
        x: f64,
        /// In which round.
        round: u32,
        /// The value, in the unit of the y axis.
        value: f64,
        /// How often it was seen.
        count: u64,
    },
    /// A method that this machine does not have, and why.
    Absent {
        /// The name of its picture.
        graph: String,
        /// Which one.
        method: String,
        /// Why.
        why: String,
    },
    /// A limit was lower than what was asked for.
    Limit(Limit),
    /// Something that the reader of the report should know.
    Note(String),
    /// How far it is: done, of how much, and what is being done.
    Progress(u64, u64, String),
    /// What ended the experiment.
    Trouble(String),
}

impl Recorder {
    /// The round that the samples to come belong to.
    pub fn round(&mut self, round: u32) {
        self.round = round;
    }

    /// One measurement.
    pub fn sample(&mut self, graph: &str, method: &str, x: f64, value: f64) {
        self.samples(graph, method, x, value, 1);
    }

    /// A value that was measured `count` times: for those who keep a histogram.
    pub fn samples(&mut self, graph: &str, method: &str, x: f64, value: f64, count: u64) {
        let round = self.round;
        self.line(&["S", &clean(graph), &clean(method)], format_args!("\t{x}\t{round}\t{value}\t{count}"));
    }

    /// A method that this machine does not have: one line in the report.
    pub fn absent(&mut self, graph: &str, method: &str, why: &str) {
        self.line(&["A", &clean(graph), &clean(method), &clean(why)], format_args!(""));
    }

    /// A limit that was lower than what was asked for.
    pub fn limit(&mut self, limit: &Limit) {
        let Limit { which, value, needed, remedy, instead } = limit;
        self.line(&["L", &clean(which), &clean(remedy), &clean(instead)], format_args!("\t{value}\t{needed}"));
    }

    /// Something that the reader of the report should know.
    pub fn note(&mut self, text: &str) {
        self.line(&["N", &clean(text)], format_args!(""));
    }

    /// How far it is, and what comes next. Hands over what was recorded.
    pub fn progress(&mut self, done: u64, total: u64, next: &str) {
        self.line(&["P", &clean(next)], format_args!("\t{done}\t{total}"));
        self.flush();
    }

    /// What ended the experiment.
    pub fn trouble(&mut self, trouble: &Trouble) {
        self.line(&["T", &clean(&trouble.to_string())], format_args!(""));
        self.flush();
    }

    /// Hands over what was recorded.
    pub fn flush(&mut self) {
        // The reader has gone: it ends this process too.
        let _ = std::io::stdout().write_all(self.lines.as_bytes()).and_then(|()| std::io::stdout().flush());
        self.lines.clear();
    }

    fn line(&mut self, words: &[&str], numbers: fmt::Arguments<'_>) {
        self.lines += &words.join("\t");
        // Writing to a String cannot fail.
        let _ = self.lines.write_fmt(numbers);
        self.lines.push('\n');
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.flush();
    }
}

/// A field is one line without tabs.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl Record {
    /// Reads a line, without its end.
    pub fn parse(line: &str) -> Option<Record> {
        let fields: Vec<&str> = line.split('\t').collect();
        let text = |i: usize| fields.get(i).map(ToString::to_string);
        let number = |i: usize| fields.get(i)?.parse::<u64>().ok();
        let real = |i: usize| fields.get(i)?.parse::<f64>().ok().filter(|value| value.is_finite());
        Some(match *fields.first()? {
            "S" => Record::Sample {
                graph: text(1)?,
                method: text(2)?,
                x: real(3)?,
                round: u32::try_from(number(4)?).ok()?,
                value: real(5)?,
                count: number(6)?,
            },
            "A" => Record::Absent { graph: text(1)?, method: text(2)?, why: text(3)? },
            "L" => Record::Limit(Limit {
                which: text(1)?,
                remedy: text(2)?,
                instead: text(3)?,
                value: number(4)?,
                needed: number(5)?,
            }),
            "N" => Record::Note(text(1)?),
            "P" => Record::Progress(number(2)?, number(3)?, text(1)?),
            "T" => Record::Trouble(text(1)?),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_read() {
        let mut recorder = Recorder::default();
        recorder.round(3);
        recorder.sample("first", "fork\tor\nso", 10.0, 1234.5);
        recorder.absent("first", "kqueue", "not on Linux");
        let limit = Limit {
            which: "ulimit -u".into(),
            value: 100,
            needed: 200,
            remedy: "ulimit -u 200".into(),
            instead: "went to 100".into(),
        };
        recorder.limit(&limit);
        let lines = std::mem::take(&mut recorder.lines);
        let records: Vec<Record> = lines.lines().filter_map(Record::parse).collect();
        let sample = Record::Sample {
            graph: "first".into(),
            method: "fork or so".into(),
            x: 10.0,
            round: 3,
            value: 1234.5,
            count: 1,
        };
        let absent = Record::Absent { graph: "first".into(), method: "kqueue".into(), why: "not on Linux".into() };
        assert_eq!(records, [sample, absent, Record::Limit(limit)]);
        assert_eq!(Record::parse("S\tfirst\tfork\t1"), None);
        assert_eq!(Record::parse("S\tfirst\tfork\t1\t0\tNaN\t1"), None);
        assert_eq!(Record::parse("hello"), None);
    }
}
