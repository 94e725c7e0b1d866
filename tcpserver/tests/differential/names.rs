//! Names of hosts and owners: what is asked, what is made of the answers, in variables, log and rules.
//!
//! Name server and ident servers are the tests' own, on addresses of loopback, at the ports where both programs look.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener},
    process,
    sync::atomic::{AtomicU8, Ordering},
    thread,
};

use crate::{
    case::{Case, Whose},
    common::{peers, say, scratch::is_root},
    dns::{A, Dns, PTR, Query, wire},
    story::{self, both, run, same},
};

/// A network of loopback that only one test uses: its server is at 9, its name server at 53.
struct Net([u8; 2]);

impl Net {
    /// `None`, after saying so, without the right to take the ports 53 and 113.
    fn new() -> Option<Net> {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        if !is_root() {
            assert!(!peers::required(), "only root can be a name server, and TINE_PEERS=required asks for it");
            say("SKIPPED a test of names: only root can be a name server");
            return None;
        }
        story::alone();
        let id = process::id().to_ne_bytes();
        Some(Net([64 + id[1] % 64, id[0].wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(31))]))
    }

    fn at(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.0[0], self.0[1], last)
    }

    /// Without the log's own lookups: an option says which.
    fn case(&self, options: &str) -> Case {
        let host = Box::leak(self.at(9).to_string().into_boxed_str());
        Case::new(options).place(host, "0").env("DNSCACHEIP", &self.at(53).to_string())
    }

    /// A name server that knows these hosts: number of the address, names, and addresses of the first name.
    fn names(&self, hosts: &'static [(u8, &'static [&'static str], &'static [u8])]) -> Dns {
        let net = Net(self.0);
        Dns::start(&format!("{}:53", self.at(53)), move |query| vec![net.answer(query, hosts)])
    }

    fn answer(&self, query: &Query, hosts: &[(u8, &[&str], &[u8])]) -> Vec<u8> {
        let reverse = |last: u8| format!("{last}.{}.{}.127.in-addr.arpa", self.0[1], self.0[0]);
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b.trim_end_matches('.'));
        let by_number = hosts.iter().find(|host| query.kind == PTR && reverse(host.0) == query.name);
        let by_name = hosts.iter().find(|host| query.kind == A && host.1.first().is_some_and(|n| same(&query.name, n)));
        match (by_number, by_name) {
            (Some((_, names, _)), _) => query.answer(&names.iter().map(|n| (PTR, wire(n))).collect::<Vec<_>>()),
            (_, Some((_, _, lasts))) => {
                query.answer(&lasts.iter().map(|&last| (A, self.at(last).octets().to_vec())).collect::<Vec<_>>())
            }
            _ if query.name.contains("broken") => query.with_code(2),
            _ => query.with_code(3),
        }
    }

    /// An ident server on the client's address, which answers a question with this, `Q` standing for the question.
    fn ident(&self, last: u8, answer: &'static [u8], stays: bool) {
        let listener = TcpListener::bind((self.at(last), 113)).expect("be an ident server");
        thread::spawn(move || {
            let mut kept = Vec::new();
            for mut stream in listener.incoming().flatten() {
                let mut question = String::new();
                let _ = BufReader::new(&stream).read_line(&mut question);
                let question = question.trim_end().as_bytes().to_vec();
                let whole: Vec<u8> =
                    answer.iter().flat_map(|&byte| if byte == b'Q' { question.clone() } else { vec![byte] }).collect();
                let _ = stream.write_all(&whole);
                if stays {
                    kept.push(stream);
                }
            }
        });
    }

    fn octets(&self, last: u8) -> [u8; 4] {
        self.at(last).octets()
    }
}

