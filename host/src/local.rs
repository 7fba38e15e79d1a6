//! A Secrets Manager on this machine: it keeps secrets, really rotates them, and speaks the protocol of the AWS command line and
//! SDKs.
//!
//! It follows what AWS documents and what recordings of real accounts show: a version's value is written once, labels move by
//! compare-and-swap, a rotation is four separate invocations that stop at the first failure and are repeated with the same
//! version. Replicas and secrets of other AWS services can be played, to see them refused.
//!
//! What it does not have: access control (resource policies are kept and shown, not evaluated), KMS, a second region, managed
//! external secrets, and a clock that rotates what is due (schedules are checked and shown as `NextRotationDate`).
//!
//! ```text
//! server ── exchange ── backend ── protocol ── store    every operation is a pure step of the store, made durable, then answered
//!             └ fault      │  └──── durability
//!                          └─ engine ── invoker ── in process, bootstrap_process over runtime_api, or lambda_endpoint
//! ```

pub mod api;
pub mod backend;
pub mod bootstrap_process;
pub mod client;
pub mod credential_file;
pub mod durability;
pub mod engine;
pub mod error;
pub mod exchange;
pub mod fault;
pub mod ids;
pub mod invoker;
pub mod lambda_endpoint;
pub mod protocol;
pub mod runtime_api;
pub mod schedule;
pub mod server;
pub mod service_proxy;
pub mod state_file;
pub mod store;
