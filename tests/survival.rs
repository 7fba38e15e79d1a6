//! What survives: a local Secrets Manager and a rotation function that are killed again and again, and a warm function that rotates a
//! thousand secrets at once.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing test is meant to panic, in its helpers too; `pub` is for the other files of this test"
)]

mod support;

#[path = "survival/kills.rs"]
mod kills;
#[path = "survival/thousand.rs"]
mod thousand;
