//! Promise: the shape of the project. Handlers are free of libc and of allocation, unsafe lives in named files, and the
//! binaries are static and small. Checked on the sources, the dependency tree and the ELF files themselves.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use common::{handler, tine};

const HANDLERS: [&str; 7] =
    ["tine-http", "tine-http-full", "tine-echo", "tine-discard", "tine-daytime", "tine-time", "tine-chargen"];

/// Where `unsafe` may stand; ARCHITECTURE.md says why.
const UNSAFE: [&str; 5] = [
    "examples/hostile/raw.rs",
    "handlers/src/bin/start/",
    "handlers/src/io.rs",
    "src/bench/sys/",
    "tcpserver/src/sys/",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().expect("run cargo");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A workspace unifies features: one crate anywhere that switches on rustix's `std` breaks the freestanding executables.
#[test]
fn rustix_is_built_without_std() {
    let tree = cargo(&["tree", "--offline", "--workspace", "--edges", "features", "--prefix", "none"]);
    let features: Vec<&str> = tree.lines().filter(|line| line.starts_with("rustix feature")).collect();
    assert!(features.iter().any(|line| line.contains("\"fs\"")), "the tree shows features at all:\n{tree}");
    for unwanted in ["\"std\"", "\"default\"", "\"alloc\"", "\"use-libc\""] {
        assert!(!features.iter().any(|line| line.contains(unwanted)), "rustix has {unwanted}:\n{features:?}");
    }
}

/// What the handlers are made of, by name: no libc, nothing that allocates, and nothing unlooked-for.
#[test]
fn handlers_depend_on_little() {
    let tree = cargo(&["tree", "--offline", "-p", "handlers", "--edges", "normal", "--prefix", "none"]);
    let mut names: Vec<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    names.sort_unstable();
    names.dedup();
    let known = [
        "bitflags",
        "connection",
        "handlers",
        "httpdate",
        "httparse",
        "itoa",
        "keeper",
        "linux-raw-sys",
        "percent-encoding",
        "rustix",
    ];
    let strange: Vec<&&str> = names.iter().filter(|name| !known.contains(name)).collect();
    assert!(names.contains(&"rustix") && strange.is_empty(), "{strange:?} in\n{tree}");
}

/// The crates that a freestanding executable is made of say so in their first lines.
#[test]
fn handlers_are_no_std_without_alloc() {
    for path in ["handlers/src/lib.rs", "connection/src/lib.rs", "keeper/src/lib.rs"] {
        let source = fs::read_to_string(root().join(path)).expect("read it");
        assert!(source.lines().any(|line| line == "#![no_std]"), "{path}");
    }
    for path in ["handlers/src", "connection/src", "keeper/src"].iter().flat_map(|part| sources(&root().join(part))) {
        let source = fs::read_to_string(&path).expect("read it");
        let product = source.split("#[cfg(test)]").next().unwrap_or_default();
        assert!(!product.contains("extern crate alloc"), "{}", path.display());
    }
}

/// The supervisor names no protocol, and handlers name no supervisor.
#[test]
fn arrows_run_one_way() {
    let manifest = |path: &str| fs::read_to_string(root().join(path)).expect("read a manifest");
    let depends = |path: &str, on: &str| manifest(path).lines().any(|line| line.starts_with(on));
    assert!(depends("tcpserver/Cargo.toml", "connection = ") && depends("handlers/Cargo.toml", "connection = "));
    assert!(!depends("tcpserver/Cargo.toml", "handlers"));
    assert!(!depends("handlers/Cargo.toml", "tcpserver"));
    assert!(!depends("keeper/Cargo.toml", "tcpserver") && !depends("keeper/Cargo.toml", "handlers"));
    // The handlers' executables run programs; the library says which, and names no process.
    for path in sources(&root().join("handlers/src")) {
        let executable = path.starts_with(root().join("handlers/src/bin"));
        let source = fs::read_to_string(&path).expect("read it");
        assert!(executable || !source.contains("keeper::"), "{} names a process", path.display());
    }
    // The small programs beside the supervisor are clients, some of them of one protocol: that is what they are for.
    let tools = root().join("tcpserver/src/tools");
    for path in sources(&root().join("tcpserver/src")).into_iter().filter(|path| !path.starts_with(&tools)) {
        let source = fs::read_to_string(&path).expect("read it");
        let code = |line: &&str| !line.trim_start().starts_with("//");
        let named = source.lines().filter(code).find(|line| line.contains("handlers::") || line.contains("HTTP/1"));
        assert_eq!(named, None, "{} names a protocol", path.display());
    }
}

/// The laboratory measures our servers as it does others': as processes.
#[test]
fn the_laboratory_imports_nothing_that_it_measures() {
    let files = sources(&root().join("src/bench"));
    assert!(files.len() > 20, "the check is able to fail");
    for path in files {
        let source = fs::read_to_string(&path).expect("read it");
        let code = |line: &&str| !line.trim_start().starts_with("//");
        let parts = ["tcpserver::", "handlers::", "crate::serve", "crate::settings"];
        let named = source.lines().filter(code).find(|line| parts.iter().any(|part| line.contains(part)));
        assert_eq!(named, None, "{}", path.display());
    }
}

/// The clock that people read may be set back and forth while a service runs. What it says is told (in `Date`, in access
/// lines, by two small protocols), and nothing goes by it: deadlines, limits and pauses know the monotonic clock alone.
#[test]
fn nothing_goes_by_the_clock_that_people_read() {
    const TELLS: [&str; 5] = [
        "handlers/src/http/answer.rs",
        "handlers/src/daytime.rs",
        "handlers/src/time.rs",
        "handlers/src/bin/start/kernel.rs",
        "tcpserver/src/sys/mod.rs",
    ];
    let mut found = Vec::new();
    for part in ["src", "tcpserver/src", "handlers/src", "connection/src", "keeper", "auth"] {
        // The laboratory dates its reports.
        let files = sources(&root().join(part)).into_iter().filter(|path| !path.starts_with(root().join("src/bench")));
        for path in files {
            let source = fs::read_to_string(&path).expect("read a source");
            let asks = |line: &str| {
                let code = line.split("//").next().unwrap_or_default();
                ["Clock::Wall", "CLOCK_REALTIME", "SystemTime", "UtcDateTime"].iter().any(|clock| code.contains(clock))
            };
            if source.lines().any(asks) {
                found.push(path.strip_prefix(root()).unwrap_or(&path).display().to_string());
            }
        }
    }
    found.sort();
    let mut tells = TELLS.map(String::from);
    tells.sort();
    assert_eq!(found, tells);
}

#[test]
fn unsafe_lives_in_named_files() {
    let mut found = Vec::new();
    for part in ["src", "tcpserver", "handlers", "connection", "keeper", "auth", "tests", "benches", "examples"] {
        for path in sources(&root().join(part)) {
            let source = fs::read_to_string(&path).expect("read a source");
            let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
            if source.lines().any(is_unsafe) && !UNSAFE.iter().any(|place| name.starts_with(place)) {
                found.push(name);
            }
        }
    }
    assert_eq!(found, [""; 0], "unsafe outside {UNSAFE:?}");
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("read ARCHITECTURE.md");
    for place in UNSAFE {
        assert!(architecture.contains(&format!("| `{place}` |")), "ARCHITECTURE.md does not list {place}");
    }
}

/// Whether a line of code opens something unsafe: the keyword before a block or an item.
fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait", "#[unsafe(", "unsafe(no_mangle)"]
        .iter()
        .any(|form| code.contains(form) && !code.contains(&format!("\"{form}")))
}

