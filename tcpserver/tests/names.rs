//! Promise: names are looked up within a deadline, from whoever answers and whatever is answered, and a wrong answer is
//! not believed. The name servers are the tests' own; the programs that use the names are in `tools.rs`.

#[path = "common/dns.rs"]
mod dns;
#[path = "../../tests/common/pauses.rs"]
mod pauses;
#[allow(dead_code, reason = "shared with the tests of the whole, and this one uses a part of it")]
#[path = "../../tests/common/scratch.rs"]
mod scratch;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use dns::{A, AAAA, Dns, PTR, Query, TXT, address, text, wire};
use pauses::unless_paused;
use scratch::Scratch;
use tcpserver::names::{Deadline, Family, Resolver, Settings};

/// Reached only where nothing would ever come.
const LONG: Duration = Duration::from_secs(60);

/// For what never comes.
const SHORT: Duration = Duration::from_millis(300);

/// A line that is seen although the test passes.
fn say(line: &str) {
    let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{line}\n"));
}

fn resolver(servers: &[SocketAddr]) -> Resolver {
    let settings = Settings { servers: servers.to_vec(), search: vec![], ndots: 1, hosts: "/nonexistent".into() };
    Resolver::new(settings)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| ip(text)).collect()
}

/// A server on loopback, and a resolver that asks it alone.
fn served(answers: impl Fn(&Query) -> Vec<Vec<u8>> + Send + Sync + 'static) -> (Dns, Resolver) {
    let dns = Dns::start("127.0.0.1:0", answers);
    let resolver = resolver(&[dns.address]);
    (dns, resolver)
}

#[test]
fn an_address_has_a_name() {
    let (dns, resolver) = served(|query| vec![query.answer(&[(PTR, wire("Mail.Example.org"))])]);
    assert_eq!(resolver.host_of(ip("192.0.2.7"), Deadline::after(LONG)).as_deref(), Some("mail.example.org"));
    assert_eq!(resolver.host_of(ip("::ffff:192.0.2.8"), Deadline::after(LONG)).as_deref(), Some("mail.example.org"));
    assert_eq!(resolver.host_of(ip("2001:db8::1:2"), Deadline::after(LONG)).as_deref(), Some("mail.example.org"));
    let names: Vec<String> = dns.asked().into_iter().map(|(name, _, _)| name).collect();
    let six = "2.0.0.0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
    assert_eq!(names, ["7.2.0.192.in-addr.arpa", "8.2.0.192.in-addr.arpa", six]);
}

#[test]
fn a_name_from_the_wire_is_spelled_with_care() {
    let (_dns, resolver) = served(|query| vec![query.answer(&[(PTR, b"\x07a b\n.\xff%\x02ok\0".to_vec())])]);
    let name = resolver.host_of(ip("192.0.2.7"), Deadline::after(LONG));
    assert_eq!(name.as_deref(), Some("a\\040b\\012\\056\\377\\045.ok"));
    let (_dns, resolver) = served(|query| vec![query.answer(&[(PTR, vec![0])])]);
    assert_eq!(resolver.host_of(ip("192.0.2.7"), Deadline::after(LONG)).as_deref(), Some("."));
}

#[test]
fn a_name_has_addresses() {
    let (dns, resolver) = served(|query| {
        let records = match query.kind {
            A => vec![(5, wire("alias.example")), address("192.0.2.1"), address("192.0.2.2")],
            AAAA => vec![address("2001:db8::1")],
            _ => vec![],
        };
        vec![query.answer(&records)]
    });
    let ask = |name, family| resolver.addresses_of(name, family, Deadline::after(LONG)).expect("addresses");
    assert_eq!(ask("h.example", Family::V4), ips(&["192.0.2.1", "192.0.2.2"]));
    assert_eq!(ask("h.example", Family::V6), ips(&["2001:db8::1"]));
    assert_eq!(ask("h.example.", Family::Both), ips(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]));
    let asked = dns.asked().len();
    assert_eq!(ask("192.0.2.9", Family::V4), ips(&["192.0.2.9"]));
    assert_eq!(ask("[2001:db8::9]", Family::Both), ips(&["2001:db8::9"]));
    assert_eq!(ask("192.0.2.9", Family::V6), ips(&[]));
    for half in ["", "1", "127.1", "192.0.2.010", "192.0.2.256", "1.2.3.4.5", "192.0.2.1."] {
        assert_eq!(ask(half, Family::Both), ips(&[]), "{half}");
    }
    assert_eq!(dns.asked().len(), asked, "an address is not asked for");
}

