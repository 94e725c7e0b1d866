//! What is wanted otherwise than in 0.88: one list, of which each entry is proved on both and stands in the manual.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    case::{CLIENT, Case, PLAIN, Whose},
    common::{self, BOUND, Server, guard, holds_within, peer, process, scratch::is_root, wait_until},
    dns::Dns,
    story::{self, Story, both, connect, run, start},
};

struct Difference {
    /// Words of the manual's item.
    manual: &'static str,
    /// Shows that it is so.
    proof: fn(),
}

const fn of(manual: &'static str, proof: fn()) -> Difference {
    Difference { manual, proof }
}

/// In the order of the manual.
const LIST: &[Difference] = &[
    of("Numbers that are none, or are out of range, are refused", numbers),
    of("A command line is wrong as a whole", order_of_complaints),
    of("Options of IPv6 and all those that begin with two hyphens", more_options),
    of("is an address only if all of it is", odd_addresses),
    of("Names are looked up in .Xr hosts 5 first", hosts),
    of("Host names are not waited for longer", silent_servers),
    of("gives up the groups that root had", groups),
    of("A standard descriptor that is closed", closed_descriptors),
    of("Without room for another descriptor", full_descriptor_table),
    of("Without room for another process", full_process_table),
    of("A log that nobody reads stops nobody", stalled_log),
    of("A line of the log has at most 2048 bytes", long_lines),
    of("Warnings that repeat themselves", repeated_warnings),
    of("Children that .Nm had before", children_from_before),
    of("that is damaged, or is a directory", damaged_rules),
];

#[test]
fn each_is_as_it_says() {
    for difference in LIST {
        common::say(&format!("difference: {}", difference.manual));
        (difference.proof)();
    }
}

#[test]
fn the_manual_has_these_and_no_others() {
    let manual =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../man/tcpserver.1")).expect("the manual");
    let (_, section) = manual.split_once(".Sh DIFFERENCES\n").expect("a section");
    let items: Vec<String> = section.split(".It\n").skip(1).map(|item| item.replace('\n', " ")).collect();
    assert_eq!(items.len(), LIST.len(), "items in the manual, and differences here");
    for (item, difference) in items.iter().zip(LIST) {
        assert!(item.contains(difference.manual), "{:?} is not in the item {item:?}", difference.manual);
    }
}

/// Whether it came so far that it listened.
fn served(story: &Story) -> bool {
    !story.all("received").is_empty()
}

/// The original serves, ours says this and exits with this code.
fn refused(case: &Case, code: &str, message: &str) {
    let Some([theirs, ours]) = both(case) else { return };
    assert!(served(&theirs), "{case:?}\n{theirs:?}");
    assert!(!served(&ours) && ours.one("end") == format!("exit status: {code}"), "{case:?}\n{ours:?}");
    assert!(ours.one("log").starts_with("tcpserver: fatal: ") && ours.one("log").contains(message), "{ours:?}");
}

fn numbers() {
    for option in ["-b", "-c", "-t"] {
        for value in ["x", "1x", "99999999999999999999", "-1", "", " 1", "+1"] {
            // What is no number at all is 0, and with that nobody is served.
            let from_zero = option == "-c" && !value.starts_with(|c: char| c.is_ascii_digit());
            let case = Case::new(PLAIN).option(option).option(value);
            let case = if from_zero { case.acts(Vec::new()) } else { case };
            match from_zero {
                true => assert_eq!(
                    run(Whose::Ours, &case).map(|s| s.one("end").to_string()),
                    Some("exit status: 100".into())
                ),
                false => refused(&case, "100", &format!("unable to use {option}: ")),
            }
        }
    }
    if is_root() {
        for option in ["-u", "-g"] {
            refused(&Case::new(PLAIN).option(option).option("x"), "100", &format!("unable to use {option}: "));
            refused(&Case::new(PLAIN).option(option).option("18446744073709551616"), "100", "is no number from 0");
        }
        refused(&Case::new("-U -vRHl0").env("UID", "").env("GID", "x"), "100", "unable to use -U: $UID: ");
    }
    // 65536 is 0 for the original, which has a port chosen.
    refused(&Case::new(PLAIN).place("127.0.0.1", "65536"), "111", "unable to figure out port number for 65536");
    refused(&Case::new(PLAIN).place("127.0.0.1", ""), "111", "unable to figure out port number for ");
    for value in ["0", "00"] {
        let case = Case::new(PLAIN).option("-c").option(value).acts(Vec::new());
        let Some([theirs, ours]) = both(&case) else { return };
        assert!(theirs.all("log").contains(&"tcpserver: status: 0/0"), "{theirs:?}");
        assert_eq!(ours.one("end"), "exit status: 100");
    }
}