#[test]
fn names_of_clients_and_of_the_server() {
    let Some(net) = Net::new() else { return };
    let _names = net.names(&[
        (9, &["server.example"], &[9]),
        (1, &["one.example"], &[1]),
        (2, &["two.example"], &[3]),
        (3, &["three.example", "other.example"], &[4, 3]),
        (4, &["UPPER.Example"], &[4]),
        (5, &["nowhere.example"], &[]),
        (6, &["broken.example"], &[]),
        (
            7,
            &["a-very-long-label-of-a-host-with-many-letters.a-very-long-label-of-a-host-with-many-letters.\
               a-very-long-label-of-a-host-with-many-letters.example"],
            &[7],
        ),
    ]);
    for options in ["-vR", "-vRl0", "-vRp", "-vRpl0", "-vRPh", "-vRHp", "-vRHpl0", "-vRH", "-RHl0", "-R", "-qR"] {
        for client in 1..=8 {
            same(&net.case(options).look_from(net.octets(client)));
        }
    }
    let old = net.case("-vR").env("TCPREMOTEHOST", "old").env("TCPLOCALHOST", "old").env("TCPREMOTEINFO", "old");
    same(&old.clone().look_from(net.octets(1)));
    same(&old.look_from(net.octets(8)));
}

/// What the owner of a name writes there cannot forge a line of the log.
#[test]
fn names_are_cleaned_for_the_log() {
    let Some(net) = Net::new() else { return };
    let _names = net.names(&[
        (1, &["percent%colon:space tab\t.example"], &[]),
        (2, &["new\nline.example"], &[]),
        (3, &["x.y.z"], &[]),
        (4, &["under_score.example"], &[]),
    ]);
    same(&net.case("-vRl0").look_from(net.octets(3)));
    same(&net.case("-vRl0").look_from(net.octets(4)));
    for client in [1, 2] {
        let case = net.case("-vRl0").look_from(net.octets(client));
        same(&case);
        let Some([_, ours]) = both(&case) else { return };
        let log = ours.all("log");
        assert_eq!(log.iter().filter(|line| line.contains(" ok ")).count(), 1, "{ours:?}");
        assert!(log.iter().all(|line| line.starts_with("tcpserver: ")), "{ours:?}");
    }
}

#[test]
fn rules_by_name() {
    let Some(net) = Net::new() else { return };
    let _names = net.names(&[
        (1, &["one.example"], &[1]),
        (2, &["two.bad.example"], &[2]),
        (3, &["liar.example"], &[1]),
        (4, &["four.other"], &[4]),
    ]);
    net.ident(1, b"Q : USERID : UNIX : joe\r\n", false);
    net.ident(4, b"Q : USERID : UNIX : ann\r\n", false);
    let rules = "=one.example:allow,W=\"host\"\n=.bad.example:deny\n=.example:allow,W=\"suffix\"\n=:allow,W=\"some name\"\n\
        joe@=one.example:deny\n:allow,W=\"none\"\n";
    for options in ["-vl0", "-vRl0", "-vRpl0", "-vHl0", "-vRHl0"] {
        for client in 1..=5 {
            same(&net.case(options).rules(rules).look_from(net.octets(client)));
        }
    }
    let rules = Box::leak(format!("ann@{}:deny\n:allow\n", net.at(4)).into_boxed_str());
    for options in ["-vHl0", "-vl0", "-vRHl0"] {
        same(&net.case(options).rules(rules).look_from(net.octets(4)));
    }
}

#[test]
fn owners() {
    let Some(net) = Net::new() else { return };
    let answers: &[&[u8]] = &[
        b"Q : USERID : UNIX : joe\r\n",
        b"Q : USERID : UNIX : joe\n",
        b"Q:USERID:UNIX:joe",
        b"Q : USERID : OTHER : two words \t \r\n",
        b"Q : USERID : UNIX : a:b:c\r\n",
        b"Q : ERROR : NO-USER\r\n",
        b"Q : ERROR : HIDDEN-USER\r\n",
        b"",
        b"\r\n",
        b"nonsense\r\n",
        b": : : \r\n",
        b"1, 2 : USERID : UNIX : wrong ports\r\n",
        b"Q : USERID : UNIX : \r\n",
        b"Q : USERID : UNIX : per%cent\x01\x02\r\n",
        b"Q : USERID : UNIX : first\r\nsecond\r\n",
        b"Q : userid : unix : lower\r\n",
        b"Q : USERID : UNIX : \xe9\xff\r\n",
    ];
    for (client, answer) in (1..).zip(answers) {
        net.ident(client, answer, false);
        same(&net.case("-vHl0").look_from(net.octets(client)));
        same(&net.case("-vHl0 -t 5").env("TCPREMOTEINFO", "old").look_from(net.octets(client)));
        same(&net.case("-rHl0").look_from(net.octets(client)));
        same(&net.case("-vRHl0").look_from(net.octets(client)));
    }
    // Nobody answers on the last one.
    same(&net.case("-vHl0").env("TCPREMOTEINFO", "old").look_from(net.octets(200)));
}

