//! A pool whose children are handed their connections, for services that decide about each before a child has it.
//!
//! The supervisor accepts, and gives an idle child the connection over a socket pair that only the two of them hold. The
//! child says with one byte that it has closed it. So the supervisor knows who is idle and whom each child serves, of its
//! own knowledge and not from anything that a child can write.
//!
//! What a child may say is so little that a lie gains nothing: one byte while it serves means that it is done, and brings
//! it one more connection at most, as to accept would in another pool; anything else is no part of the protocol, and ends
//! the child. What a child was given and did not take is still in the pair when it dies, and is taken back.
//!
//! The child that became idle last is next: its memory is in the processor's caches, and those who are not needed sleep.

mod hatch;
mod pair;
mod words;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{MsgFlags, recv};

pub(crate) use hatch::Hatch;
use pair::Pair;
use words::DONE;

use super::reserve::Reserve;
use crate::admit::Admitted;
use crate::error::Error;
use crate::listen::Listener;
use crate::sys::{self, Peer, Table};

/// What its child is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// There is none.
    #[default]
    Empty,
    Idle,
    /// It was given a connection, and has not said that it is done.
    Serving(Peer),
    /// It is given none any more.
    Leaving,
}

/// What a child has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The child in this place is done with the connection of this client.
    Done(u32, Peer),
    /// It said what it has no cause to say.
    Lied(u32),
}

/// The children's seats, and who is idle.
pub(crate) struct Handed {
    seats: Vec<Option<Pair>>,
    /// Apart from what is forked, like all tables that change with each connection.
    states: Table<State>,
    /// Places of idle children; the last is next.
    idle: Vec<u32>,
    /// How many places are in each of these states.
    serving: usize,
    leaving: usize,
    /// Tells which of our ends have something to read.
    words: Epoll,
    /// Below it is what a child needs; what it must not have has higher numbers.
    reserve: Reserve,
    /// Seconds after which a waiting child looks around.
    tick: Option<u32>,
    /// Connections that were given to children who died before they took them, and where they came from.
    returned: Vec<(usize, Admitted)>,
}

impl Handed {
    /// Seats for so many children.
    pub(crate) fn new(children: u32, listeners: &[Listener]) -> Result<Self, Error> {
        pair::make_room(children)?;
        let failed = |error: io::Error| Error::os("make", "the seats of a pool", error);
        let reserve = Reserve::new().map_err(failed)?;
        let words = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(|error| failed(error.into()))?;
        Ok(Handed {
            seats: (0..children).map(|_| None).collect(),
            states: Table::new(children as usize).map_err(failed)?,
            idle: Vec::with_capacity(children as usize),
            serving: 0,
            leaving: 0,
            reserve,
            words,
            tick: listeners.first().and_then(Listener::receive_timeout),
            returned: Vec::new(),
        })
    }

    /// Makes the seat ready for a child that is about to be made: its end of the pair.
    pub(crate) fn hatch(&mut self, place: u32) -> io::Result<Hatch> {
        let seat = self.seats.get_mut(place as usize).ok_or(io::ErrorKind::StorageFull)?;
        let pair = match seat {
            Some(pair) => pair,
            none => {
                let pair = Pair::new(self.tick)?;
                self.words.add(&pair.ours, EpollEvent::new(EpollFlags::EPOLLIN, place.into()))?;
                none.insert(pair)
            }
        };
        Ok(Hatch { end: pair.theirs.as_raw_fd(), first: self.reserve.end(), tick: self.tick })
    }

    /// Reads files anew, with room for them where children keep what they have.
    pub(crate) fn opens<R>(&mut self, reads: impl FnOnce() -> R) -> R {
        self.reserve.open();
        let read = reads();
        self.reserve.close();
        read
    }

    /// A child sits there, and waits.
    pub(crate) fn joined(&mut self, place: u32) {
        self.set(place, State::Idle);
        self.idle.push(place);
    }

    /// Whether a connection can be given to somebody.
    pub(crate) fn has_idle(&self) -> bool {
        !self.idle.is_empty()
    }

    /// How many wait for a connection.
    pub(crate) fn idle(&self) -> usize {
        self.idle.len()
    }

    /// The place of who has been idle for longest: it is given nothing any more, and is to be told to leave.
    pub(crate) fn dismiss_one(&mut self) -> Option<u32> {
        let place = self.idle.first().copied()?;
        self.retire(place);
        Some(place)
    }

    /// Whether somebody who served nobody is on the way out: its place is free in an instant.
    pub(crate) fn somebody_leaves(&self) -> bool {
        self.leaving > 0
    }

    /// How many serve.
    pub(crate) fn serving(&self) -> usize {
        self.serving
    }

    fn set(&mut self, place: u32, state: State) {
        let before = std::mem::replace(&mut self.states[place as usize], state);
        for (state, more) in [(before, false), (state, true)] {
            let count = match state {
                State::Serving(_) => &mut self.serving,
                State::Leaving => &mut self.leaving,
                State::Empty | State::Idle => continue,
            };
            *count = if more { *count + 1 } else { *count - 1 };
        }
    }

