//! The order in which credentials are tried, for every [`Service`].

use crate::text::joined;
use crate::{Cause, Credential, Effect, Failure, Outcome, Service, Versions};

pub(crate) fn climb<S: Service>(versions: &Versions) -> Result<Outcome, Failure> {
    let mut refusals = String::new();
    match login::<S>(&versions.pending) {
        Ok(session) => return settle::<S>(session, versions).map(|()| Outcome::Unchanged),
        Err(refused) if refused.cause() == Cause::Unauthorized => note(&mut refusals, &versions.pending, &refused),
        // Nothing was sent but a login, so nothing changed, whatever became of the connection.
        Err(failure) => return Err(failure.unchanged()),
    }
    let (current, previous) = (&versions.current, versions.previous.as_ref());
    // Nobody but an admin changes another user.
    let other = S::ALTERNATING.is_some_and(|user| versions.pending.field(user) != current.field(user));
    let own = if other { [None, None] } else { [Some(current), previous] };
    for credential in own.into_iter().chain([versions.admin.as_ref()]).flatten() {
        let mut session = match login::<S>(credential) {
            Ok(session) => session,
            Err(refused) if refused.cause() == Cause::Unauthorized => {
                note(&mut refusals, credential, &refused);
                continue;
            }
            Err(failure) => return Err(failure.unchanged()),
        };
        let changed = if other {
            S::change_other(&mut session, &versions.pending, current)
        } else {
            S::change(&mut session, &versions.pending)
        };
        match changed {
            Err(refused) if refused.refuses_credential() => note(&mut refusals, credential, &refused),
            Err(failure) if failure.effect() == Effect::Unchanged => return Err(failure),
            changed => {
                drop(session);
                return look_again::<S>(changed, versions);
            }
        }
    }
    // What was refused just now may have been replaced just now, by another run of this step.
    match login::<S>(&versions.pending) {
        Ok(session) => settle::<S>(session, versions).map(|()| Outcome::Unchanged),
        Err(_) => Err(Failure::unauthorized(joined(&["no stored credential can make the change: ", &refusals]))),
    }
}

/// Logs in, and tells the host if the service refuses.
pub(crate) fn login<S: Service>(credential: &Credential) -> Result<S::Session, Failure> {
    S::login(credential).inspect_err(|failure| {
        if failure.cause() == Cause::Unauthorized {
            credential.refused();
        }
    })
}

/// The change happened, or nobody knows: the pending credential decides.
fn look_again<S: Service>(changed: Result<(), Failure>, versions: &Versions) -> Result<Outcome, Failure> {
    match (login::<S>(&versions.pending), changed) {
        (Ok(session), _) => settle::<S>(session, versions).map(|()| Outcome::Changed).map_err(Failure::changed),
        (Err(_), Err(failure)) => Err(failure),
        (Err(refused), Ok(())) if refused.cause() == Cause::Unauthorized => Err(Failure::not_yet_effective(joined(&[
            "the service took the change but does not accept the new credential yet: ",
            refused.message(),
        ]))),
        (Err(failure), Ok(())) => Err(failure.changed()),
    }
}

fn settle<S: Service>(mut session: S::Session, versions: &Versions) -> Result<(), Failure> {
    match (S::settle(&mut session, versions), &versions.admin) {
        (Err(refused), Some(admin)) if refused.cause() == Cause::Unauthorized => {
            drop(session);
            S::settle(&mut login::<S>(admin)?, versions)
        }
        (result, _) => result,
    }
}

fn note(refusals: &mut String, credential: &Credential, refused: &Failure) {
    if !refusals.is_empty() {
        refusals.push_str("; ");
    }
    refusals.push_str(credential.role().name());
    refusals.push_str(": ");
    refusals.push_str(refused.message());
}
