//! The allocator of a component: 1.3 KB instead of the 9 KB of the standard library's.
//!
//! A component runs for seconds, in one thread, and its memory is dropped with the call, so that speed and giving memory back to the
//! host count for nothing. Memory that a plugin frees is used again: an answer that is read in pieces needs the room of a few of
//! them, however long it is. `wasm32-wasip2` keeps the allocator of its libc, which is linked there in any case.

#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();
