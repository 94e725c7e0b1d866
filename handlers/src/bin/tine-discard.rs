//! The protocol `discard` as a freestanding executable.
#![no_std]
#![no_main]
mod start;
start::executable!(handlers::discard::Discard<'static>);
