//! Promise: what the programs take, what their `--help` says, what their manuals say and what a shell completes are the
//! same; and no manual names a page of ours that is not there.

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use common::{Client, Mode, Scratch, built, launch, peer, run, tine};

/// The commands that have a manual of their own.
const COMMANDS: [&str; 3] = ["serve", "status", "bench"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a manual page.
fn page(name: &str) -> String {
    fs::read_to_string(root().join("man").join(name)).unwrap_or_else(|e| panic!("read man/{name}: {e}"))
}

/// All pages: `tcpserver.1` and so on.
fn pages() -> Vec<String> {
    let entries = fs::read_dir(root().join("man")).expect("list man/");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
    names.sort_unstable();
    assert!(names.len() > 20, "{names:?}");
    names
}

/// Options by name: what stands for the value, and what is said of it.
type Options = BTreeMap<String, (String, String)>;

fn help(mut command: Command) -> String {
    let output = run(command.arg("--help"));
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    String::from_utf8(output.stdout).expect("text")
}

/// What `tine COMMAND --help` prints: `      --name <VALUE>  meaning [default: x]`, its lines joined.
fn helped(command: &str) -> Options {
    let mut tine = Command::new(tine());
    tine.arg(command);
    let (mut options, mut last) = (Options::new(), String::new());
    for line in help(tine).lines() {
        let words = line.trim_start();
        let words = words.strip_prefix("-h, ").unwrap_or(words);
        if let Some(rest) = words.strip_prefix("--") {
            let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let value = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
            let (value, text) = value.unwrap_or(("", rest));
            last = name.to_string();
            options.insert(last.clone(), (value.to_string(), text.trim_start().to_string()));
        } else if line.starts_with("  ")
            && let Some((_, text)) = options.get_mut(&last)
        {
            *text += " ";
            *text += words;
        }
    }
    assert!(options.remove("help").is_some());
    options
}

/// The items of a manual, `.It Fl -name Ar VALUE`, with what stands below.
fn described(page: &str) -> Options {
    let item = |item: &str| {
        let (head, text) = item.split_once('\n')?;
        let (name, value) = head.split_once(" Ar ").unwrap_or((head, ""));
        let text = text.split("\n.El\n").next()?;
        Some((name.to_string(), (value.to_string(), text.to_string())))
    };
    page.split("\n.It Fl -").skip(1).filter_map(item).filter(|(name, _)| name != "help").collect()
}

/// The long options that a page speaks of.
fn mentioned(page: &str) -> BTreeSet<String> {
    let is_flagged = |line: &&str| line.starts_with(".Fl ") || (line.starts_with('.') && line.contains(" Fl "));
    let name = |word: &str| {
        let name = word.strip_prefix('-')?;
        // `--option` stands for any.
        let plain =
            name.len() > 1 && name != "option" && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        plain.then(|| name.to_string())
    };
    page.lines().filter(is_flagged).flat_map(|line| line.split(' ').filter_map(name).collect::<Vec<_>>()).collect()
}

#[test]
fn help_and_manual_have_the_same_options() {
    for (command, least) in COMMANDS.into_iter().zip([50, 2, 8]) {
        let (helped, described) = (helped(command), described(&page(&format!("tine-{command}.1"))));
        let names = |options: &Options| options.iter().map(|(n, (v, _))| format!("{n} {v}")).collect::<BTreeSet<_>>();
        assert_eq!(names(&helped), names(&described), "tine {command} --help, and its manual: name and value");
        assert!(helped.len() >= least, "{helped:?}");
    }
}

/// What stands behind `default:` in the help is in the manual, word for word.
#[test]
fn defaults_are_those_of_the_manual() {
    let mut found = 0;
    for command in COMMANDS {
        let described = described(&page(&format!("tine-{command}.1")));
        for (name, (_, text)) in helped(command) {
            let Some((_, default)) = text.split_once("[default: ") else { continue };
            let default = default.split_once(']').expect("its end").0;
            let Some((_, said)) = described.get(&name) else { continue };
            // `10000; quick: 1000` and `nobody` alike: each number, or all of it.
            let numbers: Vec<&str> = default.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty()).collect();
            let wanted = if numbers.is_empty() { vec![default] } else { numbers };
            for word in wanted {
                assert!(said.contains(word), "--{name} of tine {command}: the default {word} is not in the manual");
                found += 1;
            }
        }
    }
    assert!(found >= 20, "{found} defaults");
}

/// No page speaks of an option that is gone.
#[test]
fn options_that_are_spoken_of_exist() {
    let tcpserver = help(Command::new(built("tcpserver")));
    let tine_http = help(Command::new(built("tine-http")));
    let words = [&tcpserver, &tine_http].into_iter().flat_map(|text| text.split_whitespace());
    let mut all: BTreeSet<String> = words.filter_map(|word| word.strip_prefix("--")).map(String::from).collect();
    all.extend(["help".into(), "version".into()]);
    for command in COMMANDS {
        // What is looked at is asked for by options of another command.
        let other = if command == "status" { helped("serve") } else { Options::new() };
        let more = ["help", "version"].map(String::from).into_iter().chain(other.into_keys());
        let own: BTreeSet<String> = helped(command).into_keys().chain(more).collect();
        let spoken = mentioned(&page(&format!("tine-{command}.1")));
        assert!(!spoken.is_empty(), "tine-{command}.1 speaks of options");
        assert!(spoken.is_subset(&own), "tine-{command}.1: {:?}", spoken.difference(&own));
        all.extend(own);
    }
    for name in ["tine.1", "tine-log.5", "tine-security.7", "tine-http.8"] {
        let spoken = mentioned(&page(name));
        assert!(spoken.is_subset(&all), "{name}: {:?}", spoken.difference(&all));
    }
}

