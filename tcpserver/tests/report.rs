//! Promise: what a child was and used, and how full the service is, can be read in the log.

mod support;

use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use support::{Scratch, Server, exchange, is_served, peer, refused, run, wait_until};

#[test]
fn accounting_stands_behind_the_end() {
    let plain = Server::start(&[], &["sh", "-c", "exit 7"]);
    plain.ask();
    plain.wait_for_log(": end ");
    let end = plain.lines_with(": end ");
    assert!(end[0].ends_with(" status 1792"), "as ucspi-tcp has it: {end:?}");
    let server = Server::start(&["--accounting"], &["sh", "-c", "read -r how; exec $how"]);
    for (how, says) in [("false", "exit 1"), ("true", "exit 0"), ("/nonexistent", "exit 127")] {
        let client = server.connect();
        let port = client.local_addr().expect("its name").port();
        exchange(client, format!("{how}\n").as_bytes());
        wait_until("it has ended", || {
            let line = server.lines_with(&format!(" from 127.0.0.1:{port} {says} after ")).pop().unwrap_or_default();
            let rest = line.split(" after ").nth(1).unwrap_or_default();
            let words: Vec<&str> = rest.split(' ').collect();
            // SECONDS s user SECONDS s sys SECONDS s rss N KiB faults N/N
            let numbers = [0, 3, 6].iter().all(|&at| words.get(at).is_some_and(|word| word.parse::<f64>().is_ok()));
            line.contains(": end ")
                && numbers
                && words.get(9).is_some_and(|kib| kib.parse::<u64>().is_ok_and(|kib| kib > 0))
        });
    }
    exchange(server.connect(), b"kill -9 $$\n");
}

/// The numbers behind a word of the last report.
fn number<'a>(report: &'a str, word: &str) -> &'a str {
    let mut words = report.split(' ').skip_while(|&at| at != word).skip(1);
    words.next().unwrap_or_else(|| panic!("no {word} in {report:?}"))
}

#[test]
fn saturation_on_request() {
    let server = Server::start(&["--status-every", "0", "-c", "2", "-b", "9", "--per-net", "2"], &["cat"]);
    let mut held = [server.connect(), server.connect()];
    assert!(held.iter_mut().all(is_served));
    let queued: Vec<_> = (0..3).map(|_| server.connect()).collect();
    std::thread::sleep(Duration::from_millis(1100));
    server.signal(Signal::SIGUSR1);
    server.wait_for_log("saturation: ");
    let report = server.lines_with("saturation: ").remove(0);
    let is = |word: &str| number(&report, word);
    assert!(report.starts_with("tcpserver: saturation: children 2/2 peak 2 at limit "), "{report}");
    assert!(is("limit").parse::<f64>().is_ok_and(|seconds| seconds >= 1.1), "{report}");
    assert_eq!((is("queue"), is("accepted"), is("per-net")), ("3/9", "2", "0"), "{report}");
    assert!(is("mean").parse::<u64>().is_ok_and(|us| us > 0), "{report}");
    drop((held, queued));
    wait_until("all were served", || server.lines_with(": end ").len() == 5);
    server.signal(Signal::SIGUSR1);
    wait_until("it is told again", || server.lines_with("saturation: ").len() == 2);
    let report = server.lines_with("saturation: ").remove(1);
    assert_eq!((number(&report, "children"), number(&report, "queue")), ("0/2", "0/9"), "{report}");
    assert_eq!(server.end(Signal::SIGTERM).code(), Some(0));
}

#[test]
fn saturation_every_so_often() {
    let server = Server::start(&["--status-every", "1"], &["cat"]);
    wait_until("it is told twice", || server.lines_with("saturation: children 0/40").len() >= 2);
}

/// Without the option the signal is what it was: ucspi-tcp ends by it.
#[test]
fn no_option_no_request() {
    use std::os::unix::process::ExitStatusExt;
    let server = Server::start(&[], &["cat"]);
    assert_eq!(server.end(Signal::SIGUSR1).signal(), Some(Signal::SIGUSR1 as i32));
}

/// And the program finds it untouched.
#[test]
fn programs_find_the_signal_as_it_was() {
    let show = ["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"];
    let plain = Server::start(&[], &show);
    let server = Server::start(&["--status-every", "0"], &show);
    assert_eq!(server.ask(), plain.ask());
}

