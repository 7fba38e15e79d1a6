//! Write a Windlass plugin in Rust: a struct, two methods and one macro.
//!
//! This is a whole plugin for a service with an HTTP interface:
//!
//! ```
#![doc = include_str!("../examples/minimal.rs")]
//! ```
//!
//! Beside it stands a `plugin.toml` that names the fields of the secret and the endpoint `api`; `windlass build` makes a component
//! of the two.
//!
//! | to | use |
//! |---|---|
//! | log in and change a credential, and leave order, retries and doubt to the SDK | [`Service`] |
//! | write the two steps yourself, where a service does not fit | [`Steps`] |
//! | read a field of the secret, or all of it | [`Credential`], [`Secret`], [`SecretBytes`] |
//! | say what went wrong | [`Failure`], [`Cause`], [`Effect`] |
//! | talk to the service | [`http`], [`json`], [`connection`] |
//! | tell the operator something | [`log`] |
//! | put a message together | [`text`] |
//! | get randomness | [`random`] |
//! | test all of it natively, without WebAssembly | [`testing`] |
//!
//! A plugin sees no addresses, certificates, files or environment: it opens the endpoints of its manifest by name, and the host
//! decides, dials and encrypts. Rust plugins import only the interfaces that they call.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
mod allocator;
mod credential;
mod export;
mod failure;
mod host;
mod ladder;
mod rotation;

#[doc(hidden)]
pub mod bindings;
pub mod connection;
pub mod http;
pub mod json;
pub mod log;
pub mod random;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod text;

pub use credential::{Credential, Role, Secret, SecretBytes, Versions, setting};
#[doc(hidden)]
pub use export::{set_secret as __set_secret, test_secret as __test_secret};
pub use failure::{Cause, Effect, Failure};
pub use rotation::{Outcome, Service, Steps};
