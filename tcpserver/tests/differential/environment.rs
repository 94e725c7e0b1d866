//! What a program finds: variables, descriptors, signals, identity, limits, directory, and the connection's state.

use nix::sys::signal::Signal;

use crate::{
    case::{Case, PLAIN},
    common::scratch::is_root,
    story::same,
};

/// All that there is to be seen of a plain start.
#[test]
fn a_plain_start() {
    same(&Case::new(PLAIN));
    same(&Case::new("-RHl0"));
    same(&Case::new("-1 -vRHl0"));
}

/// Variables that tcpserver has no value for are removed, others are passed on.
#[test]
fn variables_are_set_removed_and_passed_on() {
    let names = ["PROTO", "TCPLOCALIP", "TCPLOCALPORT", "TCPLOCALHOST", "TCPREMOTEIP", "TCPREMOTEPORT"];
    let names = names.iter().chain(&["TCPREMOTEHOST", "TCPREMOTEINFO", "TCPOTHER", "OTHER", "EMPTY", "UID"]);
    let mut case = Case::new(PLAIN).env("EMPTY", "").env("ODD", "a=b:c%d\n\u{e9}");
    for name in names {
        case = case.env(name, "inherited");
    }
    same(&case);
    same(&case.option("-l").option(""));
}

/// The program sees the local name as it was given, the log a cleaned one, cut at 100 bytes.
#[test]
fn local_names_are_cleaned_for_the_log() {
    for name in ["0", "", "a.example", "a?b", "a:b%c", "a b\tc\nd", "\u{e9}\u{7f}", "%41", "~!@#$^&*()_+"] {
        same(&Case::new("-vRH").option("-l").option(name));
    }
    for length in [98, 99, 100, 101, 300] {
        same(&Case::new("-vRH").option("-l").option(&"x".repeat(length)));
        same(&Case::new("-vRH").option(&format!("-l{}", "%".repeat(length))));
    }
}

/// Duplicate, malformed and many variables.
#[test]
fn odd_environments() {
    let mut case = Case::new(PLAIN);
    for number in 0..200 {
        case = case.env(&format!("VARIABLE{number}"), &"x".repeat(number * 5));
    }
    same(&case);
    same(&Case::new(PLAIN).prelude("unset PATH; exec env -i /bin/sh -c 'exec \"$@\"' sh \"$@\""));
}

/// What the supervisor was started with reaches the program, and nothing that it opened itself.
#[test]
fn descriptors() {
    same(&Case::new(PLAIN).prelude("exec 7</dev/null 9>/dev/zero"));
    same(&Case::new(PLAIN).rules(":allow\n").prelude("exec 3</dev/null 4</dev/null 5</dev/null 6</dev/null"));
    same(&Case::new("-1 -vRHl0").prelude("exec 7</dev/null"));
    same(&Case::new("-1 -vRHl0").rules("127.:allow\n").option("-Bhello"));
}

#[test]
fn signals_are_default_or_as_they_were() {
    same(&Case::new(PLAIN).prelude("trap '' HUP INT QUIT USR1 PIPE"));
    for signals in ["HUP", "PIPE", "CHLD", "TERM", "ALRM", "USR1,USR2,WINCH,TTIN"] {
        let [ignore, block] = ["ignore", "block"].map(|how| format!("exec env --{how}-signal={signals} \"$@\""));
        for prelude in [ignore, block] {
            // One that was started with SIGTERM blocked does not hear it.
            same(&Case::new(PLAIN).prelude(Box::leak(prelude.into_boxed_str())).end(Signal::SIGKILL));
        }
    }
}

#[test]
fn umask_limits_priority_and_directory() {
    same(&Case::new(PLAIN).prelude("umask 0"));
    same(
        &Case::new(PLAIN)
            .prelude("umask 077; ulimit -n 100; ulimit -c 0; ulimit -s 4096; ulimit -t 1000; ulimit -f 100"),
    );
    same(&Case::new(PLAIN).prelude("cd /usr/bin"));
    same(&Case::new(PLAIN).prelude("exec nice -n 5 \"$@\""));
    same(&Case::new(PLAIN).prelude("exec setsid \"$@\""));
    same(&Case::new(PLAIN).prelude("exec setpriv --no-new-privs --bounding-set -sys_time \"$@\""));
    same(&Case::new(PLAIN).prelude("echo 500 >/proc/self/oom_score_adj"));
}

