//! Scoreboards as people and programs read them.

use std::fmt::Write;

use connection::LINE;
use nix::time::{ClockId, clock_gettime};
use tcpserver::metrics::{STATES, state};
use tcpserver::scoreboard::{Count, Manner, REFUSALS, Row, Slot};

use super::find::Service;

/// So many children are shown in a table.
const MOST: usize = 1000;

/// What is known of a child.
struct Child {
    pid: u32,
    state: &'static str,
    client: String,
    /// Since its connection began, or since it did; and since anything moved there. Seconds.
    age: u64,
    still: u64,
    /// Connections, requests, bytes.
    done: [u64; 3],
    request: Vec<u8>,
    cut: bool,
}

/// Microseconds of the monotonic clock.
fn now() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |time| time.tv_sec() as u64 * 1_000_000 + time.tv_nsec() as u64 / 1_000)
}

fn child(row: &Row, slot: Option<&Slot>, now: u64) -> Child {
    let seconds = |since: u64| now.saturating_sub(since) / 1_000_000;
    let known = row.client().map(|peer| peer.map_or_else(|| "unix".into(), |peer| peer.to_string()));
    let mut child = Child {
        pid: row.pid().unwrap_or_default(),
        state: STATES[state(slot)],
        client: known.unwrap_or_default(),
        age: seconds(row.since()),
        still: 0,
        done: [0; 3],
        request: Vec::new(),
        cut: false,
    };
    if let Some(slot) = slot {
        child.done = slot.claims(now.saturating_sub(row.since()));
        if slot.is_busy() {
            // What the supervisor knows stands above what the child says.
            if child.client.is_empty() {
                child.client = slot.peer().map_or_else(|| "unix".into(), |peer| peer.to_string());
            }
            let (began, moved) = slot.progress().times();
            if began != 0 {
                (child.age, child.still) = (seconds(began), seconds(moved));
            }
            let mut space = [0; LINE];
            let (line, cut) = slot.progress().line(&mut space);
            (child.request, child.cut) = (line.to_vec(), cut);
        }
    }
    child
}

/// A few lines about the service, and one for each child that is busy.
pub fn table(service: &Service) -> String {
    let (header, now) = (service.view.header(), now());
    let mut children: Vec<Child> = service.view.children().map(|(row, slot)| child(row, slot, now)).collect();
    let live = children.len();
    let mut text = String::new();
    let mut say = |words: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = text.write_fmt(words);
    };
    let states: Vec<String> = STATES
        .iter()
        .map(|state| (state, children.iter().filter(|child| child.state == *state).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    let mode = header.manner().map_or("unknown", Manner::as_str);
    let up = now.saturating_sub(header.started()) / 1_000_000;
    say(format_args!("process {} serves on {} ({mode}), up {up} s\n", service.pid, clean(&header.places())));
    say(format_args!("children {live}/{}: {}\n", header.limit(), states.join(", ")));
    let counters = &header.counters;
    let killed: u64 = counters.signals.iter().map(Count::get).sum();
    let refused: u64 = counters.refused.iter().map(Count::get).sum();
    let full = counters.time_full(now) / 1_000_000;
    let done =
        |at: usize| children.iter().fold(counters.retired[at].get(), |sum, child| sum.saturating_add(child.done[at]));
    let (made, accepted) = (counters.made.get(), header.connections(done(0)));
    say(format_args!(
        "children made {made}, killed {killed}; accepted {accepted}, refused {refused}; at the limit {full} s\n"
    ));
    children.retain(|child| child.state != STATES[0]);
    children.sort_by_key(|child| std::cmp::Reverse(child.age));
    if !children.is_empty() {
        say(format_args!(
            "{:>8} {:<9} {:>6} {:>6} {:>8} {:>8} {:>12}  {:<22} {}\n",
            "PID", "STATE", "AGE", "STILL", "CONNS", "REQS", "BYTES", "CLIENT", "REQUEST"
        ));
    }
    for child in children.iter().take(MOST) {
        let [connections, requests, bytes] = child.done;
        let (Child { pid, state, age, still, client, .. }, request) = (child, clean(&child.request));
        let more = if child.cut { "..." } else { "" };
        say(format_args!(
            "{pid:>8} {state:<9} {age:>6} {still:>6} {connections:>8} {requests:>8} {bytes:>12}  {client:<22} {request}{more}\n"
        ));
    }
    if children.len() > MOST {
        say(format_args!("and {} more\n", children.len() - MOST));
    }
    text.push('\n');
    text
}

/// Bytes that anybody may have written, for a terminal.
fn clean(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| if byte == b' ' || byte.is_ascii_graphic() { char::from(byte) } else { '?' }).collect()
}

/// The same for a JSON string; a byte that is no ASCII character stands for the code point of that number.
fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for &byte in bytes {
        if matches!(byte, b'"' | b'\\') || !(byte == b' ' || byte.is_ascii_graphic()) {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\u{byte:04x}");
        } else {
            text.push(char::from(byte));
        }
    }
    text.push('"');
    text
}

/// One object with everything.
pub fn json(services: &[Service]) -> String {
    let all: Vec<String> = services.iter().map(json_service).collect();
    format!("{{\"services\":[{}]}}\n", all.join(","))
}

fn json_service(service: &Service) -> String {
    let (header, now) = (service.view.header(), now());
    let children: Vec<String> = service.view.children().map(|(row, slot)| json_child(&child(row, slot, now))).collect();
    let counters = &header.counters;
    let refused = REFUSALS.iter().zip(&counters.refused).map(|(name, count)| format!("\"{name}\":{}", count.get()));
    let killed = counters.signals.iter().enumerate().filter(|(_, count)| count.get() > 0);
    let killed: Vec<String> = killed.map(|(signal, count)| format!("\"{signal}\":{}", count.get())).collect();
    format!(
        "{{\"pid\":{},\"mode\":{},\"listen\":{},\"uptime\":{},\"limit\":{},\"made\":{},\"accepted\":{},\
\"full_seconds\":{},\"refused\":{{{}}},\"killed\":{{{}}},\"children\":[{}]}}",
        service.pid,
        quoted(header.manner().map_or("unknown", Manner::as_str).as_bytes()),
        quoted(&header.places()),
        now.saturating_sub(header.started()) / 1_000_000,
        header.limit(),
        counters.made.get(),
        counters.accepted.get(),
        counters.time_full(now) / 1_000_000,
        refused.collect::<Vec<_>>().join(","),
        killed.join(","),
        children.join(",")
    )
}

fn json_child(child: &Child) -> String {
    let [connections, requests, bytes] = child.done;
    format!(
        "{{\"pid\":{},\"state\":{},\"client\":{},\"age\":{},\"still\":{},\"connections\":{connections},\
\"requests\":{requests},\"bytes\":{bytes},\"request\":{},\"cut\":{}}}",
        child.pid,
        quoted(child.state.as_bytes()),
        quoted(child.client.as_bytes()),
        child.age,
        child.still,
        quoted(&child.request),
        child.cut
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_from_the_wire_is_cleaned() {
        assert_eq!(clean(b"GET /\x1b[2J\r\n\xff\x7f x"), "GET /?[2J???? x");
        assert_eq!(quoted(b"a\"\\\n\xff "), "\"a\\u0022\\u005c\\u000a\\u00ff \"");
    }
}