/// Servers may be at IPv6 addresses too.
#[test]
fn a_server_of_ipv6_is_asked() {
    if UdpSocket::bind("[::1]:0").is_err() {
        return say("SKIPPED a_server_of_ipv6_is_asked: this machine has no IPv6");
    }
    for truncated in [false, true] {
        let dns = Dns::start("[::1]:0", move |query| {
            vec![if truncated && !query.over_tcp { query.truncated() } else { query.answer(&[text("six")]) }]
        });
        let text = resolver(&[dns.address]).text_of("h.example", Deadline::after(LONG)).expect("a text");
        assert_eq!(text, b"six");
    }
}

#[test]
fn texts_come_as_they_are() {
    let (_dns, resolver) = served(|query| {
        let two = (TXT, b"\x04one \x05=two\n".to_vec());
        vec![query.answer(&[text("see http://example/?a=b "), two])]
    });
    let text = resolver.text_of("2.0.0.127.list.example", Deadline::after(LONG)).expect("a text");
    assert_eq!(text, b"see http://example/?a=b one =two\n");
}

#[test]
fn nothing_is_a_definite_answer() {
    let (_dns, resolver) = served(|query| vec![query.with_code(if query.kind == A { 3 } else { 0 })]);
    assert_eq!(resolver.host_of(ip("192.0.2.7"), Deadline::after(LONG)), None);
    assert_eq!(resolver.try_host_of(ip("192.0.2.7"), Deadline::after(LONG)).expect("no error"), None);
    assert_eq!(resolver.addresses_of("h.example", Family::Both, Deadline::after(LONG)).expect("no error"), ips(&[]));
    assert_eq!(resolver.text_of("h.example", Deadline::after(LONG)).expect("no error"), b"");
}

