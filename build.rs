//! How `tine` is linked.

/// Arguments of the linker driver, each with its reason. The last word on the kind of executable is the one that counts.
const ARGUMENTS: &[&str] = &[
    // A static PIE lies a world apart from its heap, and its stack from both: each of the three costs every child a page of
    // page tables on each of three levels, 12 KiB. At a fixed address the heap is its neighbour. It also has no tables to
    // relocate, which would be pages of its own that every fork copies.
    "-no-pie", "-static",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for argument in ARGUMENTS {
        println!("cargo::rustc-link-arg-bin=tine={argument}");
    }
}
