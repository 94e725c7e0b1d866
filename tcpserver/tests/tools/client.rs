//! tcpclient.

use std::io::{BufRead, BufReader, Read};

use super::*;
use dns::{A, Dns, PTR, address, wire};
use nix::sys::socket::{Backlog, connect, listen};

/// What the program of a client finds, but for the port that the kernel chose.
const SHOW: &str = "env | grep -E '^(PROTO|TCP)' | grep -v ^TCPLOCALPORT= | sort; cat <&6";

const LONG_LABEL: &str = "thislabelistoolongbecausednshasalimitof63charactersinasinglelabel.";

/// Both run the same program against the same server.
#[track_caller]
fn both(options: &[&str], server: SocketAddr, program: &[&str], configure: impl Fn(&mut Command)) -> Option<End> {
    let (ip, port) = (server.ip().to_string(), server.port().to_string());
    let arguments = [options, &[ip.as_str(), &port], program].concat();
    assert_same("tcpclient", &arguments, b"input\n", configure, unchanged)
}

fn show(options: &[&str], server: SocketAddr, configure: impl Fn(&mut Command)) -> Option<End> {
    both(options, server, &["sh", "-c", SHOW], configure)
}

/// A name server at a port 53 of its own, and how a program comes to ask it.
fn named(answers: impl Fn(&dns::Query) -> Vec<Vec<u8>> + Send + Sync + 'static) -> (Dns, impl Fn(&mut Command)) {
    let at = own_address();
    let dns = Dns::start(&format!("{at}:53"), answers);
    (dns, move |command: &mut Command| {
        command.env("DNSCACHEIP", at.to_string());
    })
}

#[test]
fn the_connection_is_on_6_and_7() {
    let server = serve((own_address(), 0), |mut stream| {
        let mut line = String::new();
        let _ = BufReader::new(&stream).read_line(&mut line);
        let _ = stream.write_all(format!("you said {line}").as_bytes());
    });
    let talk = ["sh", "-c", "echo hello >&7; cat <&6; cat; exec ls /proc/self/fd"];
    let Some(end) = both(&["-RHl0"], server, &talk, as_it_is) else { return };
    assert!(end.stdout.starts_with("you said hello\ninput\n0\n1\n"), "{}", end.stdout);
    assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""));
}

/// Also where the first numbers are taken, and where something is open on these.
#[test]
fn descriptors_6_and_7_are_found_where_others_are_open() {
    let server = say_and_close((own_address(), 0), b"hello\n");
    let (ip, port) = (server.ip().to_string(), server.port().to_string());
    for open in ["3</ 4</ 5</", "6</ 7</", "3</ 4</ 5</ 6</ 7</ 8</"] {
        let Some(both) = pair("tcpclient") else { return };
        for command in both {
            let words: Vec<String> = std::iter::once(command.get_program())
                .chain(command.get_args())
                .map(|word| word.to_string_lossy().into_owned())
                .collect();
            let text = format!("exec \"$@\" {open}");
            let mut shell = Command::new("sh");
            shell.args(["-c", &text, "sh"]).args(words).args(["-RHl0", &ip, &port, "sh", "-c", "cat <&6; echo x >&7"]);
            let end = run(&mut shell, b"");
            assert_eq!((end.stdout.as_str(), end.code), ("hello\n", Some(0)), "{open}: {shell:?}: {}", end.stderr);
        }
    }
}

#[test]
fn the_environment_is_the_same() {
    let server = say_and_close((own_address(), 0), b"bye\n");
    let inherited = |command: &mut Command| {
        command.envs([("TCPREMOTEHOST", "old"), ("TCPREMOTEINFO", "old"), ("TCPLOCALHOST", "old"), ("PROTO", "old")]);
    };
    let local = own_address().to_string();
    for options in [
        &["-RH", "-l", "0"][..],
        &["-RHl", "a:b%c"],
        &["-RHl0", "-i", &local],
        &["-RHl0", "-i0.0.0.0", "-p0"],
        &["-RHl0", "-D"],
        &["-DdQRHl0", "-t", "1", "-T1+2"],
        &["-hrHRl0"],
        &["-RHl0v"],
        &["-vqRHl0"],
        &["-RHl0", "-T5"],
        &["-RHl0", "-T5+", "--"],
        &["-RHl0", "-T0"],
    ] {
        let Some(end) = show(options, server, inherited) else { return };
        assert!(end.stdout.contains("PROTO=TCP\n") && end.stdout.ends_with("bye\n"), "{options:?}: {end:?}");
        assert!(!end.stdout.contains("HOST=old"), "{options:?}: {end:?}");
    }
}

