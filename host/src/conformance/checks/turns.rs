//! Two users that take turns: the one that AWSCURRENT names has to stay as it is.

use super::super::ConformanceError;
use super::super::scene::{Bench, Scene};
use super::super::service::Account;
use super::super::subject::{Place, SubjectError};
use super::super::verdict::{Flaws, Verdict};
use super::places::Places;
use crate::alternating_users::AlternatingUsers;
use crate::candidate::{self, CandidateError};
use crate::error::StepError;
use crate::plugin::call::{Handed, Outcome};

const OTHER: &str = "change the user that AWSPENDING names, with the admin credential, and make it if there is none; the Rust SDK does with \
                     `ALTERNATING` and `change_other`";
const IN_USE: &str =
    "leave the user of AWSCURRENT as it is when AWSPENDING names another one: its credential is in use until the next rotation";

pub(super) async fn alternating_users(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    let manifest = bench.subject.manifest();
    if manifest.secret.alternating.is_none() {
        return Ok(Verdict::Passed { note: "one user: the manifest has no `secret.alternating`".to_owned() });
    }
    if bench.case.admin.is_none() {
        return Ok(Verdict::NotShown { why: "nobody changes another user without an admin credential (`[admin]`)".to_owned() });
    }
    let users = AlternatingUsers::of(manifest, &bench.renewal()?.generated).map_err(unfit)?;
    let (first, mut flaws) = (bench.scene().await?, Flaws::default());
    let named = candidate::field(&bench.subject.manifest().secret, &bench.value(&first.account, &first.current)?, users.field());
    // Exposed: the name of an account of this kit.
    if named.is_none_or(|named| named.expose() != first.account.name) {
        let why = format!("in the case's secret, `{}` is not the account's name alone (`{{username}}`)", users.field());
        return Ok(Verdict::NotShown { why });
    }
    let (second, calls) = turn(bench, &users, &first, &mut flaws).await?;
    if let Some(second) = second {
        // Back to the first user, who is there already.
        turn(bench, &users, &second, &mut flaws).await?;
        let retired = bench.service.accepts(&first.account, &first.current).await?;
        flaws.expect(!retired, || "after the next turn of the same user its old value is still accepted".to_owned(), OTHER);
    }
    let mut places = Places::new();
    while let Some(after) = places.next() {
        let scene = bench.scene().await?;
        let (handed, other) = handed_over(bench, &users, &scene)?;
        let cut = bench.subject.set_cut_off(&handed, after).await?;
        if cut.result.is_some() {
            break;
        }
        let again = bench.subject.set(&handed, Place::AsItIs).await?;
        let last = cut.host_calls.last().map_or("none", |call| call.function);
        let place = format!("killed after call {after} of the host ({last})");
        let converged = matches!(again.result, Some(Ok(_)));
        flaws.expect(converged, || format!("{place}, the next set-secret ended with {}", again.in_words()), again.advice(OTHER));
        if converged {
            both_log_in(bench, &scene, &other, &place, &mut flaws).await?;
        }
        if places.tried() {
            places.spread(calls);
        }
    }
    Ok(flaws.verdict(format!("two turns, and {}", places.in_words("places"))))
}

/// A rotation that is for the other user. What the next one begins with, if it went well, and how many calls of the host it took.
async fn turn(
    bench: &mut Bench,
    users: &AlternatingUsers,
    scene: &Scene,
    flaws: &mut Flaws,
) -> Result<(Option<Scene>, usize), ConformanceError> {
    let (handed, other) = handed_over(bench, users, scene)?;
    let set = bench.subject.set(&handed, Place::AsItIs).await?;
    let calls = set.host_calls.len();
    let when = format!("after the turn of `{}`", other.name);
    let changed = matches!(set.result, Some(Ok(Outcome::Changed)));
    flaws.expect(
        changed,
        || format!("it is the turn of `{}`, and set-secret ended with {}", other.name, set.in_words()),
        set.advice(OTHER),
    );
    let both = both_log_in(bench, scene, &other, &when, flaws).await?;
    if !(changed && both) {
        return Ok((None, calls));
    }
    let test = bench.subject.test(&handed, Place::AsItIs).await?;
    let tested = matches!(test.result, Some(Ok(())));
    flaws.expect(tested, || format!("{when} test-secret ended with {}", test.in_words()), test.advice(OTHER));
    let again = bench.subject.set(&handed, Place::AsItIs).await?;
    flaws.expect(
        matches!(again.result, Some(Ok(Outcome::Unchanged))),
        || format!("{when} a second set-secret ended with {}", again.in_words()),
        again.advice("try AWSPENDING first, and return `unchanged` if it works, whoever it names"),
    );
    both_log_in(bench, scene, &other, &when, flaws).await?;
    let next =
        Scene { account: other, previous: scene.current.clone(), current: scene.pending.clone(), pending: bench.password()? };
    Ok((Some(next), calls))
}

/// What the host hands over for the other user, and who that is.
fn handed_over(bench: &Bench, users: &AlternatingUsers, scene: &Scene) -> Result<(Handed, Account), ConformanceError> {
    let handed = bench.handed(scene)?;
    let pending = users.handed_over(&handed.pending).map_err(unfit)?;
    let previous = handed.previous.as_ref().map(|previous| users.handed_over(previous)).transpose().map_err(unfit)?;
    let name = candidate::field(&bench.subject.manifest().secret, &pending, users.field()).expect("`handed_over` has written it");
    // Exposed: the name of an account of this kit.
    let other = Account { name: name.expose().to_owned() };
    Ok((Handed { pending, previous, ..handed }, other))
}

/// Whether the service accepts AWSPENDING of the other user, and AWSCURRENT still.
async fn both_log_in(
    bench: &mut Bench,
    scene: &Scene,
    other: &Account,
    when: &str,
    flaws: &mut Flaws,
) -> Result<bool, ConformanceError> {
    let new = bench.service.accepts(other, &scene.pending).await?;
    if new {
        bench.service.made_elsewhere(other);
    }
    let old = bench.service.accepts(&scene.account, &scene.current).await?;
    flaws.expect(new, || format!("{when} the service does not accept the new value of `{}`", other.name), OTHER);
    flaws.expect(old, || format!("{when} the service does not accept AWSCURRENT of `{}` any more", scene.account.name), IN_USE);
    Ok(new && old)
}

fn unfit(error: CandidateError) -> SubjectError {
    SubjectError::Secret(Box::new(StepError::from(error)))
}
