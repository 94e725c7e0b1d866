//! What an experiment is, and the table of all.

use super::plan::Plan;
use super::recorder::Recorder;
use super::samples::Series;
use super::trouble::Trouble;
use super::{bind, connect, copy, fd, frames, http, memory, mmap, notify, spawn};

/// Something that is measured, in a process of its own.
pub struct Experiment {
    /// As on the command line.
    pub name: &'static str,
    /// One line on what it measures.
    pub about: &'static str,
    /// What is drawn from its samples.
    pub graphs: &'static [Graph],
    /// Roughly how long it runs, in seconds: `all`, and `--quick`. The progress bar of `all` is made of these.
    pub seconds: [u32; 2],
    /// Whether `--pin` holds for the process that measures. Not where load generator and server must have a processor each.
    pub pinned: bool,
    /// Measures. Runs in a process of its own, with nothing on its stdin, and leaves no process behind: whatever it
    /// started it ends and waits for, or arranges to end with it.
    pub run: fn(&Plan, &mut Recorder) -> Result<(), Trouble>,
}

/// All experiments, in the order in which `all` runs them.
pub const ALL: &[Experiment] = &[
    spawn::EXPERIMENT,
    http::EXPERIMENT,
    memory::EXPERIMENT,
    notify::EXPERIMENT,
    copy::EXPERIMENT,
    frames::EXPERIMENT,
    fd::EXPERIMENT,
    bind::EXPERIMENT,
    connect::EXPERIMENT,
    mmap::EXPERIMENT,
];

/// The experiment with this name.
pub fn find(name: &str) -> Option<&'static Experiment> {
    ALL.iter().find(|experiment| experiment.name == name)
}

/// One picture.
pub struct Graph {
    /// Unique within its experiment; part of a file name.
    pub name: &'static str,
    /// Above the picture.
    pub title: &'static str,
    /// How it was measured, in a sentence or two: below the picture, in small print.
    pub method: &'static str,
    /// What kind of picture.
    pub kind: Kind,
    /// What changes between the samples of a method. In a distribution it is the percentile, whatever stands here.
    pub x: Axis,
    /// What was measured.
    pub y: Axis,
    /// The sentence on what the picture shows, drawn from the numbers. [`super::says`] has ready ones.
    pub says: fn(&Graph, &[Series]) -> String,
}

/// How samples become a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The median of each method over x, in a band from the 5th to the 95th percentile.
    Lines,
    /// Each method's value over the percentile; samples of every x together.
    Distribution,
    /// A bar for each method: median, with a whisker from the 5th to the 95th percentile. x is not used.
    Bars,
}

/// One direction of a picture.
pub struct Axis {
    /// With a small letter, without the unit: "live children".
    pub label: &'static str,
    /// What the numbers are.
    pub unit: Unit,
    /// How they are spread.
    pub scale: Scale,
}

/// What a number is. Samples are always in the unit named here, never in thousands of it: the report scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nothing but a number.
    Count,
    /// Time.
    Nanoseconds,
    /// Memory, sizes.
    Bytes,
    /// Events a second.
    PerSecond,
    /// Bytes a second.
    BytesPerSecond,
    /// Of a hundred.
    Percent,
    /// Processor time for work done, by the megabyte (10^6 bytes).
    NanosecondsPerMegabyte,
}

/// How an axis spreads its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From zero.
    Linear,
    /// By powers of ten; numbers of 0 or below stand at the lower edge.
    Log,
}