#[test]
fn the_local_port_is_ours_to_choose() {
    let server = say_and_close((own_address(), 0), b"");
    let program = ["sh", "-c", "echo $TCPLOCALPORT"];
    // Each has an address of its own: the port stays taken for a while.
    let Some(both) = pair("tcpclient") else { return };
    let (ip, port) = (server.ip().to_string(), server.port().to_string());
    for mut command in both {
        let local = own_address().to_string();
        command.args(["-RHl0", "-i", &local, "-p", "7531", &ip, &port]).args(program);
        assert_eq!(run(&mut command, b"").stdout, "7531\n", "{command:?}");
    }
}

#[test]
fn names_of_hosts_and_owners_are_the_same() {
    if !is_root() {
        return;
    }
    let at = own_address();
    let server = say_and_close((at, 0), b"");
    // The owner's name comes from the same host.
    for (answer, name) in [
        (&b"1,2:USERID:UNIX:joe\r\n"[..], "Mail.Example.org"),
        (b"1 , 2 : USERID : OTHER : a b:c\r\n", "x_y-z.example"),
        (b"1,2:ERROR:NO-USER\r\n", "a b.example"),
        (b"1,2:USERID:UNIX:cut", ""),
        (b"", "%d\n.example"),
    ] {
        let ident = TcpListener::bind((at, 113)).expect("listen at port 113");
        let (sender, receiver) = mpsc::channel();
        let server_thread = thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = ident.accept().expect("accept");
                let mut line = String::new();
                let _ = BufReader::new(&stream).read_line(&mut line);
                let _ = sender.send(line);
                let _ = stream.write_all(answer);
            }
        });
        let (_dns, configure) = named(move |query| match query.kind {
            PTR => vec![query.answer(&[(PTR, wire(name))])],
            _ => vec![query.with_code(3)],
        });
        // Names of this host's own address are in hosts(5), which 0.88 does not know.
        if show(&["-i", &own_address().to_string()], server, configure).is_none() {
            return;
        }
        server_thread.join().expect("the ident server");
        for line in receiver {
            assert!(line.starts_with(&format!("{} , ", server.port())), "{line}");
        }
    }
}

/// An owner's host that says nothing is waited for as long as -t says, and no longer.
#[test]
fn a_silent_ident_server_is_given_up() {
    if !is_root() {
        return;
    }
    let at = own_address();
    let server = say_and_close((at, 0), b"");
    let _silent = TcpListener::bind((at, 113)).expect("listen at port 113");
    let Some(end) = show(&["-Hl0", "-t1"], server, as_it_is) else { return };
    assert!(!end.stdout.contains("TCPREMOTEINFO"), "{end:?}");
}

#[test]
fn a_name_that_is_not_there_is_empty() {
    if !is_root() {
        return;
    }
    let server = say_and_close((own_address(), 0), b"");
    let (_dns, configure) = named(|query| vec![query.with_code(3)]);
    let Some(end) = show(&["-R", "-i", &own_address().to_string()], server, configure) else { return };
    assert!(end.stdout.contains("TCPREMOTEHOST=\n") && end.stdout.contains("TCPLOCALHOST=\n"), "{end:?}");
}

/// Other than a name that is not there, one that could not be looked up is none at all.
#[test]
fn a_name_that_cannot_be_told_is_not_set() {
    if !is_root() {
        return;
    }
    let server = say_and_close((own_address(), 0), b"");
    let (_dns, configure) = named(|query| vec![query.answer(&[(PTR, b"\x3f".to_vec())])]);
    let Some(end) = show(&["-R", "-i", &own_address().to_string()], server, configure) else { return };
    assert!(!end.stdout.contains("HOST"), "{end:?}");
}

