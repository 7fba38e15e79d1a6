//! What integration tests share: real servers, real binaries, a certificate authority, a proxy that cuts where it is told, and the
//! search for leaked secrets. Every file holds one thing; none of them imitates Windlass.
//!
//! Nothing here skips a test: a server that is not installed fails the test with the command that installs it.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "every test binary compiles this tree and uses a part of it; a failing test is meant to panic; programs under test inherit PATH"
)]

pub mod account;
pub mod aws_cli;
pub mod built;
pub mod canary;
pub mod front;
pub mod http;
pub mod moto;
pub mod namespace;
pub mod pki;
pub mod port;
pub mod process;
pub mod proxy;
pub mod rabbitmq;
pub mod redis;
pub mod tap;