    /// Gives a connection to an idle child: its place. Ours may be closed then.
    pub(crate) fn give(&mut self, from: usize, admitted: &Admitted) -> io::Result<u32> {
        let mut text = [0; words::TEXT];
        words::write(&mut text, from, admitted);
        loop {
            let place = self.idle.pop().ok_or(io::ErrorKind::WouldBlock)?;
            let Some(pair) = &self.seats[place as usize] else { continue };
            match sys::give(pair.ours.as_raw_fd(), &text, admitted.socket.as_fd()) {
                Ok(()) => {
                    self.set(place, State::Serving(admitted.peer));
                    return Ok(place);
                }
                // Memory is short, or too many descriptors are on their way (unix(7), ETOOMANYREFS).
                Err(error) => {
                    self.idle.push(place);
                    return Err(error);
                }
            }
        }
    }

    /// Hears what children have said since.
    pub(crate) fn hear(&mut self, mut heed: impl FnMut(&mut Self, News)) {
        let mut events = [EpollEvent::empty(); 64];
        loop {
            let count = self.words.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
            for event in &events[..count] {
                let place = event.data() as u32;
                if let Some(news) = self.hear_one(place) {
                    heed(self, news);
                }
            }
            if count < events.len() {
                return;
            }
        }
    }

    /// What the child there has said, if anything.
    fn hear_one(&mut self, place: u32) -> Option<News> {
        let pair = self.seats.get_mut(place as usize)?.as_mut().filter(|pair| !pair.spoilt)?;
        let mut word = [0; 2];
        let heard = recv(pair.ours.as_raw_fd(), &mut word, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC).ok()?;
        match self.states[place as usize] {
            State::Serving(peer) if heard == DONE.len() && word.starts_with(DONE) => {
                // Not given anything before `rests` says so.
                self.set(place, State::Leaving);
                Some(News::Done(place, peer))
            }
            state => {
                let _ = self.words.delete(&pair.ours);
                pair.spoilt = true;
                // Whom it serves is known until it is reaped: its place is free then.
                if !matches!(state, State::Serving(_)) {
                    self.retire(place);
                }
                Some(News::Lied(place))
            }
        }
    }

    /// The child there, which is done, may be given the next.
    pub(crate) fn rests(&mut self, place: u32) {
        self.joined(place);
    }

    /// The child there is given nothing any more.
    fn retire(&mut self, place: u32) {
        if self.states[place as usize] == State::Idle {
            self.idle.retain(|&other| other != place);
        }
        self.set(place, State::Leaving);
    }

    /// Those who are idle are given nothing any more: they were told to leave, or will be.
    pub(crate) fn dismiss(&mut self) {
        while let Some(place) = self.idle.pop() {
            self.set(place, State::Leaving);
        }
    }

    /// The child there was reaped. Says whom it left unserved in the middle, which is the client that is charged with its
    /// end; and whose place is free although nobody served it, for that connection was taken back.
    pub(crate) fn release(&mut self, place: u32, is_abnormal: bool) -> Released {
        let mut released = Released::default();
        // Its last word may be unheard.
        while let Some(news) = self.hear_one(place) {
            if let News::Done(_, peer) = news {
                released.done = Some(peer);
            }
        }
        if let State::Serving(peer) = self.states[place as usize] {
            match self.take_back(place) {
                true => released.returned = Some(peer),
                false => released.serving = Some(peer),
            }
        }
        self.retire(place);
        self.set(place, State::Empty);
        if let Some(pair) = self.seats[place as usize].take_if(|pair| pair.spoilt || is_abnormal) {
            // Somebody that it made may hold its end: the next child gets another.
            let _ = self.words.delete(&pair.ours);
        }
        released
    }

    /// What was given to a child that died, if it did not take it.
    fn take_back(&mut self, place: u32) -> bool {
        let Some(pair) = &self.seats[place as usize] else { return false };
        let mut text = [0; words::TEXT];
        let Ok((_, socket)) = sys::take(pair.theirs.as_raw_fd(), &mut text, false) else { return false };
        let (from, peer, local) = words::read(&text);
        self.returned.push((from, Admitted { socket, peer, local }));
        true
    }

    /// A connection that was taken back, and where it came from.
    pub(crate) fn next_returned(&mut self) -> Option<(usize, Admitted)> {
        self.returned.pop()
    }

    /// How many of these there are.
    pub(crate) fn returned(&self) -> usize {
        self.returned.len()
    }

    /// What is readable when a child has said something.
    pub(crate) fn words(&self) -> BorrowedFd<'_> {
        self.words.0.as_fd()
    }
}