#[test]
fn short_names_are_looked_up_in_domains() {
    let dns = Dns::start("127.0.0.1:0", |query| {
        let known = ["here.b.example", "here", "a.dot"].contains(&query.name.as_str());
        vec![if known { query.answer(&[address("192.0.2.1")]) } else { query.with_code(3) }]
    });
    let search = vec!["a.example".to_owned(), "b.example.".to_owned()];
    let settings = Settings { servers: vec![dns.address], search, ndots: 1, hosts: "/nonexistent".into() };
    let resolver = Resolver::new(settings);
    let asked = |name: &str| {
        let before = dns.asked().len();
        resolver.addresses_of(name, Family::V4, Deadline::after(LONG)).expect("an answer");
        dns.asked().split_off(before).into_iter().map(|(name, _, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(asked("here"), ["here.a.example", "here.b.example"]);
    assert_eq!(asked("here."), ["here"]);
    assert_eq!(asked("a.dot"), ["a.dot"]);
    assert_eq!(asked("no.dot"), ["no.dot", "no.dot.a.example", "no.dot.b.example"]);
    assert_eq!(asked("no"), ["no.a.example", "no.b.example", "no"]);
}

#[test]
fn hosts_come_first() {
    let (dns, _) = served(|query| vec![query.answer(&[address("192.0.2.99"), (PTR, wire("dns.example"))])]);
    let scratch = Scratch::new();
    let hosts = scratch.file(
        "hosts",
        b"# comment\n192.0.2.1\tOne.example one # 192.0.2.2 two\n\n192.0.2.3\n2001:db8::1 one six\n\
         nonsense x\n192.0.2.4 b\x07d\n::ffff:192.0.2.5 mapped\nfe80::1%eth0 scoped\n\xff\n192.0.2.6 last",
    );
    let resolver = Resolver::new(Settings { servers: vec![dns.address], search: vec![], ndots: 1, hosts });
    let host = |text| resolver.host_of(ip(text), Deadline::after(LONG));
    assert_eq!(host("192.0.2.1").as_deref(), Some("One.example"));
    assert_eq!(host("2001:db8::1").as_deref(), Some("one"));
    assert_eq!(host("192.0.2.5").as_deref(), Some("mapped"));
    assert_eq!(host("192.0.2.6").as_deref(), Some("last"));
    let ask = |name, family| resolver.addresses_of(name, family, Deadline::after(LONG)).expect("addresses");
    assert_eq!(ask("ONE", Family::Both), ips(&["192.0.2.1", "2001:db8::1"]));
    assert_eq!(ask("one.", Family::V6), ips(&["2001:db8::1"]));
    assert_eq!(ask("scoped", Family::Both), ips(&["fe80::1"]));
    assert_eq!(dns.asked(), []);
    // This machine is known without any file.
    assert_eq!(ask("LocalHost.", Family::Both), ips(&["127.0.0.1", "::1"]));
    assert_eq!(ask("x.localhost", Family::V6), ips(&["::1"]));
    assert_eq!(dns.asked(), []);
    // What the file does not have, or not so that it could be used, is asked for.
    assert_eq!(host("192.0.2.3").as_deref(), Some("dns.example"));
    assert_eq!(host("192.0.2.4").as_deref(), Some("dns.example"));
    assert_eq!(ask("two", Family::V4), ips(&["192.0.2.99"]));
}

#[test]
fn long_answers_come_over_tcp() {
    let (dns, resolver) = served(|query| {
        let records: Vec<_> = (0..200).map(|n| address(&format!("192.0.2.{n}"))).collect();
        vec![if query.over_tcp { query.answer(&records) } else { query.truncated() }]
    });
    let found = resolver.addresses_of("h.example", Family::V4, Deadline::after(LONG)).expect("addresses");
    assert_eq!(found.len(), 200);
    assert_eq!(dns.asked(), [("h.example".into(), A, false), ("h.example".into(), A, true)]);
}

/// What is no answer to this question, before the one that is.
#[test]
fn strangers_are_not_believed() {
    type Forge = fn(&Query) -> Vec<u8>;
    let forgeries: [(&str, Forge); 8] = [
        ("another number", |query| changed(&query.answer(&[address("192.0.2.66")]), 0)),
        ("a question", |query| query.bytes.clone()),
        ("another name", |query| changed(&query.answer(&[address("192.0.2.66")]), 13)),
        ("another type", |query| {
            let at = query.bytes.len() - 3;
            changed(&query.answer(&[address("192.0.2.66")]), at)
        }),
        ("another class", |query| {
            let at = query.bytes.len() - 1;
            changed(&query.answer(&[address("192.0.2.66")]), at)
        }),
        ("no question", |query| {
            let mut bytes = query.with_code(0)[..12].to_vec();
            bytes[5] = 0;
            bytes
        }),
        ("less than a header", |query| query.with_code(0)[..5].to_vec()),
        ("nothing", |_| vec![]),
    ];
    for (what, forge) in forgeries {
        let (dns, resolver) = served(move |query| vec![forge(query), query.answer(&[address("192.0.2.1")])]);
        let found = resolver.addresses_of("h.example", Family::V4, Deadline::after(LONG)).expect("addresses");
        assert_eq!(found, ips(&["192.0.2.1"]), "{what}");
        assert_eq!(dns.asked().len(), 1, "{what}");
    }
}

fn changed(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

/// An answer that is this question's but cannot be used sends us to the next server.
#[test]
fn another_server_is_asked() {
    type Fail = fn(&Query) -> Vec<Vec<u8>>;
    let failures: [(&str, Fail); 7] = [
        ("a failure", |query| vec![query.with_code(2)]),
        ("a refusal", |query| vec![query.with_code(5)]),
        ("a record that is not there", |query| {
            let mut bytes = query.answer(&[address("192.0.2.66")]);
            bytes[7] = 2;
            vec![bytes]
        }),
        ("a record that is cut", |query| {
            let bytes = query.answer(&[address("192.0.2.66")]);
            vec![bytes[..bytes.len() - 1].to_vec()]
        }),
        ("a name that points to itself", |query| {
            let mut bytes = query.answer(&[address("192.0.2.66")]);
            let at = query.bytes.len();
            bytes[at] = 0xc0 | u8::try_from(at >> 8).expect("small");
            bytes[at + 1] = u8::try_from(at & 255).expect("small");
            vec![bytes]
        }),
        ("a cut answer, and no better one over TCP", |query| vec![query.truncated()]),
        ("silence", |_| vec![]),
    ];
    for (what, fail) in failures {
        let bad = Dns::start("127.0.0.1:0", fail);
        let good = Dns::start("127.0.0.1:0", |query| vec![query.answer(&[address("192.0.2.1")])]);
        let resolver = resolver(&[bad.address, good.address]);
        let found = resolver.addresses_of("h.example", Family::V4, Deadline::after(LONG));
        assert_eq!(found.expect(what), ips(&["192.0.2.1"]), "{what}");
        assert!(!bad.asked().is_empty(), "{what}");
        let ids = |dns: &Dns| dns.queries().iter().map(|query| query.bytes[..2].to_vec()).collect::<Vec<_>>();
        assert_eq!(ids(&good).len(), 1, "{what}");
    }
    // A port where nobody is.
    let closed = UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let good = Dns::start("127.0.0.1:0", |query| vec![query.answer(&[address("192.0.2.1")])]);
    let resolver = resolver(&[closed, good.address]);
    assert!(resolver.addresses_of("h.example", Family::V4, Deadline::after(LONG)).is_ok());
}

/// Records that cannot be what they say are an error, and no panic.
#[test]
fn malformed_data_is_an_error() {
    let names: [&[u8]; 4] = [b"\x3fshort", b"\xc0\xff", b"\x40", b""];
    for data in names {
        let (_dns, resolver) = served(move |query| vec![query.answer(&[(query.kind, data.to_vec())])]);
        assert!(resolver.try_host_of(ip("192.0.2.7"), Deadline::after(LONG)).is_err(), "{data:?}");
        assert_eq!(resolver.host_of(ip("192.0.2.7"), Deadline::after(LONG)), None, "{data:?}");
        let error = resolver.addresses_of("h.example", Family::V4, Deadline::after(LONG));
        assert!(error.is_err(), "{data:?}: {error:?}");
        // No string at all is what a text cannot be, but it does nobody harm.
        let text = resolver.text_of("h.example", Deadline::after(LONG));
        assert!(text.is_err() || (data.is_empty() && text.is_ok_and(|text| text.is_empty())), "{data:?}");
    }
}

/// Every byte of an answer is damaged once, in two ways: whatever comes of it, it comes, and is no name that could harm.
#[test]
fn damage_is_survived() {
    let (dns, resolver) = served(|query| {
        let answer = query.answer(&[(PTR, wire("mail.example.org")), text("text"), address("192.0.2.1")]);
        let turn = usize::from(query.name.split('.').next().and_then(|n| n.parse::<u8>().ok()).expect("a number"));
        // The number stays: with another it would be a stranger's, of which there is a test.
        let at = 2 + turn / 2 % (answer.len() - 2);
        let mut damaged = answer.clone();
        damaged[at] = if turn % 2 == 0 { 0xff } else { damaged[at].wrapping_add(1) };
        vec![damaged, answer]
    });
    for n in 0..=255 {
        let name = resolver.host_of(ip(&format!("192.0.2.{n}")), Deadline::after(SHORT));
        let harmless = |name: String| name.bytes().all(|byte| byte.is_ascii_graphic()) && name.len() < 1024;
        assert!(name.is_none_or(harmless), "damage {n}");
    }
    assert!(dns.asked().len() >= 256);
}

#[test]
fn the_deadline_holds() {
    unless_paused(|| {
        let silent = Dns::start("127.0.0.1:0", |_| vec![]);
        let chatty = Dns::start("127.0.0.1:0", |query| vec![changed(&query.with_code(0), 0); 3]);
        let full = Dns::start("127.0.0.1:0", |query| if query.over_tcp { vec![] } else { vec![query.truncated()] });
        for dns in [silent, chatty, full] {
            let start = Instant::now();
            let error = resolver(&[dns.address]).addresses_of("h.example", Family::Both, Deadline::after(SHORT));
            let error = error.expect_err("nobody answers");
            assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "{error}");
            assert!((SHORT..LONG / 2).contains(&start.elapsed()), "{:?}", start.elapsed());
        }
    });
}

/// A server that never answers for IPv6 costs some seconds and no addresses.
#[test]
fn ipv6_is_not_waited_for_when_there_are_others() {
    let answers = |query: &Query| if query.kind == A { vec![query.answer(&[address("192.0.2.1")])] } else { vec![] };
    let (_dns, resolver) = served(answers);
    let found = resolver.addresses_of("h.example", Family::Both, Deadline::after(LONG)).expect("addresses");
    assert_eq!(found, ips(&["192.0.2.1"]));
}

#[test]
fn what_cannot_be_a_name_is_an_error() {
    let (dns, resolver) = served(|query| vec![query.with_code(0)]);
    let (label, long) = ("x".repeat(64), "x.".repeat(200));
    for name in ["a..b", ".a", label.as_str(), long.as_str()] {
        assert!(resolver.addresses_of(name, Family::V4, Deadline::after(LONG)).is_err(), "{name}");
    }
    assert_eq!(dns.asked(), []);
}

/// Each message has a number and a port that the one before does not tell.
#[test]
fn questions_cannot_be_guessed() {
    let (dns, resolver) = served(|query| vec![query.with_code(0)]);
    for _ in 0..50 {
        let _ = resolver.text_of("h.example", Deadline::after(LONG));
    }
    let mut ids: Vec<[u8; 2]> = dns.queries().iter().map(|query| [query.bytes[0], query.bytes[1]]).collect();
    assert_eq!(ids.len(), 50);
    ids.sort_unstable();
    ids.dedup();
    assert!(ids.len() > 40, "{} different numbers in 50 questions", ids.len());
}
