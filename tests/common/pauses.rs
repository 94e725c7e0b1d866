//! A machine may stand still for seconds: frozen, or busy with others. Then what had a second of time is over, and neither
//! the server nor its client has done anything wrong.

use std::{
    io::{Write, stderr},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

/// What stands still for longer may have spoilt a test about a second.
const PAUSE: Duration = Duration::from_millis(200);

/// How often a test is made anew. Who stands still at every try is too slow for a test about seconds.
const TRIES: usize = 20;

/// Runs a test whose subject is a time of seconds, and anew where it failed while this machine stood still. A failure
/// without a pause is a failure.
pub fn unless_paused(test: impl Fn()) {
    for _ in 1..TRIES {
        let (failure, pause) = watched(|| catch_unwind(AssertUnwindSafe(&test)).err());
        match failure {
            None => return,
            Some(failure) if pause < PAUSE => resume_unwind(failure),
            // Seen also where the test passes then.
            Some(_) => {
                drop(writeln!(stderr(), "note: this machine stood still for {pause:?} in a test: it begins anew"))
            }
        }
    }
    test();
}

/// Does it, and says for how long this machine stood still meanwhile, at most.
fn watched<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    const STEP: Duration = Duration::from_millis(20);
    let (over, longest) = (AtomicBool::new(false), AtomicU64::new(0));
    let done = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                let start = Instant::now();
                thread::sleep(STEP);
                let late = start.elapsed().saturating_sub(STEP).as_millis();
                longest.fetch_max(late.try_into().unwrap_or(u64::MAX), Relaxed);
            }
        });
        let done = work();
        over.store(true, Relaxed);
        done
    });
    (done, Duration::from_millis(longest.into_inner()))
}
