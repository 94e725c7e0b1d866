//! Limits on descriptors, mappings and ports: raised where that is allowed, told where they are too low.

use std::fs;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::recorder::{Limit, Recorder};

/// Descriptors that a process has open before it measures: three, and a few to work with.
const OWN_DESCRIPTORS: u64 = 32;

/// Mappings that a process has before it measures, and a few to work with.
const OWN_MAPPINGS: u64 = 64;

/// How many things a process may hold of which each takes `each` descriptors. Raises the soft limit, and as root the hard
/// one. `wanted`, or less, which is told.
pub fn descriptors(wanted: u32, each: u32, what: &str, recorder: &mut Recorder) -> u32 {
    let needed = u64::from(wanted) * u64::from(each) + OWN_DESCRIPTORS;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    if soft >= needed {
        return wanted;
    }
    let raised = [(needed, hard.max(needed)), (hard, hard)]
        .into_iter()
        .find(|&(soft, hard)| setrlimit(Resource::RLIMIT_NOFILE, soft, hard).is_ok());
    let value = raised.map_or(soft, |(soft, _)| soft);
    let possible = value.saturating_sub(OWN_DESCRIPTORS) / u64::from(each);
    let remedy = format!("ulimit -n {needed}, as root");
    fit(wanted, possible, what, recorder, limit("ulimit -n (RLIMIT_NOFILE)", value, needed, remedy))
}

/// How many mappings a process may have: `wanted`, or less, which is told.
pub fn mappings(wanted: u32, recorder: &mut Recorder) -> u32 {
    let value = number("/proc/sys/vm/max_map_count").unwrap_or(65_530);
    let needed = u64::from(wanted) + OWN_MAPPINGS;
    let remedy = format!("sysctl vm.max_map_count={needed}");
    let possible = value.saturating_sub(OWN_MAPPINGS);
    fit(wanted, possible, "mappings", recorder, limit("vm.max_map_count", value, needed, remedy))
}

/// How many ports of one address may be taken of those that the kernel gives out: all but a tenth, in which it finds a
/// free one soon. `wanted`, or less, which is told.
pub fn ports(wanted: u32, what: &str, recorder: &mut Recorder) -> u32 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ends = range.split_whitespace().filter_map(|end| end.parse::<u64>().ok());
    let value = match (ends.next(), ends.next()) {
        (Some(first), Some(last)) => last.saturating_sub(first),
        _ => 28_231,
    };
    let needed = u64::from(wanted) * 10 / 9 + 1;
    let remedy = "sysctl net.ipv4.ip_local_port_range='1024 65535'".to_owned();
    fit(wanted, value * 9 / 10, what, recorder, limit("net.ipv4.ip_local_port_range", value, needed, remedy))
}

fn limit(which: &str, value: u64, needed: u64, remedy: String) -> Limit {
    Limit { which: which.to_owned(), value, needed, remedy, instead: String::new() }
}

/// `wanted`, or what is possible, which is told.
fn fit(wanted: u32, possible: u64, what: &str, recorder: &mut Recorder, limit: Limit) -> u32 {
    let fitting = u32::try_from(possible).map_or(wanted, |possible| possible.min(wanted));
    if fitting < wanted {
        recorder.limit(&Limit { instead: format!("went up to {fitting} {what}"), ..limit });
    }
    fitting
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
