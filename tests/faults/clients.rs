//! Clients that behave as they should not, beside those that behave.

use std::{io::Write, net::TcpStream, thread, time::Duration};

use nix::{
    libc::linger,
    sys::socket::{setsockopt, sockopt},
};

use crate::{
    common::Client,
    harness::{Scenario, Stage},
};

/// How many of them there are.
const ROUNDS: usize = 60;

/// Connections are reset at every stage: before the first byte, in the head, behind it, in the middle of the answer,
/// between two requests; heads come a byte at a time and are left off; answers are not read. Nobody else loses anything.
pub fn wild_clients() -> Scenario {
    Scenario {
        // The one that trickles, and the one that does not read, hold a child until their time is over.
        options: &["--header-timeout", "1", "--write-timeout", "1"],
        harm: |stage| {
            for round in 0..ROUNDS {
                if let Ok(client) = Client::try_connect(stage.load.address) {
                    misbehave(stage, client.stream, round % 7);
                }
            }
        },
        verdict: |_, tally| {
            assert!(tally.cut.is_empty() && tally.refused.is_empty(), "{tally}");
        },
        ..Scenario::default()
    }
}

fn misbehave(stage: &Stage<'_>, mut stream: TcpStream, how: usize) {
    let (head, end) = ("GET /larger.bin HTTP/1.1\r\nHost: localhost\r\n", "\r\n");
    // Whatever the server makes of it: an error here is its answer.
    let mut say = |text: &str| drop(stream.write_all(text.as_bytes()));
    match how {
        0 => {}
        1 => say(head),
        2 => say(&format!("{head}{end}")),
        3 => {
            say(&format!("{head}{end}"));
            thread::sleep(Duration::from_millis(stage.random.below(5)));
        }
        4 => {
            say(&format!("{head}{end}{head}{end}{head}"));
            thread::sleep(Duration::from_millis(stage.random.below(5)));
        }
        5 => head.chars().take(20).for_each(|letter| {
            say(&letter.to_string());
            thread::sleep(Duration::from_millis(1));
        }),
        // More answers than the buffers hold, of which none is read.
        _ => {
            (0..30).for_each(|_| say(&format!("{head}{end}")));
            thread::sleep(Duration::from_millis(20));
        }
    }
    if how != 5 {
        // Closed with a reset.
        let _ = setsockopt(&stream, sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 });
    }
}
