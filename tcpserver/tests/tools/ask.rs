//! The clients of one question, and mconnect.

use std::io::{BufRead, BufReader, Read};

use super::*;

/// A server that keeps what it was asked, up to a line in which nothing stands or whatever `last` says, and answers.
fn answering(
    at: impl Into<SocketAddr>,
    last: &'static str,
    answer: &'static [u8],
) -> (SocketAddr, mpsc::Receiver<String>) {
    let (sender, receiver) = mpsc::channel();
    let address = serve(at, move |mut stream| {
        let mut asked = String::new();
        let mut reader = BufReader::new(stream.try_clone().expect("clone"));
        while !asked.ends_with(last) && reader.read_line(&mut asked).is_ok_and(|len| len > 0) {}
        let _ = sender.send(asked);
        let _ = stream.write_all(answer);
    });
    (address, receiver)
}

const PAGE: &[u8] = b"HTTP/1.0 200 OK\r\nServer: x\r\nA: b\r\n\r\nline\r\n one\rtwo\r\n\x01\xfflast\n";

#[test]
fn a_page_is_the_same() {
    let (server, asked) = answering((own_address(), 0), "\r\n\r\n", PAGE);
    let (ip, port) = (server.ip().to_string(), server.port().to_string());
    for page in ["", "a/b?c=%20d", "/x"] {
        let Some(end) = assert_same("http@", &[&ip, page, &port], b"", as_it_is, unchanged) else { return };
        assert_eq!(end.stdout, "line\n one\\rtwo\n\\x01\\xfflast\n");
        let expected = format!("GET /{page} HTTP/1.0\r\nHost: {ip}:{port}\r\n\r\n");
        assert_eq!([asked.recv(), asked.recv()], [Ok(expected.clone()), Ok(expected)]);
    }
}

/// 0.88 leaves out empty lines, and adds an end to the last one.
#[test]
fn a_page_comes_whole() {
    let (server, _) = answering((own_address(), 0), "\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\none\r\n\r\n\n\ntwo");
    let end = run(ours("http@").args([&server.ip().to_string(), "", &server.port().to_string()]), b"");
    assert_eq!((end.stdout.as_str(), end.code), ("one\n\n\n\ntwo", Some(0)));
}

#[test]
fn a_page_comes_over_ipv6() {
    if TcpListener::bind("[::1]:0").is_err() {
        return say("SKIPPED a_page_comes_over_ipv6: this machine has none");
    }
    let (server, asked) = answering("[::1]:0".parse::<SocketAddr>().expect("an address"), "\r\n\r\n", PAGE);
    let port = server.port().to_string();
    let end = run(ours("http@").args(["::1", "x", &port]), b"");
    assert_eq!((end.stdout.as_str(), end.code), ("line\n one\\rtwo\n\\x01\\xfflast\n", Some(0)));
    assert_eq!(asked.recv(), Ok(format!("GET /x HTTP/1.0\r\nHost: [::1]:{port}\r\n\r\n")));
}

#[test]
fn answers_are_the_same() {
    if !is_root() {
        return;
    }
    let at = own_address();
    let ip = at.to_string();
    let every: &[u8] = Box::leak((0..=255).chain(*b"\r\n\r\r\nend\r").collect::<Vec<u8>>().into_boxed_slice());
    for port in [11, 13, 17] {
        say_and_close((at, port), every);
    }
    let (_, asked) = answering((at, 79), "\r\n", every);
    for (name, arguments) in [
        ("who@", &[ip.as_str()][..]),
        ("date@", &[&ip]),
        ("tcpcat", &[&ip]),
        ("finger@", &[&ip]),
        ("finger@", &[&ip, "joe"]),
        ("finger@", &[&ip, "/W joe smith"]),
    ] {
        // cat -v of the shell's version shows a CR at the very end, which only its delcr gives out, as ours does.
        let Some(end) = assert_same(name, arguments, b"", as_it_is, unchanged) else { return };
        assert!(end.code == Some(0) && end.stdout.len() > 256, "{name}: {end:?}");
    }
    let questions: Vec<String> = asked.try_iter().collect();
    assert_eq!(questions, ["\r\n", "\r\n", "joe\r\n", "joe\r\n", "/W joe smith\r\n", "/W joe smith\r\n"]);
}

#[test]
fn all_that_is_said_is_printed() {
    let text: &[u8] = Box::leak((0..2_000_000).map(|n| (n % 251) as u8).collect::<Vec<u8>>().into_boxed_slice());
    let server = say_and_close((own_address(), 0), text);
    let (ip, port) = (server.ip().to_string(), server.port().to_string());
    assert_same("tcpcat", &[&ip, &port], b"", as_it_is, unchanged);
}

