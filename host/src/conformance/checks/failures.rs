//! What can go wrong, and what the plugin makes of it: the cause decides who acts, the effect what is still safe.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;

use super::super::ConformanceError;
use super::super::case;
use super::super::scene::{Bench, Scene};
use super::super::subject::{Place, Ran};
use super::super::verdict::{Flaws, Verdict};
use crate::failure::{Cause, Effect};
use crate::plugin::call::Handed;

const UNREACHABLE: &str = "return the host's own failure when a connection does not come about or breaks: it says `unreachable`, which tells \
                           the operator to look at the network and not at the secret";

pub(super) async fn wrong_credential(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    const WRONG: &str = "report a refused login as `unauthorized`; `unreachable` sends the operator to the network";
    let (scene, mut flaws) = (bench.scene().await?, Flaws::default());
    // Neither version is the service's, and there is no admin credential.
    let (current, previous) = (bench.password()?, bench.password()?);
    let handed = bench.handed(&Scene { account: scene.account.clone(), current, previous, pending: scene.pending.clone() })?;
    let set = bench.subject.set(&Handed { admin: None, ..handed }, Place::AsItIs).await?;
    let cause = set.failure().map(|(cause, _)| cause);
    flaws.expect(cause == Some(Cause::Unauthorized), || format!("set-secret ended with {}", set.in_words()), set.advice(WRONG));
    unchanged(bench, &scene, &set, &mut flaws).await?;
    if cause == Some(Cause::Unauthorized) {
        // AWSPENDING, AWSCURRENT and AWSPREVIOUS were all refused.
        flaws.expect(
            set.refused_logins >= 3,
            || format!("the service refused three versions of the secret, and the host was told of {} refused logins", set.refused_logins),
            "tell the host of each login that the service refuses (`secret.refused`), so that it can stop before an account is locked; \
             `Service` of the Rust SDK does",
        );
    }
    Ok(flaws.verdict(""))
}

pub(super) async fn dead_host(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    let listener = listen().await?;
    let port = listener.1;
    drop(listener);
    nobody_there(bench, port).await
}

pub(super) async fn silent_host(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    // The kernel takes connections into its queue; nobody takes them out of it.
    let (_listener, port) = listen().await?;
    nobody_there(bench, port).await
}

async fn nobody_there(bench: &mut Bench, port: u16) -> Result<Verdict, ConformanceError> {
    let (scene, mut flaws) = (bench.scene().await?, Flaws::default());
    let handed = bench.handed(&scene)?;
    let set = bench.subject.set(&handed, Place::Port(port)).await?;
    let test = bench.subject.test(&handed, Place::Port(port)).await?;
    let cause = set.failure().map(|(cause, _)| cause);
    flaws.expect(
        cause == Some(Cause::Unreachable),
        || format!("set-secret ended with {}", set.in_words()),
        set.advice(UNREACHABLE),
    );
    let cause = test.failure().map(|(cause, _)| cause);
    flaws.expect(
        cause == Some(Cause::Unreachable),
        || format!("test-secret ended with {}", test.in_words()),
        test.advice(UNREACHABLE),
    );
    for (step, failure, words) in [("set-secret", set.failure(), set.in_words()), ("test-secret", test.failure(), test.in_words())]
    {
        flaws.expect(
            failure.is_none_or(|(_, effect)| effect != Effect::Changed),
            || format!("nothing was changed, and {step} ended with {words}"),
            "say `changed` only if it was",
        );
    }
    Ok(flaws.verdict(""))
}

