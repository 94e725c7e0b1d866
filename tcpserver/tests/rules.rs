//! Promise: tcprules and tcprulescheck are those of ucspi-tcp 0.88, to the byte of the cdb, and bad files are errors.
//!
//! What both must do is run by both. What only ours does has tests of its own, at the end.

#[path = "../../tests/common/peers.rs"]
mod peers;
#[allow(dead_code, reason = "shared with the tests of the whole, and this one uses a part of it")]
#[path = "../../tests/common/scratch.rs"]
mod scratch;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use peers::peer;
use scratch::Scratch;
use tcpserver::rules::{Client, Rules};

const TCPRULES: &str = env!("CARGO_BIN_EXE_tcprules");
const TCPRULESCHECK: &str = env!("CARGO_BIN_EXE_tcprulescheck");

/// A line that is seen although the test passes.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// How a program ended, and what it said.
#[derive(Debug, PartialEq, Eq)]
struct End {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// A program to be run in `place`, without an environment.
fn command(program: impl AsRef<OsStr>, place: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(place).env_clear();
    command
}

fn run(command: &mut Command, input: &[u8]) -> End {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    // One that does not read its input to the end is none of our business.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    let output = child.wait_with_output().expect("wait for it");
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string().replace("\\n", "\n");
    End { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// Compiles `text` to rules.cdb in `place`, and says what is there afterwards.
fn compile(program: impl AsRef<OsStr>, place: &Path, text: &[u8]) -> (End, Option<Vec<u8>>) {
    let _ = fs::remove_file(place.join("rules.cdb"));
    let end = run(command(program, place).args(["rules.cdb", "rules.tmp"]), text);
    (end, fs::read(place.join("rules.cdb")).ok())
}

/// Without the warnings that 0.88 does not have.
fn without_warnings(mut end: End) -> End {
    let kept = end.stderr.lines().filter(|line| !line.starts_with("tcprules: warning: "));
    end.stderr = kept.map(|line| format!("{line}\n")).collect();
    end
}

/// Asks about a client: address, host name, ident text.
fn check(program: impl AsRef<OsStr>, place: &Path, client: [Option<&str>; 3]) -> End {
    let names = ["TCPREMOTEIP", "TCPREMOTEHOST", "TCPREMOTEINFO"];
    let set = names.into_iter().zip(client).filter_map(|(name, value)| Some((name, value?)));
    run(command(program, place).envs(set).arg("rules.cdb"), b"")
}

/// The programs of 0.88, if they are installed.
fn originals() -> Option<[PathBuf; 2]> {
    Some([peer("tcprules")?, peer("tcprulescheck")?])
}

/// Compiles with both and compares all that can be seen. The cdb stays in the scratch directory.
fn assert_same_rules(original: &Path, scratch: &Scratch, text: &[u8]) -> i32 {
    let (theirs, their_cdb) = compile(original, scratch.path(), text);
    let (ours, our_cdb) = compile(TCPRULES, scratch.path(), text);
    let rules = text.escape_ascii();
    assert_eq!(without_warnings(ours), theirs, "of these rules: {rules}");
    assert!(our_cdb == their_cdb, "the cdb of these rules: {rules}\nours {our_cdb:x?}\ntheirs {their_cdb:x?}");
    theirs.code.expect("an exit code")
}

/// Rules, and the exit code of 0.88.
const TEXTS: &[(i32, &str)] = &[
    (0, ""),
    (0, "\n\n# nothing\n"),
    (0, "18.23.0.32:deny"),
    (0, "18.23.0.32:deny\n:allow\n127.:allow,A=\"b\"\n"),
    (0, "1.2.3.37-53:allow\n"),
    (0, "10.2-3.:deny\n"),
    (0, "1.2-3.4-5:deny\n"),
    (0, "1.2.3.250-999:deny\n"),
    (0, "1.2.3.250-99999999999999999999:deny\n"),
    (0, "99999999999999999999-5:deny\n"),
    (0, "1.2.3.9-8:deny\n"),
    (0, "1.2.3.-2:deny\n"),
    (0, "1.2.3.1-:deny\n"),
    (0, "1.007-009.:deny\n"),
    (0, "=a-b.example.org:deny\njoe-x@1.2.3.4:deny\n"),
    (0, "1.2.3.4:allow,A=\"first\"\n1.2.3.4:deny\n1.2.3.4-4:deny\n"),
    (0, "1.2.3.4:allow,A=\"b\",C=/d\"e/,F=,g,\n"),
    (0, "1.2.3.4:deny,A=\"b,c=d:e\"\n"),
    (0, "1.2.3.4:allow,=xx,A==b=\n"),
    (0, "1.2.3.4:allow,A=\"\"  \t \n  \t\n"),
    (0, " 1.2.3.4:allow\n\t#x:deny\n #y:deny\n"),
    (0, "no colon\nallow\n"),
    (0, "joe@127.0.0.1:allow\njoe@=h.example:deny\n=.example:deny\n=:allow\n"),
    (0, "[1.2.3.4]:deny\n*:deny\n"),
    (0, "/:deny\n/24:deny\nx/24:deny\n=a/24:deny\n"),
    (0, "1.2.3.4:allow,A=\"b\0c\"\n"),
    (0, "1.2\0x-3.4:deny\n"),
    (0, "\u{e9}:deny,\u{e9}=\"\u{fc}\"\n"),
    (100, "1.2.3.4:bogus\n"),
    (100, "1.2.3.4:\n"),
    (100, "1.2.3.4: allow\n"),
    (100, "1.2.3.4:allow\r\n"),
    (100, "1.2.3.4:Deny\n"),
    (100, "1.2.3.4:allowed\n"),
    (100, "1.2.3.4:allow,\n"),
    (100, "1.2.3.4:allow,A\n"),
    (100, "1.2.3.4:allow,A=\n"),
    (100, "1.2.3.4:allow,A=\"b\n"),
    (100, "1.2.3.4:allow,A=\"b\"x\n"),
    (100, "1.2.3.4:allow,A=\"b\",\n"),
    (100, "1.2.3.4:allow A=\"b\"  \n"),
    (100, "1.2.3.4:bogus,A=\":allow\"\n"),
    (100, "1.2.3-4 :allow\n"),
    (100, "a-b.:allow\n"),
    (100, "1-2-3.:allow\n"),
    (100, "1.2\0.3.4:bogus\n"),
    (100, "ok:allow\n1.2.3.4:bogus\nnot reached\n"),
    (100, "::allow\n"),
    (100, "a:b:allow\n"),
];

#[test]
fn the_language_is_that_of_0_88() {
    let Some([original, _]) = originals() else { return };
    let scratch = Scratch::new();
    for (code, text) in TEXTS {
        assert_eq!(assert_same_rules(&original, &scratch, text.as_bytes()), *code, "0.88 on {text:?}");
    }
}

/// The same table without the original: it holds the codes where ucspi-tcp is not installed.
#[test]
fn exit_codes_and_messages() {
    let scratch = Scratch::new();
    for (code, text) in TEXTS {
        let (end, cdb) = compile(TCPRULES, scratch.path(), text.as_bytes());
        assert_eq!((end.code, cdb.is_some()), (Some(*code), *code == 0), "{text:?}: {end:?}");
        assert_eq!(end.stderr.contains("fatal: unable to parse this line: "), *code == 100, "{text:?}: {end:?}");
    }
}

/// Command lines and files that cannot be used: the same words and codes.
#[test]
fn usage_and_system_errors_are_those_of_0_88() {
    let Some(originals) = originals() else { return };
    let scratch = Scratch::new();
    scratch.dir("directory");
    scratch.file("file", "x");
    scratch.file("empty", "");
    let rules: &[&[&str]] = &[
        &[],
        &["a"],
        &["a", "b", "c"],
        &["-x", "--"],
        &["a", "missing/b"],
        &["missing/a", "b"],
        &["a", "directory"],
        &["directory", "b"],
        &["a", "file/b"],
        &["a", ""],
        &["a", "/dev/full"],
        &["a", "/dev/null"],
    ];
    let checks: &[&[&str]] =
        &[&[], &["missing"], &["file"], &["empty"], &["file/x"], &[""], &["/dev/null"], &["a", "x"]];
    let both = [(TCPRULES, &originals[0], rules), (TCPRULESCHECK, &originals[1], checks)];
    for (ours, theirs, table) in both {
        for arguments in table {
            let end = |program: &OsStr| run(command(program, scratch.path()).args(*arguments), b":deny");
            let their_end = end(theirs.as_os_str());
            assert_eq!(end(OsStr::new(ours)), their_end, "{ours} {arguments:?}");
        }
    }
}

#[test]
fn an_unreadable_input_is_an_error_and_not_an_empty_one() {
    let scratch = Scratch::new();
    scratch.file("rules.cdb", "old");
    scratch.file("written", "");
    let shell = |program: &str, redirection: &str| {
        let script = format!("exec {program} rules.cdb rules.tmp {redirection}");
        run(command("/bin/sh", scratch.path()).args(["-c", &script]), b"")
    };
    for redirection in ["<&-", "0>written", "</"] {
        let ours = shell(TCPRULES, redirection);
        assert_eq!(ours.code, Some(111), "{redirection}: {ours:?}");
        assert_eq!(fs::read(scratch.join("rules.cdb")).expect("read it"), b"old", "{redirection}");
        if let Some([original, _]) = originals() {
            assert_eq!(ours, shell(&original.display().to_string(), redirection), "{redirection}");
        }
    }
}

/// xorshift64*: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

const IPS: &[&str] = &["1.2.3.4", "1.2.3.5", "1.2.4.1", "10.0.0.1", "127.0.0.1", "1.2.3", "odd", ".", ""];
const HOSTS: &[&str] = &["a.b.example", "b.example", "example", ".example", "a..b", "", "."];
const INFOS: &[&str] = &["joe", "", "a@b", "="];

/// A rule that is mostly right, of parts that the clients above have too.
fn random_rule(random: &mut Random) -> String {
    let address = match random.below(8) {
        0 => format!("{}@{}", random.one(INFOS), random.one(IPS)),
        1 => format!("{}@={}", random.one(INFOS), random.one(HOSTS)),
        2 => random.one(IPS).to_owned(),
        3 => format!("={}", random.one(HOSTS)),
        4 => random.one(&["1.", "1.2.", "1.2.3.", "10.", "10.0.0.", "127."]).to_owned(),
        5 => format!("={}", random.one(&[".example", ".b.example", "", ".", "..b", ".b"])),
        6 => random.one(&["1.2.3.3-5", "1.1-3.", "0-10.", "1.2.3-4.1", "1.2.3.5-4", "1.2-x.", "254-300."]).to_owned(),
        _ => String::new(),
    };
    let instructions = match random.below(24) {
        0 => random.one(&["allow,A", "denied", "", "allow,A=\"b", " allow"]).to_owned(),
        1..6 => "deny".to_owned(),
        6..12 => "allow".to_owned(),
        12..18 => format!("allow,A=\"{}\"", random.next() % 100),
        _ => format!("deny,B=/{}/,B=x x,C=,,", random.next() % 100),
    };
    let blank = random.one(&["", "", "", " ", "\t "]);
    format!("{address}:{instructions}{blank}")
}

/// A line of the language's own characters, which seldom means anything.
fn random_line(random: &mut Random) -> String {
    let pieces =
        ["1", "2.", "25", "-", ".", "=", "@", ",", "\"", ":", ":allow", ":deny", "a", " ", "\t", "#", "\0", "\r"];
    let count = random.below(9);
    let line: String = (0..count).map(|_| random.one(&pieces)).collect();
    // Two colons in a row may be IPv6, which 0.88 does not know.
    line.replace("::", ":")
}

#[test]
fn random_rules_are_those_of_0_88() {
    let Some([original, original_check]) = originals() else { return };
    let scratch = Scratch::new();
    let mut random = Random(88);
    let (mut good, mut bad, mut denied, mut ruled) = (0, 0, 0, 0);
    for _ in 0..400 {
        let count = random.below(8);
        let mut text: String = (0..count).map(|_| random_rule(&mut random) + "\n").collect();
        if random.below(4) == 0 {
            text += &random_line(&mut random);
        }
        if assert_same_rules(&original, &scratch, text.as_bytes()) != 0 {
            bad += 1;
            continue;
        }
        good += 1;
        for _ in 0..3 {
            let mut maybe = |of| (random.below(3) > 0).then(|| random.one(of));
            let client = [maybe(IPS), maybe(HOSTS), maybe(INFOS)];
            let theirs = check(&original_check, scratch.path(), client);
            assert_eq!(check(TCPRULESCHECK, scratch.path(), client), theirs, "{client:?} by these rules: {text:?}");
            denied += usize::from(theirs.stdout.contains("deny connection"));
            ruled += usize::from(!theirs.stdout.starts_with("default:"));
        }
    }
    // The rules are worth comparing.
    assert!(good > 200 && bad > 50 && denied > 100 && ruled > 300, "{good} {bad} {denied} {ruled}");
}

#[test]
fn random_lines_are_those_of_0_88() {
    let Some([original, _]) = originals() else { return };
    let scratch = Scratch::new();
    let mut random = Random(1996);
    let mut codes = [0, 0];
    for _ in 0..700 {
        let text = random_line(&mut random);
        codes[usize::from(assert_same_rules(&original, &scratch, text.as_bytes()) != 0)] += 1;
    }
    assert!(codes[0] > 100 && codes[1] > 100, "{codes:?}");
}

/// The library's decision for a client, as tcprulescheck prints it.
fn decide(path: &Path, ip: &str, host: Option<&str>, info: Option<&str>) -> Result<String, String> {
    let rules = Rules::open(path).map_err(|error| error.to_string())?;
    let ip: IpAddr = ip.parse().expect("an address");
    let client = Client { ip, host: host.map(str::as_bytes), info: info.map(str::as_bytes) };
    let decision = rules.decide(&client).map_err(|error| error.to_string())?;
    let mut text = match decision.key {
        Some(key) => format!("rule {}:\n", key.escape_ascii()),
        None => "default:\n".to_owned(),
    };
    for (name, value) in decision.environment.iter().filter(|_| decision.allow) {
        text += &format!("set environment variable {}={}\n", name.display(), value.display());
    }
    Ok(text + if decision.allow { "allow connection\n" } else { "deny connection\n" })
}

/// Each step of the search, and that it comes before the next one.
#[test]
fn the_order_of_the_search() {
    let scratch = Scratch::new();
    let steps = [
        "joe@1.2.3.4",
        "joe@=a.b.example",
        "1.2.3.4",
        "=a.b.example",
        "1.2.3.",
        "1.2.",
        "1.",
        "=.b.example",
        "=.example",
        "=",
        "",
    ];
    let client = [Some("1.2.3.4"), Some("a.b.example"), Some("joe")];
    for (index, step) in steps.iter().enumerate() {
        // Written the other way round, so that the order of the file is not what decides.
        let text: String = steps[index..].iter().rev().map(|key| format!("{key}:deny\n")).collect();
        assert_eq!(compile(TCPRULES, scratch.path(), text.as_bytes()).0.code, Some(0));
        let expected = format!("rule {step}:\ndeny connection\n");
        let library = decide(&scratch.join("rules.cdb"), "1.2.3.4", client[1], client[2]);
        assert_eq!(library.as_deref(), Ok(expected.as_str()));
        let end = check(TCPRULESCHECK, scratch.path(), client);
        assert_eq!((end.code, end.stdout.as_str(), end.stderr.as_str()), (Some(0), expected.as_str(), ""));
        if let Some([_, original]) = originals() {
            assert_eq!(check(original, scratch.path(), client), end);
        }
    }
}

#[test]
fn the_environment_is_given_in_order() {
    let scratch = Scratch::new();
    compile(TCPRULES, scratch.path(), b"1.2.3.4:allow,A=\"1\",B=\"x=y\",A=\"2\"\n");
    let rules = Rules::open(scratch.join("rules.cdb")).expect("open the rules");
    let client = Client { ip: "1.2.3.4".parse().expect("an address"), host: None, info: None };
    let decision = rules.decide(&client).expect("decide");
    let pairs = [("A", "1"), ("B", "x=y"), ("A", "2")].map(|(name, value)| (name.into(), value.into()));
    assert_eq!((decision.allow, decision.environment.as_slice()), (true, &pairs[..]));
    let library = decide(&scratch.join("rules.cdb"), "::ffff:1.2.3.4", None, None);
    assert!(library.is_ok_and(|text| text.starts_with("rule 1.2.3.4:")), "an address of IPv4 within IPv6");
}

#[test]
fn the_old_rules_stay_when_the_new_ones_fail() {
    let scratch = Scratch::new();
    let old = compile(TCPRULES, scratch.path(), b"1.2.3.4:deny\n").1.expect("a cdb");
    let path = scratch.join("rules.cdb");
    let held = Rules::open(&path).expect("open it");
    for (tmp, text) in [("rules.tmp", &b":allow\nbad:line\n"[..]), ("/dev/full", b":allow\n"), ("missing/tmp", b"")] {
        let end = run(command(TCPRULES, scratch.path()).args(["rules.cdb", tmp]), text);
        assert_ne!(end.code, Some(0), "{tmp}");
        assert_eq!(fs::read(&path).expect("read it"), old, "{tmp}");
    }
    let new = run(command(TCPRULES, scratch.path()).args(["rules.cdb", "rules.tmp"]), b":allow\n");
    assert_eq!(new.code, Some(0));
    assert!(!scratch.join("rules.tmp").exists());
    assert_eq!(decide(&path, "1.2.3.4", None, None).as_deref(), Ok("rule :\nallow connection\n"));
    // Who had the old file open decides by the old one to the end.
    let client = Client { ip: "1.2.3.4".parse().expect("an address"), host: None, info: None };
    assert!(!held.decide(&client).expect("decide").allow);
}

#[test]
fn only_a_missing_file_is_missing() {
    let scratch = Scratch::new();
    scratch.fifo("fifo");
    scratch.file("short", "x");
    scratch.symlink("loop", "loop");
    assert!(Rules::open_if_there(scratch.join("missing")).is_ok_and(|rules| rules.is_none()));
    let missing = Rules::open(scratch.join("missing")).expect_err("it is not there").to_string();
    assert!(missing.ends_with("missing: file does not exist"), "{missing}");
    for name in ["fifo", "short", "loop", "short/x", "."] {
        assert!(Rules::open_if_there(scratch.join(name)).is_err(), "{name}");
    }
}

const SMALL: &[u8] = b"1.2.3.4:allow,A=\"b\"\n1.2.:deny\n=.example:deny\n2001:db8::/32:deny\n:allow\n";

#[test]
fn every_truncation_is_an_error() {
    let scratch = Scratch::new();
    let whole = compile(TCPRULES, scratch.path(), SMALL).1.expect("a cdb");
    let path = scratch.join("rules.cdb");
    assert!(decide(&path, "1.2.3.4", None, None).is_ok());
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).expect("write it");
        let error = decide(&path, "1.2.3.4", None, None).expect_err("it is cut");
        assert!(error.contains("make it anew"), "{error}");
    }
    let end = check(TCPRULESCHECK, scratch.path(), [None; 3]);
    let message = "tcprulescheck: fatal: unable to read rules.cdb: protocol error\n";
    assert_eq!((end.code, end.stdout.as_str(), end.stderr.as_str()), (Some(111), "", message));
}

/// A record that claims four gigabytes, read by a process that may have far less.
#[test]
fn a_damaged_length_costs_no_memory() {
    let scratch = Scratch::new();
    let mut cdb = compile(TCPRULES, scratch.path(), b":allow\n").1.expect("a cdb");
    cdb[2048 + 4..2048 + 8].fill(0xff);
    scratch.file("rules.cdb", cdb);
    let script = format!("ulimit -v 1000000 && exec {TCPRULESCHECK} rules.cdb");
    let end = run(command("/bin/sh", scratch.path()).args(["-c", &script]), b"");
    let message = "tcprulescheck: fatal: unable to read rules.cdb: protocol error\n";
    assert_eq!((end.code, end.stderr.as_str()), (Some(111), message));
}

/// An error or a decision, and an end to it.
#[test]
fn damaged_bytes_do_no_harm() {
    let scratch = Scratch::new();
    let whole = compile(TCPRULES, scratch.path(), SMALL).1.expect("a cdb");
    let path = scratch.join("rules.cdb");
    let file = File::options().write(true).open(&path).expect("open it");
    let mut random = Random(4);
    let (mut errors, mut decisions) = (0, 0);
    for round in 0..4000 {
        let mut damaged = whole.clone();
        for _ in 0..=random.below(4) {
            // Most of the file is the header; what lies behind it is damaged as often.
            let from = if round % 2 == 0 { 2048 } else { 0 };
            let at = from + random.below(damaged.len() - from);
            damaged[at] = [0, 0xff, 0x80, random.next() as u8][random.below(4)];
        }
        std::os::unix::fs::FileExt::write_all_at(&file, &damaged, 0).expect("write it");
        for (ip, host) in [("1.2.3.4", None), ("1.2.9.9", Some("a.example")), ("2001:db8::7", None)] {
            match decide(&path, ip, host, Some("joe")) {
                Ok(_) => decisions += 1,
                Err(_) => errors += 1,
            }
        }
    }
    assert!(errors > 1000 && decisions > 1000, "{errors} {decisions}");
}

#[test]
fn ipv6_and_networks() {
    let scratch = Scratch::new();
    let text = b"2001:db8::/32:deny\n2001:db8:1::allow,A=\"prefix\"\n2001:db8:1::5:deny\n[2001:db8:1::]:deny\n\
        fe80::/10:deny\njoe@2001:db8::1:allow,A=\"joe\"\n=h.example:allow\n192.0.2.64/27:deny\n198.51.100.0/22:deny\n\
        198.51.100.0/23:allow\n";
    let (end, _) = compile(TCPRULES, scratch.path(), text);
    assert_eq!(end, End { code: Some(0), stdout: String::new(), stderr: String::new() });
    let path = scratch.join("rules.cdb");
    let expect = |ip, host, info, rule: &str| {
        let text = decide(&path, ip, host, info).unwrap_or_else(|error| panic!("{ip}: {error}"));
        let first = text.lines().next().unwrap_or_default();
        assert_eq!(first, rule, "{ip}");
        let end = check(TCPRULESCHECK, scratch.path(), [Some(ip), host, info]);
        assert_eq!(end.stdout, text, "{ip}");
    };
    expect("2001:db8::1", None, None, "rule 2001:db8::/32:");
    expect("2001:db8::1", None, Some("joe"), "rule joe@2001:db8::1:");
    expect("2001:DB8:1:0:7::", None, None, "rule 2001:db8:1::/48:");
    expect("2001:db8:1::5", None, None, "rule 2001:db8:1::5:");
    expect("2001:db8:1::", None, None, "rule 2001:db8:1::/128:");
    expect("2001:db9::1", None, None, "default:");
    expect("2001:db8::1", Some("h.example"), None, "rule =h.example:");
    expect("febf::1", None, None, "rule fe80::/10:");
    expect("192.0.2.95", None, None, "rule 192.0.2.95:");
    expect("192.0.2.96", None, None, "default:");
    expect("198.51.101.9", None, None, "rule 198.51.101.:");
    assert_eq!(decide(&path, "198.51.101.9", None, None).as_deref(), Ok("rule 198.51.101.:\nallow connection\n"));
    assert_eq!(decide(&path, "198.51.102.9", None, None).as_deref(), Ok("rule 198.51.102.:\ndeny connection\n"));
    // The old tool reads the same file, and follows its rules for IPv4.
    if let Some([_, original]) = originals() {
        for ip in ["192.0.2.95", "192.0.2.96", "198.51.101.9", "198.51.102.9"] {
            let client = [Some(ip), None, None];
            assert_eq!(check(TCPRULESCHECK, scratch.path(), client), check(&original, scratch.path(), client), "{ip}");
        }
    }
}

/// Of all networks that an address lies in the smallest counts, and of two rules for it the first: as simple a model as
/// there is, against thousands of addresses.
#[test]
fn the_smallest_network_counts() {
    let scratch = Scratch::new();
    let mut random = Random(128);
    let mut ruled = 0;
    for round in 0..120 {
        let ipv6 = round % 2 == 0;
        let bits = if ipv6 { 128 } else { 32 };
        // Few bits are ever set, so that networks lie within each other.
        let mut address = || (0..random.below(4)).fold(0u128, |sum, _| sum | 1 << random.below(bits as usize));
        let written = |value: u128| -> IpAddr {
            if ipv6 { Ipv6Addr::from_bits(value).into() } else { Ipv4Addr::from_bits(value as u32).into() }
        };
        let addresses: Vec<u128> = (0..40).map(|_| address()).collect();
        let networks: Vec<(u128, u32)> =
            addresses[..12].iter().map(|&ip| (ip, random.below(bits as usize + 1) as u32)).collect();
        let mut text = String::new();
        for (index, &(ip, length)) in networks.iter().enumerate() {
            text += &format!("{}/{length}:allow,N=/{index}/\n", written(ip));
        }
        let (end, _) = compile(TCPRULES, scratch.path(), text.as_bytes());
        assert_eq!(end.code, Some(0), "{end:?} {text}");
        for &client in &addresses {
            let within = |&(_, &(ip, length)): &(usize, &(u128, u32))| {
                (client ^ ip).checked_shr(bits - length).unwrap_or(0) == 0
            };
            let smallest = networks.iter().enumerate().filter(within).rev().max_by_key(|(_, (_, length))| *length);
            let answer = decide(&scratch.join("rules.cdb"), &written(client).to_string(), None, None).expect("decide");
            let variable = smallest.map(|(index, _)| format!("set environment variable N={index}\n"));
            assert_eq!(answer.contains("set "), variable.is_some(), "{} {answer} {text}", written(client));
            assert!(answer.contains(&variable.unwrap_or_default()), "{} {answer} {text}", written(client));
            ruled += usize::from(answer.contains("set "));
        }
    }
    assert!(ruled > 1000, "{ruled}");
}

#[test]
fn what_0_88_ignores_is_told() {
    let scratch = Scratch::new();
    let (end, cdb) = compile(TCPRULES, scratch.path(), b"# rules\n1.2.3.4:deny\n10.0.0.1 deny\n\n:allow\n");
    assert_eq!(end.stderr, "tcprules: warning: line 3 has no colon and is ignored: 10.0.0.1 deny\n");
    assert_eq!((end.code, cdb.is_some()), (Some(0), true));
}

#[test]
fn explain_tells_every_key() {
    let scratch = Scratch::new();
    compile(TCPRULES, scratch.path(), SMALL);
    let explain = |ip: &str, arguments: &[&str]| {
        run(command(TCPRULESCHECK, scratch.path()).env("TCPREMOTEIP", ip).args(arguments), b"")
    };
    let end = explain("1.2.9.9", &["--explain", "rules.cdb"]);
    let expected = "try 1.2.9.9: no rule\ntry 1.2.9.: no rule\ntry 1.2.: found\nrule 1.2.:\ndeny connection\n";
    assert_eq!((end.code, end.stdout.as_str()), (Some(0), expected));
    let end = explain("2001:db8::9", &["--explain", "rules.cdb"]);
    let expected = "try 2001:db8::9: no rule\ntry 2001:db8::/32: found\nrule 2001:db8::/32:\ndeny connection\n";
    assert_eq!((end.code, end.stdout.as_str()), (Some(0), expected));
    assert_eq!(explain("1.2.9.9", &["--explain"]).code, Some(100));
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let scratch = Scratch::new();
    compile(TCPRULES, scratch.path(), SMALL);
    let full = File::options().write(true).open("/dev/full").expect("open /dev/full");
    let mut command = Command::new(TCPRULESCHECK);
    let status = command.arg(scratch.join("rules.cdb")).stdout(full).stderr(Stdio::null()).status().expect("run it");
    assert_eq!(status.code(), Some(111));
}

/// Bytes that are no text go through the programs as they are.
#[test]
fn any_bytes_may_stand_in_a_value() {
    let scratch = Scratch::new();
    let (end, cdb) = compile(TCPRULES, scratch.path(), b"1.2.3.4:allow,A=\"\xff\xfe\"\n");
    assert_eq!(end.code, Some(0));
    assert!(cdb.is_some_and(|cdb| cdb.windows(5).any(|part| part == b"A=\xff\xfe\0")));
    let rules = Rules::open(scratch.join("rules.cdb")).expect("open the rules");
    let client = Client { ip: "1.2.3.4".parse().expect("an address"), host: Some(b"\xff."), info: Some(b"\0@=") };
    let decision = rules.decide(&client).expect("decide");
    assert_eq!(decision.environment[0].1.as_bytes(), b"\xff\xfe");
}
