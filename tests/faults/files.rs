//! Files that the service goes by are replaced while it is at work.

use std::{
    fs::{self, File, OpenOptions},
    process::Command,
};

use nix::sys::signal::Signal;

use crate::{
    common::{Client, built, scratch::set_mode, wait_until},
    harness::{Scenario, Stage},
};

/// `bcrypt:secret`, who is in the file of users.
const SHOWN: &str = "Authorization: Basic YmNyeXB0OnNlY3JldA==\r\n";
const USERS: &str = include_str!("../../auth/tests/users");

/// The file of users is replaced, torn, emptied and removed, each time with SIGHUPs: nobody is cut, who is in the file
/// is let in as soon as it is whole, and nobody else ever is.
pub fn users_replaced() -> Scenario {
    Scenario {
        options: &["--auth", "SITE/users"],
        header: SHOWN,
        prepare: |site| drop(site.file("users", USERS)),
        harm: |stage| {
            replace_again_and_again(stage, "users", &|| {
                let answer = stage.server.connect().request("GET", "/", "Connection: close\r\n");
                assert!(matches!(answer.status, 401 | 500), "{answer:?}");
            });
        },
        verdict: |_, tally| {
            assert!(tally.cut.is_empty(), "{:?}", tally.cut);
            assert!(tally.refused.keys().all(|status| matches!(status, 401 | 500)), "{:?}", tally.refused);
        },
        ..Scenario::default()
    }
}

/// The rules likewise: those that were read before hold until others can be.
pub fn rules_replaced() -> Scenario {
    Scenario {
        options: &["--rules", "SITE/rules"],
        prepare: |site| {
            let text = File::open(site.file("rules.txt", "127.0.0.2:deny\n:allow\n")).expect("open the rules");
            let mut tcprules = Command::new(built("tcprules"));
            tcprules.arg(site.join("rules")).arg(site.join("rules.tmp")).stdin(text);
            assert!(tcprules.status().expect("run tcprules").success());
            set_mode(&site.join("rules"), 0o644);
        },
        harm: |stage| {
            replace_again_and_again(stage, "rules", &|| {
                let mut denied = Client::connect_from("127.0.0.2", stage.server.address());
                // Who says nothing is not in the queue yet.
                denied.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
                denied.expect_end();
            });
        },
        verdict: |_, tally| assert!(tally.cut.is_empty() && tally.refused.is_empty(), "{tally}"),
        ..Scenario::default()
    }
}

/// Spoils a file of the site in each way, and puts it back. `holds` is asked at every step.
fn replace_again_and_again(stage: &Stage<'_>, name: &str, holds: &dyn Fn()) {
    let path = stage.site.join(name);
    let good = fs::read(&path).expect("read it");
    let put = |contents: &[u8]| fs::rename(stage.site.file("next", contents), &path).expect("rename");
    let hasten = || (0..1 + stage.random.below(5)).for_each(|_| stage.server.signal(Signal::SIGHUP));
    for round in 0..12 {
        match round % 4 {
            0 => put(b"neither users nor rules\n"),
            1 => {
                let file = OpenOptions::new().write(true).open(&path).expect("open it");
                file.set_len(stage.random.below(good.len() as u64)).expect("tear it");
            }
            2 => put(b""),
            _ => fs::remove_file(&path).expect("remove it"),
        }
        hasten();
        holds();
        put(&good);
        hasten();
        holds();
        let so_far = stage.load.answered();
        wait_until("those who may are served", || stage.load.answered() > so_far + 5);
    }
}
