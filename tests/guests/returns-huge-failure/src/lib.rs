//! Fails with a message of 8 MiB that begins with control characters.

use windlass_sdk::{Cause, Credential, Effect, Failure, Outcome, Steps, Versions};

/// The guest.
pub struct Guest;

impl Steps for Guest {
    fn set_secret(_: &Versions) -> Result<Outcome, Failure> {
        Err(huge())
    }

    fn test_secret(_: &Credential) -> Result<(), Failure> {
        Err(huge())
    }
}

fn huge() -> Failure {
    Failure::new(Cause::Internal, Effect::Unknown, format!("\u{1b}[31m\r\n{}", "x".repeat(8 << 20)))
}

windlass_sdk::export!(Guest);