#[test]
fn each_address_of_a_name_is_tried() {
    if !is_root() {
        return;
    }
    let (deaf, there) = (own_address(), own_address());
    let server = say_and_close((there, 0), b"there\n");
    let port = server.port().to_string();
    let (dns, configure) = named(move |query| {
        let known = (query.name == "host.example" && query.kind == A).then_some([deaf, there]);
        let records: Vec<_> = known.iter().flatten().map(|ip| address(&ip.to_string())).collect();
        vec![if query.name == "no.example" { query.with_code(3) } else { query.answer(&records) }]
    });
    let arguments = ["-RHl0", "host.example", &port, "sh", "-c", "cat <&6"];
    // Their order is chance: both orders are to be seen, and with the wrong one a word about it.
    let refused = format!("tcpclient: unable to connect to {deaf} port {port}: connection refused\n");
    let Some(both) = pair("tcpclient") else { return };
    for mut command in both {
        configure(command.args(arguments));
        let mut said = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let end = run(&mut command, b"");
            assert_eq!((end.stdout.as_str(), end.code), ("there\n", Some(0)));
            said.insert(end.stderr);
            if said.len() == 2 {
                break;
            }
        }
        assert_eq!(said.into_iter().collect::<Vec<_>>(), [String::new(), refused.clone()], "{command:?}");
    }
    // In the end nobody is there.
    let other = closed().port().to_string();
    let arguments = ["-RHl0", "host.example", &other, "true"];
    let sorted = |end: &mut End| {
        let mut lines: Vec<&str> = end.stderr.lines().collect();
        lines.sort_unstable();
        end.stderr = lines.join("\n");
    };
    let end = assert_same("tcpclient", &arguments, b"", &configure, sorted).expect("installed");
    assert_eq!((end.code, end.stderr.lines().count()), (Some(111), 2));
    for name in ["no.example", "empty.example"] {
        let end = assert_same("tcpclient", &[name, "1", "true"], b"", &configure, unchanged).expect("installed");
        assert_eq!(end.stderr, format!("tcpclient: fatal: no IP address for {name}\n"));
    }
    assert!(dns.asked().iter().any(|(name, _, _)| name == "host.example"));
}

/// A name without a dot is looked for in the domains of the environment.
#[test]
fn domains_come_from_the_environment() {
    if !is_root() {
        return;
    }
    let there = own_address();
    let server = say_and_close((there, 0), b"there\n");
    let (dns, configure) = named(move |query| {
        let known = query.name == "host.b.example" && query.kind == A;
        vec![if known { query.answer(&[address(&there.to_string())]) } else { query.with_code(3) }]
    });
    let configure = |command: &mut Command| {
        configure(command);
        command.env("LOCALDOMAIN", "a.example b.example");
    };
    let arguments = ["-RHl0", "host", &server.port().to_string(), "sh", "-c", "cat <&6"];
    let Some(end) = assert_same("tcpclient", &arguments, b"", configure, unchanged) else { return };
    assert_eq!(end.stdout, "there\n");
    let names: std::collections::BTreeSet<String> = dns.asked().into_iter().map(|(name, _, _)| name).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["host.a.example", "host.b.example"]);
}

/// When the servers cannot say, that is not the end of the name.
#[test]
fn a_name_that_cannot_be_looked_up_now_is_told_so() {
    if !is_root() {
        return;
    }
    // Damaged, because for a server that says that it failed 0.88 waits eleven seconds.
    let (_dns, configure) = named(|query| {
        let mut bytes = query.answer(&[address("192.0.2.66")]);
        bytes[7] = 9;
        vec![bytes]
    });
    let without_reason = |end: &mut End| {
        let (head, _) = end.stderr.rsplit_once(": ").expect("a reason");
        end.stderr = head.to_owned();
    };
    let end = assert_same("tcpclient", &["host.example", "1", "true"], b"", configure, without_reason);
    let Some(end) = end else { return };
    assert_eq!(end.code, Some(111));
    assert_eq!(end.stderr, "tcpclient: fatal: temporarily unable to figure out IP address for host.example");
}

