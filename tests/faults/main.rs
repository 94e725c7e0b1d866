//! Promise: it stays up. Under load harm is done to a server; afterwards the ledger balances: every request was answered,
//! or the end of its connection stands in the log with the client's name. And nothing is left of it: no zombie, no
//! descriptor, as many children as before, an idle processor, and a newcomer is answered.
//!
//! A scenario is a function over a server under load; the table below makes a test of it for each mode. What is random is
//! drawn from a seed, which a failure prints; `TINE_SEED` sets it.

#[path = "../common/mod.rs"]
mod common;

mod account;
mod calls;
mod clients;
mod clock;
mod deaths;
mod files;
mod harness;
mod limits;
mod load;
mod logs;
mod rest;
mod scribble;

use calls::{accept_fails, answers_fail, fork_fails};
use clients::wild_clients;
use clock::the_clock_jumps;
use common::Mode;
use deaths::{every_signal, killed_while_reloading, stopped_for_a_while, stopped_then_killed};
use files::{rules_replaced, users_replaced};
use limits::{no_descriptors, no_processes};
use logs::{log_may_not_grow, log_reader_stalls};
use scribble::a_child_scribbles;

/// A test for each scenario in one mode: `harness::run(mode, scenario)`.
macro_rules! mode {
    ($name:ident: $mode:ident, [$($scenario:ident)*]) => {
        mod $name {
            $(#[test]
            fn $scenario() {
                crate::harness::run(crate::Mode::$mode, &crate::$scenario());
            })*
        }
    };
}

macro_rules! in_every_mode {
    ($scenarios:tt) => {
        mode!(prefork: Prefork, $scenarios);
        mode!(one_shot: OneShot, $scenarios);
        mode!(following: Following, $scenarios);
        mode!(handed: Handed, $scenarios);
        mode!(fork: Fork, $scenarios);
        mode!(vfork: Vfork, $scenarios);
    };
}

in_every_mode!([
    every_signal stopped_for_a_while stopped_then_killed killed_while_reloading
    no_descriptors no_processes accept_fails fork_fails answers_fail
    log_reader_stalls log_may_not_grow
    wild_clients a_child_scribbles
    users_replaced
    the_clock_jumps
]);

// With rules every pool is handed its connections.
mode!(rules_in_a_pool: Prefork, [rules_replaced]);
mode!(rules_in_a_one_shot_pool: OneShot, [rules_replaced]);
mode!(rules_in_fork: Fork, [rules_replaced]);
mode!(rules_in_vfork: Vfork, [rules_replaced]);
