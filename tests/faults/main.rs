//! Promise: it stays up. Under load harm is done to a server; afterwards the ledger balances: every request was answered,
//! or the end of its connection stands in the log with the client's name. And nothing is left of it: no zombie, no
//! descriptor, as many children as before, an idle processor, and a newcomer is answered.
//!
//! A scenario is a function over a server under load; the table below makes a test of it for each mode. What is random is
//! drawn from a seed, which a failure prints; `TINE_SEED` sets it.

#[path = "../common/mod.rs"]
mod common;

mod account;
mod clients;
mod deaths;
mod harness;
mod limits;
mod load;
mod logs;
mod rest;

/// A test for each scenario and mode: `harness::run(mode, scenario)`.
macro_rules! scenarios {
    ($($mode:ident: $variant:ident, [$($scenario:ident)*];)*) => {
        $(mod $mode {
            $(#[test]
            fn $scenario() {
                crate::harness::run(crate::common::Mode::$variant, &crate::$scenario());
            })*
        })*
    };
}

use clients::wild_clients;
use deaths::{every_signal, stopped_for_a_while, stopped_then_killed};
use limits::no_descriptors;
use logs::{log_may_not_grow, log_reader_stalls};

scenarios! {
    prefork: Prefork, [every_signal stopped_for_a_while stopped_then_killed no_descriptors log_reader_stalls log_may_not_grow wild_clients];
    one_shot: OneShot, [every_signal stopped_for_a_while stopped_then_killed no_descriptors log_reader_stalls log_may_not_grow wild_clients];
    fork: Fork, [every_signal stopped_for_a_while stopped_then_killed no_descriptors log_reader_stalls log_may_not_grow wild_clients];
    vfork: Vfork, [every_signal stopped_for_a_while stopped_then_killed no_descriptors log_reader_stalls log_may_not_grow wild_clients];
}
