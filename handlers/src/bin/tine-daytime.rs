//! The protocol `daytime` as a freestanding executable.
#![no_std]
#![no_main]
mod start;
start::executable!(handlers::daytime::Daytime<'static>);
