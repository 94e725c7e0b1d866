//! The protocol `chargen` as a freestanding executable.
#![no_std]
#![no_main]
mod start;
start::executable!(handlers::chargen::Chargen<'static>);
