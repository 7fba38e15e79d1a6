//! What the SDK asks of its surroundings: inside a component the contract's imports, natively the scene of a unit test.

#[cfg(target_arch = "wasm32")]
mod component;
#[cfg(target_arch = "wasm32")]
pub(crate) use component::{Stream, bytes, field, log, random, refused, send, setting, text};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::stage::{Stream, bytes, field, log, random, refused, send, setting, text};
