//! The protocol `echo` as a freestanding executable.
#![no_std]
#![no_main]
mod start;
start::executable!(handlers::echo::Echo<'static>);
