//! Opens the endpoint that the setting `endpoint` names, over the interface that the setting `interface` names, and reports what
//! the host says. By default an endpoint that its manifest does not have.

use windlass_sdk::{Credential, Failure, Outcome, Steps, Versions, connection, http, setting};

/// The guest.
pub struct Guest;

impl Steps for Guest {
    fn set_secret(_: &Versions) -> Result<Outcome, Failure> {
        call().map(|()| Outcome::Changed)
    }

    fn test_secret(_: &Credential) -> Result<(), Failure> {
        call()
    }
}

fn call() -> Result<(), Failure> {
    let endpoint = setting("endpoint").unwrap_or_default();
    match setting("interface").as_deref() {
        Some("http") => http::get(&endpoint, "/").send().map(drop),
        Some(_) | None => connection::open(&endpoint).map(drop),
    }
}

windlass_sdk::export!(Guest);
