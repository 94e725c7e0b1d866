//! `-c`: never more programs than that; who comes more waits, and is served when one ends.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::{
    case::{CLIENT, Case, Whose},
    common::{Server, holds_within, process, wait_until},
    story::{connect, start},
};

/// Both, one after the other, with these options and a program that sends back what it gets.
fn each(options: &str, mut check: impl FnMut(&Server, &dyn Fn() -> TcpStream)) {
    for whose in [Whose::Original, Whose::Ours] {
        let Some((mut server, _scratch)) = start(whose, &Case::new(options)) else { return };
        let address = process::listening(server.pid()).expect("it listens");
        check(&server, &|| connect(CLIENT, address).expect("connect to the server"));
        server.stop();
    }
}

fn is_served(stream: &mut TcpStream) {
    stream.write_all(b"?").expect("say something");
    stream.read_exact(&mut [0]).expect("it comes back");
}

#[test]
fn never_more_than_the_limit_and_those_who_wait_are_served() {
    for limit in [1, 2, 5] {
        each(&format!("-vRHl0 -c{limit}"), |server, connect| {
            let mut clients: Vec<TcpStream> = (0..limit + 3).map(|_| connect()).collect();
            clients[..limit].iter_mut().for_each(is_served);
            // Long enough for a mistake, which would be immediate.
            assert!(!holds_within(Duration::from_millis(100), || server.children().len() != limit));
            // The log of being full is one line, and nothing is said of those who wait.
            let full = format!("tcpserver: status: {limit}/{limit}");
            assert_eq!(server.log().lines().filter(|line| **line == full).count(), 1, "{}", server.log());
            assert_eq!(server.log().matches(" from ").count(), limit, "{}", server.log());
            for served in 0..3 {
                drop(clients.remove(0));
                is_served(&mut clients[limit - 1]);
                wait_until("the one before is told", || server.log().matches(" end ").count() == served + 1);
            }
            drop(clients);
            wait_until("all have ended", || server.log().ends_with(&format!("status: 0/{limit}\n")));
        });
    }
}

/// A child that the supervisor had before counts down, and not below nothing.
#[test]
fn strangers_do_not_disturb_the_count() {
    each("-vRHl0 -c1", |server, connect| {
        for _ in 0..3 {
            is_served(&mut connect());
        }
        wait_until("all have ended", || server.log().matches("status: 0/1").count() == 4);
    });
}
