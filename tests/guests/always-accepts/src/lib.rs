//! A test that cannot fail. The host's negative control has to find it out.

use windlass_sdk::{Credential, Failure, Outcome, Steps, Versions};

/// The guest.
pub struct Guest;

impl Steps for Guest {
    fn set_secret(_: &Versions) -> Result<Outcome, Failure> {
        Ok(Outcome::Changed)
    }

    fn test_secret(_: &Credential) -> Result<(), Failure> {
        Ok(())
    }
}

windlass_sdk::export!(Guest);
