//! The programs tcprules and tcprulescheck, with the command lines, messages and exit codes of ucspi-tcp 0.88.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::cdb::{self, Cdb};
use super::reason::reason;
use super::text::{Compiled, compile};
use super::{Names, search, texts};

/// A failure: the exit code and the message behind `PROGRAM: `.
struct Failure(u8, Vec<u8>);

impl Failure {
    /// 111: `fatal: WHAT FILE: reason`.
    fn system(what: &[&[u8]], error: &io::Error) -> Failure {
        Failure(111, [b"fatal: ", what.concat().as_slice(), b": ", reason(error).as_bytes()].concat())
    }
}

fn end(program: &str, result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(code, message)) => {
            say(program, &message);
            ExitCode::from(code)
        }
    }
}

/// A line on standard error in one piece. When it cannot be written there is nobody to tell.
fn say(program: &str, message: &[u8]) {
    let _ = io::stderr().write_all(&[program.as_bytes(), b": ", message, b"\n"].concat());
}

/// `tcprules CDB TMP`: compiles standard input into TMP, then renames it to CDB.
pub fn tcprules(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    const PROGRAM: &str = "tcprules";
    end(PROGRAM, compile_rules(arguments, |warning| say(PROGRAM, &[b"warning: ", warning].concat())))
}

fn compile_rules(mut arguments: impl Iterator<Item = OsString>, warn: impl Fn(&[u8])) -> Result<(), Failure> {
    let (Some(cdb), Some(tmp)) = (arguments.next(), arguments.next()) else {
        return Err(Failure(100, b"usage: tcprules rules.cdb rules.tmp".to_vec()));
    };
    let (cdb, tmp): (&OsStr, &OsStr) = (&cdb, &tmp);
    // Without O_NONBLOCK a FIFO would hold us up.
    let nonblock = OFlag::O_NONBLOCK.bits();
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).custom_flags(nonblock).open(tmp);
    let mut file = file.map_err(|error| Failure::system(&[b"unable to create ", tmp.as_bytes()], &error))?;
    let text = input().map_err(|error| Failure::system(&[b"unable to read input"], &error))?;
    let Compiled { records, warnings, unparsable } = compile(&text);
    warnings.iter().for_each(|warning| warn(warning));
    if let Some(line) = unparsable {
        // Up to a NUL, as ever.
        let line = line.split(|&byte| byte == 0).next().unwrap_or_default();
        return Err(Failure(100, [b"fatal: unable to parse this line: ", line].concat()));
    }
    let records = records.iter().map(|(key, data)| (key.as_slice(), data.as_slice()));
    cdb::image(records)
        .and_then(|image| file.write_all(&image))
        .and_then(|()| file.sync_all())
        .map_err(|error| Failure::system(&[b"unable to write to ", tmp.as_bytes()], &error))?;
    fs::rename(tmp, cdb)
        .map_err(|error| Failure::system(&[b"unable to move ", tmp.as_bytes(), b" to ", cdb.as_bytes()], &error))
}

/// All of standard input. [`io::Stdin`] would take a descriptor that is not open for reading as the end, and the result
/// would be rules that allow everything.
fn input() -> io::Result<Vec<u8>> {
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    // A closed descriptor 0 has been opened by Rust's start-up, for reading and writing, as the device 1:3.
    let null = input.metadata().is_ok_and(|metadata| metadata.rdev() == 0x103);
    let access = OFlag::from_bits_retain(fcntl(&input, FcntlArg::F_GETFL)?) & OFlag::O_ACCMODE;
    if null && access == OFlag::O_RDWR {
        return Err(Errno::EBADF.into());
    }
    let mut text = Vec::new();
    input.read_to_end(&mut text)?;
    Ok(text)
}

/// `tcprulescheck [--explain] CDB`: says what holds for the client that the environment names.
pub fn tcprulescheck(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    end("tcprulescheck", check_rules(arguments))
}

fn check_rules(arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    let mut arguments = arguments.peekable();
    let explain = arguments.next_if(|argument| argument == "--explain").is_some();
    let Some(path) = arguments.next() else {
        return Err(Failure(100, b"usage: tcprulescheck rules.cdb".to_vec()));
    };
    let variable = |name| std::env::var_os(name).map(OsString::into_vec);
    let ip = variable("TCPREMOTEIP").unwrap_or_else(|| b"0.0.0.0".to_vec());
    let (host, info) = (variable("TCPREMOTEHOST"), variable("TCPREMOTEINFO"));
    let names = Names { ip: &canonical(ip), host: host.as_deref(), info: info.as_deref() };
    let mut output = Vec::new();
    let mut tell = |key: &[u8], found: bool| {
        if explain {
            let verdict: &[u8] = if found { b": found\n" } else { b": no rule\n" };
            output.extend([b"try ", key, verdict].concat());
        }
    };
    let found = Cdb::open(Path::new(&path)).and_then(|cdb| search(&cdb, &names, &mut tell));
    match &found {
        Ok(Some((key, data))) => print_rule(key, data, &mut output),
        Ok(None) => output.extend(b"default:\nallow connection\n"),
        Err(_) => {}
    }
    let written =
        File::from(io::stdout().as_fd().try_clone_to_owned().map_err(|error| unwritten(&error))?).write_all(&output);
    found.map_err(|error| Failure::system(&[b"unable to read ", path.as_bytes()], &error))?;
    written.map_err(|error| unwritten(&error))
}

fn unwritten(error: &io::Error) -> Failure {
    Failure::system(&[b"unable to write output"], error)
}

/// An IPv6 address spelled as it is in keys; everything else as it is.
fn canonical(ip: Vec<u8>) -> Vec<u8> {
    let address = std::str::from_utf8(&ip).ok().and_then(|ip| ip.parse::<std::net::Ipv6Addr>().ok());
    address.map_or(ip, |address| std::net::IpAddr::V6(address).to_canonical().to_string().into_bytes())
}

/// What 0.88 prints of a rule: a deny says all, whatever follows it.
fn print_rule(key: &[u8], data: &[u8], output: &mut Vec<u8>) {
    output.extend([b"rule ", key, b":\n"].concat());
    for (letter, text) in texts(data) {
        match letter {
            b'D' => return output.extend(b"deny connection\n"),
            b'+' => output.extend([b"set environment variable ", text, b"\n"].concat()),
            _ => {}
        }
    }
    output.extend(b"allow connection\n");
}