fn order_of_complaints() {
    let mut case = Case::new("-v").place("127.0.0.1", "no-such-service");
    case.program.clear();
    let Some([theirs, ours]) = both(&case) else { return };
    assert_eq!(theirs.one("end"), "exit status: 111");
    assert_eq!(ours.one("end"), "exit status: 100");
}

fn more_options() {
    for options in ["-4vRHl0", "-6vRHl0", "-vRHl0 --name-timeout 5"] {
        let Some([theirs, ours]) = both(&Case::new(options)) else { return };
        assert!(!served(&theirs) && served(&ours), "{theirs:?}{ours:?}");
    }
    // The original takes it for an address of IPv4.
    let ours = run(Whose::Ours, &Case::new(PLAIN).place("::1", "0").look_from(std::net::Ipv6Addr::LOCALHOST));
    assert!(ours.as_ref().is_some_and(served), "{ours:?}");
}

fn odd_addresses() {
    for host in ["127.0.0.1.", "[127.0.0.1", "127.0.0.01", "127.0.0.257", "127.0.0.1.5", "127..0.1"] {
        refused(&Case::new(PLAIN).place(host, "0").env("DNSCACHEIP", "127.0.0.1"), "111", "IP address for");
    }
}

fn hosts() {
    // In /etc/hosts of every machine.
    let Some([theirs, ours]) = both(&Case::new("-vRHl0").place("localhost", "0").env("DNSCACHEIP", "127.0.0.1")) else {
        return;
    };
    assert!(!served(&theirs) && served(&ours), "{theirs:?}{ours:?}");
}

/// The original waits for a minute, which is not waited for here.
fn silent_servers() {
    if !is_root() {
        return;
    }
    story::alone();
    let _server = Dns::start("127.0.1.53:53", |_| Vec::new());
    let case = Case::new("-vR --name-timeout 1").env("DNSCACHEIP", "127.0.1.53").look_from([127, 0, 1, 1]);
    let ours = run(Whose::Ours, &case.place("127.0.1.2", "0")).expect("ours is there");
    assert!(
        served(&ours) && ours.all("log").contains(&"tcpserver: ok PID0 :127.0.1.2:PORT :127.0.1.1::CLIENT"),
        "{ours:?}"
    );
}

fn groups() {
    if !is_root() {
        return;
    }
    let groups = |story: &Story| {
        let line = story.all("status").into_iter().find_map(|line| line.strip_prefix("Groups:").map(String::from));
        line.unwrap_or_default().trim().to_string()
    };
    let case = Case::new("-vRHl0 -u 65534").prelude("exec setpriv --groups 5,6,7 \"$@\"");
    let Some([theirs, ours]) = both(&case) else { return };
    assert_eq!((groups(&theirs), groups(&ours)), ("5 6 7".into(), "0".into()));
}

