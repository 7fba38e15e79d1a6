//! Plugins: from bytes to a sandboxed call. wasmtime types live here and under `capability`, nowhere else.

pub mod call;
pub mod catalogue;
pub mod compiler;
pub mod component_file;
pub mod digest;
pub mod engine;
pub mod load;
pub mod producers;
pub mod signature;

pub(crate) mod bindings;
mod wasi;