/// A listener whose queue is full: the kernel answers nobody.
fn full() -> (SocketAddr, Vec<std::os::fd::OwnedFd>) {
    let make = |flags| socket(AddressFamily::Inet, SockType::Stream, flags, None).expect("a socket");
    let listener = make(SockFlag::SOCK_CLOEXEC);
    bind(listener.as_raw_fd(), &SockaddrStorage::from(SocketAddr::from((own_address(), 0)))).expect("bind");
    listen(&listener, Backlog::new(0).expect("a backlog")).expect("listen");
    let address: SockaddrStorage = getsockname(listener.as_raw_fd()).expect("an address");
    let at: SocketAddr = address.to_string().parse().expect("an address");
    let mut kept = vec![listener];
    for _ in 0..8 {
        let client = make(SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK);
        let _ = connect(client.as_raw_fd(), &address);
        kept.push(client);
    }
    (at, kept)
}

#[test]
fn who_does_not_answer_is_given_up() {
    let (at, _kept) = full();
    for patience in ["-T1", "-T1+0", "-T0+1"] {
        let Some(end) = both(&[patience, "-RHl0"], at, &["true"], as_it_is) else { return };
        let message = format!("tcpclient: unable to connect to {} port {}: timed out\n", at.ip(), at.port());
        assert_eq!((end.code, end.stderr), (Some(111), message));
    }
}

/// Of several addresses each has a first chance, and those that were silent a second one.
#[test]
fn silent_addresses_have_a_second_chance() {
    if !is_root() {
        return;
    }
    let (silent, _kept) = full();
    let refusing = own_address();
    let (_dns, configure) = named(move |query| {
        let both = [silent.ip().to_string(), refusing.to_string()];
        vec![if query.kind == A { query.answer(&both.map(|ip| address(&ip))) } else { query.with_code(0) }]
    });
    let port = silent.port().to_string();
    let arguments = ["-T1+1", "-RHl0", "two.example", &port, "true"];
    let Some(end) = assert_same("tcpclient", &arguments, b"", configure, unchanged) else { return };
    let line = |ip: &str, reason| format!("tcpclient: unable to connect to {ip} port {port}: {reason}\n");
    let (refused, timed_out) = ("connection refused", "timed out");
    assert_eq!(end.stderr, line(&refusing.to_string(), refused) + &line(&silent.ip().to_string(), timed_out));
}

#[test]
fn usage_and_failures_are_the_same() {
    let there = say_and_close((own_address(), 0), b"");
    let (ip, port) = (there.ip().to_string(), there.port().to_string());
    let refused = closed();
    let (deaf, deaf_port) = (refused.ip().to_string(), refused.port().to_string());
    for (code, arguments) in [
        (100, &[][..]),
        (100, &["0"]),
        (100, &["0", "1"]),
        (100, &["-z"]),
        (100, &["-Rz", "0", "1", "true"]),
        (100, &["-T"]),
        (100, &["-i", "x", "0", "1", "true"]),
        (100, &["-q"]),
        (100, &["-q", "0", "1"]),
        (111, &["0", "no-such-service", "true"]),
        (111, &[LONG_LABEL, "1", "true"]),
        (111, &["1.2.3", "1", "true"]),
        (111, &["[127.0.0.1]", &deaf_port, "true"]),
        (111, &["0", "01", "true"]),
        (111, &["-q", "0", "no-such-service", "true"]),
        (111, &[&deaf, &deaf_port, "true"]),
        (111, &["-q", &deaf, &deaf_port, "true"]),
        (111, &["-v", &deaf, &deaf_port, "true"]),
        (111, &["-i", "192.0.2.1", &ip, &port, "true"]),
        (111, &["-RHl0", &ip, &port, "no-such-program"]),
        (111, &["-RHl0", &ip, &port, "/tmp"]),
        (111, &["-qRHl0", &ip, &port, "no-such-program"]),
        (3, &["-RHl0", &ip, &port, "sh", "-c", "exit 3"]),
    ] {
        let Some(end) = assert_same("tcpclient", arguments, b"", as_it_is, unchanged) else { return };
        assert_eq!(end.code, Some(code), "{arguments:?}: {end:?}");
    }
}

