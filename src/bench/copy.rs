//! `copy`: what it costs the sender to bring a file into a socket.
//!
//! Each method opens the file, asks for its size, sends it and closes it, as a server does for a request. So with small
//! files it is the calls that count, with large ones the copying.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::fcntl::{SpliceFFlags, splice};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::sendfile::sendfile;
use nix::sys::socket::{MsgFlags, recv};
use nix::sys::time::TimeValLike;

use super::experiment::{Axis, Experiment, Graph, Kind, Scale, Unit};
use super::helper::Helper;
use super::plan::Plan;
use super::recorder::Recorder;
use super::report::number;
use super::samples::Series;
use super::sys::mapping::Mapping;
use super::trouble::{Trouble, trouble};
use super::{says, scratch};

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    name: "copy",
    about: "processor time to send a file: read+write, mmap+write, sendfile, splice",
    graphs: &[Graph {
        name: "copy",
        title: "Processor time to send a file",
        method: "User and system time of the sending process (getrusage), with open, fstat and close for each file. The \
                 file is in the page cache, the socket is TCP on loopback, and another process takes the bytes away \
                 without looking at them; what the kernel does for the receiver in the sender's time is part of it.",
        kind: Kind::Lines,
        x: Axis { label: "file size", unit: Unit::Bytes, scale: Scale::Log },
        y: Axis { label: "processor time", unit: Unit::NanosecondsPerMegabyte, scale: Scale::Log },
        says,
    }],
    seconds: [12, 2],
    // The reader should have a processor of its own.
    pinned: false,
    run,
};

const MEGABYTE: f64 = 1e6;

/// As much as the common servers read at once.
const BUFFER: usize = 64 * 1024;

/// Sends what is in the file, which has so many bytes, from its beginning.
type Send = fn(&File, u64, &TcpStream, &mut Tools) -> io::Result<()>;

const METHODS: &[(&str, Send)] =
    &[("read+write", read_write), ("mmap+write", mmap_write), ("sendfile", send_file), ("splice", splice_twice)];

/// What a server makes once and keeps.
struct Tools {
    buffer: Vec<u8>,
    pipe: (PipeReader, PipeWriter),
}

fn run(plan: &Plan, recorder: &mut Recorder) -> Result<(), Trouble> {
    let samples = plan.pick(4, 2);
    let sizes: Vec<u64> = plan.pick(6..14, 6..12).map(|power| 1 << (2 * power)).collect();
    let (socket, _reader) = reader()?;
    let pipe = io::pipe().map_err(trouble("make", "a pipe"))?;
    let mut tools = Tools { buffer: vec![0; BUFFER], pipe };
    for (done, &size) in sizes.iter().enumerate() {
        let file = file_of(size).map_err(trouble("write", format_args!("a temporary file of {size} bytes")))?;
        let path = scratch::path_of(&file);
        for (round, &(name, send)) in plan.turns(METHODS) {
            recorder.round(round);
            recorder.progress(done as u64, sizes.len() as u64, name);
            // Small files take longer by the megabyte; of large ones a part is in the socket's buffers at the end.
            let volume = if size < 65_536 { 4 << 20 } else { plan.pick(24 << 20, 8 << 20) };
            let files = u64::max(volume / size, 1);
            let mut turn = |files: u64| -> io::Result<f64> {
                let before = processor_time()?;
                (0..files).try_for_each(|_| send_once(&path, send, &socket, &mut tools))?;
                Ok((processor_time()? - before) as f64)
            };
            // One to warm up, of the sizes where it does not take as long as the rest.
            turn(u64::from(files > 1)).map_err(trouble("send with", name))?;
            for _ in 0..if files > 1 { samples } else { 2 } {
                let took = turn(files).map_err(trouble("send with", name))?;
                recorder.sample("copy", name, size as f64, took / (files * size) as f64 * MEGABYTE);
            }
        }
    }
    Ok(())
}

/// What a server does for a request.
fn send_once(path: &Path, send: Send, socket: &TcpStream, tools: &mut Tools) -> io::Result<()> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    send(&file, size, socket, tools)
}

