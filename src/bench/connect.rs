//! `connect`: what a connection costs while many are open, and what taking it costs.
//!
//! The kernel searches a free local port, and has about 28,000 of them for each destination: the more are taken, the
//! longer it searches. Connections elsewhere should not matter.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, connect, setsockopt, socket, sockopt};

use super::experiment::{Axis, Experiment, Graph, Kind, Scale, Unit};
use super::limits;
use super::meter::{self, Meter};
use super::plan::Plan;
use super::recorder::Recorder;
use super::trouble::{Trouble, trouble};

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    name: "connect",
    about: "a connection while many are open: connect, accept",
    graphs: &[Graph {
        name: "connect",
        title: "connect and accept while many connections are open",
        method: "One process holds both ends of the connections, all to one address on loopback, and times another one: \
                 to that address and to one that has none.",
        kind: Kind::Lines,
        x: Axis { label: "open connections", unit: Unit::Count, scale: Scale::Log },
        y: Axis { label: "time of the call", unit: Unit::Nanoseconds, scale: Scale::Log },
        says: meter::says,
    }],
    seconds: [3, 1],
    pinned: true,
    run,
};

fn run(plan: &Plan, recorder: &mut Recorder) -> Result<(), Trouble> {
    let most = limits::descriptors(plan.most_children, 2, "open connections", recorder);
    let most = limits::ports(most, "open connections", recorder);
    let listener = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(trouble("listen on", "127.0.0.1"));
    let (crowded, quiet) = (listener()?, listener()?);
    let mut held = Vec::with_capacity(most as usize);
    let mut meter = Meter::new(recorder, "connect");
    for step in plan.decades(most) {
        meter.at(step);
        let object = format!("a connection beside {step} others");
        while held.len() < step as usize {
            let connection = meter.aside(|meter| open(meter, "", &crowded));
            held.push(connection.map_err(trouble("open", &object))?);
        }
        meter
            .rounds(plan, plan.pick(200, 50), |meter| {
                open(meter, "connect, same address", &crowded)?;
                open(meter, "connect, another", &quiet).map(drop)
            })
            .map_err(trouble("open", &object))?;
    }
    Ok(())
}

/// Both ends of a connection.
type Ends = (OwnedFd, TcpStream);

/// Opens a connection, timing both of its calls.
fn open(meter: &mut Meter<'_>, method: &str, listener: &TcpListener) -> io::Result<Ends> {
    let address = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr()?.port()));
    let client = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // It ends by a reset and leaves no TIME_WAIT behind, which would keep its port for a minute.
    setsockopt(&client, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?;
    meter.timed(method, || connect(client.as_raw_fd(), &address))?;
    let (server, _) = meter.timed("accept", || listener.accept())?;
    Ok((client, server))
}
