//! `tine-auth` as who starts it sees it: exit statuses, and one line for what is wrong.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// `htpasswd -nbB -C 4 ada secret`.
const ADA: &str = "ada:$2y$04$ouyxOLCf2/OU70BgSyxlceMQZ.Sk/FZWXKrQ3.23J.NjOh0vHPrSK\n";

fn users(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("write a file of users");
    path
}

fn ask(arguments: &[&str], field: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tine-auth"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start tine-auth");
    // It may end without reading.
    let _ = child.stdin.take().expect("its input").write_all(field.as_bytes());
    child.wait_with_output().expect("wait for tine-auth")
}

#[test]
fn who_may_and_who_may_not() {
    let file = users("good-users", ADA);
    let file = file.to_str().expect("a path in UTF-8");
    let right = "Basic YWRhOnNlY3JldA=="; // ada:secret
    let wrong = "Basic YWRhOnNlY3JldHM="; // ada:secrets
    for (arguments, field, status) in [
        (vec![file], right, 0),
        (vec![file], wrong, 1),
        (vec![file], "", 1),
        (vec![file, "host", "/path", right], "", 0),
        (vec![file, "host", "/path", wrong], "", 1),
        (vec![file, "host", "/path"], right, 1),
    ] {
        let output = ask(&arguments, field);
        assert_eq!(output.status.code(), Some(status), "{arguments:?} {field:?}");
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn what_is_wrong_is_one_line() {
    let file = users("bad-users", "ada:plain\n");
    let file = file.to_str().expect("a path in UTF-8");
    for (arguments, status, told) in [
        (vec![], 100, "usage: tine-auth FILE"),
        (vec![file], 111, "line 1: its hash is none of bcrypt"),
        (vec!["/nonexistent"], 111, "unable to read /nonexistent: "),
    ] {
        let output = ask(&arguments, "");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.starts_with("tine-auth: ") && said.contains(told) && said.lines().count() == 1, "{said}");
    }
}
