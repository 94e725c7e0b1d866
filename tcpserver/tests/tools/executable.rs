//! The one executable that all the programs are.

use std::fs;

use super::*;
use scratch::Scratch;

#[test]
fn it_is_the_program_by_whose_name_it_is_called() {
    let scratch = Scratch::new();
    let directory = scratch.dir("bin");
    let end = run(Command::new(OURS).arg("--links").arg(&directory), b"");
    assert_eq!((end.code, end.stdout.as_str(), end.stderr.as_str()), (Some(0), "", ""));
    let list = run(Command::new(OURS).arg("--list"), b"").stdout;
    assert_eq!(list.lines().count(), 14);
    for name in list.lines() {
        let target = fs::read_link(directory.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(target.is_relative(), "{}", target.display());
        assert_eq!(fs::canonicalize(directory.join(name)).ok(), fs::canonicalize(OURS).ok(), "{name}");
    }
    assert_eq!(run(&mut Command::new(directory.join("addcr")), b"a\n").stdout, "a\\r\n");
    assert_eq!(run(Command::new("delcr").env("PATH", &directory), b"a\r\n").stdout, "a\n");
    // Once more changes nothing.
    assert_eq!(run(Command::new(OURS).arg("--links").arg(&directory), b"").code, Some(0));
}

#[test]
fn it_leaves_alone_what_others_have_put_there() {
    let scratch = Scratch::new();
    let theirs = scratch.file("bin/date@", "theirs");
    let end = run(Command::new(OURS).arg("--links").arg(scratch.join("bin")), b"");
    assert_eq!(end.code, Some(111));
    let message = format!("ucspi-tcp: fatal: unable to create {}: file already exists\n", theirs.display());
    assert_eq!(end.stderr, message);
    assert_eq!(fs::read(&theirs).ok().as_deref(), Some(&b"theirs"[..]));
}

#[test]
fn wrong_usage_is_told() {
    for arguments in [&[][..], &["no-such-program"], &["--links"], &["--links", "a", "b"], &["--what"]] {
        let end = run(Command::new(OURS).args(arguments), b"");
        assert_eq!((end.code, end.stdout.as_str()), (Some(100), ""), "{arguments:?}");
        assert!(end.stderr.starts_with("ucspi-tcp: usage: ") && end.stderr.lines().count() == 1, "{end:?}");
    }
    let end = run(Command::new(OURS).args(["--links", "/nonexistent"]), b"");
    assert_eq!(end.code, Some(111));
    assert_eq!(end.stderr, "ucspi-tcp: fatal: unable to find /nonexistent: file does not exist\n");
}

/// Each program has a manual page, and the page has every option that the usage has.
#[test]
fn manual_pages_tell_all_options() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../man");
    let list = run(Command::new(OURS).arg("--list"), b"").stdout;
    for name in list.lines().filter(|name| *name != "mconnect-io") {
        let page = fs::read_to_string(manual.join(format!("{name}.1"))).unwrap_or_else(|e| panic!("{name}.1: {e}"));
        assert!(page.contains(&format!("\n.Nm {name}")), "{name}");
        if !["rblsmtpd", "tcpclient"].contains(&name) {
            continue;
        }
        let usage = run(&mut ours(name), b"").stderr;
        let options = usage.split("[ -").skip(1).flat_map(|rest| rest.split(' ').next());
        let letters: Vec<char> = options.flat_map(str::chars).collect();
        assert!(letters.len() > 5, "{usage}");
        for letter in letters {
            let item = |line: &str| {
                line.starts_with(".It Fl ") && line[7..].split([' ', ',']).any(|word| word == letter.to_string())
            };
            assert!(page.lines().any(item), "{name}.1 has no -{letter}");
        }
    }
}
