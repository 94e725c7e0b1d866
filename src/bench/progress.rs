//! How far the run is, on stderr; nothing when that is no terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::experiment::Experiment;
use super::plan::Plan;
use super::recorder::Record;

/// One bar for the whole run: each experiment has the share of it that its time is of all.
pub struct Progress {
    bar: ProgressBar,
    quick: bool,
    /// Where the running experiment's share begins, and how long it is, in thousandths of a second.
    share: (u64, u64),
}

impl Progress {
    /// For these experiments.
    pub fn new(experiments: &[&Experiment], plan: &Plan) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(4));
        // The template is constant: it parses.
        let style = ProgressStyle::with_template("{prefix:<8} {bar:40} {percent:>3} % {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("##."));
        let mut progress = Progress { bar, quick: plan.quick, share: (0, 0) };
        progress.bar.set_length(experiments.iter().map(|experiment| progress.length(experiment)).sum::<u64>().max(1));
        progress.share = (0, 0);
        progress
    }

    fn length(&self, experiment: &Experiment) -> u64 {
        u64::from(experiment.seconds[usize::from(self.quick)].max(1)) * 1000
    }

    /// An experiment begins.
    pub fn begin(&mut self, experiment: &Experiment) {
        self.share = (self.share.0 + self.share.1, self.length(experiment));
        self.bar.set_prefix(experiment.name);
        self.bar.set_message("");
        self.bar.set_position(self.share.0);
    }

    /// It told something.
    pub fn see(&mut self, record: &Record) {
        if let Record::Progress(done, total, next) = record {
            self.bar.set_position(self.share.0 + self.share.1 * done.min(total) / total.max(&1));
            self.bar.set_message(next.clone());
        }
    }

    /// It has ended.
    pub fn end(&mut self) {
        self.bar.set_position(self.share.0 + self.share.1);
    }

    /// The run has ended: the bar goes.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
