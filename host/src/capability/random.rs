//! `wit/random.wit`: random bytes from the operating system.

use rand::TryRng;
use rand::rngs::SysRng;

use crate::plugin::bindings::windlass::rotation::random::Host;
use crate::plugin::call::CallState;

/// The most bytes that one call gives, as the contract says: a guest must not make the host allocate more.
const MAX_BYTES: u32 = 65_536;

impl Host for CallState {
    fn generate(&mut self, count: u32) -> wasmtime::Result<Vec<u8>> {
        let mut bytes = vec![0; count.min(MAX_BYTES) as usize];
        // Without randomness the call ends: a nonce of zeros would be worse than a rotation that did not happen.
        SysRng.try_fill_bytes(&mut bytes).map_err(|_| wasmtime::Error::msg("the operating system gives no randomness"))?;
        Ok(bytes)
    }
}
