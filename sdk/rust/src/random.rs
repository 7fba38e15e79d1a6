//! Randomness from the host's operating system, for nonces and salts.
//!
//! It is the only source worth the name inside a component: hash seeds are frozen there. The new credential itself is never made
//! by a plugin; the host generates it.

use crate::host;

/// Exactly `N` random bytes. `N` is at most 65,536.
pub fn bytes<const N: usize>() -> [u8; N] {
    const { assert!(N <= 65_536, "the host gives at most 65,536 bytes at a time") };
    let mut bytes = [0; N];
    let random = host::random(N as u32);
    // Zeros in place of bytes that are missing would pass for random ones.
    assert!(random.len() == N, "the host gave another number of random bytes than it was asked for");
    bytes.iter_mut().zip(random).for_each(|(byte, random)| *byte = random);
    bytes
}
