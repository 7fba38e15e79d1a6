//! Never returns and calls nothing.

use windlass_sdk::{Credential, Failure, Outcome, Steps, Versions};

/// The guest.
pub struct Guest;

impl Steps for Guest {
    fn set_secret(_: &Versions) -> Result<Outcome, Failure> {
        spin()
    }

    fn test_secret(_: &Credential) -> Result<(), Failure> {
        spin()
    }
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        // Without this the compiler may leave the loop out.
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

windlass_sdk::export!(Guest);
