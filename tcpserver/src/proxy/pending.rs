//! Connections whose header has not arrived yet.
//!
//! The supervisor waits for all of them at once, takes what has arrived and no more than belongs to the header, and goes
//! on. So a balancer that is slow, or says nothing, delays nobody; and as the places are few, the one that has waited
//! longest makes room.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::socket::{MsgFlags, recv};

use super::Policy;
use super::header::{self, Header};
use crate::admit::Admitted;
use crate::log::{Limiter, Log, Peer};

/// How many connections may wait for their headers, or with them for a child; fewer where descriptors are few.
const PLACES: usize = 256;

/// The waiting connections.
pub(crate) struct Pending {
    policy: Policy,
    places: Vec<Place>,
    /// How many of the places are taken.
    taken: usize,
    /// Tells whose bytes have arrived; its numbers are those of the places.
    arrivals: Epoll,
    complaints: Limiter,
    /// Connections closed for want of a good header since the start.
    pub(crate) refused: u64,
}

/// Where one connection waits.
#[derive(Default)]
struct Place {
    connection: Option<Waiting>,
    /// What has arrived of the header. The memory is reused.
    header: Vec<u8>,
}

struct Waiting {
    admitted: Admitted,
    /// The listener that it came from.
    from: usize,
    /// When it came, in microseconds of the monotonic clock.
    since: u64,
    /// The header has arrived: what it waits for is a child.
    complete: bool,
}

/// What has become of a header.
enum Progress {
    More,
    Complete,
    /// The other end closed before it said anything, as those do who ask whether a port is open.
    Gone,
    Failed(&'static str),
}

impl Pending {
    pub(crate) fn new(policy: Policy) -> io::Result<Self> {
        Ok(Pending {
            policy,
            places: (0..places()).map(|_| Place::default()).collect(),
            taken: 0,
            arrivals: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            complaints: Limiter::default(),
            refused: 0,
        })
    }

    /// A connection was accepted. It comes back at once if it needs no header or has it already.
    pub(crate) fn enter(&mut self, from: usize, mut admitted: Admitted, now: u64, log: &mut Log) -> Option<Admitted> {
        if !self.policy.from.contain(admitted.peer) {
            if !self.policy.required {
                return Some(admitted);
            }
            self.complain(&admitted, "none is taken from this address", log);
            return None;
        }
        let at = self.free_place(log);
        let header = &mut self.places[at].header;
        header.clear();
        match receive(&mut admitted, header) {
            Progress::Complete => return Some(admitted),
            Progress::Gone => return None,
            Progress::Failed(why) => {
                self.complain(&admitted, why, log);
                return None;
            }
            Progress::More => {}
        }
        let event = EpollEvent::new(EpollFlags::EPOLLIN, at as u64);
        if let Err(error) = self.arrivals.add(&admitted.socket, event) {
            self.complain(&admitted, error.desc(), log);
            return None;
        }
        self.places[at].connection = Some(Waiting { admitted, from, since: now, complete: false });
        self.taken += 1;
        None
    }

    /// What becomes readable when bytes have arrived, if any are waited for.
    pub(crate) fn arrivals(&self) -> Option<BorrowedFd<'_>> {
        (self.taken > 0).then(|| self.arrivals.0.as_fd())
    }

    /// Takes what has arrived, and gives up those that took too long.
    pub(crate) fn look(&mut self, now: u64, log: &mut Log) {
        if self.taken == 0 {
            return;
        }
        let mut events = [EpollEvent::empty(); PLACES];
        let count = self.arrivals.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
        for event in &events[..count] {
            self.progress(event.data() as usize, log);
        }
        let patience = u64::from(self.policy.timeout) * 1_000_000;
        for at in 0..self.places.len() {
            let late =
                |place: &Place| place.connection.as_ref().is_some_and(|w| !w.complete && w.since + patience <= now);
            if late(&self.places[at]) {
                self.drop(at, "it did not arrive in time", log);
            }
        }
    }

    /// The connection that has been here longest, of those with a header, and the listener that it came from.
    pub(crate) fn take(&mut self) -> Option<(usize, Admitted)> {
        if self.taken == 0 {
            return None;
        }
        let at = self.oldest(|waiting| waiting.complete)?;
        let Waiting { admitted, from, .. } = self.leave(at)?;
        Some((from, admitted))
    }

    /// How many have their header.
    pub(crate) fn complete(&self) -> usize {
        let is_complete = |place: &&Place| place.connection.as_ref().is_some_and(|waiting| waiting.complete);
        if self.taken == 0 { 0 } else { self.places.iter().filter(is_complete).count() }
    }

    /// When [`Pending::look`] has something to do although nothing arrived, in microseconds of the monotonic clock.
    pub(crate) fn next(&self) -> Option<u64> {
        if self.taken == 0 {
            return None;
        }
        let oldest = self.oldest(|waiting| !waiting.complete)?;
        let since = self.places[oldest].connection.as_ref()?.since;
        Some(since + u64::from(self.policy.timeout) * 1_000_000)
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// The descriptors that a forked child has no business with, while it lives on without executing.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let waiting = self.places.iter().filter_map(|place| place.connection.as_ref());
        waiting.map(|waiting| waiting.admitted.socket.as_raw_fd()).chain([self.arrivals.0.as_raw_fd()])
    }

