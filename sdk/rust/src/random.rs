//! Randomness from the host's operating system, for nonces and salts.
//!
//! It is the only source worth the name inside a component: hash seeds are frozen there. The new credential itself is never made
//! by a plugin; the host generates it.

use crate::host;

/// Exactly `N` random bytes. `N` is at most 65,536.
pub fn bytes<const N: usize>() -> [u8; N] {
    const { assert!(N <= 65_536, "the host gives at most 65,536 bytes at a time") };
    let mut bytes = [0; N];
    bytes.copy_from_slice(&host::random(N as u32));
    bytes
}
