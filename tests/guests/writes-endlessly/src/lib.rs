//! Logs and prints for ever.

use windlass_sdk::{Credential, Failure, Outcome, Steps, Versions, log};

/// The guest.
pub struct Guest;

impl Steps for Guest {
    fn set_secret(_: &Versions) -> Result<Outcome, Failure> {
        write()
    }

    fn test_secret(_: &Credential) -> Result<(), Failure> {
        write()
    }
}

fn write() -> ! {
    let line = "x".repeat(64 << 10);
    loop {
        log::error(&line);
        println!("{line}");
    }
}

windlass_sdk::export!(Guest);
