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
const IN_USE: &str = "leave the user of AWSCURRENT as it is, at every moment, when AWSPENDING names another one: its credential is in use until \
                      the next rotation";
const RETIRE: &str =
    "let the user whose turn it is have AWSPENDING as its only value: the one before the last has been in use long enough";

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
    if let Some(second) = second
        // Back to the first user, who is there already.
        && turn(bench, &users, &second, &mut flaws).await?.0.is_some()
    {
        let alive = bench.service.accepts(&first.account, &first.current).await?;
        let name = &first.account.name;
        flaws.expect(!alive, || format!("`{name}` had its next turn, and its old value is still accepted"), RETIRE);
    }
    let made = interrupted(bench, &users, false, calls, &mut flaws).await?;
    let changed = interrupted(bench, &users, true, calls, &mut flaws).await?;
    Ok(flaws.verdict(format!("two turns; {made} where the other user is made, {changed} where it is there")))
}

/// A rotation that is for the other user. What the next one begins with, if it went well, and how many calls of the host it took.
async fn turn(
    bench: &mut Bench,
    users: &AlternatingUsers,
    scene: &Scene,
    flaws: &mut Flaws,
) -> Result<(Option<Scene>, usize), ConformanceError> {
    let (handed, other) = handed_over(bench, users, scene)?;
    let when = format!("after the turn of `{}`", other.name);
    let set = bench.subject.set(&handed, Place::AsItIs).await?;
    let changed = flaws.expect(
        matches!(set.result, Some(Ok(Outcome::Changed))),
        || format!("it is the turn of `{}`, and set-secret ended with {}", other.name, set.in_words()),
        set.advice(OTHER),
    );
    let accepted = new_value_works(bench, scene, &other, &when, flaws).await?;
    let mut well = in_use_still_works(bench, scene, &when, flaws).await? && changed && accepted;
    if well {
        let given = bench.service.accepts(&scene.account, &scene.pending).await?;
        flaws.expect(!given, || format!("{when} `{}` accepts the new value, too", scene.account.name), IN_USE);
        let test = bench.subject.test(&handed, Place::AsItIs).await?;
        let tested = matches!(test.result, Some(Ok(())));
        flaws.expect(tested, || format!("{when} test-secret ended with {}", test.in_words()), test.advice(OTHER));
        let again = bench.subject.set(&handed, Place::AsItIs).await?;
        flaws.expect(
            matches!(again.result, Some(Ok(Outcome::Unchanged))),
            || format!("{when} a second set-secret ended with {}", again.in_words()),
            again.advice("try AWSPENDING first, and return `unchanged` if it works, whoever it names"),
        );
        well = in_use_still_works(bench, scene, &when, flaws).await?;
    }
    let (previous, current) = (scene.current.clone(), scene.pending.clone());
    let next = Scene { account: other, previous, current, pending: bench.password()? };
    Ok((well.then_some(next), set.host_calls.len()))
}

/// Kills the turn of another user, who `is_there` or has to be made, after every call of the host, and repeats it. How many places were
/// tried, in words; `calls` is how many there are.
async fn interrupted(
    bench: &mut Bench,
    users: &AlternatingUsers,
    is_there: bool,
    calls: usize,
    flaws: &mut Flaws,
) -> Result<String, ConformanceError> {
    let mut places = Places::new();
    while let Some(after) = places.next() {
        let scene = bench.scene().await?;
        let (handed, other) = handed_over(bench, users, &scene)?;
        if is_there {
            bench.service.create(&other, &scene.previous).await?;
        }
        let cut = bench.subject.set_cut_off(&handed, after).await?;
        if cut.result.is_some() {
            // If it did not come to its end because it failed, not all places were seen.
            flaws.expect(
                matches!(cut.result, Some(Ok(_))),
                || format!("it is the turn of `{}`, and without being killed set-secret ended with {}", other.name, cut.in_words()),
                cut.advice(OTHER),
            );
            break;
        }
        let last = cut.host_calls.last().map_or("none", |call| call.function);
        let place = format!("killed after call {after} of the host ({last})");
        in_use_still_works(bench, &scene, &format!("when it was {place},"), flaws).await?;
        let again = bench.subject.set(&handed, Place::AsItIs).await?;
        let converged = flaws.expect(
            matches!(again.result, Some(Ok(_))),
            || format!("{place}, the next set-secret ended with {}", again.in_words()),
            again.advice(OTHER),
        );
        let when = format!("when it was {place}, and repeated,");
        if converged {
            new_value_works(bench, &scene, &other, &when, flaws).await?;
        }
        in_use_still_works(bench, &scene, &when, flaws).await?;
        if places.tried() {
            places.spread(calls);
        }
    }
    Ok(places.in_words("places"))
}

/// What the host hands over for the other user, and who that is.
fn handed_over(bench: &mut Bench, users: &AlternatingUsers, scene: &Scene) -> Result<(Handed, Account), ConformanceError> {
    let handed = bench.handed(scene)?;
    let pending = users.handed_over(&handed.pending).map_err(unfit)?;
    let previous = handed.previous.as_ref().map(|previous| users.handed_over(previous)).transpose().map_err(unfit)?;
    let name = candidate::field(&bench.subject.manifest().secret, &pending, users.field());
    // Exposed: the name of an account of this kit.
    let other = Account { name: name.expect("`handed_over` has written it").expose().to_owned() };
    bench.service.may_be_made(&other);
    Ok((Handed { pending, previous, ..handed }, other))
}

async fn new_value_works(
    bench: &Bench,
    scene: &Scene,
    other: &Account,
    when: &str,
    flaws: &mut Flaws,
) -> Result<bool, ConformanceError> {
    let new = bench.service.accepts(other, &scene.pending).await?;
    Ok(flaws.expect(new, || format!("{when} the service does not accept the new value of `{}`", other.name), OTHER))
}

async fn in_use_still_works(bench: &Bench, scene: &Scene, when: &str, flaws: &mut Flaws) -> Result<bool, ConformanceError> {
    let old = bench.service.accepts(&scene.account, &scene.current).await?;
    Ok(flaws.expect(old, || format!("{when} the service does not accept AWSCURRENT of `{}` any more", scene.account.name), IN_USE))
}

fn unfit(error: CandidateError) -> SubjectError {
    SubjectError::Secret(Box::new(StepError::from(error)))
}