#[test]
fn lines_go_to_syslog() {
    let scratch = Scratch::new();
    let path = scratch.join("log-socket");
    let daemon = UnixDatagram::bind(&path).expect("listen");
    daemon.set_read_timeout(Some(support::BOUND)).expect("set a timeout");
    let to = format!("syslog:local3:{}", path.display());
    let mut command = Command::new(support::TCPSERVER);
    command.args(["-1vHRl0", "--log", &to, "127.0.0.1", "0", "sh", "-c", "echo the program says >&2"]);
    let server = Server::run(scratch, command);
    server.ask();
    let mut lines: Vec<String> = Vec::new();
    while !lines.iter().any(|line| line.contains(": status: 0/40")) || !lines.iter().any(|line| line.contains(": end "))
    {
        let mut bytes = [0; 1024];
        match daemon.recv(&mut bytes) {
            Ok(len) => lines.push(String::from_utf8_lossy(&bytes[..len]).into_owned()),
            // With a timeout on the socket, being stopped and continued is enough (signal(7)).
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => panic!("{e}; {lines:?}; {}", server.story()),
        }
    }
    // local3 is 19, info is 6.
    let begin = format!("<158>tcpserver[{}]: ", server.pid());
    assert!(lines.iter().all(|line| line.starts_with(&begin)), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains(": pid ") && line.ends_with("from 127.0.0.1")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains(": ok ")), "{lines:?}");
    assert_eq!(server.log(), "the program says\n", "its stderr is where it was");
}

/// syslogd does not read, and later is gone: clients do not notice.
#[test]
fn a_syslogd_that_stalls_or_ends_holds_up_nobody() {
    let scratch = Scratch::new();
    let path = scratch.join("log-socket");
    let daemon = UnixDatagram::bind(&path).expect("listen");
    let to = format!("syslog:daemon:{}", path.display());
    let server = Server::start_in(scratch, &["--log", &to], &["127.0.0.1", "0"], &["echo", "hello"]);
    for _ in 0..300 {
        assert_eq!(server.ask(), "hello\n");
    }
    drop(daemon);
    assert_eq!(server.ask(), "hello\n");
    std::fs::remove_file(&path).expect("remove the socket");
    let daemon = UnixDatagram::bind(&path).expect("listen again");
    daemon.set_nonblocking(true).expect("set an option");
    let mut told = String::new();
    wait_until("it is found again", || {
        assert_eq!(server.ask(), "hello\n");
        let mut bytes = [0; 1024];
        while let Ok(len) = daemon.recv(&mut bytes) {
            told.push_str(&String::from_utf8_lossy(&bytes[..len]));
            told.push('\n');
        }
        told.contains(": status: ")
    });
    assert!(told.contains("lines were lost"), "{told}");
}

/// The daemon that is in every small system, in a mount namespace of its own with /dev/log.
#[test]
fn busyboxs_syslogd_understands_it() {
    let (Some(busybox), Some(unshare)) = (peer("busybox"), peer("unshare")) else { return };
    if !run(unshare.to_str().expect("a name"), ["-m", "true"]).status.success() {
        return support::say("SKIPPED busyboxs_syslogd_understands_it: no mount namespaces here");
    }
    let scratch = Scratch::new();
    let log = scratch.join("messages");
    let script = format!(
        "mount -t tmpfs none /dev && mknod /dev/null c 1 3 && {{ {0} syslogd -n -O {1} & }}
         while ! test -S /dev/log; do sleep 0.05; done
         exec {2} -1vHRl0 --log syslog:mail 127.0.0.1 0 /bin/true",
        busybox.display(),
        log.display(),
        support::TCPSERVER,
    );
    let mut command = Command::new(unshare);
    command.args(["-m", "sh", "-c", &script]);
    let server = Server::run(scratch, command);
    server.ask();
    let mut text = String::new();
    wait_until("it is written", || {
        text = std::fs::read_to_string(&log).unwrap_or_default();
        text.contains(": end ")
    });
    let line = text.lines().find(|line| line.contains(" from 127.0.0.1")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains(&format!("mail.info tcpserver[{}]: ", server.pid())), "{text}");
    let _ = std::io::stderr().flush();
}

#[test]
fn bad_values_are_refused() {
    for (value, says) in
        [("stdout", "expected"), ("syslog:nonsense", "is no facility"), ("syslog:mail:relative", "expected syslog")]
    {
        refused(&["--log", value, "0", "0", "true"], says);
    }
    refused(&["--status-every", "x", "0", "0", "true"], "--status-every");
    let output = run(support::TCPSERVER, ["--log", "syslog:mail:/nonexistent", "127.0.0.1", "0", "true"]);
    assert_eq!(output.status.code(), Some(111), "{}", String::from_utf8_lossy(&output.stderr));
}
