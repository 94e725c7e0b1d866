//! The ways to wait for many descriptors, each as an event loop would use it.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::select::{FdSet, select};
use nix::sys::signal::{SigSet, Signal};

use crate::bench::sys::{sigio, uring::Ring};

/// Watches descriptors.
pub trait Watch {
    /// Waits until one has something to read, and says which.
    fn wait(&mut self) -> io::Result<RawFd>;
}

/// A way to wait.
pub struct Interface {
    /// Its name in the pictures.
    pub name: &'static str,
    /// Begins to watch.
    pub watch: for<'fd> fn(Vec<BorrowedFd<'fd>>) -> io::Result<Box<dyn Watch + 'fd>>,
    /// The largest number of a descriptor that it can watch, and one more.
    pub most: RawFd,
}

/// Those of Linux.
pub const ALL: &[Interface] = &[
    Interface { name: "select", watch: |fds| Ok(Box::new(Select::new(fds)?)), most: libc::FD_SETSIZE as RawFd },
    Interface { name: "poll", watch: |fds| Ok(Box::new(Poll::new(&fds))), most: RawFd::MAX },
    Interface { name: "epoll, level", watch: |fds| epoll(&fds, EpollFlags::empty()), most: RawFd::MAX },
    Interface { name: "epoll, edge", watch: |fds| epoll(&fds, EpollFlags::EPOLLET), most: RawFd::MAX },
    Interface { name: "SIGIO", watch: |fds| Ok(Box::new(Sigio::new(&fds)?)), most: RawFd::MAX },
    Interface { name: "io_uring", watch: |fds| Ok(Box::new(ring(&fds)?)), most: RawFd::MAX },
];

/// Those of other systems, and where they are.
pub const ELSEWHERE: [(&str, &str); 3] = [
    ("kqueue", "this kernel has none; it is BSD's and macOS's"),
    ("/dev/poll", "this kernel has none; it is Solaris's"),
    ("completion ports", "this kernel has none; they are Windows's, and Solaris has event ports"),
];

struct Select<'fd> {
    all: FdSet<'fd>,
    highest: RawFd,
}

impl<'fd> Select<'fd> {
    /// # Errors
    /// A descriptor has a number that the set has no bit for.
    fn new(descriptors: Vec<BorrowedFd<'fd>>) -> io::Result<Self> {
        let highest = descriptors.iter().map(AsRawFd::as_raw_fd).max().unwrap_or(0);
        if highest >= libc::FD_SETSIZE as RawFd {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut all = FdSet::new();
        descriptors.into_iter().for_each(|descriptor| all.insert(descriptor));
        Ok(Select { all, highest })
    }
}

impl Watch for Select<'_> {
    fn wait(&mut self) -> io::Result<RawFd> {
        let mut ready = self.all;
        select(self.highest + 1, &mut ready, None, None, None)?;
        let first = ready.fds(Some(self.highest)).next();
        first.map(|descriptor| descriptor.as_raw_fd()).ok_or(io::ErrorKind::WouldBlock.into())
    }
}

struct Poll<'fd>(Vec<PollFd<'fd>>);

impl<'fd> Poll<'fd> {
    fn new(descriptors: &[BorrowedFd<'fd>]) -> Self {
        Poll(descriptors.iter().map(|&descriptor| PollFd::new(descriptor, PollFlags::POLLIN)).collect())
    }
}

impl Watch for Poll<'_> {
    fn wait(&mut self) -> io::Result<RawFd> {
        use std::os::fd::AsFd;
        poll(&mut self.0, PollTimeout::NONE)?;
        let ready = self.0.iter().find(|polled| polled.any() == Some(true));
        ready.map(|polled| polled.as_fd().as_raw_fd()).ok_or(io::ErrorKind::WouldBlock.into())
    }
}

fn epoll<'fd>(descriptors: &[BorrowedFd<'fd>], trigger: EpollFlags) -> io::Result<Box<dyn Watch + 'fd>> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    for descriptor in descriptors {
        epoll.add(descriptor, EpollEvent::new(EpollFlags::EPOLLIN | trigger, descriptor.as_raw_fd() as u64))?;
    }
    Ok(Box::new(epoll))
}

impl Watch for Epoll {
    fn wait(&mut self) -> io::Result<RawFd> {
        let mut events = [EpollEvent::empty(); 64];
        Epoll::wait(self, &mut events, EpollTimeout::NONE)?;
        Ok(events[0].data() as RawFd)
    }
}

/// The kernel keeps who is to be told with the descriptor, for as long as that is open.
struct Sigio<'fd>(PhantomData<BorrowedFd<'fd>>);

impl<'fd> Sigio<'fd> {
    fn new(descriptors: &[BorrowedFd<'fd>]) -> io::Result<Self> {
        SigSet::from(Signal::SIGIO).thread_block()?;
        descriptors.iter().try_for_each(sigio::ask)?;
        Ok(Sigio(PhantomData))
    }
}

impl Watch for Sigio<'_> {
    fn wait(&mut self) -> io::Result<RawFd> {
        sigio::wait()
    }
}

fn ring<'fd>(descriptors: &[BorrowedFd<'fd>]) -> io::Result<Ring<'fd>> {
    let mut ring = Ring::new()?;
    ring.watch(descriptors)?;
    Ok(ring)
}

impl Watch for Ring<'_> {
    fn wait(&mut self) -> io::Result<RawFd> {
        Ring::wait(self)
    }
}
