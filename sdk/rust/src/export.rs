//! The macro that makes a component of a plugin, and what it calls.

use crate::bindings::exports::windlass::rotation::rotator;
use crate::bindings::windlass::rotation::failures;
use crate::{Credential, Outcome, Role, Steps, Versions, log};

/// Exports a plugin: `windlass_sdk::export!(Acme);`, once in the crate, where `Acme` implements [`Service`](crate::Service) or
/// [`Steps`].
///
/// The steps run with a panic hook that writes message and place to the host's log; without it a panic is a bare trap.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        const _: () = {
            #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "native builds run the plugin through `testing`"))]
            struct Exported;

            impl $crate::bindings::exports::windlass::rotation::rotator::Guest for Exported {
                fn set_secret() -> ::core::result::Result<
                    $crate::bindings::exports::windlass::rotation::rotator::Outcome,
                    $crate::bindings::windlass::rotation::failures::Failure,
                > {
                    $crate::__set_secret::<$plugin>()
                }

                fn test_secret() -> ::core::result::Result<
                    $crate::bindings::exports::windlass::rotation::rotator::Verdict,
                    $crate::bindings::windlass::rotation::failures::Failure,
                > {
                    $crate::__test_secret::<$plugin>()
                }
            }

            #[cfg(target_arch = "wasm32")]
    $crate::bindings::export!(Exported with_types_in $crate::bindings);
        };
    };
}

/// What the exported `set-secret` does.
pub fn set_secret<P: Steps>() -> Result<rotator::Outcome, failures::Failure> {
    log::panics_reported();
    match P::set_secret(&Versions::read()) {
        Ok(Outcome::Changed) => Ok(rotator::Outcome::Changed),
        Ok(Outcome::Unchanged) => Ok(rotator::Outcome::Unchanged),
        Err(failure) => Err(failure.into()),
    }
}

/// What the exported `test-secret` does.
pub fn test_secret<P: Steps>() -> Result<rotator::Verdict, failures::Failure> {
    log::panics_reported();
    P::test_secret(&Credential::of(Role::Pending)).map(|()| rotator::Verdict::Accepted).map_err(Into::into)
}
