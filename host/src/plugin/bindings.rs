//! What `wit/` says, in Rust. Nothing is written by hand here except what stands at the end.
//!
//! Only the imports of the world are used. Exports are looked up by name in `call`, because the generated accessor would demand
//! every export of the newest contract from a plugin that was built for an older 0.1.x.

#![allow(missing_docs, reason = "generated; the documentation is that of the WIT")]
#![allow(unreachable_pub, reason = "generated; the module itself is private to the crate")]
#![allow(unused_qualifications, reason = "generated")]
#![allow(clippy::use_self, reason = "generated")]

use crate::failure;
use crate::plugin::call::CallState;

wasmtime::component::bindgen!({
    path: "../wit",
    world: "plugin",
    imports: {
        "windlass:rotation/http": async,
        "windlass:rotation/connection": async,
        "windlass:rotation/random": trappable,
    },
    exports: { default: async },
    with: { "windlass:rotation/connection.connection": crate::capability::connection::Connection },
});

use self::windlass::rotation::failures;

// The interface holds nothing but types, which are converted below.
impl failures::Host for CallState {}

impl From<failures::Cause> for failure::Cause {
    fn from(cause: failures::Cause) -> Self {
        match cause {
            failures::Cause::Unauthorized => Self::Unauthorized,
            failures::Cause::Unreachable => Self::Unreachable,
            failures::Cause::Rejected => Self::Rejected,
            failures::Cause::RateLimited => Self::RateLimited,
            failures::Cause::NotYetEffective => Self::NotYetEffective,
            failures::Cause::Conflict => Self::Conflict,
            failures::Cause::MalformedSecret => Self::MalformedSecret,
            failures::Cause::Denied => Self::Denied,
            failures::Cause::Unsupported => Self::Unsupported,
            failures::Cause::Internal => Self::Internal,
        }
    }
}

impl From<failures::Effect> for failure::Effect {
    fn from(effect: failures::Effect) -> Self {
        match effect {
            failures::Effect::Unchanged => Self::Unchanged,
            failures::Effect::Changed => Self::Changed,
            failures::Effect::Unknown => Self::Unknown,
        }
    }
}

impl From<failure::Cause> for failures::Cause {
    fn from(cause: failure::Cause) -> Self {
        match cause {
            failure::Cause::Unauthorized => Self::Unauthorized,
            failure::Cause::Unreachable => Self::Unreachable,
            failure::Cause::Rejected => Self::Rejected,
            failure::Cause::RateLimited => Self::RateLimited,
            failure::Cause::NotYetEffective => Self::NotYetEffective,
            failure::Cause::Conflict => Self::Conflict,
            failure::Cause::MalformedSecret => Self::MalformedSecret,
            failure::Cause::Denied => Self::Denied,
            failure::Cause::Unsupported => Self::Unsupported,
            failure::Cause::Internal => Self::Internal,
        }
    }
}

impl From<failure::Effect> for failures::Effect {
    fn from(effect: failure::Effect) -> Self {
        match effect {
            failure::Effect::Unchanged => Self::Unchanged,
            failure::Effect::Changed => Self::Changed,
            failure::Effect::Unknown => Self::Unknown,
        }
    }
}
