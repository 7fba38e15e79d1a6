//! Secret and service disagree: an earlier run was interrupted, or somebody changed the password by hand.

use super::super::ConformanceError;
use super::super::scene::{Bench, Scene};
use super::super::subject::Place;
use super::super::verdict::{Flaws, Verdict};
use crate::failure::{Cause, Effect};
use crate::plugin::call::Outcome;

pub(super) async fn pending(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    const FIRST: &str = "try AWSPENDING before anything else: an interrupted run may have set it already";
    let (scene, mut flaws) = (bench.scene().await?, Flaws::default());
    bench.service.change(&scene.account, &scene.pending).await?;
    let set = bench.subject.set(&bench.handed(&scene)?, Place::AsItIs).await?;
    flaws.expect(
        matches!(set.result, Some(Ok(Outcome::Unchanged))),
        || match &set.result {
            Some(Ok(_)) => "set-secret says `changed`, and the service accepted the new value before".to_owned(),
            Some(Err(_)) | None => format!("set-secret ended with {}", set.in_words()),
        },
        set.advice(FIRST),
    );
    still_accepted(bench, &scene, &mut flaws).await?;
    Ok(flaws.verdict(""))
}

pub(super) async fn previous(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    const LADDER: &str = "log in with AWSPENDING, then AWSCURRENT, then AWSPREVIOUS, then the admin credential, and change with the first \
                          that works";
    let (scene, mut flaws) = (bench.scene().await?, Flaws::default());
    bench.service.change(&scene.account, &scene.previous).await?;
    let set = bench.subject.set(&bench.handed(&scene)?, Place::AsItIs).await?;
    let changed = matches!(set.result, Some(Ok(Outcome::Changed)));
    if flaws.expect(changed, || format!("set-secret ended with {}", set.in_words()), set.advice(LADDER)) {
        still_accepted(bench, &scene, &mut flaws).await?;
    }
    Ok(flaws.verdict(""))
}

pub(super) async fn other(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    const ONLY_THIS: &str = "change the account of AWSPENDING and no other, whoever is logged in: name it in the change";
    let (scene, bystander, mut flaws) = (bench.scene().await?, bench.scene().await?, Flaws::default());
    let other = bench.password()?;
    bench.service.change(&scene.account, &other).await?;
    let handed = bench.handed(&scene)?;
    let set = bench.subject.set(&handed, Place::AsItIs).await?;
    if handed.admin.is_some() {
        let changed = matches!(set.result, Some(Ok(Outcome::Changed)));
        flaws.expect(
            changed,
            || format!("no version of the secret works, the admin credential does, and set-secret ended with {}", set.in_words()),
            set.advice("fall back to the admin credential where one is handed over"),
        );
        if changed {
            still_accepted(bench, &scene, &mut flaws).await?;
        }
        let untouched = bench.service.accepts(&bystander.account, &bystander.current).await?;
        flaws.expect(untouched, || "set-secret changed the password of another account too".to_owned(), ONLY_THIS);
        // The case could do this before, so it is the plugin that has taken the means from it.
        if let Err(error) = bench.service.change(&scene.account, &other).await {
            flaws.expect(false, || format!("after set-secret nobody can change the password any more: {error}"), ONLY_THIS);
        }
        return Ok(flaws.verdict("the admin credential mends it"));
    }
    flaws.expect(
        set.failure() == Some((Cause::Unauthorized, Effect::Unchanged)),
        || format!("no version of the secret works, and set-secret ended with {}", set.in_words()),
        set.advice("report `unauthorized` and `unchanged` when the service refuses every credential that there is"),
    );
    let untouched = bench.service.accepts(&scene.account, &other).await?;
    flaws.expect(untouched, || "the service was changed all the same".to_owned(), "change nothing without a login that works");
    Ok(flaws.verdict("nothing is left to log in with"))
}

async fn still_accepted(bench: &Bench, scene: &Scene, flaws: &mut Flaws) -> Result<(), ConformanceError> {
    let accepted = bench.service.accepts(&scene.account, &scene.pending).await?;
    flaws.expect(
        accepted,
        || "set-secret succeeded, and the service does not accept the new value".to_owned(),
        "set-secret makes the service accept AWSPENDING itself, not a value of its own",
    );
    Ok(())
}
