//! `frames`: how a response of a head and a body gets onto the wire, in how many segments and how soon.
//!
//! A head and a body in two calls are two segments, and without TCP_NODELAY the second one waits until the first is
//! acknowledged (Nagle), which a receiver that has nothing to say delays by 40 ms: the classic mistake. writev gives both
//! in one call; TCP_CORK and MSG_MORE have the kernel wait for the rest.

use std::io::{self, IoSlice, PipeReader, PipeWriter, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, connect, getsockopt, send, setsockopt, socket, sockopt,
};
// The three use one another.
use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};

use super::experiment::{Axis, Experiment, Graph, Kind, Scale, Unit};
use super::helper::Helper;
use super::plan::Plan;
use super::recorder::Recorder;
use super::report::number;
use super::samples::Series;
use super::trouble::{Trouble, trouble};
use super::{clock, says};

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    name: "frames",
    about: "segments and time of a response: write+write, writev, TCP_CORK, MSG_MORE",
    graphs: &[
        segments("segments", "Segments of a response, with Nagle's algorithm"),
        segments("segments-nodelay", "Segments of a response, with TCP_NODELAY"),
        time("time", "Time for a response, with Nagle's algorithm"),
        time("time-nodelay", "Time for a response, with TCP_NODELAY"),
    ],
    seconds: [15, 2],
    // Client and server may each have a processor.
    pinned: false,
    run,
};

const fn segments(name: &'static str, title: &'static str) -> Graph {
    Graph {
        name,
        title,
        method: "Data segments that the server's socket has sent (TCP_INFO) by the number of responses, on a kept \
                 connection with the segment size of Ethernet. The head has 200 bytes.",
        kind: Kind::Lines,
        x: Axis { label: "body", unit: Unit::Bytes, scale: Scale::Log },
        y: Axis { label: "segments of a response", unit: Unit::Count, scale: Scale::Log },
        says: says_most,
    }
}

const fn time(name: &'static str, title: &'static str) -> Graph {
    Graph {
        name,
        title,
        method: "From before the client sends its request until it has the whole response, on a kept connection over \
                 loopback with the segment size of Ethernet.",
        kind: Kind::Lines,
        x: Axis { label: "body", unit: Unit::Bytes, scale: Scale::Log },
        y: Axis { label: "time of request and response", unit: Unit::Nanoseconds, scale: Scale::Log },
        says: says_most,
    }
}

/// Bytes of a response's head.
const HEAD: usize = 200;

/// The most that a segment carries on Ethernet, with IPv4.
const ETHERNET: u32 = 1460;

/// Sends head and body.
type Respond = fn(&mut &TcpStream, &[u8], &[u8]) -> io::Result<()>;

const METHODS: &[(&str, Respond)] = &[
    ("write, write", |socket, head, body| {
        socket.write_all(head)?;
        socket.write_all(body)
    }),
    ("writev", |socket, head, body| write_all_vectored(socket, head, body)),
    ("TCP_CORK", |socket, head, body| {
        setsockopt(socket, Cork, &true)?;
        socket.write_all(head)?;
        socket.write_all(body)?;
        Ok(setsockopt(socket, Cork, &false)?)
    }),
    ("MSG_MORE", |socket, head, body| {
        let sent = send(socket.as_raw_fd(), head, MsgFlags::from_bits_retain(libc::MSG_MORE))?;
        socket.write_all(&head[sent..])?;
        socket.write_all(body)
    }),
];

/// Both in one call, unless the kernel takes less.
fn write_all_vectored(socket: &mut &TcpStream, head: &[u8], body: &[u8]) -> io::Result<()> {
    let sent = socket.write_vectored(&[IoSlice::new(head), IoSlice::new(body)])?;
    if let Some(head) = head.get(sent..) {
        socket.write_all(head)?;
    }
    socket.write_all(&body[sent.saturating_sub(head.len())..])
}

fn run(plan: &Plan, recorder: &mut Recorder) -> Result<(), Trouble> {
    let sizes = plan.pick(&[64, 256, 1024, 4096, 16_384, 65_536, 262_144][..], &[64, 1024, 16_384]);
    let ways: Vec<(bool, &(&str, Respond))> =
        [false, true].iter().flat_map(|&nodelay| METHODS.iter().map(move |method| (nodelay, method))).collect();
    for (done, &size) in sizes.iter().enumerate() {
        for (round, &(nodelay, &(name, respond))) in plan.turns(&ways) {
            recorder.round(round);
            recorder.progress(done as u64, sizes.len() as u64, name);
            let failed = || format!("a response of {size} bytes with {name}");
            let mut server = Server::start(respond, nodelay, size)?;
            let (segments_graph, time_graph) =
                if nodelay { ("segments-nodelay", "time-nodelay") } else { ("segments", "time") };
            let end = clock::now() + plan.pick(100, 20) * 1_000_000;
            for call in 0..plan.warm_up + plan.pick(100, 20) {
                let took = server.request(HEAD + size).map_err(trouble("get", failed()))?;
                if call >= plan.warm_up {
                    recorder.sample(time_graph, name, size as f64, took as f64);
                }
                if call >= plan.warm_up + 2 && clock::now() > end {
                    break;
                }
            }
            let segments = server.end().map_err(trouble("count the segments of", failed()))?;
            recorder.sample(segments_graph, name, size as f64, segments);
        }
    }
    Ok(())
}

