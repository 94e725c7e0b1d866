//! The protocol `time` as a freestanding executable.
#![no_std]
#![no_main]
mod start;
start::executable!(handlers::time::Time<'static>);
