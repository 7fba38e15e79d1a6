//! Plugins: from bytes to a sandboxed call. wasmtime types live here and under `capability`, nowhere else.

pub mod call;
pub mod catalogue;
pub mod code;
pub mod component_file;
pub mod digest;
pub mod engine;
pub mod load;
pub mod objects;
pub mod producers;
pub mod reference;
pub mod signature;
pub mod source;

pub(crate) mod bindings;
mod wasi;
