//! A connection as the standard library knows one.

use std::io;
use std::marker::PhantomData;

use connection::{Connection, Fd};

use crate::sys;

/// Reads from a connection and writes to it, for handlers that use the standard library. Wrapped in a
/// [`std::io::BufReader`] it gives lines.
///
/// A read that waits longer than [`crate::Tuning::receive_timeout`] fails with [`io::ErrorKind::WouldBlock`].
#[derive(Debug)]
pub struct Stream<'c> {
    input: Fd,
    output: Fd,
    connection: PhantomData<&'c ()>,
}

impl<'c> Stream<'c> {
    /// Both directions of this connection, which stays open behind it.
    #[must_use]
    pub fn new(connection: &'c Connection<'_>) -> Self {
        Stream { input: connection.input, output: connection.output, connection: PhantomData }
    }
}

impl io::Read for Stream<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        sys::read(self.input, bytes)
    }
}

impl io::Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        sys::write(self.output, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
