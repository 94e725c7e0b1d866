//! Bytes between a client and a script, both ways at once: neither need read all before it writes.

use connection::Started;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::body::Body;
use super::body::CONTINUE;
use super::head::{self, Head, NoHead};
use super::{Call, Ends, LOCATION, Ran, broken, complain};
use crate::Text;
use crate::http::answer::Reply;
use crate::http::chunk::{self, BEHIND, FRONT};
use crate::http::response::{self, HEAD};
use crate::http::status::Status;
use crate::io::{Sent, borrow};
use crate::options::HEADER_BYTES;

/// How much is carried at once. The head of a script's answer is at most this long.
const PIECE: usize = 16 << 10;

/// How the end of the answer is told to the client.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// There is no body.
    Nothing,
    /// So many bytes are still to come.
    Length(u64),
    /// In chunks.
    Chunks,
    /// By the end of the connection.
    Close,
}

/// What happens next.
enum Next {
    /// More is to come.
    Go,
    /// That was all.
    Done,
    /// The client is gone, or cannot be told what went wrong.
    Broken,
    /// There was no answer: this is one.
    Instead(Status),
    /// The answer is at another target, of so many bytes.
    Elsewhere(usize),
}

/// One script and its client.
pub(super) struct Relay<'l, 'r, 'c> {
    reply: &'l mut Reply<'r, 'c>,
    call: &'l Call<'l>,
    body: Body<'l>,
    ends: Ends,
    /// How the answer goes; `None` before its head.
    framing: Option<Framing>,
    /// Bytes of the answer's body that the client's kernel took.
    sent: u64,
    /// The script writes the whole answer itself.
    raw: bool,
}

impl<'l, 'r, 'c> Relay<'l, 'r, 'c> {
    pub(super) fn new(reply: &'l mut Reply<'r, 'c>, call: &'l Call<'l>, body: Body<'l>, ends: Ends) -> Self {
        let name = call.place.script.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        Relay { reply, call, body, ends, framing: None, sent: 0, raw: name.starts_with(b"nph-") }
    }

    /// Carries until the script has ended, and everything of it with it.
    pub(super) fn run(mut self, started: Started, location: &mut [u8; LOCATION]) -> Ran {
        let mut space = [0; FRONT + PIECE + BEHIND];
        let mut next = self.carry(&mut space, location);
        if matches!(next, Next::Done) && !self.ended(&started) {
            complain(self.call, "closed its output and went on: it was ended", None);
        }
        // A copy of the function, not of the host: `reply` is used again below.
        let end = self.call.connection.host.programs.map(|programs| programs.end);
        let status = end.map_or(0, |end| end(started));
        if matches!(next, Next::Instead(Status::BadGateway)) {
            complain(self.call, "gave no answer that can be sent; exit status ", Some(status as u64));
        } else if matches!(next, Next::Done) && status >= 128 {
            complain(self.call, "was ended in its answer by signal ", Some(status as u64 - 128));
            next = Next::Broken;
        }
        self.reply.made.consumed = self.body.consumed();
        match next {
            Next::Done if self.framing == Some(Framing::Chunks) && !self.reply.head_only => {
                let sent = self.reply.stream.send(chunk::END, &[], false);
                Ran::Answered(Sent { bytes: self.sent, end: sent.end })
            }
            Next::Done if matches!(self.framing, Some(Framing::Length(1..))) && !self.reply.head_only => {
                complain(self.call, "wrote less than its Content-Length", None);
                broken(self.sent)
            }
            Next::Done | Next::Go => Ran::Answered(Sent { bytes: self.sent, end: Ok(()) }),
            Next::Broken => broken(self.sent),
            Next::Instead(status) => Ran::Answered(self.reply.give_up(status)),
            Next::Elsewhere(len) => Ran::Elsewhere(len),
        }
    }

    /// Waits for the script's end, which follows that of its output in most; whether it came in time.
    fn ended(&self, started: &Started) -> bool {
        self.wait(&mut [PollFd::from_borrowed_fd(borrow(&started.lifeline), PollFlags::IN)])
    }