/// What became of a dead child's connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Released {
    /// The client that it served when it died, or by dying.
    pub(crate) serving: Option<Peer>,
    /// A client whose connection it had closed, which was not known yet.
    pub(crate) done: Option<Peer>,
    /// A client whose connection it did not take.
    pub(crate) returned: Option<Peer>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn admitted(peer: &str) -> (TcpStream, Admitted) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let socket = listener.accept().unwrap().0.into();
        (client, Admitted { socket, peer: peer.parse().ok(), local: None })
    }

    fn seats(children: u32) -> Handed {
        let mut handed = Handed::new(children, &[]).unwrap();
        for place in 0..children {
            handed.hatch(place).unwrap();
            handed.joined(place);
        }
        handed
    }

    /// What the child there would do.
    fn take(handed: &Handed, place: u32) -> Peer {
        let theirs = &handed.seats[place as usize].as_ref().unwrap().theirs;
        let mut text = [0; words::TEXT];
        sys::take(theirs.as_raw_fd(), &mut text, true).unwrap();
        words::read(&text).1
    }

    fn say(handed: &Handed, place: u32, word: &[u8]) {
        let theirs = &handed.seats[place as usize].as_ref().unwrap().theirs;
        nix::sys::socket::send(theirs.as_raw_fd(), word, MsgFlags::empty()).unwrap();
    }

    fn news(handed: &mut Handed) -> Vec<News> {
        let mut all = Vec::new();
        handed.hear(|_, news| all.push(news));
        all
    }

    #[test]
    fn who_was_idle_last_is_next_and_tells_when_it_is_done() {
        let mut handed = seats(3);
        let (_client, connection) = admitted("192.0.2.1:80");
        assert_eq!(handed.give(7, &connection).unwrap(), 2);
        assert_eq!(handed.give(7, &connection).unwrap(), 1);
        assert_eq!((handed.serving(), handed.has_idle()), (2, true));
        let peer = connection.peer;
        assert_eq!(take(&handed, 2), peer);
        say(&handed, 2, DONE);
        assert_eq!(news(&mut handed), [News::Done(2, peer)]);
        handed.rests(2);
        assert_eq!(handed.give(7, &connection).unwrap(), 2, "its memory is in the caches");
        assert_eq!(handed.give(7, &connection).unwrap(), 0);
        assert!(handed.give(7, &connection).is_err(), "nobody is idle");
    }

    /// Whatever a child says beyond that it is done ends its part.
    #[test]
    fn who_lies_is_given_nothing_any_more() {
        for word in [&b"."[..], b"", b"..", b"x", &[b'.'; 5000]] {
            let mut handed = seats(2);
            say(&handed, 1, word);
            assert_eq!(news(&mut handed), [News::Lied(1)], "{word:?}");
            let (_client, connection) = admitted("192.0.2.1:80");
            assert_eq!(handed.give(0, &connection).unwrap(), 0);
            assert!(handed.give(0, &connection).is_err());
        }
    }

    /// The end of a socket is told for ever; it is heard once, its client is known, and the next child is heard.
    #[test]
    fn who_shuts_its_end_down_is_heard_once() {
        let mut handed = seats(1);
        let (_client, connection) = admitted("192.0.2.1:80");
        handed.give(0, &connection).unwrap();
        take(&handed, 0);
        let theirs = &handed.seats[0].as_ref().unwrap().theirs;
        nix::sys::socket::shutdown(theirs.as_raw_fd(), nix::sys::socket::Shutdown::Write).unwrap();
        assert_eq!(news(&mut handed), [News::Lied(0)]);
        assert_eq!(news(&mut handed), []);
        assert_eq!(handed.release(0, false), Released { serving: Some(connection.peer), ..Released::default() });
        handed.hatch(0).unwrap();
        handed.joined(0);
        handed.give(0, &connection).unwrap();
        take(&handed, 0);
        say(&handed, 0, DONE);
        assert_eq!(news(&mut handed), [News::Done(0, connection.peer)]);
    }

    #[test]
    fn what_a_dead_child_did_not_take_is_taken_back() {
        let mut handed = seats(1);
        for is_abnormal in [false, true, false] {
            let (_client, connection) = admitted("[2001:db8::1]:80");
            handed.give(3, &connection).unwrap();
            let released = handed.release(0, is_abnormal);
            assert_eq!(released, Released { returned: Some(connection.peer), ..Released::default() });
            let (from, returned) = handed.next_returned().unwrap();
            assert_eq!((from, returned.peer), (3, connection.peer));
            assert!(handed.returned() == 0 && !handed.has_idle());
            handed.hatch(0).unwrap();
            handed.joined(0);
        }
        let (_client, connection) = admitted("192.0.2.1:80");
        handed.give(0, &connection).unwrap();
        take(&handed, 0);
        assert_eq!(handed.release(0, true), Released { serving: Some(connection.peer), ..Released::default() });
        handed.hatch(0).unwrap();
        handed.joined(0);
        handed.give(0, &connection).unwrap();
        take(&handed, 0);
        say(&handed, 0, DONE);
        assert_eq!(handed.release(0, true), Released { done: Some(connection.peer), ..Released::default() });
    }
}
