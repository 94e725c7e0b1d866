//! Mode `fork`: a child for each accepted connection.

use std::io;

use connection::{Handler, Host};

use super::{Nest, alarm_clock};
use crate::admit::{self, Admitted};
use crate::listen::Listener;
use crate::porter::Porter;
use crate::sys::{self, Forked};

/// Makes a child that serves `admitted` and exits with the outcome. Our copy of the connection is closed on return.
pub(crate) fn spawn(
    nest: &Nest<'_>,
    handler: &mut dyn Handler,
    listeners: &[Listener],
    porter: &Porter,
    from: &Listener,
    admitted: &Admitted,
) -> io::Result<i32> {
    match sys::fork(&nest.one_thread)? {
        Forked::Parent(pid) => Ok(pid),
        Forked::Child => serve(nest, handler, listeners, porter, from, admitted),
    }
}

// ---- In the child: system calls and the handler. ----

fn serve(
    nest: &Nest<'_>,
    handler: &mut dyn Handler,
    listeners: &[Listener],
    porter: &Porter,
    from: &Listener,
    admitted: &Admitted,
) -> ! {
    nest.leave();
    nest.signals.enter_child();
    // A child that outlives the supervisor must not keep the port from the next one.
    for listener in listeners {
        sys::close(listener.as_fd_number());
    }
    // Nor may it keep a connection of somebody else from ending.
    porter.descriptors().for_each(sys::close);
    nest.enter_sandbox();
    // A clock of its own: the supervisor's lies in a page that would be copied.
    let alarm = alarm_clock(true);
    let host = Host { alarm: &alarm, ..*nest.host };
    let connection = admit::connection(from, admitted, nest.access_log, &host);
    nest.host.title.inspect(|title| title.serve(&connection.peer));
    // The kernel closes the connection.
    sys::exit(handler.serve(&connection).status())
}