    fn progress(&mut self, at: usize, log: &mut Log) {
        let Some(Place { connection: Some(waiting), header }) = self.places.get_mut(at) else { return };
        match receive(&mut waiting.admitted, header) {
            Progress::More => {}
            Progress::Complete => {
                waiting.complete = true;
                // What follows is the program's and may well have arrived, again and again.
                let _ = self.arrivals.delete(&waiting.admitted.socket);
            }
            Progress::Gone => drop(self.leave(at)),
            Progress::Failed(why) => self.drop(at, why, log),
        }
    }

    /// A place for one more.
    fn free_place(&mut self, log: &mut Log) -> usize {
        if let Some(at) = self.places.iter().position(|place| place.connection.is_none()) {
            return at;
        }
        // Those with a header wait for a child, and then nothing is accepted: so there is one without.
        let at = self.oldest(|waiting| !waiting.complete).or_else(|| self.oldest(|_| true)).unwrap_or(0);
        self.drop(at, "too many others are waited for", log);
        at
    }

    fn oldest(&self, wanted: impl Fn(&Waiting) -> bool) -> Option<usize> {
        let since = |at: usize| self.places[at].connection.as_ref().filter(|waiting| wanted(waiting)).map(|w| w.since);
        (0..self.places.len()).filter_map(|at| since(at).map(|since| (since, at))).min().map(|(_, at)| at)
    }

    fn drop(&mut self, at: usize, why: &str, log: &mut Log) {
        if let Some(waiting) = self.leave(at) {
            self.complain(&waiting.admitted, why, log);
        }
    }

    fn leave(&mut self, at: usize) -> Option<Waiting> {
        let waiting = mem::take(&mut self.places[at].connection)?;
        self.taken -= 1;
        if !waiting.complete {
            // A forked child may hold the socket too: closing it here would not take it out.
            let _ = self.arrivals.delete(&waiting.admitted.socket);
        }
        Some(waiting)
    }

    fn complain(&mut self, admitted: &Admitted, why: &str, log: &mut Log) {
        self.refused += 1;
        if let Some(more) = self.complaints.admit() {
            let peer = Peer(admitted.peer);
            log.warning(format_args!("closed connection{peer}: PROXY header: {why} ({more} more)"));
        }
    }
}

/// At most a quarter of the descriptors that this process may have: the others are for who is served.
fn places() -> usize {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    usize::try_from(soft / 4).unwrap_or(PLACES).clamp(1, PLACES)
}

