//! addcr, delcr and argv0.

use super::*;
use scratch::Scratch;

#[test]
fn addcr_and_delcr_change_the_same_bytes() {
    let mut random = numbers(1);
    let mut texts: Vec<Vec<u8>> =
        [&b""[..], b"\n", b"\r", b"\r\n", b"a\nb\r\nc\r\r\nd\r", b"\0\xff\n"].map(<[u8]>::to_vec).to_vec();
    texts.extend((0..20).map(|n| (0..n * n * 100).map(|_| b"\r\n\nabc"[random(6) as usize]).collect::<Vec<u8>>()));
    for text in &texts {
        for name in ["addcr", "delcr"] {
            let Some(end) = assert_same(name, &[], text, as_it_is, unchanged) else { return };
            assert_eq!(end.code, Some(0));
        }
    }
}

/// What has come goes out before more is waited for: a person at a terminal sees it.
#[test]
fn lines_do_not_wait_for_the_end() {
    for name in ["addcr", "delcr"] {
        let mut child = start(ours(name).stdin(Stdio::piped()).stdout(Stdio::piped()));
        child.stdin.as_mut().expect("a pipe").write_all(b"a\r\n").expect("write");
        let mut first = [0; 1];
        std::io::Read::read_exact(child.stdout.as_mut().expect("a pipe"), &mut first).expect("a byte");
        assert_eq!(first, *b"a");
        drop(child.stdin.take());
        assert_eq!(finish(child).code, Some(0));
    }
}

#[test]
fn a_reader_that_goes_ends_them() {
    for name in ["addcr", "delcr"] {
        let Some(both) = pair(name) else { return };
        let signals = both.map(|mut command| {
            let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()));
            drop(child.stdout.take());
            let mut stdin = child.stdin.take().expect("a pipe");
            thread::spawn(move || while stdin.write_all(&[b'x'; 4096]).is_ok() {});
            finish(child).signal
        });
        assert_eq!(signals, [Some(Signal::SIGPIPE as i32); 2], "{name}");
    }
}

#[test]
fn input_and_output_that_fail_are_failures() {
    for name in ["addcr", "delcr"] {
        let Some(both) = pair(name) else { return };
        for mut command in both {
            let directory = std::fs::File::open("/").expect("open /");
            let full = std::fs::File::options().write(true).open("/dev/full").expect("open /dev/full");
            let end = finish(start(command.stdin(directory).stdout(Stdio::null())));
            assert_eq!(end.code, Some(111), "{command:?} reads a directory");
            let end = {
                let mut child = start(command.stdin(Stdio::piped()).stdout(full));
                child.stdin.take().expect("a pipe").write_all(b"a\n").expect("write");
                finish(child)
            };
            assert_eq!(end.code, Some(111), "{command:?} to a full disk");
        }
    }
}

#[test]
fn argv0_gives_another_name() {
    let show = r#"echo "$0:$1:$2""#;
    for arguments in [
        &["/bin/sh", "zero", "-c", show, "name", "a b", ""][..],
        &["sh", "", "-c", show, "-x"],
        &["sh"],
        &[],
        &["/bin/cat", "-sh", "/proc/self/cmdline"],
        &["/nonexistent", "x"],
        &["no-such-program", "x"],
        &["/tmp", "x"],
        &["/etc/passwd", "x"],
        &["", "x"],
        &["/dev/null/x", "x"],
    ] {
        if assert_same("argv0", arguments, b"", as_it_is, unchanged).is_none() {
            return;
        }
    }
}

/// Looking for a program goes on behind what may not be executed, and ends at what cannot be.
#[test]
fn programs_are_looked_for_alike() {
    let scratch = Scratch::new();
    let good = script(&scratch, "good/prog", "#!/bin/sh\necho found\n");
    scratch.file("plain/prog", "#!/bin/sh\necho no\n");
    script(&scratch, "alien/prog", "neither a script nor a program\n");
    scratch.dir("dir/prog");
    let place = |name: &str| scratch.join(name);
    let (good, plain, alien) = (good.parent().expect("a directory").to_owned(), place("plain"), place("alien"));
    let (dir, none) = (place("dir"), place("none"));
    let cases: [&[&Path]; 9] = [
        &[&good],
        &[&none, &good],
        &[&plain, &good],
        &[&dir, &good],
        &[&alien, &good],
        &[&plain, &none],
        &[&none],
        &[&dir],
        &[Path::new(""), &good],
    ];
    for places in cases {
        let configure = |command: &mut Command| {
            with_path(places)(command);
            command.current_dir(&plain);
        };
        if assert_same("argv0", &["prog", "x"], b"", configure, unchanged).is_none() {
            return;
        }
    }
    let without = |command: &mut Command| {
        command.env_remove("PATH");
    };
    assert_same("argv0", &["sh", "x", "-c", "echo here"], b"", without, unchanged);
}
