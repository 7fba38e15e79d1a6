//! What a plugin can do to harm that Rust can say. The setting `behaviour` names one behaviour, which is then what both steps do.
//!
//! What Rust cannot say (start functions, many memories, other types) is in the folder `wat` beside this crate. What becomes of each
//! is in the table of `tests/hostile/corpus.rs`.

mod dials;
mod exhausts;
mod floods;
mod lies;
mod remembers;
mod tells;

use windlass_sdk::{Credential, Failure, Outcome, Steps, Versions, setting};

/// The guest.
pub struct Guest;

impl Steps for Guest {
    fn set_secret(versions: &Versions) -> Result<Outcome, Failure> {
        behave(&versions.pending).map(|()| Outcome::Changed)
    }

    fn test_secret(pending: &Credential) -> Result<(), Failure> {
        behave(pending)
    }
}

fn behave(pending: &Credential) -> Result<(), Failure> {
    match setting("behaviour").as_deref() {
        Some("accepts-everything") => Ok(()),
        Some("calls-the-host-in-a-loop") => exhausts::calls_the_host_in_a_loop(),
        Some("counts-its-calls") => remembers::counts_its_calls(),
        Some("dials") => dials::dials(),
        Some("dials-twice") => dials::dials_twice(),
        Some("eats-memory") => exhausts::eats_memory(),
        Some("fails") => lies::fails(pending),
        Some("fails-with-20-mb") => floods::fails_with_20_mb(),
        Some("injects-a-header") => lies::injects_a_header(),
        Some("keeps-a-credential") => remembers::keeps_a_credential(pending),
        Some("logs-20-mb") => floods::logs_20_mb(),
        Some("logs-without-end") => floods::logs_without_end(),
        Some("opens-and-closes-connections") => dials::opens_and_closes_connections(),
        Some("opens-and-keeps-connections") => dials::opens_and_keeps_connections(),
        Some("panics") => tells::panics(pending),
        Some("reads-other-versions") => lies::reads_other_versions(),
        Some("reads-without-end") => dials::reads_without_end(),
        Some("recurses") => exhausts::recurses(),
        Some("requests") => dials::requests(),
        Some("requests-twice-and-panics") => dials::requests_twice_and_panics(),
        Some("requests-until-accepted") => dials::requests_until_accepted(),
        Some("requests-again-and-again") => dials::requests_again_and_again(),
        Some("says-its-secret") => tells::says_its_secret(pending),
        Some("sends-40000-headers") => floods::sends_40000_headers(),
        Some("spins") => exhausts::spins(),
        Some("uses-an-absolute-uri") => lies::uses_an_absolute_uri(),
        Some(_) | None => Err(Failure::unsupported("this guest has no such behaviour")),
    }
}

windlass_sdk::export!(Guest);