fn closed_descriptors() {
    for number in 0..3 {
        let prelude = ["exec 0<&-", "exec 1>&-", "exec 2>&-"][number];
        let case = Case::new("-RHl0").prelude(prelude);
        let ours = run(Whose::Ours, &case).expect("ours is there");
        assert!(served(&ours), "{ours:?}");
        if number == 2 {
            assert!(ours.one("fd 2").starts_with("/dev/null "), "{ours:?}");
        }
        if number < 2 {
            // The original closes the descriptor on which it listens.
            let case = case.acts(Vec::new());
            let Some(program) = Whose::Original.program() else { return };
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("{prelude}; exec \"$@\""), "sh"]).arg(program).args(&case.options);
            let server = Server::spawn_with_input(
                {
                    shell.args(["127.0.0.1", "0", "cat"]);
                    shell
                },
                Stdio::null(),
            );
            wait_until("it runs", || {
                fs::read_to_string(format!("/proc/{}/comm", server.pid())).is_ok_and(|c| c == "tcpserver\n")
            });
            assert!(!holds_within(Duration::from_millis(200), || process::listening(server.pid()).is_some()
                && is_asleep(&server)));
        }
    }
}

fn is_asleep(server: &Server) -> bool {
    process::find(server.pid()).is_some_and(|process| process.state == 'S')
}

fn full_descriptor_table() {
    let Some(prlimit) = peer("prlimit") else { return };
    for whose in [Whose::Original, Whose::Ours] {
        let Some((server, _scratch)) = start(whose, &Case::new(PLAIN)) else { return };
        let address = process::listening(server.pid()).expect("it listens");
        server.await_log(&["status: 0/40"]); // what it gives up at the start it has given up
        let taken = process::descriptors(server.pid());
        let least = (0..).find(|number| !taken.contains_key(number)).expect("a number");
        let mut command = Command::new(&prlimit);
        command.args(["--pid", &server.pid().to_string(), &format!("--nofile={least}:")]);
        assert!(command.status().expect("run prlimit").success());
        let _client = connect(CLIENT, address).expect("connect");
        match whose {
            Whose::Ours => {
                server.await_log(&["warning: unable to accept"]);
                wait_until("it sleeps", || is_asleep(&server));
            }
            // It spins.
            _ => {
                wait_until("it is busy", || !is_asleep(&server));
                assert!(!server.log().contains("warning"), "{}", server.log());
            }
        }
    }
}

fn full_process_table() {
    let [Some(_), Some(_)] = [peer("prlimit"), peer("setpriv")] else { return };
    if !is_root() {
        return;
    }
    for whose in [Whose::Original, Whose::Ours] {
        let case = Case::new(PLAIN)
            .prelude("exec setpriv --reuid 64321 --regid 64321 --clear-groups prlimit --nproc=2:2 \"$@\"");
        let Some((server, _scratch)) = start(whose, &case) else { return };
        let address = process::listening(server.pid()).expect("it listens");
        let mut first = connect(CLIENT, address).expect("connect");
        first.write_all(b"?").and_then(|()| first.read_exact(&mut [0])).expect("it is served");
        let mut second = connect(CLIENT, address).expect("connect");
        second.write_all(b"?").expect("say something");
        server.await_log(&["unable to fork"]);
        drop(first);
        let answer = second.read_exact(&mut [0]).is_ok();
        // Dropped by one, kept by the other until there was room.
        assert_eq!(answer, whose == Whose::Ours, "{whose:?}\n{}", server.log());
    }
}