/// User and system time of this process, in nanoseconds.
fn processor_time() -> io::Result<i64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok((usage.user_time() + usage.system_time()).num_nanoseconds())
}

fn read_write(mut file: &File, _: u64, mut socket: &TcpStream, tools: &mut Tools) -> io::Result<()> {
    loop {
        match file.read(&mut tools.buffer)? {
            0 => return Ok(()),
            length => socket.write_all(&tools.buffer[..length])?,
        }
    }
}

fn mmap_write(file: &File, size: u64, socket: &TcpStream, _: &mut Tools) -> io::Result<()> {
    let mapping = Mapping::of_file(file, size as usize)?;
    let mut sent = 0;
    while sent < size as usize {
        sent += mapping.write_to(socket, sent)?;
    }
    Ok(())
}

fn send_file(file: &File, size: u64, socket: &TcpStream, _: &mut Tools) -> io::Result<()> {
    let mut offset = 0;
    while offset < size as i64 {
        let left = size as usize - offset as usize;
        some(sendfile(socket, file, Some(&mut offset), left)?)?;
    }
    Ok(())
}

fn splice_twice(file: &File, size: u64, socket: &TcpStream, tools: &mut Tools) -> io::Result<()> {
    let (out, into) = &tools.pipe;
    let mut left = size as usize;
    while left > 0 {
        let mut inside = some(splice(file, None, into, None, left, SpliceFFlags::SPLICE_F_MOVE)?)?;
        left -= inside;
        let more = if left > 0 { SpliceFFlags::SPLICE_F_MORE } else { SpliceFFlags::empty() };
        while inside > 0 {
            inside -= some(splice(out, None, socket, None, inside, SpliceFFlags::SPLICE_F_MOVE | more)?)?;
        }
    }
    Ok(())
}

/// Nothing sent would be nothing sent for ever.
fn some(sent: usize) -> io::Result<usize> {
    if sent == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(sent) }
}

/// A file of so many bytes that is in the page cache because it was just written.
fn file_of(size: u64) -> io::Result<File> {
    let mut file = scratch::nameless()?;
    let piece = vec![b'x'; BUFFER];
    let mut left = size as usize;
    while left > 0 {
        let length = left.min(BUFFER);
        file.write_all(&piece[..length])?;
        left -= length;
    }
    Ok(file)
}

/// A socket, and the process at its other end that reads until it ends with this value.
fn reader() -> Result<(TcpStream, Helper), Trouble> {
    let (socket, other) = connection().map_err(trouble("connect to", "127.0.0.1"))?;
    let helper = Helper::start("a process that reads", || {
        let mut buffer = vec![0; 4 * BUFFER];
        while recv(other.as_raw_fd(), &mut buffer, MsgFlags::MSG_TRUNC)? > 0 {}
        Ok(())
    })?;
    Ok((socket, helper))
}

/// A connection on loopback, both ends.
fn connection() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let socket = TcpStream::connect(listener.local_addr()?)?;
    Ok((socket, listener.accept()?.0))
}

/// Who is cheapest with the smallest files, and who with the largest.
fn says(graph: &Graph, series: &[Series]) -> String {
    let xs = || series.iter().flat_map(|s| &s.points).map(|point| point.x);
    let place = |x: f64| -> Option<String> {
        let mut ends: Vec<(f64, &str)> =
            series.iter().filter_map(|s| Some((s.at(x)?.median, s.method.as_str()))).collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (least, most) = (ends.first()?, ends.last()?);
        Some(format!(
            "with files of {} {} costs least ({}) and {} {} as much",
            number::text(graph.x.unit, x),
            least.1,
            number::text(graph.y.unit, least.0),
            most.1,
            number::factor(most.0 / least.0)
        ))
    };
    let ends = [xs().reduce(f64::min), xs().reduce(f64::max)];
    let told: Vec<String> = ends.into_iter().flatten().filter_map(place).collect();
    if told.is_empty() { says::nothing() } else { format!("For a megabyte, {}.", told.join("; ")) }
}