/// A process that answers on one connection, and the other end of that.
struct Server {
    child: Helper,
    socket: TcpStream,
    told: PipeReader,
    buffer: Vec<u8>,
}

impl Server {
    fn start(respond: Respond, nodelay: bool, size: usize) -> Result<Server, Trouble> {
        let (socket, other) = connection(nodelay).map_err(trouble("connect to", "127.0.0.1"))?;
        let (told, tell) = io::pipe().map_err(trouble("make", "a pipe"))?;
        let client = socket.as_raw_fd();
        let child = Helper::start("a process that answers", || {
            // The client's end would keep the connection open.
            nix::unistd::close(client)?;
            serve(&other, respond, size, tell)
        })?;
        Ok(Server { child, socket, told, buffer: vec![0; 256 * 1024] })
    }

    /// Asks, and reads so many bytes. In nanoseconds.
    fn request(&mut self, length: usize) -> io::Result<u64> {
        let start = clock::now();
        self.socket.write_all(&[b'?'; 64])?;
        let mut left = length;
        while left > 0 {
            match self.socket.read(&mut self.buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => left -= read,
            }
        }
        Ok(clock::now() - start)
    }

    /// Segments by response.
    fn end(mut self) -> io::Result<f64> {
        self.socket.shutdown(std::net::Shutdown::Write)?;
        let mut told = [0; 8];
        self.told.read_exact(&mut told)?;
        self.child.finish()?;
        Ok(f64::from_ne_bytes(told))
    }
}

/// Answers until the client ends, and then tells how many segments a response had.
fn serve(mut socket: &TcpStream, respond: Respond, size: usize, mut tell: PipeWriter) -> io::Result<()> {
    let (head, body, mut request) = ([b'h'; HEAD], vec![b'b'; size], [0; 64]);
    let mut responses = 0_u32;
    while socket.read(&mut request)? > 0 {
        respond(&mut socket, &head, &body)?;
        responses += 1;
    }
    let segments = segments_sent(socket)?;
    tell.write_all(&(f64::from(segments) / f64::from(responses)).to_ne_bytes())
}

/// A connection on loopback, the client's end first, whose segments are as large as on Ethernet.
fn connection(nodelay: bool) -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr()?.port()));
    let client = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&client, sockopt::TcpMaxSeg, &ETHERNET)?;
    connect(client.as_raw_fd(), &address)?;
    let (server, _) = listener.accept()?;
    server.set_nodelay(nodelay)?;
    Ok((client.into(), server))
}

sockopt_impl!(
    /// Holds back what does not fill a segment (tcp(7)).
    Cork,
    Both,
    libc::IPPROTO_TCP,
    libc::TCP_CORK,
    bool
);

sockopt_impl!(
    /// The beginning of `struct tcp_info` (Linux, include/uapi/linux/tcp.h), of which the libc crate knows less.
    Info,
    GetOnly,
    libc::IPPROTO_TCP,
    libc::TCP_INFO,
    [u8; DATA_SEGS_OUT + 4]
);

/// Where `tcpi_data_segs_out` stands in it: segments that carried data, sent again or not. Since Linux 4.6.
const DATA_SEGS_OUT: usize = 156;

/// And `tcpi_total_retrans`: those that were sent again, as when this machine stood still and they seemed to be lost.
const TOTAL_RETRANS: usize = 100;

fn segments_sent(socket: &TcpStream) -> io::Result<u32> {
    let info = getsockopt(socket, Info)?;
    let count = |at: usize| info[at..at + 4].try_into().map_or(0, u32::from_ne_bytes);
    Ok(count(DATA_SEGS_OUT) - count(TOTAL_RETRANS))
}

/// The size at which the methods differ most.
fn says_most(graph: &Graph, series: &[Series]) -> String {
    let sizes = series.first().into_iter().flat_map(|s| &s.points).map(|point| point.x);
    let extremes = sizes.filter_map(|x| {
        let mut ends: Vec<(f64, &str)> =
            series.iter().filter_map(|s| Some((s.at(x)?.median, s.method.as_str()))).collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        Some((x, *ends.first()?, *ends.last()?))
    });
    let most = extremes.max_by(|(_, a, b), (_, c, d)| (b.0 / a.0).total_cmp(&(d.0 / c.0)));
    let Some((x, least, most)) = most else { return says::nothing() };
    let (x, show) = (number::text(graph.x.unit, x), |value| number::text(graph.y.unit, value));
    if most.0 < least.0 * 1.05 {
        return format!("The methods do not differ: {} at {x}.", show(least.0));
    }
    format!(
        "The methods differ most with a body of {x}: {} for {}, {} for {}.",
        show(least.0),
        least.1,
        show(most.0),
        most.1
    )
}
