//! What is executed: programs that write as the first thing they do, by how they are made.

use std::env;
use std::ffi::CString;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::bench::recorder::Recorder;
use crate::bench::roles;
use crate::bench::sys::Program;
use crate::bench::trouble::{Trouble, trouble};

/// An executable, and its arguments from its own name on.
type Found = (PathBuf, Vec<&'static str>);

/// A kind of executable.
pub struct Kind {
    /// As the pictures call it.
    pub name: &'static str,
    find: fn() -> Result<Found, Trouble>,
}

/// Without libc.
pub const FREESTANDING: Kind = Kind { name: "freestanding: tine-time", find: beside };
/// With a libc and the Rust standard library, linked statically.
pub const STATIC: Kind = Kind { name: "static with Rust's std: tine", find: own };
/// With what the dynamic loader finds.
pub const DYNAMIC: Kind = Kind { name: "dynamic: echo", find: dynamic };

/// A program of this kind, which will write to `output`.
pub fn find(kind: &Kind, output: RawFd) -> Result<Program, Trouble> {
    let (path, words) = (kind.find)()?;
    let path = CString::new(path.as_os_str().as_bytes()).map_err(trouble("execute", path.display()))?;
    let words: Result<Vec<CString>, _> = words.into_iter().map(CString::new).collect();
    Ok(Program::new(path, words.map_err(trouble("execute", kind.name))?, output))
}

/// Why there is none of this kind.
pub fn absence(kind: &Kind) -> Option<Trouble> {
    (kind.find)().err()
}

fn beside() -> Result<Found, Trouble> {
    let path = env::current_exe().map_err(trouble("find", "this program"))?.with_file_name("tine-time");
    if path.is_file() {
        Ok((path, vec!["tine-time"]))
    } else {
        let remedy = "it belongs beside tine: cargo build --workspace makes it";
        Err(Trouble::new("execute", path.display(), "there is no such file").remedy(remedy))
    }
}

fn own() -> Result<Found, Trouble> {
    Ok((env::current_exe().map_err(trouble("find", "this program"))?, vec!["tine", roles::WORD, "byte"]))
}

fn dynamic() -> Result<Found, Trouble> {
    let places = ["/usr/bin/echo", "/bin/echo"].map(Path::new);
    let found = places.into_iter().find(|path| asks_for_a_loader(path).unwrap_or(false));
    let path = found.ok_or_else(|| Trouble::new("execute", "echo", "there is none that is linked dynamically"))?;
    Ok((path.to_owned(), vec!["echo"]))
}

/// Whether an ELF file of 64 bits has a program header of type PT_INTERP (elf(5)).
fn asks_for_a_loader(path: &Path) -> Option<bool> {
    const PT_INTERP: [u8; 4] = 3_u32.to_ne_bytes();
    let mut head = [0; 4096];
    let n = fs::File::open(path).ok()?.read(&mut head).ok()?;
    let head = &head[..n];
    let number = |at: usize| Some(usize::from(u16::from_ne_bytes(head.get(at..at + 2)?.try_into().ok()?)));
    let table = u64::from_ne_bytes(head.get(32..40)?.try_into().ok()?);
    let (size, count) = (number(54)?, number(56)?);
    let mut types = (0..count).filter_map(|i| {
        let at = usize::try_from(table).ok()? + i * size;
        head.get(at..at + 4)
    });
    (head.starts_with(b"\x7fELF\x02")).then(|| types.any(|kind| kind == PT_INTERP))
}

/// The role of a static program: a byte, and the end.
pub fn byte(_: &[String], _: &mut Recorder) -> Result<(), Trouble> {
    std::io::stdout().write_all(b"x\n").map_err(trouble("write", "a byte"))
}
