//! Promise: the small protocols of RFC 862 to 868 are spoken by every way that a handler comes to a connection, which
//! proves the seam between supervisor and handler.

mod common;

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    process::{Command, Stdio},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use common::{Launcher, Mode, Server, handler};

const MEGABYTE: usize = 1 << 20;

/// Runs an expectation under every launcher, one after the other: each takes milliseconds.
fn everywhere(protocol: &str, expectation: fn(TcpStream)) {
    for launcher in Launcher::ALL {
        let Some(server) = launcher.small(protocol) else { continue };
        println!("{protocol}: {launcher}");
        expectation(server.connect().stream);
        // And again: a child that is reused starts anew.
        expectation(server.connect().stream);
    }
}

fn read_all(mut stream: &TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("read to the end");
    all
}

/// RFC 862: what comes in goes out, also when the client reads late, and the end of the one is the end of the other.
#[test]
fn echo() {
    everywhere("echo", |stream| {
        let sent: Vec<u8> = (0..MEGABYTE).map(|i| (i ^ (i >> 8)) as u8).collect();
        let mut writer = stream.try_clone().expect("another handle");
        let expected = sent.clone();
        let sender = thread::spawn(move || {
            writer.write_all(&sent).expect("send");
            writer.shutdown(Shutdown::Write).expect("finish");
        });
        assert!(read_all(&stream) == expected, "the echo differs");
        sender.join().expect("the sender");
    });
}

/// RFC 863: everything is taken, nothing comes back.
#[test]
fn discard() {
    everywhere("discard", |mut stream| {
        stream.write_all(&vec![b'x'; MEGABYTE]).expect("send");
        stream.shutdown(Shutdown::Write).expect("finish");
        assert_eq!(read_all(&stream), b"");
    });
}

/// RFC 867: one line with the date, and the end.
#[test]
fn daytime() {
    everywhere("daytime", |stream| {
        let line = String::from_utf8(read_all(&stream)).expect("text");
        assert!(line.ends_with("\r\n") && line.matches('\n').count() == 1, "{line:?} is no line");
        let year = seconds_now() / 31_556_952 + 1970;
        let has = |word: &str| line.contains(word);
        assert!(has(&year.to_string()) || has(&(year - 1).to_string()) || has(&(year + 1).to_string()), "{line:?}");
        assert_eq!(line.matches(':').count(), 2, "{line:?} has no time of the day");
    });
}

/// RFC 868: 32 bits, seconds since 1900.
#[test]
fn time() {
    everywhere("time", |stream| {
        let before = seconds_now();
        let bytes: [u8; 4] = read_all(&stream).try_into().expect("four bytes");
        // 2,208,988,800 seconds lie between 1900 and 1970; the counter wraps in 2036.
        let told = u64::from(u32::from_be_bytes(bytes).wrapping_sub(2_208_988_800));
        let low = |seconds: u64| seconds & u64::from(u32::MAX);
        // A connection that waits before it is served tells a time before ours, by less than the harness waits.
        assert!(told.abs_diff(low(before)) <= 60, "{told} is not {before}");
    });
}

/// RFC 864: lines of 72 characters from a ring of 95, each line one further, until the client has enough.
#[test]
fn chargen() {
    everywhere("chargen", |mut stream| {
        let mut lines = vec![0; 200 * 74];
        stream.read_exact(&mut lines).expect("read");
        let ring: Vec<u8> = (b' '..=b'~').collect();
        for (number, line) in lines.chunks(74).enumerate() {
            let expected: Vec<u8> = ring.iter().cycle().skip(number % 95).take(72).copied().collect();
            assert_eq!(String::from_utf8_lossy(&line[..72]), String::from_utf8_lossy(&expected), "line {number}");
            assert_eq!(&line[72..], b"\r\n");
        }
    });
}

/// The child of a client that has enough of chargen ends, and is no alarm in the log.
#[test]
fn chargen_ends_with_its_client() {
    let server = Launcher::Serve(Mode::Fork).small("chargen").expect("no peer is needed");
    let mut client = server.connect();
    client.take(1000).expect("read");
    let child = server.child_of(&client);
    drop(client);
    common::wait_until("the child is gone", || common::process::find(child).is_none());
    assert!(!server.log().contains("warning"), "{}", server.log());
}

/// On a pair of pipes the executables speak too, as inetd's forefathers and test scripts start them.
#[test]
fn on_pipes() {
    let run = |name: &str, input: &[u8]| {
        let mut command = Command::new(handler(name));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start it");
        child.stdin.take().expect("a pipe").write_all(input).expect("write");
        let output = child.wait_with_output().expect("wait");
        assert!(output.status.success(), "{name}: {}", output.status);
        output.stdout
    };
    assert_eq!(run("tine-echo", b"abc"), b"abc");
    assert_eq!(run("tine-discard", b"abc"), b"");
    assert_eq!(run("tine-time", b"").len(), 4);
    assert!(run("tine-daytime", b"").ends_with(b"\r\n"));
}

/// The readiness line says that it is not HTTP.
#[test]
fn readiness_names_the_protocol() {
    let server: Server = Launcher::Serve(Mode::Prefork).small("echo").expect("no peer is needed");
    assert_eq!(server.urls(), [format!("tcp://{}", server.address())], "{}", server.stdout());
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}
