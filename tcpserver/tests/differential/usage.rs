//! Wrong options, unusable operands, and what cannot be begun: the same words and the same exit code.

use crate::{
    case::Case,
    common::scratch::is_root,
    story::{MISSING, alone, same},
};

/// The supervisor must not have started to listen: the story is the message and the exit code.
fn refused(case: &Case) {
    same(case);
}

#[test]
fn wrong_options() {
    for options in [
        "-k", "-?", "-vZ", "-RHl0z", "-c", "-vc", "-b", "-x", "-B", "-g", "-u", "-l", "-t", "-v -", "-2", "-A", "-f",
        "-qk", "-vk", "-Qk",
    ] {
        let mut case = Case::new(options);
        if !["-c", "-vc", "-b", "-x", "-B", "-g", "-u", "-l", "-t"].contains(&options) {
            refused(&case); // where no value is missing, to which the host would come in handy
        }
        case.place = [MISSING, MISSING];
        case.program.clear();
        refused(&case);
    }
}

#[test]
fn missing_operands() {
    for options in ["", "-v", "-q", "--", "-RHl0 --", "-c5", "-1"] {
        for place in [[MISSING, MISSING], ["127.0.0.1", MISSING], ["127.0.0.1", "0"]] {
            let mut case = Case::new(options);
            case.place = place;
            case.program.clear();
            refused(&case);
        }
    }
}

#[test]
fn operands_that_cannot_be_used() {
    for quiet in ["", "-q", "-v", "-Q", "-qv", "-vq"] {
        let of = |host, port| refused(&Case::new(&format!("{quiet} -RHl0")).place(host, port));
        of("127.0.0.1", "no-such-service");
        of("127.0.0.1", "-1");
        of("127.0.0.1", "12x");
        of("127.0.0.1", " 12");
        of("127.0.0.1", "+12");
        // Nobody has this address (TEST-NET-1).
        of("192.0.2.1", "0");
    }
}

#[test]
fn ports_by_name() {
    if !is_root() {
        return crate::common::say("SKIPPED ports_by_name: the services of /etc/services have low ports");
    }
    // Addresses of loopback on which nobody serves.
    for (host, port) in
        [("127.91.1.1", "discard"), ("127.91.1.2", "finger"), ("127.91.1.3", "pop3"), ("127.91.1.4", "0")]
    {
        same(&Case::new("-vRHl0 -1").place(host, port));
    }
    same(&Case::new("-vRHl0 -1").place("127.91.1.5", "DISCARD"));
    same(&Case::new("-vRHl0 -1").place("127.91.1.6", "sink"));
    same(&Case::new("-vRHl0 -1").place("127.91.1.7", "syslog"));
}

#[test]
fn a_place_that_is_taken() {
    alone();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = taken.local_addr().expect("an address").port().to_string();
    for options in ["-RHl0", "-vRHl0", "-qRHl0", "-1vRHl0"] {
        same(&Case::new(options).place("127.0.0.1", Box::leak(port.clone().into_boxed_str())));
    }
}

#[test]
fn hosts_as_numbers() {
    for host in ["0", "", "127.0.0.1", "0.0.0.0", "127.1.2.3"] {
        same(&Case::new("-vRHl0 -1").place(host, "0").look_from([127, 0, 0, 1]));
    }
}

/// Programs that cannot be executed are told for each connection.
#[test]
fn programs_that_cannot_be_executed() {
    for options in ["-RHl0", "-vRHl0", "-qRHl0"] {
        let of = |words: &[&str]| same(&Case::new(options).program(words));
        of(&["no-such-program"]);
        of(&["/no/such/program"]);
        of(&["./no-such-program"]);
        of(&["/etc/passwd"]);
        of(&["/etc"]);
        of(&["/etc/passwd/x"]);
        of(&[""]);
        of(&["passwd/x"]);
        of(&[&"x".repeat(300)]);
        of(&[&format!("/{}", "x".repeat(1500))]);
    }
}

/// The path is searched as the original does: what cannot be executed for want of rights is told if nothing else is found.
#[test]
fn the_path_is_searched() {
    const MAKE: &str = "mkdir a b c; echo 'echo of a' >a/p; echo 'echo of b' >b/p; chmod 755 b/p; echo 'echo of c' >c/q
        mkdir c/p; cp b/p p; cp b/p onlyhere; printf '#!/no/such/interpreter\\n' >b/r; chmod 755 b/r; ln -s loop b/loop
        printf '#!/bin/sh\\necho script of $0\\n' >b/s; chmod 755 b/s; ";
    for path in ["a:b:c", "b:a", "c:a:b", ":b", "b:", "a::b", "c", "/no/such:b", "a", "", "b/p:b", "/etc/passwd:b"] {
        for program in ["p", "q", "r", "s", "onlyhere", "loop", "./p", "b/p", "nothing"] {
            let prelude = format!("{MAKE}\nPATH={path}; export PATH");
            same(&Case::new("-RHl0").prelude(Box::leak(prelude.into_boxed_str())).program(&[program]));
        }
    }
    for program in ["sh", "p", "nothing"] {
        same(&Case::new("-RHl0").prelude("unset PATH").program(&[program, "-c", "echo \"$PATH\""]));
    }
}