/// Takes what has arrived of the header out of the socket, and not a byte of what follows.
fn receive(admitted: &mut Admitted, header: &mut Vec<u8>) -> Progress {
    let socket = admitted.socket.as_raw_fd();
    let before = header.len();
    header.resize(header::LONGEST, 0);
    let flags = MsgFlags::MSG_DONTWAIT;
    let arrived = match recv(socket, &mut header[before..], flags | MsgFlags::MSG_PEEK) {
        Ok(0) if before == 0 => return Progress::Gone,
        Ok(0) => return Progress::Failed("the connection ended in it"),
        Ok(arrived) => arrived,
        Err(Errno::EAGAIN | Errno::EINTR) => 0,
        Err(_) => return Progress::Gone,
    };
    let read = header::read(&header[..before + arrived]);
    let ours = match read {
        Header::Whole { len, .. } => len,
        _ => before + arrived,
    };
    if ours > before {
        // These bytes are there: they were just seen, and nobody else reads.
        let _ = recv(socket, &mut header[before..ours], flags);
    }
    header.truncate(ours);
    match read {
        Header::Partial => Progress::More,
        Header::Malformed(why) => Progress::Failed(why),
        Header::Whole { ends, .. } => {
            if let Some(ends) = ends {
                (admitted.peer, admitted.local) = (Some(ends.source), Some(ends.destination));
            }
            Progress::Complete
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Verbosity;
    use crate::proxy::Trusted;
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n";

    struct Fixture {
        listener: TcpListener,
        pending: Pending,
        log: Log,
    }

    impl Fixture {
        fn new(required: bool, from: &str) -> Fixture {
            let mut trusted = Trusted::default();
            trusted.add(from).unwrap();
            let policy = Policy { required, from: trusted, timeout: 5 };
            Fixture {
                listener: TcpListener::bind("127.0.0.1:0").unwrap(),
                pending: Pending::new(policy).unwrap(),
                log: Log::new("test", connection::Fd(-1), Verbosity::Silent),
            }
        }

        /// A client that has sent `first`, and what became of its connection.
        fn connect(&mut self, first: &[u8], now: u64) -> (TcpStream, Option<Admitted>) {
            let mut client = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
            client.write_all(first).unwrap();
            let (socket, peer) = self.listener.accept().unwrap();
            let admitted = Admitted { socket: socket.into(), peer: Some(peer), local: None };
            (client, self.pending.enter(7, admitted, now, &mut self.log))
        }

        /// Looks until a connection is complete, or none is left.
        fn look(&mut self) -> Option<(usize, Admitted)> {
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(30) {
                self.pending.look(0, &mut self.log);
                if let Some(complete) = self.pending.take() {
                    return Some(complete);
                }
                if self.pending.is_empty() {
                    return None;
                }
            }
            panic!("nothing happened");
        }
    }

    fn rest(admitted: Admitted) -> Vec<u8> {
        let mut rest = Vec::new();
        TcpStream::from(admitted.socket).read_to_end(&mut rest).unwrap();
        rest
    }

    #[test]
    fn a_header_that_is_there_is_taken_to_the_byte() {
        let mut fixture = Fixture::new(true, "127.0.0.0/8");
        let (client, admitted) = fixture.connect(&[LINE, b"PROXY is what follows"].concat(), 0);
        client.shutdown(Shutdown::Write).unwrap();
        let admitted = admitted.unwrap();
        assert_eq!(admitted.peer, Some("192.0.2.1:56324".parse().unwrap()));
        assert_eq!(admitted.local, Some("198.51.100.7:443".parse().unwrap()));
        assert_eq!(rest(admitted), b"PROXY is what follows");
    }

    #[test]
    fn a_header_that_trickles_is_waited_for_and_nobody_else_waits() {
        let mut fixture = Fixture::new(true, "127.0.0.1");
        let (mut slow, none) = fixture.connect(b"", 0);
        assert!(none.is_none());
        for byte in LINE {
            slow.write_all(&[*byte]).unwrap();
            fixture.pending.look(0, &mut fixture.log);
            assert!(fixture.connect(LINE, 0).1.is_some(), "another comes in meanwhile");
        }
        slow.write_all(b"rest").unwrap();
        slow.shutdown(Shutdown::Write).unwrap();
        let (from, admitted) = fixture.look().unwrap();
        assert_eq!((from, admitted.peer), (7, Some("192.0.2.1:56324".parse().unwrap())));
        assert_eq!(rest(admitted), b"rest");
        assert!(fixture.pending.is_empty());
    }

    #[test]
    fn what_is_no_header_and_what_never_comes_is_closed() {
        let mut fixture = Fixture::new(true, "127.0.0.1");
        assert!(fixture.connect(b"EHLO client\r\n", 0).1.is_none());
        assert!(fixture.pending.is_empty());
        let (mut half, none) = fixture.connect(b"PROXY TCP4", 0);
        assert!(none.is_none());
        half.write_all(b" nonsense\r\n").unwrap();
        assert!(fixture.look().is_none());
        let (_silent, none) = fixture.connect(b"", 10);
        assert!(none.is_none());
        assert_eq!(fixture.pending.next(), Some(5_000_010));
        fixture.pending.look(5_000_009, &mut fixture.log);
        assert!(!fixture.pending.is_empty());
        fixture.pending.look(5_000_010, &mut fixture.log);
        assert!(fixture.pending.is_empty());
        assert_eq!(fixture.pending.refused, 3);
        let (gone, none) = fixture.connect(b"", 10);
        assert!(none.is_none());
        drop(gone);
        assert!(fixture.look().is_none());
        assert_eq!(fixture.pending.refused, 3, "whoever only knocks is not complained of");
    }

    #[test]
    fn who_is_not_trusted_speaks_for_itself_or_not_at_all() {
        let mut optional = Fixture::new(false, "10.0.0.0/8");
        let (client, admitted) = optional.connect(LINE, 0);
        let admitted = admitted.unwrap();
        assert_eq!(admitted.peer, Some(client.local_addr().unwrap()));
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(admitted), LINE, "a header from anywhere is the program's to read");
        let mut required = Fixture::new(true, "10.0.0.0/8");
        assert!(required.connect(LINE, 0).1.is_none());
        assert!(required.pending.is_empty());
    }

    #[test]
    fn the_places_are_bounded_and_the_oldest_makes_room() {
        let mut fixture = Fixture::new(true, "127.0.0.1");
        let mut clients: Vec<_> = (0..PLACES).map(|now| fixture.connect(b"P", now as u64).0).collect();
        assert_eq!((fixture.pending.taken, fixture.pending.refused), (PLACES, 0));
        let (_late, none) = fixture.connect(b"", 1000);
        assert!(none.is_none());
        assert_eq!((fixture.pending.taken, fixture.pending.refused), (PLACES, 1));
        let mut first = clients.remove(0);
        let mut end = Vec::new();
        // Closed with everything read: an end, and no reset.
        assert_eq!(first.read_to_end(&mut end).unwrap(), 0);
        assert_eq!(fixture.pending.descriptors().count(), PLACES + 1);
    }
}
