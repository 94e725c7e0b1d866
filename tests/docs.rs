//! The documents keep to what there is: each long option that they name exists, and each file.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{built, run, tine};

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(root.join("docs")).expect("read docs").map(|entry| entry.expect("an entry").path());
    entries.chain([root.join("README.md")]).collect()
}

/// The long options in a text.
fn options(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = |rest: &str| rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    let found = text.match_indices("--").filter(|(at, _)| !text[..*at].ends_with(is_part)).map(|(at, _)| &text[at..]);
    found.map(|rest| rest[..ends(rest)].trim_end_matches('-').to_owned()).filter(|option| option.len() > 3).collect()
}

fn help(program: &Path, arguments: &[&str]) -> String {
    let output = run(Command::new(program).args(arguments));
    String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8")
}

#[test]
fn the_options_that_documents_name_exist() {
    let mut known = BTreeSet::new();
    for words in [&["serve", "--help"][..], &["bench", "--help"], &["status", "--help"], &["--help"]] {
        known.extend(options(&help(&tine(), words)));
    }
    for program in ["tcpserver", "ucspi-tcp", "tine-http"] {
        known.extend(options(&help(&built(program), &["--help"])));
    }
    assert!(known.len() > 60, "{known:?}");
    // The benchmarks are not built for a test: what they take stands in their sources.
    for name in ["peers/main.rs", "scale/main.rs", "laboratory.rs", "reaction.rs"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches").join(name);
        known.extend(options(&fs::read_to_string(source).expect("read a benchmark")));
    }
    // Of cargo, and of systemctl.
    known.extend(["--release", "--workspace", "--bench", "--path", "--locked", "--now"].map(String::from));
    for page in pages() {
        let text = fs::read_to_string(&page).expect("read a page");
        let named = options(&text);
        let unknown: Vec<&String> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{} names {unknown:?}", page.display());
    }
}

#[test]
fn the_files_that_documents_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).expect("read a page");
        let place = page.parent().expect("a directory");
        // Links, and paths in code.
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let links =
            links.filter(|link| !link.contains("://")).map(|link| link.split('#').next().expect("a first part"));
        for link in links.filter(|link| !link.is_empty()) {
            assert!(place.join(link).exists(), "{}: there is no {link}", page.display());
            seen += 1;
        }
        let folders = ["etc/", "man/", "docs/", "tests/", "benches/", "tcpserver/", "handlers/"];
        let code = text.split('`').skip(1).step_by(2).flat_map(str::split_whitespace);
        for path in code.filter(|word| folders.iter().any(|folder| word.starts_with(folder))) {
            assert!(root.join(path).exists(), "{}: there is no {path}", page.display());
            seen += 1;
        }
    }
    assert!(seen > 10);
}
