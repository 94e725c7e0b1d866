//! The protocol `http` as a freestanding executable.
#![no_std]
#![no_main]
mod start;
start::executable!(handlers::http::Http<'static>);
