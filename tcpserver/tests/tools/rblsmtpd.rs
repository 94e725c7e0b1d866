//! rblsmtpd.

use super::*;
use dns::{A, Dns, TXT, address, text};

const SMTP: &[u8] =
    b"HELO me\r\nmail from:<a@b>\r\nRCPT TO:<c@d>\nDATA\r\nrset\nNoop\nehlo x y\n \nquitx\nQUIT\r\nmore\n";

/// Asks for a client of this address, with these options; `ok` is the program behind.
#[track_caller]
fn ask(options: &[&str], input: &[u8], configure: impl Fn(&mut Command)) -> Option<End> {
    let arguments = [options, &["echo", "ok"]].concat();
    assert_same("rblsmtpd", &arguments, input, configure, unchanged)
}

#[test]
fn what_the_environment_says_holds() {
    let cut = "x".repeat(300);
    for (variable, code) in [
        (None, ""),
        (Some(""), ""),
        (Some("go away"), "451"),
        (Some("-go away"), "553"),
        (Some("-"), "553"),
        (Some("--"), "553"),
        (Some("caf\u{e9}\n\t!"), "451"),
        (Some(cut.as_str()), "451"),
    ] {
        for ip in [None, Some("192.0.2.1"), Some("")] {
            for options in [&[][..], &["-b"], &["-c"], &["-t", "5"]] {
                let configure = |command: &mut Command| {
                    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
                    command.envs(variable.map(|text| ("RBLSMTPD", text)));
                    command.envs(ip.map(|text| ("TCPREMOTEIP", text)));
                };
                let Some(end) = ask(options, SMTP, configure) else { return };
                let expected = if code.is_empty() { "ok\n" } else { "220 rblsmtpd.local\\r\n" };
                assert!(end.stdout.starts_with(expected) && end.code == Some(0), "{variable:?}: {end:?}");
                assert_eq!(end.stderr.contains(&format!(" pid PID: {code} ")), !code.is_empty(), "{end:?}");
            }
        }
    }
}

/// Lists on a name server of our own: who is in which, and one that cannot say.
fn lists() -> (Dns, impl Fn(&mut Command)) {
    let at = own_address();
    let dns = Dns::start(&format!("{at}:53"), |query| {
        let records = match (query.name.as_str(), query.kind) {
            ("1.2.0.192.bad.example", TXT) => vec![text("listed: see http://x/?a=b")],
            ("2.2.0.192.bad.example", TXT) => vec![text("one "), text("two\x07\u{e9}")],
            ("3.2.0.192.bad.example", TXT) => vec![text(&"long ".repeat(50))],
            ("1.2.0.192.good.example", A) => vec![address("127.0.0.2")],
            (name, _) if name.ends_with("broken.example") => {
                // Says that there are more records than there are, which is an error at once for 0.88 too.
                let mut bytes = query.answer(&[text("x")]);
                bytes[7] = 9;
                return vec![bytes];
            }
            _ => return vec![query.with_code(3)],
        };
        vec![query.answer(&records)]
    });
    (dns, move |command: &mut Command| {
        command.env("DNSCACHEIP", at.to_string()).env_remove("RBLSMTPD");
    })
}

#[test]
fn lists_are_asked_alike() {
    if !is_root() {
        return;
    }
    let (dns, named) = lists();
    let (bad, good, broken) = ("bad.example", "good.example", "broken.example");
    let cases: [(&[&str], [&str; 4]); 16] = [
        (&["-r", bad], ["451", "451", "451", "ok"]),
        (&["-b", "-r", bad], ["553", "553", "553", "ok"]),
        (&["-r", bad, "-b"], ["451", "451", "451", "ok"]),
        (&["-bB", "-r", bad], ["451", "451", "451", "ok"]),
        (&["-a", good, "-r", bad], ["ok", "451", "451", "ok"]),
        (&["-r", bad, "-a", good], ["451", "451", "451", "ok"]),
        (&["-r", "none.example", "-r", bad], ["451", "451", "451", "ok"]),
        (&["-r", broken], ["ok", "ok", "ok", "ok"]),
        (&["-c", "-r", broken], ["451", "451", "451", "451"]),
        (&["-bc", "-r", broken], ["451", "451", "451", "451"]),
        (&["-b", "-r", broken, "-r", bad], ["451", "451", "451", "ok"]),
        (&["-a", broken, "-r", bad], ["ok", "ok", "ok", "ok"]),
        (&["-c", "-a", broken, "-r", bad], ["451", "451", "451", "ok"]),
        (&["-bc", "-a", broken, "-r", bad], ["451", "451", "451", "ok"]),
        (&["-cC", "-r", broken], ["ok", "ok", "ok", "ok"]),
        (&["-t0", "-r", bad], ["451", "451", "451", "ok"]),
    ];
    for (options, results) in cases {
        for (last, result) in (1..).zip(results) {
            let ip = format!("192.0.2.{last}");
            let configure = |command: &mut Command| {
                named(command);
                command.env("TCPREMOTEIP", &ip);
            };
            let Some(end) = ask(options, SMTP, configure) else { return };
            let said = if result == "ok" { "ok\n".to_owned() } else { format!("{result} ") };
            assert!(end.stdout.contains(&said), "{options:?} for {ip}: {end:?}");
        }
    }
    // In the environment it is decided already, and nobody is asked.
    let asked = dns.asked().len();
    for variable in ["", "no"] {
        let configure = |command: &mut Command| {
            named(command);
            command.env("TCPREMOTEIP", "192.0.2.1").env("RBLSMTPD", variable);
        };
        ask(&["-r", bad, "-a", good], SMTP, configure);
    }
    assert_eq!(dns.asked().len(), asked);
}

