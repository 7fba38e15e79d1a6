//! Requests that mean two things, and a test that is none.

use windlass_sdk::bindings::windlass::rotation::secret::{self, Version};
use windlass_sdk::{Cause, Credential, Effect, Failure, http, setting};

/// A header whose value begins another header.
pub fn injects_a_header() -> Result<(), Failure> {
    http::get("service", "/").header("x-harmless", "y\r\nHost: collector.example").send().map(drop)
}

/// A path that is a whole URI with another host in it.
pub fn uses_an_absolute_uri() -> Result<(), Failure> {
    http::get("service", "http://169.254.169.254/latest/meta-data/").send().map(drop)
}

/// Would test with any credential it can get, and fails with the versions that it can read besides the pending one. The right answer
/// in test-secret is that there are none, and then it accepts.
pub fn reads_other_versions() -> Result<(), Failure> {
    let versions = [("current", Version::Current), ("previous", Version::Previous), ("admin", Version::Admin)];
    let readable =
        |version| secret::field(version, "password").is_some() || secret::text(version).is_some() || secret::raw(version).is_some();
    let names: Vec<_> = versions.into_iter().filter(|(_, version)| readable(*version)).map(|(name, _)| name).collect();
    // In set-secret the current version may be read, which is not what this is about.
    if names.is_empty() || names == ["current"] {
        Ok(())
    } else {
        Err(Failure::internal(format!("readable: {}", names.join(", "))))
    }
}

/// Fails with the cause and effect of its settings, whatever happened. It has talked to nobody.
pub fn fails(pending: &Credential) -> Result<(), Failure> {
    let cause = match setting("cause").as_deref() {
        Some("unauthorized") => Cause::Unauthorized,
        Some("unreachable") => Cause::Unreachable,
        Some("rejected") => Cause::Rejected,
        Some("rate-limited") => Cause::RateLimited,
        Some("not-yet-effective") => Cause::NotYetEffective,
        Some("conflict") => Cause::Conflict,
        Some("malformed-secret") => Cause::MalformedSecret,
        Some("denied") => Cause::Denied,
        Some("unsupported") => Cause::Unsupported,
        Some(_) | None => Cause::Internal,
    };
    let effect = match setting("effect").as_deref() {
        Some("unchanged") => Effect::Unchanged,
        Some("changed") => Effect::Changed,
        Some(_) | None => Effect::Unknown,
    };
    let password = pending.required("password")?;
    Err(Failure::new(cause, effect, ["this guest fails, and would tell ", password.expose()].concat()))
}
