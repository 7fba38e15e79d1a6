//! A function can be killed anywhere. Whatever the plugin had done by then, the same step again has to end well.

use super::super::ConformanceError;
use super::super::scene::Bench;
use super::super::subject::Place;
use super::super::verdict::{Flaws, Verdict};
use super::places::Places;
use crate::capability::host_calls::HostCall;
use crate::failure::Effect;

const CONVERGE: &str = "set-secret may find the service in any state that an earlier run left: look first which credential works, and go \
                        on from there";

pub(super) async fn interrupted(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    let (mut flaws, mut places) = (Flaws::default(), Places::new());
    while let Some(after) = places.next() {
        let scene = bench.scene().await?;
        let handed = bench.handed(&scene)?;
        let cut = bench.subject.set_cut_off(&handed, after).await?;
        if cut.result.is_some() {
            // If it did not come to its end because it failed, not all places were seen.
            flaws.expect(
                matches!(cut.result, Some(Ok(_))),
                || format!("without being killed set-secret ended with {}", cut.in_words()),
                cut.advice("mend what `set-then-test` says first"),
            );
            break;
        }
        let place =
            || format!("killed after call {after} of the host ({})", cut.host_calls.last().map_or("none", |call| call.function));
        let again = bench.subject.set(&handed, Place::AsItIs).await?;
        let converged = matches!(again.result, Some(Ok(_)));
        flaws.expect(
            converged,
            || format!("{}, the next set-secret ended with {}", place(), again.in_words()),
            again.advice(CONVERGE),
        );
        let accepted = bench.service.accepts(&scene.account, &scene.pending).await?;
        flaws.expect(
            accepted || !converged,
            || format!("{}, the next set-secret succeeded, and the service does not accept the new value", place()),
            CONVERGE,
        );
        let (old, overlap) = (bench.service.accepts(&scene.account, &scene.current).await?, bench.subject.manifest().overlap);
        flaws.expect(
            old == overlap || !(converged && accepted),
            || {
                format!(
                    "{}, the next set-secret succeeded, and the old value {}",
                    place(),
                    if old { "lives on" } else { "is dead" }
                )
            },
            "do what follows the change (retire old values, persist) also when AWSPENDING is found to work already",
        );
        if places.tried() {
            places.spread(whole_run(bench).await?.len());
        }
    }
    Ok(flaws.verdict(places.in_words("places")))
}

pub(super) async fn lost_answer(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    const HONEST: &str = "report a connection that breaks after a change was sent with the effect `unknown`, as the host's own failure does; \
                          or look with AWSPENDING which it is";
    let (mut flaws, mut places) = (Flaws::default(), Places::new());
    while let Some(answer) = places.next() {
        let scene = bench.scene().await?;
        let handed = bench.handed(&scene)?;
        let Some(ran) = bench.subject.set_losing_answer(&handed, answer).await? else { break };
        let old = bench.service.accepts(&scene.account, &scene.current).await?;
        let new = bench.service.accepts(&scene.account, &scene.pending).await?;
        let place = || format!("when answer {answer} of the service was lost, set-secret ended with {}", ran.in_words());
        let unchanged = ran.failure().is_some_and(|(_, effect)| effect == Effect::Unchanged);
        flaws.expect(!unchanged || (old && !new), || format!("{}, and the service was changed", place()), HONEST);
        let succeeded = matches!(ran.result, Some(Ok(_)));
        flaws.expect(!succeeded || new, || format!("{}, and the service does not accept the new value", place()), HONEST);
        let again = bench.subject.set(&handed, Place::AsItIs).await?;
        let accepted = bench.service.accepts(&scene.account, &scene.pending).await?;
        flaws.expect(
            matches!(again.result, Some(Ok(_))) && accepted,
            || {
                let end = if accepted { "accepts" } else { "does not accept" };
                format!("{}; the next one ended with {}, and the service {end} the new value", place(), again.in_words())
            },
            again.advice(CONVERGE),
        );
        if places.tried() {
            places.spread(whole_run(bench).await?.iter().filter(|call| call.is_answer()).count());
        }
    }
    if places.none() {
        return Ok(Verdict::NotShown { why: "set-secret waited for no answer of the service".to_owned() });
    }
    Ok(flaws.verdict(places.in_words("answers")))
}

/// The calls of the host in a set-secret that nobody interrupts.
pub(super) async fn whole_run(bench: &mut Bench) -> Result<Vec<HostCall>, ConformanceError> {
    let scene = bench.scene().await?;
    Ok(bench.subject.set_once(&bench.handed(&scene)?).await?.host_calls)
}
