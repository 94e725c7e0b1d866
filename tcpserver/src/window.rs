//! A window through which others look at the service: a socket of the supervisor's own, beside those that it serves.
//!
//! The supervisor answers in its loop and waits for nobody. A question is short and is answered once; who asks slowly, or
//! takes the answer slowly, has a few seconds, and one of few places, from which a newcomer drives whoever sat longest.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::socket::{MsgFlags, Shutdown, recv, send, shutdown};

use crate::error::Error;
use crate::listen::{Address, Listener, Tuning};
use crate::sys;

/// How many may ask at once.
const PLACES: usize = 8;

/// How long a question and its answer may take together, in microseconds.
const TIME: u64 = 5_000_000;

/// The longest question.
pub const QUESTION: usize = 4096;

/// So much is read behind a question before the connection is closed all the same.
const LEFT: usize = 64 << 10;

/// Speaks the protocol of the window: from the bytes that came so far to the whole answer, or to nothing while the
/// question is not complete. What it is called with makes the page that is asked for.
pub type Speak = fn(&[u8], &mut dyn FnMut() -> String) -> Option<Vec<u8>>;

/// A window that is open.
pub struct Window {
    listener: Listener,
    speak: Speak,
    /// What becomes readable when there is something to do.
    events: Epoll,
    guests: [Option<Guest>; PLACES],
}

struct Guest {
    socket: OwnedFd,
    question: Vec<u8>,
    /// The answer and how much of it is sent; empty until the question is complete.
    answer: Vec<u8>,
    sent: usize,
    /// What was read behind the question.
    behind: usize,
    until: u64,
}

/// How its socket is.
const TUNING: Tuning =
    Tuning { backlog: 16, receive_timeout: None, send_timeout: None, defer_accept: None, no_delay: true };

/// Where the event of the listener stands, behind those of the places.
const KNOCK: u64 = PLACES as u64;

impl Window {
    /// Opens a window at this address.
    ///
    /// # Errors
    /// The address is in use, or not ours to use.
    pub fn open(address: &Address, speak: Speak) -> Result<Window, Error> {
        Window::over(Listener::bind(address, TUNING)?, speak)
    }

    /// Takes over the window of a process of ours that gives way.
    ///
    /// # Errors
    /// The socket is none that listens.
    pub fn take_over(socket: OwnedFd, speak: Speak) -> Result<Window, Error> {
        Window::over(Listener::adopt_tuned(socket, TUNING)?.take_over(), speak)
    }

