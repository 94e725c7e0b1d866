//! Clients that ask again and again and forgive nothing, for what must happen to a server without anybody noticing.

use std::{
    io::{self, ErrorKind, Write},
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use super::{Client, Mode, say};

/// What became of the requests.
#[derive(Default)]
pub struct Load {
    over: AtomicBool,
    served: AtomicUsize,
    connections: AtomicUsize,
    /// A kept connection was closed before a byte of an answer came: a client asks anew (RFC 9112, 9.3.1).
    asked_anew: AtomicUsize,
    failed: Mutex<Vec<String>>,
}

/// How it went.
#[derive(Debug)]
pub struct Story {
    pub served: usize,
    pub connections: usize,
    pub asked_anew: usize,
    pub failed: Vec<String>,
}

impl Load {
    /// How many answers came so far.
    pub fn served(&self) -> usize {
        self.served.load(SeqCst)
    }

    /// Waits for so many more answers, or for a failure.
    pub fn more(&self, answers: usize) {
        let enough = self.served() + answers;
        super::wait_until("the load goes on", || self.served() >= enough || self.has_failed());
    }

    fn has_failed(&self) -> bool {
        !self.failures().is_empty()
    }

    /// What went wrong so far: a client saw the answer that a child ended with.
    pub fn failures(&self) -> Vec<String> {
        self.failed.lock().expect("no client panics").clone()
    }

    /// One connection after the other, with as many requests as the server lets it have, or with one.
    fn visit(&self, address: SocketAddr, path: &str, keep: bool) {
        let header = if keep { "" } else { "Connection: close\r\n" };
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n");
        'connections: while !self.over.load(SeqCst) {
            let mut client = match Client::try_connect(address) {
                Ok(client) => client,
                Err(e) => return self.fail("connect", &e),
            };
            self.connections.fetch_add(1, SeqCst);
            let mut asked = 0;
            while asked == 0 || !self.over.load(SeqCst) {
                let sent = client.stream.write_all(request.as_bytes());
                match sent.and_then(|()| client.try_response("GET")) {
                    Ok(response) if response.status == 200 && response.body == b"hello\n" => {
                        self.served.fetch_add(1, SeqCst);
                        asked += 1;
                        if !response.keeps_alive() {
                            continue 'connections;
                        }
                    }
                    Ok(response) => return self.fail("answer", &io::Error::other(format!("{response:?}"))),
                    Err(e) if asked > 0 && client.has_nothing() && is_closed(&e) => {
                        self.asked_anew.fetch_add(1, SeqCst);
                        continue 'connections;
                    }
                    Err(e) => return self.fail(&format!("request {asked} of {}", client.name()), &e),
                }
            }
        }
    }

    fn fail(&self, what: &str, error: &io::Error) {
        self.failed.lock().expect("no client panics").push(format!("{what}: {error}"));
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof)
}

/// Eight clients ask for `/hello.txt` (`hello`, and a newline), half of them on kept connections, while `meanwhile` goes
/// on. A panic there ends them too.
pub fn under_load(address: SocketAddr, meanwhile: impl FnOnce(&Load)) -> Story {
    struct Over<'l>(&'l Load);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.over.store(true, SeqCst);
        }
    }
    let load = Load::default();
    thread::scope(|scope| {
        let _over = Over(&load);
        for number in 0..8 {
            let load = &load;
            scope.spawn(move || load.visit(address, "/hello.txt", number % 2 == 0));
        }
        load.more(50);
        meanwhile(&load);
        load.more(50);
    });
    Story {
        served: load.served(),
        connections: load.connections.into_inner(),
        asked_anew: load.asked_anew.into_inner(),
        failed: load.failed.into_inner().expect("no client panicked"),
    }
}

/// Says a row of the table of restarts, and that nothing failed. `-- --nocapture` of the tests `reload`, `upgrade` and
/// `backends` is the whole table.
#[track_caller]
pub fn expect_no_loss(mode: Mode, what: &str, restarts: usize, story: &Story) {
    let Story { served, connections, asked_anew, failed } = story;
    let (mode, lost) = (format!("{mode:?}"), failed.len());
    say(&format!(
        "restart under load: {mode:<8} {what:<40} restarts {restarts:>4}, requests {served:>6} on {connections:>6} \
         connections, failed {lost}, asked anew {asked_anew}"
    ));
    assert!(failed.is_empty(), "{mode}, {what}: {failed:?}");
}
