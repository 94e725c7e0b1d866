//! A child that is under our control, as one that was taken over would be: system calls by number, and memory to name in
//! them. `examples/hostile` is the other end.

use std::path::PathBuf;

use nix::errno::Errno;
use nix::libc;

use crate::common::{Client, Server};

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was done, with this result.
    Done(i64),
    /// It was not.
    Failed(Errno),
    /// The process ended, or became another.
    Ended,
}

impl Answer {
    /// What the next step, with this one's result, comes to.
    pub fn then(self, next: impl FnOnce(i64) -> Answer) -> Answer {
        if let Answer::Done(value) = self { next(value) } else { self }
    }
}

/// What a child could be turned against.
pub struct Targets {
    pub supervisor: u32,
    pub sibling: u32,
    /// Numbers of sockets, bells and pairs that the supervisor holds, and a child may.
    pub shared: Vec<i64>,
    /// What it serves: a directory with a file.
    pub site: PathBuf,
    /// A file elsewhere.
    pub secret: PathBuf,
    /// Somebody listens here, each.
    pub port: u16,
    pub unix: PathBuf,
    pub name: String,
}

/// One connection, and the child that serves it.
pub struct Shell<'t> {
    client: Client,
    pub at: &'t Targets,
    /// Where our memory is in the child, and how much of it is used.
    pub memory: i64,
    used: usize,
    /// The number of the connection.
    pub own: i64,
}

impl<'t> Shell<'t> {
    #[track_caller]
    pub fn new(server: &Server, targets: &'t Targets) -> Self {
        let mut shell = Shell { client: server.connect(), at: targets, memory: 0, used: 0, own: 0 };
        let said = shell.ask("where").expect("a child answers");
        let (memory, own) = said.split_once(' ').expect("two numbers");
        (shell.memory, shell.own) = (memory.parse().expect("an address"), own.parse().expect("a descriptor"));
        shell
    }

    /// Sends a line, and has the line that answers; `None` when the child ends instead.
    fn ask(&mut self, line: &str) -> Option<String> {
        self.client.send(format!("{line}\n"));
        let mut said = Vec::new();
        while said.last() != Some(&b'\n') {
            said.extend(self.client.take(1).ok()?);
        }
        said.pop();
        String::from_utf8(said).ok()
    }

    fn make(&mut self, door: &str, number: i64, arguments: &[i64]) -> Answer {
        let words: Vec<_> = arguments.iter().map(|argument| format!(" {argument}")).collect();
        match self.ask(&format!("{door} {number}{}", words.concat())).map(|said| said.parse().expect("a number")) {
            None => Answer::Ended,
            Some(error @ -4095..=-1) => Answer::Failed(Errno::from_raw(-error as i32)),
            Some(value) => Answer::Done(value),
        }
    }

    /// Makes a system call.
    pub fn call(&mut self, number: i64, arguments: &[i64]) -> Answer {
        self.make("call", number, arguments)
    }

    /// The same by the door of 32-bit programs; a child that is killed for it was refused.
    pub fn call_as_i386(&mut self, number: i64, arguments: &[i64]) -> Answer {
        match self.make("i386", number, arguments) {
            Answer::Ended => Answer::Failed(Errno::EPERM),
            answer => answer,
        }
    }

    /// Has these bytes in the child's memory: their address.
    pub fn bytes(&mut self, bytes: &[u8]) -> i64 {
        let at = self.used;
        self.used += bytes.len().next_multiple_of(16);
        // A line of the child's has room for so many.
        for (index, part) in bytes.chunks(2048).enumerate() {
            let digits: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
            self.ask(&format!("poke {} {digits}", at + index * 2048)).expect("the child is there");
        }
        self.memory + at as i64
    }

    /// The same for a string with its end, and for numbers of 64 bits.
    pub fn text(&mut self, text: impl AsRef<str>) -> i64 {
        self.bytes(&[text.as_ref().as_bytes(), &[0]].concat())
    }

    pub fn words(&mut self, words: &[i64]) -> i64 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.bytes(&bytes)
    }

    /// What is there.
    pub fn byte(&mut self, address: i64) -> u8 {
        let said = self.ask(&format!("peek {} 1", address - self.memory)).expect("the child is there");
        u8::from_str_radix(&said, 16).expect("a byte")
    }

    /// openat2(2) without RESOLVE flags, as code that minds nothing would call it.
    pub fn open(&mut self, path: impl AsRef<str>, flags: i32, mode: i64) -> Answer {
        let (path, how) = (self.text(path), self.words(&[flags.into(), mode, 0]));
        self.call(libc::SYS_openat2, &[libc::AT_FDCWD.into(), path, how, 24])
    }

    /// The same call on each descriptor that the supervisor shares, or could: done if one was, refused if one was.
    pub fn on_shared(&mut self, mut call: impl FnMut(&mut Self, i64) -> Answer) -> Answer {
        let (at, own) = (self.at, self.own);
        let mut worst = Answer::Failed(Errno::EBADF);
        for &number in at.shared.iter().filter(|&&number| number != own) {
            match call(self, number) {
                done @ (Answer::Done(_) | Answer::Ended) => return done,
                refused @ Answer::Failed(Errno::EPERM | Errno::EACCES) => worst = refused,
                _ => {}
            }
        }
        worst
    }
}