/// The host 0, and none, is this one; a service has a name.
#[test]
fn this_host_and_services_have_names() {
    for arguments in [["-RHl0", "0", "ssh", "true"], ["-RHl0", "", "smtp", "true"], ["-RHl0", "0", "mail", "true"]] {
        if assert_same("tcpclient", &arguments, b"", as_it_is, unchanged).is_none() {
            return;
        }
    }
}

/// 0.88 takes them for other numbers, or for 0.
#[test]
fn numbers_that_are_none_or_do_not_fit_are_refused() {
    for options in [["-p", "65536"], ["-p", "x"], ["-t", "x"], ["-T", "x"], ["-T", "1+x"], ["-t", ""], ["-p", "-1"]] {
        let end = run(ours("tcpclient").args(options).args(["0", "1", "true"]), b"");
        assert_eq!(end.code, Some(100), "{options:?}");
        assert!(end.stderr.starts_with("tcpclient: usage: "), "{options:?}: {end:?}");
    }
    for port in ["65536", "", "99999999999999999999"] {
        let end = run(ours("tcpclient").args(["0", port, "true"]), b"");
        assert_eq!((end.code, end.stderr.lines().count()), (Some(111), 1), "{port}: {end:?}");
    }
}

/// What 0.88 cannot: IPv6, with the protocol and the variables of its patched versions.
#[test]
fn ipv6_has_its_own_variables() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else { return say("SKIPPED ipv6: this machine has none") };
    let server = listener.local_addr().expect("an address");
    drop(listener);
    let server = say_and_close(server, b"six\n");
    let port = server.port().to_string();
    let program = ["sh", "-c", SHOW.replace("^TCPLOCALPORT=", "-E ^TCP6?LOCALPORT=").leak()];
    for host in [&["::1"][..], &["[::1]"], &["-6", "::1"], &["-6", "0"], &["-6i::1", "::1"]] {
        let end = run(ours("tcpclient").arg("-RHl0").args(host).arg(&port).args(program), b"");
        let expected = format!(
            "PROTO=TCP6\nTCP6LOCALHOST=0\nTCP6LOCALIP=::1\nTCP6REMOTEIP=::1\nTCP6REMOTEPORT={port}\nTCPLOCALHOST=0\n\
             TCPLOCALIP=::1\nTCPREMOTEIP=::1\nTCPREMOTEPORT={port}\nsix\n"
        );
        assert_eq!((end.stdout, end.stderr), (expected, String::new()), "{host:?}");
    }
    let end = run(ours("tcpclient").args(["-4", "::1", &port, "true"]), b"");
    assert_eq!((end.code, end.stderr.as_str()), (Some(111), "tcpclient: fatal: no IP address for ::1\n"));
    let end = run(ours("tcpclient").args(["-I", "nosuchif0", "::1", &port, "true"]), b"");
    assert_eq!(end.code, Some(111));
    assert!(end.stderr.starts_with("tcpclient: fatal: unable to find interface nosuchif0: "), "{end:?}");
}

/// -D is a socket option, which shows from outside.
#[test]
fn no_delay_is_set_when_asked_for() {
    let Some(strace) = peer("strace") else { return };
    let server = say_and_close((own_address(), 0), b"");
    for (option, set) in [("-D", true), ("-d", false)] {
        let mut command = Command::new(&strace);
        command.args(["-e", "trace=setsockopt", OURS, "tcpclient", option, "-RHl0"]);
        command.args([&server.ip().to_string(), &server.port().to_string(), "true"]);
        let end = run(&mut command, b"");
        assert_eq!(end.stderr.contains("TCP_NODELAY, [1]"), set, "{end:?}");
    }
}

/// The program has the signals that it would have without us, and gets all that the server says.
#[test]
fn much_comes_through() {
    let server = serve((own_address(), 0), |mut stream| {
        let _ = stream.write_all(&vec![b'x'; 3_000_000]);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read(&mut [0; 1]);
    });
    let program = ["sh", "-c", "wc -c <&6; exec grep ^Sig[BIC] /proc/self/status"];
    let Some(end) = both(&["-RHl0"], server, &program, as_it_is) else { return };
    assert!(end.stdout.starts_with("3000000\n"), "{end:?}");
}
