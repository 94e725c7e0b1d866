//! IPv6 as Felix von Leitner's patch does it: options, variables, log and rules.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    case::{Case, Whose},
    story::{assert_equal, run},
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// The patched one takes `0` for all addresses of both families, and knows no `::`. Ours takes `0` for IPv4 as 0.88 does,
/// and `::` for both.
fn same(case: &Case) {
    let Some(theirs) = run(Whose::Patched, case) else { return };
    let mut case = case.clone();
    if case.place[0] == "0" && !case.options.iter().any(|option| option.contains('4')) {
        case.place[0] = "::";
    }
    assert_equal(&case, &theirs, &run(Whose::Ours, &case).expect("ours is there"));
}

/// On one address, and on all. With `-4`, and on an IPv4 address, ours is as 0.88, where the patched one has variables of
/// IPv6 too.
#[test]
fn addresses_and_variables() {
    for options in ["-vRHl0", "-6vRHl0", "-vRHl0 -Ilo", "-1vRHl0"] {
        for (host, from) in [("::1", V6), ("0", V6), ("0", V4)] {
            same(&Case::new(options).place(host, "0").look_from(from));
        }
    }
}

#[test]
fn variables_are_removed() {
    let mut case = Case::new("-vRHl0").place("0", "0");
    for name in ["LOCALHOST", "LOCALIP", "LOCALPORT", "REMOTEHOST", "REMOTEIP", "REMOTEPORT", "REMOTEINFO"] {
        case = case.env(&format!("TCP{name}"), "old").env(&format!("TCP6{name}"), "old");
    }
    same(&case.clone().look_from(V4));
    same(&case.look_from(V6));
}

#[test]
fn what_cannot_be_used() {
    same(&Case::new("-vRHl0").place("2001:db8::1", "0"));
}