/// Theirs are pipelines, whose exit code is that of the last member: theirs is 0, ours is not.
#[test]
fn nobody_there_is_told() {
    let there = closed();
    let (ip, port) = (there.ip().to_string(), there.port().to_string());
    let message = |port| format!("tcpclient: unable to connect to {ip} port {port}: connection refused\n");
    for (name, arguments, port) in [
        ("who@", &[ip.as_str()][..], "11"),
        ("date@", &[&ip], "13"),
        ("finger@", &[&ip, "joe"], "79"),
        ("http@", &[&ip, "x", &port], &port),
    ] {
        let Some(both) = pair(name) else { return };
        let ends = both.map(|mut command| run(command.args(arguments), b""));
        assert!(ends.iter().all(|end| end.stderr == message(port) && end.stdout.is_empty()), "{ends:?}");
        assert_eq!(ends.map(|end| end.code), [Some(0), Some(111)], "{name}");
    }
    for arguments in [[ip.as_str(), port.as_str()], [&ip, "no-such-service"]] {
        for name in ["tcpcat", "mconnect"] {
            let Some(end) = assert_same(name, &arguments, b"", as_it_is, unchanged) else { return };
            assert_eq!(end.code, Some(111), "{end:?}");
        }
    }
}

/// A server of one line after another, that ends at quit.
fn echoing(at: impl Into<SocketAddr>) -> SocketAddr {
    serve(at, |mut stream| {
        let _ = stream.write_all(b"220 hello\r\n");
        let mut reader = BufReader::new(stream.try_clone().expect("clone"));
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|len| len > 0) {
            let _ = stream.write_all(format!("250 {}\r\n", line.escape_debug()).as_bytes());
            if line == "quit\r\n" {
                break;
            }
            line.clear();
        }
        // What is still on its way would turn the end into a reset.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = reader.read_to_string(&mut line);
    })
}

#[test]
fn mconnect_talks_alike() {
    let server = echoing((own_address(), 0));
    let (ip, port) = (server.ip().to_string(), server.port().to_string());
    for input in ["helo me\nquit\n", "quit\n", "a\r\nquit\n", "quit\nmore\n"] {
        let Some(end) = assert_same("mconnect", &[&ip, &port], input.as_bytes(), as_it_is, unchanged) else { return };
        assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""));
        assert!(end.stdout.starts_with("220 hello\\r\n250 ") && end.stdout.contains("quit\\\\r\\\\n\\r\n"), "{end:?}");
    }
}

/// mconnect-io under tcpclient, theirs and ours crosswise.
#[test]
fn mconnect_io_works_under_any_client() {
    let server = echoing((own_address(), 0));
    let (ip, port) = (server.ip().to_string(), server.port().to_string());
    let (Some(clients), Some(ios)) = (pair("tcpclient"), pair("mconnect-io")) else { return };
    let words = |command: &Command| {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    for client in &clients {
        for io in &ios {
            let (client, io) = (words(client), words(io));
            let mut command = Command::new(&client[0]);
            command.args(&client[1..]).args(["-RHl0", &ip, &port]).args(io);
            let end = run(&mut command, b"quit\n");
            assert_eq!(end.stdout, "220 hello\\r\n250 quit\\\\r\\\\n\\r\n", "{command:?}: {end:?}");
            assert_eq!(end.code, Some(0));
        }
    }
    let end = run(Command::new("sh").args(["-c", "exec \"$0\" mconnect-io 6<&- 7>&-", OURS]), b"");
    let message = "mconnect-io: fatal: unable to use descriptor 6: file descriptor not open\n";
    assert_eq!((end.code, end.stderr.as_str()), (Some(111), message));
}

/// Much in both directions at once: neither side waits for the other.
#[test]
fn mconnect_does_not_stall() {
    const MUCH: usize = 2_000_000;
    let server = serve((own_address(), 0), |stream| {
        let mut writer = stream.try_clone().expect("clone");
        let writing = thread::spawn(move || writer.write_all(&vec![b'y'; MUCH]));
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) && !line.ends_with(b"quit\r\n") {}
        let _ = writing.join();
    });
    let input = [b"x\n".repeat(MUCH / 2), b"quit\n".to_vec()].concat();
    let (ip, port) = (server.ip().to_string(), server.port().to_string());
    let end = run(ours("mconnect").args([ip, port]), &input);
    assert_eq!((end.stdout.len(), end.code), (MUCH, Some(0)), "{}", end.stderr);
}
