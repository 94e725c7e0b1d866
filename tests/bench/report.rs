//! The files of a report.

use std::fs;

use super::common::{Scratch, peer, run};
use super::{bench, measure};

const TINY: [&str; 6] = ["spawn", "--quick", "--rounds", "1", "--children", "2"];

/// Whether every element of an XML text is closed in order. The page's void elements are known.
fn well_formed(text: &str) -> Result<(), String> {
    const VOID: [&str; 2] = ["meta", "!doctype"];
    let mut open: Vec<&str> = Vec::new();
    for piece in text.split('<').skip(1) {
        let tag = piece.split('>').next().unwrap_or_default();
        if !piece.contains('>') {
            return Err(format!("no end of <{tag}"));
        }
        let name = tag.split([' ', '\n', '/']).find(|word| !word.is_empty()).unwrap_or_default();
        match tag {
            _ if VOID.contains(&name) || tag.ends_with('/') => {}
            _ if tag.starts_with('/') => {
                let closed = open.pop();
                if closed != Some(name) {
                    return Err(format!("{closed:?} is closed by {name}"));
                }
            }
            _ => open.push(name),
        }
    }
    if open.is_empty() { Ok(()) } else { Err(format!("{open:?} is not closed")) }
}

#[test]
fn files_are_there_and_whole() {
    let out = Scratch::new();
    let directory = out.join("made/on/the/way");
    measure(&TINY, &directory);
    let mut names: Vec<String> = fs::read_dir(&directory)
        .expect("read the report's directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let graphs = ["executed", "first", "forking", "heap", "reap"].map(|graph| format!("spawn-{graph}.svg"));
    let expected: Vec<String> = ["report.html", "samples.csv"]
        .map(String::from)
        .into_iter()
        .chain(graphs)
        .chain(["summary.csv".into()])
        .collect();
    assert_eq!(names, expected);
    for name in names.iter().filter(|name| !name.ends_with(".csv")) {
        let text = fs::read_to_string(directory.join(name)).expect("read it");
        assert_eq!(well_formed(&text), Ok(()), "{name}");
        assert!(!text.contains("NaN") && !text.contains("inf"), "{name} has places that are no numbers");
        // Self-contained: nothing is fetched. (The namespace's name is no address that anybody opens.)
        let text = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("http://") && !text.contains("https://"), "{name} asks for something elsewhere");
    }
    assert!(well_formed("<a><b></a>").is_err() && well_formed("<a>").is_err(), "the check is able to fail");
    let samples = fs::read_to_string(directory.join("samples.csv")).expect("read samples.csv");
    for part in
        ["# Command: ", "# Kernel: Linux", "\nexperiment,graph,method,x,round,value,count\nspawn,first,fork,1,0,"]
    {
        assert!(samples.contains(part), "no {part:?} in\n{}", &samples[..samples.len().min(2000)]);
    }
}

#[test]
fn two_runs_beside_each_other() {
    let out = Scratch::new();
    let said = measure(&TINY, out.path());
    assert!(!said.contains("(×"), "{said}");
    let old = out.join("samples.csv").display().to_string();
    // Into the same directory: the old samples are read before the new ones are written.
    let said = measure(&[&TINY[..], &["--compare", &old]].concat(), out.path());
    for part in ["(×", "ratio\n", "Beside the earlier run, medians are between"] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
    let page = fs::read_to_string(out.join("report.html")).expect("read the page");
    assert!(page.contains("<h2>The earlier run</h2>") && page.contains("line c0 old"), "the page shows both");
    // A run of everything measured nothing for memory, so there is nothing to say about it.
    let said =
        measure(&["memory", "--quick", "--rounds", "1", "--children", "2", "--compare", &old], &out.join("other"));
    assert!(!said.contains("(×") && !said.contains("Beside"), "{said}");
}

/// On a terminal there is a bar; that it is gone in the end is all that a test sees of its looks.
#[test]
fn progress_is_shown_on_a_terminal() {
    let Some(script) = peer("script") else { return };
    let out = Scratch::new();
    let line = format!("{:?}", bench(&TINY, out.path())).replace('"', "'");
    // Whoever starts the tests may have no terminal, and none named: then nothing is drawn.
    let output = run(std::process::Command::new(script).args(["-qec", &line, "/dev/null"]).env("TERM", "xterm"));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains(" % ") && said.contains("spawn    "), "{said}");
}
