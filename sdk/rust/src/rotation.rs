//! What a plugin implements.

use crate::{Credential, Failure, Versions};

/// A service to which a credential logs in and which changes it when it is logged in: nearly every one.
///
/// The SDK makes both steps of it. `test-secret` is a login. `set-secret` is a ladder:
///
/// 1. If the pending credential logs in, an earlier run did the work: [`settle`](Service::settle), outcome unchanged.
/// 2. Else the first of current, previous and admin that logs in and may do it makes the change; only admin where two users take turns
///    ([`ALTERNATING`](Service::ALTERNATING)).
/// 3. After a change that succeeded, or whose answer was lost, the pending credential is tried again before anything is reported; and
///    likewise if none could make the change, because another run of the step may have made it meanwhile.
///
/// A failure other than `unauthorized` ends the step where it happens.
pub trait Service {
    /// What a login yields: an open connection, a token, or the credential for a protocol that sends it each time.
    type Session;

    /// The field of the secret that names the user, if the plugin can change another user than that of the current credential. Default
    /// none. The manifest names the same field in `secret.alternating`; where the operator has two users take turns, the pending
    /// credential names the other one.
    const ALTERNATING: Option<&'static str> = None;

    /// Proves that the service accepts this credential by using it. Changes nothing. Called several times in a step.
    ///
    /// # Errors
    ///
    /// `unauthorized` if, and only if, the service says that the credential is wrong; the ladder goes on to the next one. A login
    /// that cannot fail is found out by the host, which tries a corrupted credential.
    fn login(credential: &Credential) -> Result<Self::Session, Failure>;

    /// Makes the service accept `new`, which is the pending credential. The session belongs to the current, previous or admin
    /// credential. Keeps the current credential valid where the service can hold two.
    ///
    /// # Errors
    ///
    /// `unauthorized` with effect `unchanged` if the session lacks the right; the ladder goes on to the next credential. Where the
    /// change may have happened, say so by the effect: the ladder looks before it reports.
    fn change(session: &mut Self::Session, new: &Credential) -> Result<(), Failure>;

    /// Makes the service accept `new`, which names another user than `current`, and makes that user if there is none. The session belongs
    /// to the admin credential. Called instead of [`change`](Service::change) where two users take turns. The user has to get what
    /// the one of `current` may do before anybody can log in with `new`, or in [`settle`](Service::settle). Does what `change` does
    /// unless overridden.
    ///
    /// # Errors
    ///
    /// As `change`.
    fn change_other(session: &mut Self::Session, new: &Credential, current: &Credential) -> Result<(), Failure> {
        let _ = current;
        Self::change(session, new)
    }

    /// Finishes what goes with a change: persists it, retires the previous credential. Runs in every `set-secret` once the pending
    /// credential logs in, also when an earlier run made the change and then crashed, so it must be repeatable. Does nothing unless
    /// overridden.
    ///
    /// The session belongs to the pending credential. If that is not allowed to settle (`unauthorized`) and there is an admin
    /// credential, it is called again with a session of that one.
    ///
    /// # Errors
    ///
    /// End the step as they are, with effect `changed` if this run made the change.
    fn settle(session: &mut Self::Session, versions: &Versions) -> Result<(), Failure> {
        let _ = (session, versions);
        Ok(())
    }
}

/// The two steps themselves, for services that do not fit [`Service`]. Every `Service` is one.
pub trait Steps {
    /// Makes the service accept the pending credential. May run again after any failure or kill, and twice at once.
    ///
    /// # Errors
    ///
    /// With the effect as exact as it is known; when in doubt, `unknown`.
    fn set_secret(versions: &Versions) -> Result<Outcome, Failure>;

    /// Proves that the service accepts the pending credential by using it. Changes nothing.
    ///
    /// # Errors
    ///
    /// `unauthorized` is the only proof that the credential does not work.
    fn test_secret(pending: &Credential) -> Result<(), Failure>;
}

impl<T: Service> Steps for T {
    fn set_secret(versions: &Versions) -> Result<Outcome, Failure> {
        crate::ladder::climb::<T>(versions)
    }

    fn test_secret(pending: &Credential) -> Result<(), Failure> {
        crate::ladder::login::<T>(pending).map(drop).map_err(Failure::unchanged)
    }
}

/// What `set-secret` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The service accepts the pending credential now and did not before.
    Changed,
    /// The service accepted it already.
    Unchanged,
}
