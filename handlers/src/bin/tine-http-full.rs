//! The protocol `http` as a freestanding executable, with scripts, lists of directories and access control.
#![no_std]
#![no_main]
mod start;
start::executable!(handlers::http::Http<'static, handlers::http::Full>);
