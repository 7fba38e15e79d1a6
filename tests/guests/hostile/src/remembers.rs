//! Keeps something in a static, for the next call. There must be nothing left of it then.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use windlass_sdk::{Credential, Failure};

/// Says how many calls it has seen.
pub fn counts_its_calls() -> Result<(), Failure> {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    Err(Failure::internal(format!("this is call {}", CALLS.fetch_add(1, Ordering::Relaxed) + 1)).unchanged())
}

/// Says the password that it was given in an earlier call, spelled in a way that no redactor knows, and keeps the one of this call.
pub fn keeps_a_credential(pending: &Credential) -> Result<(), Failure> {
    static KEPT: Mutex<String> = Mutex::new(String::new());
    let password = pending.required("password")?;
    let mut kept = KEPT.lock().map_err(|_| Failure::internal("the lock is poisoned"))?;
    let earlier = if kept.is_empty() { "nothing".to_owned() } else { kept.chars().rev().collect() };
    // A guest can do with a secret what it likes; what leaves the sandbox is the host's business.
    password.expose().clone_into(&mut kept);
    Err(Failure::internal(format!("kept from before: {earlier}")).unchanged())
}
