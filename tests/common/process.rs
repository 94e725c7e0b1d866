//! What /proc tells about processes, descriptors and sockets. The tests ask the kernel, not the server.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    net::{IpAddr, SocketAddr, TcpStream},
    os::fd::AsRawFd,
};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

/// One process, as /proc/PID/stat shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub pid: u32,
    pub parent: u32,
    pub name: String,
    /// `Z` is a zombie, `T` is stopped.
    pub state: char,
}

/// The process with this number, zombies included.
pub fn find(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may contain anything: the last one closes it.
    let (head, tail) = stat.rsplit_once(") ")?;
    let (_, name) = head.split_once('(')?;
    let mut fields = tail.split(' ');
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    Some(Process { pid, parent, name: name.to_string(), state })
}

/// All processes.
pub fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("read /proc");
    entries.filter_map(|entry| find(entry.ok()?.file_name().to_str()?.parse().ok()?)).collect()
}

/// The children of a process, zombies included, by number.
pub fn children(pid: u32) -> Vec<Process> {
    // The kernel's own list, if it keeps one: to look at every process costs more than most tests.
    let mut children: Vec<Process> = match fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")) {
        Ok(list) => list.split_whitespace().filter_map(|child| find(child.parse().ok()?)).collect(),
        Err(_) => all().into_iter().filter(|p| p.parent == pid).collect(),
    };
    children.sort();
    children
}

/// Whether the process exists and is no zombie.
pub fn is_alive(pid: u32) -> bool {
    find(pid).is_some_and(|p| p.state != 'Z')
}

/// Processor time that a process has used, in the kernel's ticks of 10 ms; 0 for one that is gone.
pub fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or("", |(_, tail)| tail).split(' ').collect();
    [11, 12].iter().filter_map(|&at| fields.get(at)?.parse::<u64>().ok()).sum()
}

/// Resident memory of a process that it shares with no file, in KiB; 0 for one that is gone.
pub fn own_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|size| size.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

/// The open descriptors of a process and what they are. Entries that close while they are read are left out.
pub fn descriptors(pid: u32) -> BTreeMap<u32, String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return BTreeMap::new() };
    let describe = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((number, fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned()))
    };
    entries.filter_map(describe).collect()
}

/// The process among the children of `supervisor` that holds the server's end of this connection.
pub fn serving(supervisor: u32, client: &TcpStream) -> Option<u32> {
    let local = client.peer_addr().ok()?;
    let peer = client.local_addr().ok()?;
    let socket = format!("socket:[{}]", inode(local, peer)?);
    let holds = |p: &Process| descriptors(p.pid).values().any(|d| *d == socket);
    children(supervisor).into_iter().find(holds).map(|p| p.pid)
}

/// The inode of the established TCP socket with these ends. The kernel finds it by its ends (sock_diag(7)); its table of
/// sockets, where each connection of the last minute is, takes it a tenth of a second on a machine that is busy.
fn inode(local: SocketAddr, peer: SocketAddr) -> Option<String> {
    let (SocketAddr::V4(local), SocketAddr::V4(peer)) = (local, peer) else { panic!("{local} is not an IPv4 address") };
    let netlink =
        socket(AddressFamily::Netlink, SockType::Datagram, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkSockDiag);
    let netlink = netlink.expect("a netlink socket");
    // struct nlmsghdr: length, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST. struct inet_diag_req_v2: family, protocol, all states.
    let mut request = [&72u32.to_ne_bytes()[..], &20u16.to_ne_bytes(), &1u16.to_ne_bytes(), &[0; 8]].concat();
    request.extend([nix::libc::AF_INET as u8, nix::libc::IPPROTO_TCP as u8, 0, 0, 255, 255, 255, 255]);
    // struct inet_diag_sockid: both ports, both addresses with room for IPv6, any interface, no cookie.
    [local, peer].iter().for_each(|end| request.extend(end.port().to_be_bytes()));
    [local, peer].iter().for_each(|end| request.extend([&end.ip().octets()[..], &[0; 12]].concat()));
    request.extend([0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
    send(netlink.as_raw_fd(), &request, MsgFlags::empty()).expect("ask the kernel for a socket");
    // It answers before it returns from the question. An error's message is shorter than a socket's, which ends with the
    // inode.
    let mut answer = [0; 1024];
    let len = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT).expect("the kernel's answer");
    let inode = u32::from_ne_bytes(answer[..len].get(84..88)?.try_into().ok()?);
    (inode != 0).then(|| inode.to_string())
}

/// Where a process listens: the first of its listening TCP sockets.
pub fn listening(pid: u32) -> Option<SocketAddr> {
    let descriptors = descriptors(pid);
    let number = |target: &'_ String| target.strip_prefix("socket:[")?.strip_suffix(']').map(String::from);
    let sockets: Vec<String> = descriptors.values().filter_map(number).collect();
    if sockets.is_empty() {
        return None;
    }
    ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"].iter().find_map(|table| {
        // Those that listen come first, and what follows costs the kernel a walk through a large table: no more is read
        // at once than a row.
        let rows = BufReader::with_capacity(150, fs::File::open(table).ok()?).lines();
        let listening = rows.map_while(Result::ok).skip(1).map_while(|row| {
            // The fields are: number, local address, remote address, state (0A listens), ..., the tenth is the inode.
            let fields: Vec<&str> = row.split_whitespace().collect();
            (fields.get(3) == Some(&"0A")).then(|| (fields[1].to_string(), fields[9].to_string()))
        });
        let (place, _) = { listening }.find(|(_, inode)| sockets.contains(inode))?;
        address(&place)
    })
}

/// An address as the tables of sockets write it: each group of 32 bits as a number in the machine's order.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let groups = (0..address.len()).step_by(8).map(|at| u32::from_str_radix(address.get(at..at + 8)?, 16).ok());
    let octets: Vec<u8> = groups.collect::<Option<Vec<u32>>>()?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let ip = match octets.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(octets).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(octets).ok()?),
    };
    Some(SocketAddr::new(ip, port))
}

/// Whether somebody listens on this port of 127.0.0.1. Asking the kernel costs the server no connection.
pub fn listens(port: u16) -> bool {
    table_row(&format!(":{port:04X} 00000000:0000 0A ")).is_some()
}

/// The line of the kernel's table of TCP sockets with this in it. The table is long on a machine that was busy: each
/// connection of the last minute is there.
fn table_row(part: &str) -> Option<String> {
    let table = fs::read_to_string("/proc/thread-self/net/tcp").expect("read /proc/net/tcp");
    let at = table.find(part)?;
    let start = table[..at].rfind('\n').map_or(0, |end| end + 1);
    table[start..].lines().next().map(String::from)
}