/// The Rust files below a directory.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != "target" {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The types of an ELF file's program headers (elf(5)); 64 bits, of this machine's byte order.
fn program_headers(path: &Path) -> Vec<u32> {
    let elf = fs::read(path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()));
    assert_eq!(&elf[..5], b"\x7fELF\x02", "{} is a 64-bit ELF file", path.display());
    let number = |at: usize, size: usize| -> u64 {
        elf[at..at + size].iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
    };
    let (offset, size, count) = (number(32, 8) as usize, number(54, 2) as usize, number(56, 2) as usize);
    (0..count).map(|i| number(offset + i * size, 4) as u32).collect()
}

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;

#[test]
fn the_binaries_are_static() {
    for path in HANDLERS.map(handler).into_iter().chain([tine()]) {
        let headers = program_headers(&path);
        assert!(headers.contains(&PT_LOAD), "{}", path.display());
        assert!(!headers.contains(&PT_INTERP), "{} asks for a dynamic loader", path.display());
    }
    for path in HANDLERS.map(handler) {
        assert!(!program_headers(&path).contains(&PT_DYNAMIC), "{} needs relocation", path.display());
    }
    // The check is able to fail: this test's shell is dynamic on the systems that have one.
    if cfg!(target_env = "gnu") && Path::new("/bin/bash").exists() {
        assert!(program_headers(Path::new("/bin/bash")).contains(&PT_INTERP));
    }
}

fn contains(path: &Path, word: &[u8]) -> bool {
    fs::read(path).expect("read a binary").windows(word.len()).any(|window| window == word)
}

/// What every start of the C library reads, and what it cannot be without.
#[test]
fn the_handlers_contain_no_libc() {
    let words: [&[u8]; 2] = [b"GLIBC_TUNABLES", b"__libc_start_main"];
    if cfg!(target_env = "gnu") {
        assert!(words.iter().any(|word| contains(&tine(), word)), "the check is able to fail: tine has a libc");
    }
    for path in HANDLERS.map(handler) {
        for word in words {
            assert!(!contains(&path, word), "{} in {}", String::from_utf8_lossy(word), path.display());
        }
        assert!(!contains(&path, b"rust_panic_with_hook"), "{} contains std", path.display());
    }
}

/// A mark that may only sink: what the handler aims at is 32 KiB (SPECIFICATION.md, Pending). Five of it are
/// httparse, which is worth them.
const SMALL: u64 = 49 << 10;

/// fnord 1.11 with dietlibc has 13 to 25 KiB. Built here as a release, in a directory of its own, and stripped.
#[test]
fn tine_http_is_small() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release");
    let place = target.display().to_string();
    let build = ["build", "--offline", "--release", "-p", "handlers", "--bin", "tine-http", "--target-dir", &place];
    cargo(&[&build[..], &["--config", "profile.release.strip=true"]].concat());
    let find = |directory: &Path| {
        let entries = fs::read_dir(directory).expect("read the target directory").filter_map(Result::ok);
        entries.map(|entry| entry.path().join("release/tine-http")).find(|path| path.exists())
    };
    let path = find(&target).or_else(|| Some(target.join("release/tine-http"))).expect("a path");
    let size = fs::metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).len();
    assert!(size <= SMALL, "{size} bytes, {SMALL} allowed");
}
