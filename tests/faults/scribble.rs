//! A child under somebody else's control: it writes to all that it can write to.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
};

use nix::sys::signal::Signal;
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::write,
    net::{Shutdown, shutdown},
    process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open},
};

use crate::{
    common::{Mode, process, server::send, wait_until},
    harness::{Scenario, Stage},
};

/// Somebody comes again and again who makes his child write to every page that it shares with others, and to every
/// descriptor that it holds: whom its siblings serve loses nothing.
pub fn a_child_scribbles() -> Scenario {
    Scenario {
        harm: |stage| {
            for round in 0..4 {
                let mut intruder = stage.server.connect();
                // In the middle of a head it is not asked to make room.
                intruder.send("GET / HTTP/1.1\r\nHost: lo");
                let child = stage.server.child_of(&intruder);
                // Until it has shed what is the supervisor's, or become another program, nobody's bytes are read in it:
                // then it waits for the rest of the head.
                wait_until("it waits for the rest of the head", || {
                    let program = |name: &str| stage.mode != Mode::Vfork || name == "tine-http";
                    process::find(child).is_some_and(|it| it.state == 'S' && program(&it.name))
                });
                scribble(stage, child);
                let so_far = stage.load.answered();
                wait_until("others are served meanwhile", || stage.load.answered() > so_far + 20);
                if round % 2 == 0 {
                    send(child, Signal::SIGKILL);
                }
            }
        },
        verdict: |_, tally| assert!(tally.cut.is_empty() && tally.refused.is_empty(), "{tally}"),
        ..Scenario::default()
    }
}

/// What the child could do, done in its place: to its memory, and by copies of its descriptors.
fn scribble(stage: &Stage<'_>, child: u32) {
    let maps = fs::read_to_string(format!("/proc/{child}/maps")).expect("read its maps");
    let memory = OpenOptions::new().write(true).open(format!("/proc/{child}/mem")).expect("open its memory");
    for line in maps.lines().filter(|line| line.contains(" rw-s ")) {
        let bounds = line.split_once(' ').and_then(|(bounds, _)| bounds.split_once('-')).expect("an address");
        let [start, end] = [bounds.0, bounds.1].map(|text| u64::from_str_radix(text, 16).expect("an address"));
        let garbage: Vec<u8> = (start..end).map(|_| stage.random.next() as u8).collect();
        memory.write_all_at(&garbage, start).unwrap_or_else(|e| panic!("write to {line}: {e}"));
    }
    let process = Pid::from_raw(child.cast_signed()).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let process = process.expect("the child is there");
    // In the log it must be a line of its own.
    let garbage: Vec<u8> = (0..63).map(|_| b' ' + stage.random.below(95) as u8).chain([b'\n']).collect();
    for number in process::descriptors(child).into_keys() {
        let Ok(descriptor) = pidfd_getfd(&process, number.cast_signed(), PidfdGetfdFlags::empty()) else { continue };
        let flags = fcntl_getfl(&descriptor).expect("its flags");
        // Whatever cannot be written to, and where there is no room: let it be.
        let _ = fcntl_setfl(&descriptor, flags ^ OFlags::NONBLOCK);
        let _ = write(&descriptor, &garbage);
        let _ = shutdown(&descriptor, Shutdown::Write);
    }
}