async fn listen() -> Result<(tokio::net::TcpListener, u16), ConformanceError> {
    let listener = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

pub(super) async fn rejected(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    const REJECTED: &str = "report a value that the service does not take as `rejected` and `unchanged`: only then the operator is told to \
                            change the password options";
    let Some(rejected) = bench.case.rejected.clone() else {
        return Ok(Verdict::NotShown { why: "the case names no value that the service refuses (`[rejected]`)".to_owned() });
    };
    let (mut scene, mut flaws) = (bench.scene().await?, Flaws::default());
    scene.pending = rejected.password;
    let set = bench.subject.set(&bench.handed(&scene)?, Place::AsItIs).await?;
    flaws.expect(
        set.failure() == Some((Cause::Rejected, Effect::Unchanged)),
        || format!("the service refuses the value, and set-secret ended with {}", set.in_words()),
        set.advice(REJECTED),
    );
    unchanged(bench, &scene, &set, &mut flaws).await?;
    Ok(flaws.verdict(""))
}

pub(super) async fn missing_field(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    const MISSING: &str =
        "report a missing field as `malformed-secret` and name it; the Rust SDK's `credential.required` does both";
    let (scene, mut flaws) = (bench.scene().await?, Flaws::default());
    let whole = bench.handed(&scene)?;
    let (mut named, mut unread) = (Vec::new(), Vec::new());
    let shape = bench.subject.manifest().secret.clone();
    for field in shape.required.iter().filter(|field| !shape.defaults.contains_key(*field)) {
        let without = |password: &str| {
            let mut filled = case::fill(&bench.case.secret, &bench.service.variables(&scene.account, password))?;
            let there =
                filled.as_object_mut().is_some_and(|fields: &mut serde_json::Map<String, Value>| fields.remove(field).is_some());
            Ok::<_, ConformanceError>(there.then(|| case::secret(&filled)))
        };
        let (Some(pending), Some(current)) = (without(&scene.pending)?, without(&scene.current)?) else { continue };
        let handed = Handed { pending, current: Some(current), previous: None, admin: whole.admin.clone() };
        let set = bench.subject.set_incomplete(&handed, &whole).await?;
        match &set.result {
            Some(Ok(_)) => {
                // The plugin does not read it: it is a part of the address, which the host reads. Then the work is done nevertheless.
                let accepted = bench.service.accepts(&scene.account, &scene.pending).await?;
                flaws.expect(
                    accepted,
                    || format!("without the field `{field}` set-secret succeeded, and the service does not accept the new value"),
                    MISSING,
                );
                unread.push(field.as_str());
            }
            Some(Err(_)) => {
                flaws.expect(
                    names_it(&set, field),
                    || format!("without the field `{field}` set-secret ended with {}", set.in_words()),
                    set.advice(MISSING),
                );
                unchanged(bench, &scene, &set, &mut flaws).await?;
                named.push(field.as_str());
            }
            None => {}
        }
        // Now the service accepts the pending value, so that a login without the field can only end well if the field is not needed for it.
        bench.service.change(&scene.account, &scene.pending).await?;
        let test = bench.subject.test_incomplete(&handed, &whole).await?;
        let unchanged = test.failure().is_none_or(|(_, effect)| effect == Effect::Unchanged);
        flaws.expect(
            matches!(test.result, Some(Ok(()))) || (names_it(&test, field) && unchanged),
            || format!("without the field `{field}` test-secret ended with {}", test.in_words()),
            test.advice(MISSING),
        );
        bench.service.change(&scene.account, &scene.current).await?;
    }
    let unread = if unread.is_empty() { String::new() } else { format!("; the host reads {}", unread.join(", ")) };
    Ok(flaws.verdict(format!("named: {}{unread}", named.join(", "))))
}

/// Whether it ended because this field is missing, and says so.
fn names_it<T>(ran: &Ran<T>, field: &str) -> bool {
    let malformed = ran.failure().is_some_and(|(cause, _)| cause == Cause::MalformedSecret);
    malformed && ran.in_words().contains(&format!("`{field}`"))
}

/// The service still is as the scene began: it accepts the current value and not the pending one. A failure that says `unchanged` and is
/// wrong is worse than one that says `unknown`.
async fn unchanged<T>(bench: &Bench, scene: &Scene, ran: &Ran<T>, flaws: &mut Flaws) -> Result<(), ConformanceError> {
    let old = bench.service.accepts(&scene.account, &scene.current).await?;
    let new = bench.service.accepts(&scene.account, &scene.pending).await?;
    flaws.expect(
        old && !new,
        || format!("it ended with {}, and the service was changed", ran.in_words()),
        "change nothing before everything that is needed is known to be there",
    );
    if old && !new && ran.failure().is_some_and(|(_, effect)| effect == Effect::Changed) {
        flaws.expect(
            false,
            || format!("it ended with {}, and nothing was changed", ran.in_words()),
            "say `changed` only if it was",
        );
    }
    Ok(())
}
