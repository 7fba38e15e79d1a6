//! The hostile corpus: guests that mean harm, and what becomes of each in the real function. `tests/run --corpus` prints the table.
//!
//! Their sources are in `tests/guests`: the crate `hostile`, with many behaviours, and modules for what Rust cannot say.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failing test is meant to panic, in its helpers too; `pub` is for the other files of this test; a table is printed"
)]

mod support;

#[path = "hostile/component.rs"]
mod component;
#[path = "hostile/corpus.rs"]
mod corpus;
#[path = "hostile/damaged.rs"]
mod damaged;
#[path = "hostile/forbidden.rs"]
mod forbidden;
#[path = "hostile/interleaved.rs"]
mod interleaved;
#[path = "hostile/network.rs"]
mod network;
#[path = "hostile/resolver.rs"]
mod resolver;
#[path = "hostile/row.rs"]
mod row;
#[path = "hostile/service.rs"]
mod service;
#[path = "hostile/stage.rs"]
mod stage;
#[path = "hostile/table.rs"]
mod table;
