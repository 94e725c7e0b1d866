//! How the freestanding executables are linked. The library and the tests are linked as usual.

/// Arguments of the linker driver, each with its reason.
const ARGUMENTS: &[&str] = &[
    "-nostartfiles",         // `_start` is ours
    "-nostdlib",             // no libc: nothing of it would be initialised
    "-static",               // no dynamic loader to pay for at each exec
    "-no-pie",               // without libc nobody relocates the tables of functions and strings of a static PIE
    "-Wl,-z,norelro",        // relro is kept by the loader that is not there; the layout makes those tables constants
    "-Wl,--build-id=none",   // a note that nobody reads
    "-Wl,--no-eh-frame-hdr", // nothing unwinds: a panic ends the process
    "-Wl,--gc-sections",     // what one protocol does not use
];

/// Sections and segments.
const LAYOUT: &str = "src/bin/start/link.ld";

/// For release: the symbol table is a quarter of the file. rustc's own stripping passes by executables with a layout.
const STRIP: &str = "-Wl,--strip-all";

/// Where cargo is told so, the symbols stay for a profiler.
const KEEP: &str = "CARGO_PROFILE_RELEASE_STRIP";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={LAYOUT}");
    for argument in ARGUMENTS {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    println!("cargo::rerun-if-env-changed={KEEP}");
    let keep = std::env::var(KEEP).is_ok_and(|strip| strip == "none");
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") && !keep {
        println!("cargo::rustc-link-arg-bins={STRIP}");
    }
    // A checkout that is moved takes its `target` along, and this text with it: of its places cargo corrects only this one.
    let folder = std::env::var("OUT_DIR").expect("cargo sets it");
    std::fs::copy(LAYOUT, format!("{folder}/link.ld")).expect("copy the layout");
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{folder}/link.ld");
}
