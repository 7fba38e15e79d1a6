//! Panics in both steps.

use windlass_sdk::{Credential, Failure, Outcome, Steps, Versions};

/// The guest.
pub struct Guest;

impl Steps for Guest {
    fn set_secret(_: &Versions) -> Result<Outcome, Failure> {
        panic!("this guest panics in set-secret")
    }

    fn test_secret(_: &Credential) -> Result<(), Failure> {
        panic!("this guest panics in test-secret")
    }
}

windlass_sdk::export!(Guest);
