//! IPv6 as Felix von Leitner's patch does it: options, variables, log and rules.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    case::{Case, Whose},
    story::same_as,
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn same(case: &Case) {
    same_as(Whose::Patched, case);
}

/// On one address, and on all, which are those of both families unless an option says otherwise.
#[test]
fn addresses_and_variables() {
    for options in
        ["-vRHl0", "-4vRHl0", "-6vRHl0", "-vRHl0 -Ilo", "-vRHl0 -I no-such-interface", "-vRHl0 -4 -6", "-1vRHl0"]
    {
        for (host, from) in
            [("::1", V6), ("0", V6), ("0", V4), ("", V4), ("::", V6), ("::", V4), ("127.0.0.1", V4), ("0.0.0.0", V4)]
        {
            let reachable = from == V4 || !options.contains('4');
            if reachable {
                same(&Case::new(options).place(host, "0").look_from(from));
            }
        }
    }
}

#[test]
fn variables_are_removed() {
    let mut case = Case::new("-vRHl0").place("::", "0");
    for name in ["LOCALHOST", "LOCALIP", "LOCALPORT", "REMOTEHOST", "REMOTEIP", "REMOTEPORT", "REMOTEINFO", "INTERFACE"]
    {
        case = case.env(&format!("TCP{name}"), "old").env(&format!("TCP6{name}"), "old");
    }
    same(&case.clone().look_from(V4));
    same(&case.look_from(V6));
}

#[test]
fn wrong_options() {
    for options in ["-I", "-vI", "-46k"] {
        same(&Case::new(options).place("::1", "0"));
    }
    same(&Case::new("-4vRHl0").place("::1", "0"));
    same(&Case::new("-vRHl0").place("2001:db8::1", "0"));
    same(&Case::new("-vRHl0").place("1::2::3", "0").env("DNSCACHEIP", "127.0.0.1"));
}
