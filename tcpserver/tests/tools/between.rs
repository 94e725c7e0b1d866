//! recordio and fixcrio: a process of theirs between the connection and the program.

use std::io::{BufRead, BufReader, Read};

use super::*;

/// What was recorded of one direction, as it went by.
fn recorded(stderr: &str, direction: char) -> String {
    let lines = stderr.lines().filter_map(|line| line.strip_prefix(&format!("PID {direction} ")));
    let text = lines.map(|line| match line.split_at(line.len() - 1) {
        (text, "+") => text.to_owned(),
        (text, " ") => format!("{text}\n"),
        _ => line.to_owned(),
    });
    text.collect()
}

/// Both directions, and what the program says itself, apart: which comes first is chance.
fn sort(end: &mut End) {
    let mut lines: Vec<&str> = end.stderr.lines().collect();
    // A stable sort.
    lines.sort_by_key(|line| (!line.starts_with("PID < "), !line.starts_with("PID > ")));
    end.stderr = lines.join("\n");
}

#[test]
fn recordio_records_alike() {
    for (arguments, input) in [
        (&["cat"][..], &b"one\ntwo\nthree"[..]),
        (&["cat"], b""),
        (&["cat"], b"\n\n"),
        (&["cat"], b"\xff\0\r\n"),
        (&["sh", "-c", "cat >/dev/null; exit 3"], b"x\n"),
        (&["sh", "-c", "cat >/dev/null; echo; printf out; echo err >&2"], b"x\n"),
        (&["sh", "-c", "cat >/dev/null; kill -9 $$"], b"x\n"),
        (&[], b""),
    ] {
        if assert_same("recordio", arguments, input, as_it_is, sort).is_none() {
            return;
        }
    }
}

/// A program that is not there is told, and the record of nothing ends.
#[test]
fn a_program_that_is_not_there_is_told() {
    for name in ["recordio", "fixcrio"] {
        for program in ["no-such-program", "./no-such-program", "/tmp", "-x", "--"] {
            let only_last = |end: &mut End| {
                end.stderr = end.stderr.lines().filter(|line| line.contains("fatal")).collect();
            };
            let Some(end) = assert_same(name, &[program], b"", as_it_is, only_last) else { return };
            assert_eq!(end.code, Some(111));
        }
    }
}

#[test]
fn much_goes_through() {
    let mut random = numbers(2);
    let input: Vec<u8> = (0..300_000).map(|_| b"\r\n\nabcdefghij"[random(13) as usize]).collect();
    let end = run(ours("recordio").arg("cat"), &input);
    let text = visible(&input);
    assert!(end.stdout == text, "the output is the input");
    assert!(recorded(&end.stderr, '<') == format!("{text}[EOF]"), "all of the input is recorded");
    assert!(recorded(&end.stderr, '>').trim_end_matches("[EOF]") == text, "all of the output is recorded");
    let longest = end.stderr.lines().map(|line| line.replace("\\r", "r").len()).max();
    assert!(longest.is_some_and(|len| len < 512), "{longest:?}");
    let Some(end) = assert_same("fixcrio", &["cat"], &input, as_it_is, unchanged) else { return };
    assert!(end.stdout.len() > text.len());
}

#[test]
fn fixcrio_completes_lines_alike() {
    for input in [&b""[..], b"\n", b"\r\n", b"\r", b"a\nb\r\nc\r\r\n\nd"] {
        for program in ["cat", "cat | od -c", "cat >/dev/null; printf 'a\\nb\\r\\nc\\r'"] {
            if assert_same("fixcrio", &["sh", "-c", program], input, as_it_is, unchanged).is_none() {
                return;
            }
        }
    }
    assert_same("fixcrio", &[], b"", as_it_is, unchanged);
}

/// A program that reads no more may still have something to say. 0.88 loses it.
#[test]
fn a_program_that_stops_reading_is_heard_out() {
    for name in ["recordio", "fixcrio"] {
        let mut command = ours(name);
        // It says something when our process has had, and lost, a write to it.
        command.args(["sh", "-c", "exec <&-; echo ready; sleep 0.3; echo done"]);
        let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()));
        let mut stdin = child.stdin.take().expect("a pipe");
        let mut stdout = child.stdout.take().expect("a pipe");
        let mut ready = [0; 5];
        stdout.read_exact(&mut ready).expect("a word");
        let _ = stdin.write_all(b"more\n");
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).expect("the rest");
        assert_eq!(rest.trim_start().trim_end(), "done", "{name}");
        assert_eq!(finish(child).code, Some(0));
    }
}

/// The program hears that the client has gone as it would without us: by SIGPIPE, and it is the process that was started.
#[test]
fn a_client_that_goes_is_told_to_the_program() {
    for name in ["recordio", "fixcrio"] {
        let Some(both) = pair(name) else { return };
        let signals = both.map(|mut command| {
            command.arg("yes").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = start(&mut command);
            let mut stdout = child.stdout.take().expect("a pipe");
            stdout.read_exact(&mut [0; 10]).expect("some of it");
            drop(stdout);
            finish(child).signal
        });
        assert_eq!(signals, [Some(Signal::SIGPIPE as i32); 2], "{name}");
    }
}

/// Descriptors 0 and 1 are pipes, 2 is what it was, and nothing else of ours is open in the program.
#[test]
fn the_program_gets_three_descriptors() {
    let show = ["ls", "/proc/self/fd"];
    for name in ["recordio", "fixcrio"] {
        let Some(end) = assert_same(name, &show, b"", as_it_is, |end| end.stderr.clear()) else { return };
        let without = run(Command::new(show[0]).args(&show[1..]), b"");
        assert_eq!(end.stdout.replace("\\r", ""), without.stdout, "{name}");
    }
}

/// All of it together: a foreign server, both of ours between it and the program, and our client. When the connections
/// and the server are gone, so are all processes: nobody holds standard error open.
#[test]
fn a_server_of_others_runs_them() {
    let Some(tcpserver) = peer("tcpserver") else { return };
    let ip = own_address().to_string();
    let mut command = Command::new(tcpserver);
    command.args(["-1RHl0", &ip, "0", OURS, "recordio", OURS, "fixcrio", "cat"]);
    let mut server = start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut port = String::new();
    BufReader::new(server.stdout.as_mut().expect("a pipe")).read_line(&mut port).expect("a port");
    for _ in 0..20 {
        let talk = "printf 'one\\ntwo\\r\\n' >&7; head -n 2 <&6";
        let end = run(ours("tcpclient").args(["-RHl0", &ip, port.trim(), "sh", "-c", talk]), b"");
        assert_eq!((end.stdout.as_str(), end.code), ("one\\r\ntwo\\r\n", Some(0)), "{end:?}");
    }
    kill(Pid::from_raw(i32::try_from(server.id()).expect("a pid")), Signal::SIGTERM).expect("stop the server");
    let end = finish(server);
    assert_eq!(end.code, Some(0));
    let count = |what: &str| end.stderr.lines().filter(|line| line.ends_with(what)).count();
    let counts = [" < one ", " < two\\r ", " > one\\r ", " > two\\r ", " < [EOF]", " > [EOF]"].map(count);
    assert_eq!(counts, [20; 6], "{}", end.stderr);
}