/// An owner's text is cut where it is too long, and its server is not waited for when it is slow.
#[test]
fn long_and_slow_owners() {
    let Some(net) = Net::new() else { return };
    let long = |n: usize| -> &'static [u8] {
        Box::leak([b"Q : USERID : UNIX : ".to_vec(), vec![b'x'; n], b"\r\n".to_vec()].concat().into_boxed_slice())
    };
    for (client, length) in [(1, 90), (2, 100), (3, 500), (4, 850), (5, 2000), (6, 100_000)] {
        net.ident(client, long(length), false);
        same(&net.case("-vHl0").look_from(net.octets(client)));
    }
    net.ident(7, b"", true);
    net.ident(8, b"Q : USERID : UNIX : joe", true);
    for client in [7, 8] {
        same(&net.case("-vHl0 -t 1").look_from(net.octets(client)));
    }
    // One that tells nobody is dropped with the banner sent already.
    same(&net.case("-vHl0 -t 1").option("-Bhello").look_from(net.octets(7)));
}

/// The host operand is a name: the first address of it, qualified as the environment says.
#[test]
fn the_host_by_name() {
    let Some(net) = Net::new() else { return };
    let _names = net.names(&[(9, &["server.example"], &[9]), (11, &["short.dom.example"], &[11])]);
    for host in ["server.example", "server.example.", "SERVER.example", "no.such.example", "missing", "short"] {
        same(&net.case("-vRHl0").place(host, "0").env("LOCALDOMAIN", "dom.example").look_from(net.octets(1)));
    }
    same(&net.case("-qRHl0").place("no.such.example", "0"));
}

/// A name server that fails, or says what is none of an answer.
#[test]
fn name_servers_that_fail() {
    let Some(net) = Net::new() else { return };
    let answers: [fn(&Query) -> Vec<u8>; 6] = [
        |query| query.with_code(2),
        |query| query.answer(&[]),
        |query| query.with_code(5),
        |query| query.answer(&[(A, vec![127, 0])]),
        |query| query.answer(&[(PTR, vec![0xc0, 12, 0xc0]), (A, Vec::new())]),
        |query| query.bytes[..12].to_vec(),
    ];
    for (at, answer) in (60..).zip(answers) {
        let place = net.at(at).to_string();
        let _server = Dns::start(&format!("{place}:53"), move |query| vec![answer(query)]);
        // The original asks one that fails again after 10 seconds, and one that sends what is no answer for a minute.
        let is_answer = at < 62;
        if is_answer {
            same(&net.case("-vRHl0").place("server.example", "0").env("DNSCACHEIP", &place));
        }
        if at == 61 {
            same(&net.case("-vR").env("DNSCACHEIP", &place).look_from(net.octets(1)));
        } else {
            let case = net.case("-vR --name-timeout 2").env("DNSCACHEIP", &place).look_from(net.octets(1));
            let ours = run(Whose::Ours, &case).expect("ours is there");
            assert!(ours.all("log").iter().any(|line| line.starts_with("tcpserver: ok PID0 :127.")), "{ours:?}");
        }
    }
}

/// What looks like an address and is none is a name, of which nobody knows.
#[test]
fn hosts_that_look_like_addresses() {
    let Some(net) = Net::new() else { return };
    let _names = net.names(&[]);
    for host in ["127.0.0", "1", "00", "[127.0.0.1]", "[0]", "a.b", "-"] {
        same(&net.case("-vRHl0").place(host, "0").look_from(net.octets(1)));
    }
}
