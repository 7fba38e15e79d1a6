//! Takes memory in pieces of 1 MiB until it gets no more.

use windlass_sdk::{Credential, Failure, Outcome, Steps, Versions};

/// The guest.
pub struct Guest;

impl Steps for Guest {
    fn set_secret(_: &Versions) -> Result<Outcome, Failure> {
        eat()
    }

    fn test_secret(_: &Credential) -> Result<(), Failure> {
        eat()
    }
}

fn eat() -> ! {
    let mut eaten = Vec::new();
    loop {
        // Not zero, so that the pages are touched.
        eaten.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

windlass_sdk::export!(Guest);