/// A client of IPv6 is in lists by its digits (RFC 5782, 2.4). 0.88 asks for what is no name.
#[test]
fn lists_have_ipv6_too() {
    if !is_root() {
        return;
    }
    let (dns, named) = lists();
    let mut command = ours("rblsmtpd");
    command.args(["-r", "bad.example", "echo", "ok"]).env("TCPREMOTEIP", "2001:db8::1");
    named(&mut command);
    assert_eq!(run(&mut command, b"").stdout, "ok\n");
    let name = format!("1.{}8.b.d.0.1.0.0.2.bad.example", "0.".repeat(23));
    assert_eq!(dns.asked(), [(name, TXT, false)]);
}

/// A blocked client that says nothing, or takes nothing, is let go after -t seconds.
#[test]
fn patience_ends() {
    let Some(both) = pair("rblsmtpd") else { return };
    let ends = both.map(|mut command| {
        command.args(["-t1", "true"]).env("RBLSMTPD", "no").env("TCPREMOTEIP", "192.0.2.1");
        let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()));
        let silent = child.stdin.take();
        let end = finish(child);
        drop(silent);
        end
    });
    assert_eq!(ends[0], ends[1]);
    assert_eq!((ends[1].code, ends[1].stdout.as_str()), (Some(0), "220 rblsmtpd.local\\r\n"));
    // One that talks without listening: the answers fill the pipe.
    let mut command = ours("rblsmtpd");
    command.args(["-t1", "true"]).env("RBLSMTPD", "no");
    let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()));
    let deaf = child.stdout.take();
    let mut stdin = child.stdin.take().expect("a pipe");
    thread::spawn(move || while stdin.write_all(&b"noop\n".repeat(100)).is_ok() {});
    assert_eq!(finish(child).code, Some(0));
    drop(deaf);
}

#[test]
fn usage_and_failures_are_the_same() {
    for (code, arguments) in [
        (100, &[][..]),
        (100, &["-b"]),
        (100, &["-z", "true"]),
        (100, &["-t"]),
        (111, &["no-such-program"]),
        (0, &["true"]),
        (1, &["--", "false"]),
        (3, &["-bBcCt9", "sh", "-c", "exit 3"]),
    ] {
        let without = |command: &mut Command| {
            command.env_remove("RBLSMTPD");
        };
        let Some(end) = assert_same("rblsmtpd", arguments, b"", without, unchanged) else { return };
        assert_eq!(end.code, Some(code), "{arguments:?}: {end:?}");
    }
    for value in ["x", "", "-1", "99999999999999999999"] {
        let end = run(ours("rblsmtpd").args(["-t", value, "true"]), b"");
        assert_eq!(end.code, Some(100), "-t {value:?}: {end:?}");
    }
}

/// Lines without end cost no memory: the first word of each is all that counts.
#[test]
fn long_lines_are_commands_too() {
    let mut command = ours("rblsmtpd");
    command.args(["-t20", "true"]).env("RBLSMTPD", "no");
    let input = [b"noop ".to_vec(), vec![b'x'; 3_000_000], b"\nquit\n".to_vec()].concat();
    let end = run(&mut command, &input);
    assert_eq!(end.stdout, "220 rblsmtpd.local\\r\n250 rblsmtpd.local\\r\n221 rblsmtpd.local\\r\n");
}