#[test]
fn identities() {
    if !is_root() {
        return crate::common::say("SKIPPED identities: only root changes its user");
    }
    same(&Case::new("-vRHl0 -u 65534 -g 65534"));
    same(&Case::new("-vRHl0 -g 65534"));
    same(&Case::new("-vRHl0 -g0 -u0"));
    same(&Case::new("-vRHl0 -U").env("UID", "65534").env("GID", "65533"));
    same(&Case::new("-vRHl0 -U"));
    same(&Case::new("-vRHl0 -U").env("GID", "65533"));
    same(&Case::new("-vRHl0 -u 1 -g 2 -U").env("UID", "65534").env("GID", "65533"));
    same(&Case::new("-vRHl0 -U -u 1 -g 2").env("UID", "65534").env("GID", "65533"));
    same(&Case::new("-vRHl0 -g 65534 -u 65534").prelude("exec setpriv --groups 5,6,7 \"$@\""));
    // Without the right to change.
    let nobody = "exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$@\"";
    same(&Case::new("-vRHl0").prelude(nobody));
    same(&Case::new("-vRHl0 -u 1").prelude(nobody));
    same(&Case::new("-vRHl0 -u 65534").prelude(nobody));
    same(&Case::new("-vRHl0 -g 1").prelude(nobody));
    same(&Case::new("-vRHl0 -u 65534 -g 65534").prelude(nobody));
}

/// Perl asks about the socket, and whether an alarm was left running.
const ASK: &str = r#"
use Socket qw(:all);
for my $o ([SOL_SOCKET, SO_KEEPALIVE], [SOL_SOCKET, SO_LINGER], [SOL_SOCKET, SO_RCVTIMEO], [SOL_SOCKET, SO_SNDTIMEO],
    [SOL_SOCKET, SO_REUSEADDR], [SOL_SOCKET, SO_RCVBUF], [SOL_SOCKET, SO_SNDBUF], [SOL_SOCKET, SO_RCVLOWAT],
    [SOL_SOCKET, SO_OOBINLINE], [SOL_SOCKET, SO_PRIORITY], [SOL_SOCKET, 47], [SOL_SOCKET, SO_PASSCRED],
    [IPPROTO_TCP, TCP_NODELAY], [IPPROTO_TCP, TCP_CORK], [IPPROTO_TCP, TCP_DEFER_ACCEPT],
    [IPPROTO_TCP, TCP_LINGER2], [IPPROTO_TCP, TCP_KEEPIDLE], [IPPROTO_TCP, 18],
    [IPPROTO_IP, IP_TOS], [IPPROTO_IP, IP_TTL], [IPPROTO_IP, IP_OPTIONS], [IPPROTO_IP, 24]) {
    my $v = getsockopt(STDIN, $o->[0], $o->[1]);
    print "@$o: ", defined $v ? unpack("H*", $v) : $!, "\n";
}
print "alarm ", alarm(0), "\n";
my ($port, $ip) = sockaddr_in(getsockname(STDIN));
print inet_ntoa($ip), ($port == $ENV{TCPLOCALPORT} ? " as told" : " another port"), "\n";
"#;

#[test]
fn the_connection_as_the_program_gets_it() {
    for options in ["-vRHl0", "-vRHl0 -D", "-vRHl0 -d", "-vRHl0 -Dd", "-vRHl0 -o", "-vRHl0 -O -oO", "-vRHl0 -Bhello"] {
        same(&Case::new(options).program(&["perl", "-e", ASK]));
        same(&Case::new(options).rules("127.:allow\n").program(&["perl", "-e", ASK]));
    }
}

#[test]
fn arguments_reach_the_program_as_they_are() {
    let echo = |words: &[&str]| {
        let mut all = vec!["printf", "[%s]"];
        all.extend(words);
        same(&Case::new(PLAIN).program(&all));
    };
    echo(&[]);
    echo(&["", " ", "a b", "-v", "--", "\u{e9}", "x\ny"]);
    same(&Case::new(PLAIN).program(&["cat", "-u"]).look_from([127, 0, 0, 1]));
    same(&Case::new("-vRHl0 --").program(&["printf", "x"]));
}