fn stalled_log() {
    story::alone();
    for whose in [Whose::Original, Whose::Ours] {
        let Some(program) = whose.program() else { return };
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let mut command = Command::new(program);
        command.args(["-vRHl0", "127.0.0.1", "0", "cat"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer);
        let mut child = command.spawn().expect("start it");
        drop(command);
        guard::add(child.id());
        wait_until("it listens", || process::listening(child.id()).is_some());
        let address = process::listening(child.id()).expect("it listens");
        // The original is held up for ever: two seconds tell that as well as any time.
        let patience = if whose == Whose::Ours { BOUND } else { Duration::from_secs(2) };
        let served = |stream: &mut TcpStream| {
            stream.set_read_timeout(Some(patience)).expect("set a timeout");
            stream.write_all(b"?").is_ok() && stream.read_exact(&mut [0]).is_ok()
        };
        let count = (0..600).take_while(|_| served(&mut connect(CLIENT, address).expect("connect"))).count();
        assert_eq!(count == 600, whose == Whose::Ours, "{whose:?} served {count} of 600 with a log that nobody reads");
        drop(reader);
        child.kill().expect("end it");
        child.wait().expect("wait for it");
        guard::remove(child.id());
    }
}

/// In ours those that are told and those that are counted, `(5 more)`, are all.
fn long_lines() {
    let name = format!("/{}", "x".repeat(5000));
    let case = Case::new(PLAIN).program(&[&name]);
    let longest = |story: &Story| story.all("log").iter().map(|line| line.len()).max().unwrap_or_default();
    let ours = run(Whose::Ours, &case).expect("ours is there");
    assert!((2000..=2048).contains(&longest(&ours)), "{}", longest(&ours));
    let Some(theirs) = run(Whose::Original, &case) else { return };
    assert!(longest(&theirs) > 5000, "{}", longest(&theirs));
}

fn repeated_warnings() {
    const CLIENTS: usize = 1500;
    for whose in [Whose::Original, Whose::Ours] {
        let case = Case::new("-RHl0 -b 100").program(&["no-such-program"]);
        let Some((mut server, _scratch)) = start(whose, &case) else { return };
        let address = process::listening(server.pid()).expect("it listens");
        let come = || (0..CLIENTS / 3).for_each(|_| drop(connect(CLIENT, address).expect("connect").read(&mut [0])));
        std::thread::scope(|scope| (0..3).for_each(|_| drop(scope.spawn(come))));
        wait_until("all have ended", || server.children().is_empty() && is_asleep(&server));
        let more = |line: &str| line.strip_suffix(" more)").and_then(|line| line.rsplit_once('(')?.1.parse().ok());
        let told = || server.log().lines().map(|line| 1 + more(line).unwrap_or(0_usize)).sum::<usize>();
        wait_until("all are told or counted", || told() == CLIENTS);
        if whose == Whose::Original {
            assert_eq!(server.log().lines().count(), CLIENTS);
        }
        server.stop();
    }
}

fn children_from_before() {
    let case = Case::new(PLAIN).prelude("sleep 0 & sleep 0 &").program(&["sleep", "0.2"]);
    let Some([theirs, ours]) = both(&case) else { return };
    let ends = |story: &Story| story.all("log").iter().filter(|line| line.contains(": end ")).count();
    // They are reaped all the same: that no child is left is waited for.
    assert_eq!((ends(&theirs), ends(&ours)), (3, 1), "{theirs:?}{ours:?}");
}

fn damaged_rules() {
    let head = "printf ':deny\\n' | /usr/bin/tcprules full.cdb full.tmp; ";
    for make in ["mkdir the.cdb", "head -c 100 full.cdb >the.cdb", "head -c 2060 full.cdb >the.cdb"] {
        let prelude = Box::leak(format!("{head}{make}").into_boxed_str());
        let case = Case::new(PLAIN).option("-x").option("the.cdb").prelude(prelude).talk_from(&[[127, 0, 0, 1]]);
        let ours = run(Whose::Ours, &case).expect("ours is there");
        let reason = |line: &&str| line.contains("warning: dropping connection, unable to read the.cdb: ");
        assert!(ours.all("log").iter().any(reason), "{make}: {ours:?}");
        assert!(ours.all("log").contains(&"tcpserver: end PID0 status 28416"), "{make}: {ours:?}");
        if make.starts_with("mkdir") {
            let Some(theirs) = run(Whose::Original, &case) else { return };
            assert!(theirs.all("log").contains(&"tcpserver: end PID0 status 11"), "it crashes: {theirs:?}");
        }
    }
}
