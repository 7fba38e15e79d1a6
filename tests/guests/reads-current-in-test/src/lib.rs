//! Would test with any credential it can get: test-secret fails as `internal` and names the versions that it can read besides the
//! pending one. The right answer is that there are none, and then the test accepts.

use windlass_sdk::bindings::windlass::rotation::secret::{self, Version};
use windlass_sdk::{Credential, Failure, Outcome, Steps, Versions};

/// The guest.
pub struct Guest;

impl Steps for Guest {
    fn set_secret(_: &Versions) -> Result<Outcome, Failure> {
        Ok(Outcome::Changed)
    }

    fn test_secret(_: &Credential) -> Result<(), Failure> {
        let versions = [("current", Version::Current), ("previous", Version::Previous), ("admin", Version::Admin)];
        let readable = |version| {
            secret::field(version, "password").is_some() || secret::text(version).is_some() || secret::raw(version).is_some()
        };
        let names: Vec<_> = versions.into_iter().filter(|(_, version)| readable(*version)).map(|(name, _)| name).collect();
        if names.is_empty() { Ok(()) } else { Err(Failure::internal(format!("readable in test-secret: {}", names.join(", ")))) }
    }
}

windlass_sdk::export!(Guest);