/// Each metric and each key of the JSON is explained, and none that is not there.
#[test]
fn what_is_told_of_a_service_is_explained() {
    let manual = page("tine-status.1");
    let site = Scratch::new();
    let server = launch::serve(Mode::Prefork, 2, &["--metrics", "127.0.0.1:0"], site.path());
    let log = server.log();
    let url = log.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("where the page is");
    let metrics = Client::connect(url.parse().expect("an address")).request("GET", "/metrics", "").expect(200).text();
    let kinds = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let told: BTreeSet<&str> = kinds.filter_map(|kind| kind.split(' ').next()).collect();
    let words = |text: &str| text.split([' ', '\n']).map(String::from).collect::<BTreeSet<_>>();
    let explained = words(&manual);
    let explained: BTreeSet<&str> =
        explained.iter().map(String::as_str).filter(|word| word.starts_with("tine_")).collect();
    assert_eq!(told, explained, "the page, and the manual");
    let output = run(Command::new(tine()).args(["status", "--json", &server.pid().to_string()]));
    let json = String::from_utf8(output.stdout).expect("text");
    let keys: BTreeSet<&str> = json
        .split('"')
        .zip(json.split('"').skip(1))
        .filter_map(|(before, key)| before.ends_with(['{', ',']).then_some(key))
        .collect();
    assert!(keys.len() > 20, "{json}");
    for key in keys {
        assert!(words(&manual).contains(key), "{key} is not in the manual");
    }
}

/// The pages that a text refers to as ours: `tine-serve.1`.
fn assert_is_there(from: &str, name: &str, section: &str, pages: &[String]) {
    let is_ours = name.starts_with("tine") || pages.iter().any(|page| page.rsplit_once('.').unwrap().0 == name);
    let found = pages.contains(&format!("{name}.{section}"));
    assert!(!is_ours || found, "{from} refers to {name}({section})");
}

#[test]
fn pages_that_are_referred_to_exist() {
    let pages = pages();
    let mut found = 0;
    for from in &pages {
        for line in page(from).lines().filter(|line| line.starts_with('.')) {
            let words: Vec<&str> = line.trim_start_matches('.').split(' ').collect();
            for reference in words.windows(3).filter(|words| words[0] == "Xr") {
                assert_is_there(from, reference[1], reference[2], &pages);
                found += 1;
            }
        }
    }
    assert!(found > 50, "{found} references");
    let units = fs::read_dir(root().join("etc/systemd")).expect("list the units");
    let units: Vec<PathBuf> = units.map(|entry| entry.expect("an entry").path()).collect();
    for unit in units {
        let text = fs::read_to_string(&unit).expect("read a unit");
        for word in
            text.split_whitespace().flat_map(|word| word.split('=')).filter_map(|word| word.strip_prefix("man:"))
        {
            let (name, section) = word.trim_end_matches(')').split_once('(').expect("name(section)");
            assert_is_there(&unit.display().to_string(), name, section, &pages);
        }
    }
}

#[test]
fn each_page_is_in_a_package() {
    let list = |name: &str| fs::read_to_string(root().join("debian").join(name)).expect("read a list of pages");
    let packaged = [list("tine.manpages"), list("tine-ucspi-tcp.manpages")].concat();
    let packaged: BTreeSet<&str> = packaged.lines().collect();
    for name in pages() {
        assert!(packaged.contains(format!("man/{name}").as_str()), "{name} is in no package (debian/*.manpages)");
    }
}

#[test]
fn mandoc_finds_nothing_wrong() {
    let Some(mandoc) = peer("mandoc") else { return };
    for name in pages() {
        let output =
            run(Command::new(&mandoc).args(["-T", "lint", "-W", "warning"]).arg(root().join("man").join(&name)));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{name}");
        assert!(output.status.success(), "{name}: {}", output.status);
    }
}

fn completions(shell: &str) -> String {
    let output = run(Command::new(tine()).args(["completions", shell]));
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{shell}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn shells_complete_every_option() {
    for shell in ["bash", "zsh", "fish"] {
        let script = completions(shell);
        for name in COMMANDS.into_iter().flat_map(|command| helped(command).into_keys()) {
            // fish has it as `-l name`.
            let written = if shell == "fish" { format!("-l {name}") } else { format!("--{name}") };
            assert!(script.contains(&written), "{shell}: {name}");
        }
    }
}

/// bash takes the script, and knows options, commands and values by it.
#[test]
fn bash_completes() {
    let scratch = Scratch::new();
    scratch.file("tine.bash", completions("bash"));
    let script = scratch.join("tine.bash");
    let output = run(Command::new("bash").arg("-n").arg(&script));
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let complete = |words: &[&str]| {
        let ask = "source \"$0\"; COMP_WORDS=(tine \"$@\"); COMP_CWORD=$#; _tine tine \"${@: -1}\" \"${COMP_WORDS[$# - 1]}\"; \
                   echo \"${COMPREPLY[@]}\"";
        let output = run(Command::new("bash").args(["--norc", "-c", ask]).arg(&script).args(words));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8(output.stdout).expect("text").trim_end().to_string()
    };
    assert_eq!(complete(&["serve", "--listen"]), "--listen");
    assert_eq!(complete(&["st"]), "status");
    assert_eq!(complete(&["serve", "--mode", ""]), "prefork fork vfork");
    assert_eq!(complete(&["serve", "--no-such"]), "");
    let output = run(Command::new(tine()).arg("completions"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(100), "{said}");
    assert!(said.contains("<SHELL>") && said.lines().count() == 1, "{said}");
}
