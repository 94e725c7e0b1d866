//! `bind`: what it costs to give a socket its address while many have one.
//!
//! The kernel keeps a table of ports. A named port is looked up in it. For port 0 the kernel searches a free one, the
//! longer the fewer are left of `ip_local_port_range`. Sockets that share a port on different addresses stood in one
//! chain until Linux 6.1 gave the table a second key.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket};

use super::experiment::{Axis, Experiment, Graph, Kind, Scale, Unit};
use super::limits;
use super::meter::{self, Meter};
use super::plan::Plan;
use super::recorder::Recorder;
use super::trouble::{Trouble, trouble};

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    name: "bind",
    about: "an address for a socket while many have one",
    graphs: &[Graph {
        name: "bind",
        title: "bind while many sockets are bound",
        method: "One process holds so many TCP sockets on one address, each with its port, and so many on one port, \
                 each with its address in 127.0.0.0/8, and times bind alone: to a port that the kernel chooses, to a free one, \
                 and to the one that those others share, with another address.",
        kind: Kind::Lines,
        x: Axis { label: "bound sockets", unit: Unit::Count, scale: Scale::Log },
        y: Axis { label: "time of the call", unit: Unit::Nanoseconds, scale: Scale::Log },
        says: meter::says,
    }],
    seconds: [3, 1],
    pinned: true,
    run,
};

/// All of 127.0.0.0/8 is this machine, and hardly anybody uses this part. Ports that are free are looked for: another run at
/// the same time has another address.
fn many_ports() -> Ipv4Addr {
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    Ipv4Addr::new(127, 77, high, low)
}
const MANY_ADDRESSES: Ipv4Addr = Ipv4Addr::new(127, 78, 0, 0);

fn run(plan: &Plan, recorder: &mut Recorder) -> Result<(), Trouble> {
    let most = limits::descriptors(plan.most_children, 2, "bound sockets", recorder);
    let most = limits::ports(most, "bound sockets", recorder);
    let (mut ports, mut addresses) = (Ports::default(), Addresses::new().map_err(trouble("bind", "a socket"))?);
    let mut meter = Meter::new(recorder, "bind");
    for step in plan.decades(most) {
        meter.at(step);
        let object = format!("a socket beside {step} others");
        ports.fill(step).and_then(|()| addresses.fill(step)).map_err(trouble("bind", &object))?;
        meter
            .rounds(plan, plan.pick(200, 50), |meter| {
                timed(meter, "port 0", SocketAddrV4::new(many_ports(), 0))?;
                timed(meter, "a named port", SocketAddrV4::new(many_ports(), ports.free()?))?;
                timed(meter, "a shared port", addresses.next())
            })
            .map_err(trouble("bind", &object))?;
    }
    Ok(())
}

fn tcp() -> Result<OwnedFd, Errno> {
    socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
}

fn bound(address: SocketAddrV4) -> Result<OwnedFd, Errno> {
    let socket = tcp()?;
    bind(socket.as_raw_fd(), &SockaddrIn::from(address))?;
    Ok(socket)
}

fn timed(meter: &mut Meter<'_>, method: &str, address: SocketAddrV4) -> Result<(), Errno> {
    let (socket, address) = (tcp()?, SockaddrIn::from(address));
    meter.timed(method, || bind(socket.as_raw_fd(), &address))
}

/// Sockets on one address, each with a port that the kernel chose.
#[derive(Default)]
struct Ports {
    held: Vec<OwnedFd>,
    last: u16,
}

impl Ports {
    fn fill(&mut self, count: u32) -> Result<(), Errno> {
        while self.held.len() < count as usize {
            self.held.push(bound(SocketAddrV4::new(many_ports(), 0))?);
        }
        Ok(())
    }

    /// A port of the address that is free now, below those that the kernel usually gives out.
    fn free(&mut self) -> Result<u16, Errno> {
        loop {
            self.last = if (20_000..30_000).contains(&self.last) { self.last + 1 } else { 20_000 };
            match bound(SocketAddrV4::new(many_ports(), self.last)) {
                Err(Errno::EADDRINUSE) => {}
                tried => return tried.map(|_| self.last),
            }
        }
    }
}

/// Sockets on one port, each with an address of its own.
struct Addresses {
    port: u16,
    held: Vec<OwnedFd>,
}

impl Addresses {
    fn new() -> Result<Addresses, Errno> {
        let first = bound(SocketAddrV4::new(address(0), 0))?;
        let port = getsockname::<SockaddrIn>(first.as_raw_fd())?.port();
        Ok(Addresses { port, held: vec![first] })
    }

    fn fill(&mut self, count: u32) -> Result<(), Errno> {
        while self.held.len() < count as usize {
            self.held.push(bound(self.next())?);
        }
        Ok(())
    }

    /// The same port on the first address where it is free.
    fn next(&self) -> SocketAddrV4 {
        SocketAddrV4::new(address(self.held.len() as u32), self.port)
    }
}

/// One of millions, by its number.
fn address(index: u32) -> Ipv4Addr {
    Ipv4Addr::from(MANY_ADDRESSES.to_bits() + 1 + index)
}
