//! Promise: what tcpserver takes, what its `--help` says and what its manual says are the same.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use common::{built, peer};

/// An option: whether it takes a value, and what is said of it.
#[derive(Debug, PartialEq, Eq)]
struct Described {
    value: bool,
    text: String,
}

/// Options by what is typed: `-c`, `--listen`.
type Options = BTreeMap<String, Described>;

fn manual() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../man/tcpserver.1")
}

/// What `--help` prints, a line each: names, value in capitals, meaning, and the default in parentheses.
fn helped() -> Options {
    let output = Command::new(built("tcpserver")).arg("--help").output().expect("run tcpserver");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    let text = String::from_utf8(output.stdout).expect("text");
    let line = |line: &str| {
        let mut words = line.strip_prefix("  ")?.split(' ');
        let name = words.next().filter(|name| name.starts_with('-'))?.to_string();
        let value = words.next().is_some_and(|word| !word.is_empty());
        Some((name, Described { value, text: line.to_string() }))
    };
    text.lines().filter_map(line).collect()
}

/// The items of the manual: `.It Fl c Ar n`, `.It Fl -listen Ar place`, with what stands below them.
fn described() -> Options {
    let text = fs::read_to_string(manual()).expect("read the manual");
    let (_, description) = text.split_once(".Sh DESCRIPTION\n").expect("a description");
    let (description, _) = description.split_once("\n.Sh ").expect("what follows");
    let item = |item: &str| {
        let (head, text) = item.split_once('\n')?;
        let mut words = head.split(' ');
        let name = format!("-{}", words.next()?);
        Some((name, Described { value: words.next().is_some(), text: text.to_string() }))
    };
    description.split("\n.It Fl ").skip(1).filter_map(item).collect()
}

#[test]
fn help_and_manual_have_the_same_options() {
    let (helped, described) = (helped(), described());
    let names = |options: &Options| options.iter().map(|(name, o)| (name.clone(), o.value)).collect::<Vec<_>>();
    assert_eq!(names(&helped), names(&described), "--help, and the manual: whether each takes a value");
    assert!(helped.len() > 40, "{helped:?}");
}

/// A default that is a number, as `(40)` in the help, is in the manual too.
#[test]
fn defaults_are_those_of_the_manual() {
    let (helped, described) = (helped(), described());
    let mut found = 0;
    for (name, option) in &helped {
        let default =
            option.text.strip_suffix(')').and_then(|text| text.rsplit_once('(')).map_or("", |(_, default)| default);
        for number in default.split([',', ' ']).filter(|word| word.parse::<u32>().is_ok()) {
            let words = described[name].text.split(|c: char| !c.is_ascii_digit());
            assert!(words.clone().any(|word| word == number), "{name}: {number} is not in the manual");
            found += 1;
        }
    }
    assert!(found >= 10, "{found} defaults are numbers");
}

/// The letters of the synopsis are those that stand below.
#[test]
fn the_synopsis_has_all_letters() {
    let text = fs::read_to_string(manual()).expect("read the manual");
    let (synopsis, _) = text.split_once(".Sh DESCRIPTION").expect("a description");
    let (cluster, _) = synopsis.split_once(".Op Fl ").expect("a cluster").1.split_once('\n').expect("a line");
    for (name, option) in helped() {
        let Some(letter) = name.strip_prefix('-').filter(|letter| letter.len() == 1) else { continue };
        let there = match option.value {
            true => synopsis.contains(&format!("\n.Op Fl {letter} Ar ")),
            false => cluster.contains(letter),
        };
        assert!(there, "{name} is not in the synopsis");
    }
}

/// Each option is taken: a value that is none is what is wrong with it, and not the option.
#[test]
fn each_option_is_known() {
    for (name, option) in helped() {
        if name == "--help" {
            continue;
        }
        let mut command = Command::new(built("tcpserver"));
        command.arg(&name).args(option.value.then_some("\u{1}")).args(["127.0.0.1", "no-such-service", "true"]);
        let output = command.output().expect("run tcpserver");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!([Some(100), Some(111)].contains(&output.status.code()), "{name}: {} {said}", output.status);
        assert!(!said.contains("illegal option") && !said.contains("requires an argument"), "{name}: {said}");
    }
}

#[test]
fn mandoc_finds_nothing_wrong() {
    let Some(mandoc) = peer("mandoc") else { return };
    let output = Command::new(mandoc).args(["-T", "lint", "-W", "warning"]).arg(manual()).output().expect("run mandoc");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}