    /// Whether something happens before the script has been silent for too long.
    fn wait(&self, on: &mut [PollFd<'_>]) -> bool {
        let seconds = self.call.settings.made.cgi_timeout;
        // Silence is noticed here; the alarm is for what is not noticed.
        self.reply.stream.host.alarm.allow(seconds.saturating_add(self.call.settings.write_timeout));
        let timeout = Timespec { tv_sec: seconds.into(), tv_nsec: 0 };
        loop {
            match poll(on, Some(&timeout)) {
                Err(Errno::INTR) => {}
                Ok(0) | Err(_) => return false,
                Ok(_) => return true,
            }
        }
    }

    /// Whether the client can be asked if it is still there, by a word that it takes no notice of: an interim response, which
    /// HTTP/1.1 has before the answer, asked for or not (RFC 9110 section 15.2). Who has gone answers it with a reset.
    fn may_ask(&self) -> bool {
        self.framing.is_none() && self.call.request.minor == 1
    }

    /// Both directions, until the script's ends.
    fn carry(&mut self, space: &mut [u8], location: &mut [u8; LOCATION]) -> Next {
        let (client, is_socket) = self.reply.stream.client();
        // What was read of the body and not written yet.
        let mut store = [0; PIECE];
        let mut pending = 0..0;
        let mut len = 0;
        let mut asked = false;
        loop {
            let held = self.body.held();
            let waiting = if held.is_empty() { store.get(pending.clone()).unwrap_or_default() } else { held };
            if waiting.is_empty() && self.body.left == 0 {
                self.ends.input = None;
            }
            let wants_more = self.ends.input.is_some() && waiting.is_empty();
            // A socket tells without being asked that both its directions are closed, and when asked that the client's is; a
            // pipe that ended would never stop. What is not waited for is the output once more.
            let nothing = PollFd::new(&self.ends.output, PollFlags::empty());
            let mut on = [PollFd::new(&self.ends.output, PollFlags::IN), nothing.clone(), nothing];
            if wants_more || is_socket {
                let flags = match wants_more {
                    true => PollFlags::IN,
                    false if asked || !self.may_ask() => PollFlags::empty(),
                    false => PollFlags::RDHUP,
                };
                on[1] = PollFd::from_borrowed_fd(client, flags);
            }
            if let (Some(input), false) = (&self.ends.input, waiting.is_empty()) {
                on[2] = PollFd::new(input, PollFlags::OUT);
            }
            if !self.wait(&mut on) {
                if wants_more && self.framing.is_none() {
                    complain(self.call, "waited for the rest of the request", None);
                    return Next::Instead(Status::RequestTimeout);
                }
                let silent = self.framing.is_none();
                complain(self.call, if silent { "said nothing in time" } else { "stopped in its answer" }, None);
                return if silent { Next::Instead(Status::GatewayTimeout) } else { Next::Broken };
            }
            let [from_script, from_client, to_script] = on.map(|one| one.revents());
            if !from_script.is_empty() {
                // In the head, behind what there is of it; later from the start. The frame before it stays free.
                let room = space.get_mut(FRONT + len..FRONT + PIECE).unwrap_or_default();
                let next = match rustix::io::read(&self.ends.output, room) {
                    Ok(0) if self.framing.is_none() => Next::Instead(Status::BadGateway),
                    Ok(0) => Next::Done,
                    Ok(more) => {
                        len += more;
                        self.said(space, &mut len, location)
                    }
                    Err(Errno::INTR | Errno::AGAIN) => Next::Go,
                    Err(_) => Next::Broken,
                };
                if !matches!(next, Next::Go) {
                    return next;
                }
                continue;
            }
            if is_socket
                && from_client.intersects(PollFlags::ERR | PollFlags::HUP)
                && !from_client.contains(PollFlags::IN)
            {
                return Next::Broken;
            }
            if !wants_more && from_client.contains(PollFlags::RDHUP) {
                // It will send no more. Whether it still reads, or has gone, is not told before something is sent.
                asked = true;
                if self.reply.stream.send(CONTINUE, &[], false).end.is_err() {
                    return Next::Broken;
                }
                continue;
            }
            if wants_more && !from_client.is_empty() {
                let want = PIECE.min(self.body.left.try_into().unwrap_or(usize::MAX));
                match rustix::io::read(client, store.get_mut(..want).unwrap_or_default()) {
                    Ok(0) => return Next::Broken,
                    Ok(more) => {
                        self.body.left -= more as u64;
                        pending = 0..more;
                    }
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    Err(_) => return Next::Broken,
                }
            } else if let Some(input) = &self.ends.input
                && !to_script.is_empty()
                && !waiting.is_empty()
            {
                match rustix::io::write(input, waiting) {
                    Ok(len) if !held.is_empty() => self.body.took(len),
                    Ok(len) => pending.start += len,
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    // It does not want the rest, which is no fault.
                    Err(_) => {
                        self.ends.input = None;
                        self.body.framed = self.body.is_in_hand();
                    }
                }
            }
        }
    }

    /// The script said something: `space` holds `len` bytes of it behind the frame.
    fn said(&mut self, space: &mut [u8], len: &mut usize, location: &mut [u8; LOCATION]) -> Next {
        if self.raw {
            return self.said_raw(space, len);
        }
        if self.framing.is_some() {
            let next = self.send(None, space, 0, *len);
            *len = 0;
            return next;
        }
        let said = space.get(FRONT..FRONT + *len).unwrap_or_default();
        // What stands in the head of the answer is written before the body, which is not copied.
        let mut head = [0; PIECE + HEAD + HEADER_BYTES];
        let mut head = Text::new(&mut head);
        let at = match head::parse(said) {
            Err(NoHead::Partial) if *len < PIECE => return Next::Go,
            Err(NoHead::Partial) => {
                complain(self.call, "wrote a head that is too long", None);
                return Next::Instead(Status::BadGateway);
            }
            Err(NoHead::Bad(why)) => {
                complain(self.call, why, None);
                return Next::Instead(Status::BadGateway);
            }
            Ok(found) if found.location.starts_with(b"/") && found.code.is_none() => {
                return match location.get_mut(..found.location.len()) {
                    Some(room) => {
                        room.copy_from_slice(found.location);
                        Next::Elsewhere(found.location.len())
                    }
                    None => Next::Instead(Status::BadGateway),
                };
            }
            Ok(found) => {
                self.begin(&mut head, &found);
                found.len
            }
        };
        let behind = *len - at;
        *len = 0;
        self.send(Some(head.as_bytes()), space, at, behind)
    }

    /// The head of the answer, from the script's.
    fn begin(&mut self, head: &mut Text<'_>, found: &Head<'_>) {
        let call = self.call;
        let keep = call.request.keep_alive && self.body.is_in_hand() && !call.connection.host.is_leaving();
        let code = found.code.unwrap_or(if found.location.is_empty() { 200 } else { 302 });
        let has_body = code != 204 && code != 304;
        // Elsewhere, and it did not say that: a page of ours does.
        let page_wanted = found.code.is_none() && code == 302 && found.kind.is_none();
        let framing = match found.length {
            _ if !has_body => Framing::Nothing,
            _ if page_wanted => Framing::Length(0),
            Some(length) => Framing::Length(length),
            None if call.request.minor == 1 => Framing::Chunks,
            None => Framing::Close,
        };
        self.reply.persistence.keep = keep && framing != Framing::Close;
        self.reply.made.code = code;
        let line = match found.line {
            b"" if code == 302 => &b"302 Found"[..],
            b"" => b"200 OK",
            line => line,
        };
        response::begin(head, line, &self.reply.stream.date(self.reply.now), self.reply.persistence, call.settings);
        found.write(head);
        match framing {
            Framing::Length(length) => {
                head.str("Content-Length: ").decimal(length).str("\r\n");
            }
            Framing::Chunks => {
                head.str("Transfer-Encoding: chunked\r\n");
            }
            Framing::Nothing | Framing::Close => {}
        }
        head.str("\r\n");
        self.framing = Some(framing);
    }

    /// Sends `len` bytes of the body at `at` behind the frame, and the head before them, as one.
    fn send(&mut self, head: Option<&[u8]>, space: &mut [u8], at: usize, len: usize) -> Next {
        let mut len = len;
        if let Some(Framing::Length(left)) = &mut self.framing {
            // What is more than it announced would be taken for the next answer.
            len = len.min(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= len as u64;
        }
        if self.framing == Some(Framing::Nothing) || self.reply.head_only {
            len = 0;
        }
        let data = FRONT + at..FRONT + at + len;
        let framed = if self.framing == Some(Framing::Chunks) { chunk::frame(space, data) } else { data };
        let body = space.get(framed).unwrap_or_default();
        let sent = self.reply.stream.send(head.unwrap_or_default(), body, false);
        self.sent += len as u64;
        match sent.end {
            Ok(()) => Next::Go,
            Err(_) => Next::Broken,
        }
    }

    /// A script that writes the whole answer, status line and all (`nph-`: RFC 3875 section 5).
    fn said_raw(&mut self, space: &mut [u8], len: &mut usize) -> Next {
        if self.framing.is_none() {
            let said = space.get(FRONT..FRONT + *len).unwrap_or_default();
            let line = said.strip_prefix(b"HTTP/1.").and_then(|line| line.get(2..5));
            if said.len() < 12 && !said.contains(&b'\n') {
                return Next::Go;
            }
            let Some(code) = line.and_then(crate::options::decimal) else { return Next::Instead(Status::BadGateway) };
            self.reply.made.code = code as u16;
            self.reply.persistence.keep = false;
            self.framing = Some(Framing::Close);
        }
        let body = space.get(FRONT..FRONT + *len).unwrap_or_default();
        let sent = self.reply.stream.send(body, &[], false);
        self.sent += sent.bytes;
        *len = 0;
        if sent.end.is_ok() { Next::Go } else { Next::Broken }
    }
}
