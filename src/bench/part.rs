//! The measuring process of one experiment: told what to do by the same command line as the process that started it.

use std::process::ExitCode;

use super::experiment;
use super::plan::Plan;
use super::recorder::Recorder;
use super::sys;
use super::trouble::Trouble;

/// Runs the experiment of this name. Its records are on stdout; what went wrong is among them.
pub fn run(name: &str, plan: &Plan) -> ExitCode {
    let mut recorder = Recorder::default();
    let done = sys::end_with_parent().and_then(|()| {
        let experiment =
            experiment::find(name).ok_or_else(|| Trouble::new("run", name, "there is no such experiment"))?;
        if let (Some(cpu), true) = (plan.pin, experiment.pinned) {
            sys::pin(cpu)?;
        }
        (experiment.run)(plan, &mut recorder)
    });
    if let Err(trouble) = &done {
        recorder.trouble(trouble);
    }
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
