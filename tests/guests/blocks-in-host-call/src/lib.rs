//! Waits in a host function for a service that never answers.

use std::io::Read;

use windlass_sdk::{Credential, Failure, Outcome, Steps, Versions, connection};

/// The guest.
pub struct Guest;

impl Steps for Guest {
    fn set_secret(_: &Versions) -> Result<Outcome, Failure> {
        wait().map(|()| Outcome::Changed)
    }

    fn test_secret(_: &Credential) -> Result<(), Failure> {
        wait()
    }
}

fn wait() -> Result<(), Failure> {
    let mut connection = connection::open("service")?;
    loop {
        if connection.read(&mut [0; 64])? == 0 {
            return Ok(());
        }
    }
}

windlass_sdk::export!(Guest);
