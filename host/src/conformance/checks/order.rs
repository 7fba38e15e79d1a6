//! The steps in and out of their order.

use super::super::ConformanceError;
use super::super::scene::Bench;
use super::super::subject::Place;
use super::super::verdict::{Flaws, Verdict};
use crate::failure::{Cause, Effect};
use crate::plugin::call::Outcome;

const SET: &str = "set-secret succeeds only when the service accepts AWSPENDING: log in with it before returning";
const TEST: &str = "test-secret logs in with AWSPENDING and succeeds if the service accepts it";

pub(super) async fn set_then_test(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    let (scene, mut flaws) = (bench.scene().await?, Flaws::default());
    let handed = bench.handed(&scene)?;
    let set = bench.subject.set(&handed, Place::AsItIs).await?;
    if flaws.expect(matches!(set.result, Some(Ok(_))), || format!("set-secret ended with {}", set.in_words()), set.advice(SET)) {
        flaws.expect(
            matches!(set.result, Some(Ok(Outcome::Changed))),
            || "set-secret changed the service and says `unchanged`".to_owned(),
            "return `changed` when the service did not accept AWSPENDING before",
        );
    }
    let accepted = bench.service.accepts(&scene.account, &scene.pending).await?;
    flaws.expect(accepted, || "after set-secret the service does not accept the new value".to_owned(), SET);
    let test = bench.subject.test(&handed, Place::AsItIs).await?;
    flaws.expect(
        matches!(test.result, Some(Ok(()))),
        || format!("after set-secret test-secret ended with {}", test.in_words()),
        test.advice(TEST),
    );
    Ok(flaws.verdict(""))
}

pub(super) async fn set_twice(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    const AGAIN: &str = "set-secret is repeated after a lost answer: try AWSPENDING first, and return `unchanged` if it works";
    let (scene, mut flaws) = (bench.scene().await?, Flaws::default());
    let handed = bench.handed(&scene)?;
    bench.subject.set(&handed, Place::AsItIs).await?;
    let again = bench.subject.set(&handed, Place::AsItIs).await?;
    flaws.expect(
        matches!(again.result, Some(Ok(Outcome::Unchanged))),
        || match &again.result {
            Some(Ok(_)) => "the second set-secret says `changed`".to_owned(),
            Some(Err(_)) | None => format!("the second set-secret ended with {}", again.in_words()),
        },
        again.advice(AGAIN),
    );
    let accepted = bench.service.accepts(&scene.account, &scene.pending).await?;
    flaws.expect(accepted, || "after the second set-secret the service does not accept the new value".to_owned(), AGAIN);
    Ok(flaws.verdict(""))
}

pub(super) async fn test_before_set(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    const EARLY: &str = "test-secret uses AWSPENDING and nothing else, and reports a refused login as `unauthorized`";
    let (scene, mut flaws) = (bench.scene().await?, Flaws::default());
    let handed = bench.handed(&scene)?;
    let test = bench.subject.test(&handed, Place::AsItIs).await?;
    let unauthorized = test.failure().is_some_and(|(cause, _)| cause == Cause::Unauthorized);
    if flaws.expect(unauthorized, || format!("before set-secret test-secret ended with {}", test.in_words()), test.advice(EARLY)) {
        flaws.expect(
            test.failure().is_none_or(|(_, effect)| effect == Effect::Unchanged),
            || format!("test-secret changes nothing, and ended with {}", test.in_words()),
            "report every failure of test-secret with the effect `unchanged`",
        );
    }
    Ok(flaws.verdict(""))
}

pub(super) async fn test_changes_nothing(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    const ONLY_LOOKS: &str = "test-secret must not change anything at the service, whatever it finds";
    let (scene, mut flaws) = (bench.scene().await?, Flaws::default());
    let handed = bench.handed(&scene)?;
    // Before set-secret the service knows the old value only, and after test-secret it still has to.
    bench.subject.test(&handed, Place::AsItIs).await?;
    let (old, new) = (bench.service.accepts(&scene.account, &scene.current), bench.service.accepts(&scene.account, &scene.pending));
    let (old, new) = (old.await?, new.await?);
    flaws.expect(old, || "after test-secret the service does not accept the old value any more".to_owned(), ONLY_LOOKS);
    flaws.expect(!new, || "after test-secret the service accepts the new value, which nobody has set".to_owned(), ONLY_LOOKS);
    bench.service.change(&scene.account, &scene.pending).await?;
    bench.subject.test(&handed, Place::AsItIs).await?;
    let kept = bench.service.accepts(&scene.account, &scene.pending).await?;
    flaws.expect(kept, || "after test-secret the service does not accept the new value any more".to_owned(), ONLY_LOOKS);
    Ok(flaws.verdict(""))
}

pub(super) async fn overlap(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    let (mut scene, mut flaws) = (bench.scene().await?, Flaws::default());
    let handed = bench.handed(&scene)?;
    let set = bench.subject.set(&handed, Place::AsItIs).await?;
    if !matches!(set.result, Some(Ok(_))) {
        return Ok(Verdict::NotShown { why: format!("set-secret ended with {}", set.in_words()) });
    }
    // As in a rotation, where test-secret follows at once: it must not be what ends the old value's life.
    bench.subject.test(&handed, Place::AsItIs).await?;
    let old = bench.service.accepts(&scene.account, &scene.current).await?;
    if !bench.subject.manifest().overlap {
        flaws.expect(
            !old,
            || "the manifest says `overlap = false`, and the service still accepts the old value".to_owned(),
            "say `overlap = true` if the old value is meant to live on until the next rotation; otherwise remove it in set-secret",
        );
        return Ok(flaws.verdict("the old value dies with set"));
    }
    flaws.expect(
        old,
        || "the manifest says `overlap = true`, and the service does not accept the old value any more".to_owned(),
        "keep AWSCURRENT valid in set-secret and test-secret, or say `overlap = false`",
    );
    // The next rotation: what was current is previous now, and has to go.
    let retired = scene.current.clone();
    scene.previous = std::mem::replace(&mut scene.current, std::mem::replace(&mut scene.pending, bench.password()?));
    bench.subject.set(&bench.handed(&scene)?, Place::AsItIs).await?;
    let alive = bench.service.accepts(&scene.account, &retired).await?;
    flaws.expect(
        !alive,
        || "after the next rotation the service still accepts the value before the last".to_owned(),
        "retire AWSPREVIOUS in set-secret, once AWSPENDING works",
    );
    Ok(flaws.verdict("the old value lives until the next rotation"))
}