    fn over(listener: Listener, speak: Speak) -> Result<Window, Error> {
        let failed = |error: Errno| Error::os("set up", listener.address().to_string(), error);
        listener.set_nonblocking().map_err(failed)?;
        let events = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed)?;
        let window = Window { listener, speak, events, guests: Default::default() };
        window.watch().map_err(|error| Error::os("set up", window.listener.address().to_string(), error))?;
        Ok(window)
    }

    /// Its socket.
    #[must_use]
    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    /// What becomes readable when [`Window::work`] has something to do.
    pub(crate) fn events(&self) -> BorrowedFd<'_> {
        self.events.0.as_fd()
    }

    /// When it has although nothing is readable, in microseconds of the monotonic clock.
    pub(crate) fn next(&self) -> Option<u64> {
        self.guests.iter().flatten().map(|guest| guest.until).min()
    }

    /// Another process takes in whoever comes now.
    pub(crate) fn hand_over(&self) {
        self.listener.hand_over();
        // It is watched: this cannot fail.
        let _ = self.events.delete(&self.listener);
    }

    /// That process is gone.
    pub(crate) fn take_back(&self) {
        self.listener.take_back();
        // It was watched before: this fails for want of memory alone, and then the window stays closed.
        let _ = self.watch();
    }

    /// Has whoever comes be an event.
    fn watch(&self) -> nix::Result<()> {
        self.events.add(&self.listener, EpollEvent::new(EpollFlags::EPOLLIN, KNOCK))
    }

    /// All descriptors, which are no child's business.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let own = [self.listener.as_fd().as_raw_fd(), self.events.0.as_raw_fd()];
        own.into_iter().chain(self.guests.iter().flatten().map(|guest| guest.socket.as_raw_fd()))
    }

    /// Does what can be done without waiting; `page` makes what is asked for.
    pub(crate) fn work(&mut self, page: &mut dyn FnMut() -> String) {
        let mut ready = [EpollEvent::empty(); PLACES + 1];
        let count = self.events.wait(&mut ready, 0u8).unwrap_or(0);
        for event in ready.iter().take(count) {
            if event.data() == KNOCK {
                self.let_in();
            } else if let Some(place) = self.guests.get_mut(event.data() as usize)
                && let Some(guest) = place
                && !guest.go_on(self.speak, page, &self.events, event.data())
            {
                *place = None;
            }
        }
        let now = sys::micros();
        for place in &mut self.guests {
            if place.as_ref().is_some_and(|guest| guest.until <= now) {
                *place = None;
            }
        }
    }

    /// Gives a newcomer a place, be it that of whoever has been here longest.
    fn let_in(&mut self) {
        let Ok((socket, _)) = sys::accept(self.listener.as_fd()) else { return };
        let place = match self.guests.iter().position(Option::is_none) {
            Some(free) => free,
            None => {
                let oldest = self.guests.iter().enumerate().min_by_key(|(_, guest)| guest.as_ref().map(|g| g.until));
                oldest.map_or(0, |(place, _)| place)
            }
        };
        // Closed first, so that the kernel forgets to watch it.
        self.guests[place] = None;
        if self.events.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, place as u64)).is_ok() {
            let until = sys::micros() + TIME;
            let (question, answer) = (Vec::new(), Vec::new());
            self.guests[place] = Some(Guest { socket, question, answer, sent: 0, behind: 0, until });
        }
    }
}

impl Guest {
    /// Goes on with this one; `false` when it is done with.
    // Not in the supervisor's loop: the stack that it needs would stand there, to be copied for each child.
    #[inline(never)]
    fn go_on(&mut self, speak: Speak, page: &mut dyn FnMut() -> String, events: &Epoll, place: u64) -> bool {
        let mut bytes = [0; QUESTION];
        if self.answer.is_empty() {
            let room = QUESTION - self.question.len();
            match recv(self.socket.as_raw_fd(), &mut bytes[..room], MsgFlags::MSG_DONTWAIT) {
                Ok(0) => return false,
                Ok(read) => self.question.extend_from_slice(&bytes[..read]),
                Err(Errno::EAGAIN | Errno::EINTR) => return true,
                Err(_) => return false,
            }
            match speak(&self.question, page) {
                Some(answer) => self.answer = answer,
                None => return self.question.len() < QUESTION,
            }
        } else if self.is_answered() {
            // It may still be reading: a socket that is closed with bytes unread takes the answer away from it.
            return match recv(self.socket.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
                Ok(0) => false,
                Ok(read) => {
                    self.behind += read;
                    self.behind < LEFT
                }
                Err(error) => error == Errno::EAGAIN || error == Errno::EINTR,
            };
        }
        match send(self.socket.as_raw_fd(), &self.answer[self.sent..], MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL)
        {
            Ok(sent) => self.sent += sent,
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => return false,
        }
        let wanted = if self.is_answered() {
            if shutdown(self.socket.as_raw_fd(), Shutdown::Write).is_err() {
                return false;
            }
            EpollFlags::EPOLLIN
        } else {
            EpollFlags::EPOLLOUT
        };
        events.modify(&self.socket, &mut EpollEvent::new(wanted, place)).is_ok()
    }

    fn is_answered(&self) -> bool {
        !self.answer.is_empty() && self.sent == self.answer.len()
    }
}
