//! Secrets Manager may run a step twice at the same time. Both runs have the same values, and either may come in between any two things that
//! the other does.

use super::super::ConformanceError;
use super::super::scene::{Bench, Scene};
use super::super::subject::{Place, Ran};
use super::super::verdict::{Flaws, Verdict};
use super::interruption::whole_run;
use super::places::evenly;
use crate::error::Retry;
use crate::failure::table::consequence;
use crate::plugin::call::Outcome;

/// At so many answers of the service one run is overtaken by the other.
const OVERTAKEN: usize = 12;

/// So often both begin at once.
const AT_ONCE: usize = 4;

const AGAIN: &str = "before set-secret fails, it looks whether AWSPENDING works by now: another run of the same step may have set it. What is \
                     left is `conflict`";

pub(super) async fn concurrency(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    let mut flaws = Flaws::default();
    let answers = whole_run(bench).await?.iter().filter(|call| call.is_answer()).count();
    let overtaken = evenly(1, answers, OVERTAKEN);
    for answer in &overtaken {
        let scene = bench.scene().await?;
        let ran = bench.subject.set_overtaken(&bench.handed(&scene)?, *answer).await?;
        let when = format!("when a second set-secret ran while the first one waited for answer {answer} of the service");
        ended_well(bench, &scene, &when, &ran, &mut flaws).await?;
    }
    for _ in 0..AT_ONCE {
        let scene = bench.scene().await?;
        let handed = bench.handed(&scene)?;
        let (first, second) = tokio::join!(bench.subject.set_once(&handed), bench.subject.set_once(&handed));
        ended_well(bench, &scene, "when two set-secret began at once", &[first?, second?], &mut flaws).await?;
    }
    Ok(flaws.verdict(format!("overtaken at {} of {answers} answers, {AT_ONCE} times at once", overtaken.len())))
}

async fn ended_well(
    bench: &Bench,
    scene: &Scene,
    when: &str,
    ran: &[Ran<Outcome>; 2],
    flaws: &mut Flaws,
) -> Result<(), ConformanceError> {
    for (ran, which) in ran.iter().zip(["first", "second"]) {
        let retried = ran.failure().is_some_and(|(cause, effect)| matches!(consequence(cause, effect).retry, Retry::Helps));
        flaws.expect(
            matches!(ran.result, Some(Ok(_))) || retried,
            || format!("{when}, the {which} one ended with {}", ran.in_words()),
            ran.advice(AGAIN),
        );
    }
    let succeeded = ran.iter().any(|ran| matches!(ran.result, Some(Ok(_))));
    let accepted = bench.service.accepts(&scene.account, &scene.pending).await?;
    flaws.expect(
        accepted || !succeeded,
        || format!("{when}, one of them succeeded, and after both the service does not accept the new value"),
        "a run that fails must not undo what was set: AWSPENDING is what another run of the same step sets, too",
    );
    let again = bench.subject.set(&bench.handed(scene)?, Place::AsItIs).await?;
    let accepted = bench.service.accepts(&scene.account, &scene.pending).await?;
    let old = bench.service.accepts(&scene.account, &scene.current).await?;
    let converged = matches!(again.result, Some(Ok(_))) && accepted && old == bench.subject.manifest().overlap;
    flaws.expect(
        converged,
        || {
            let [new, old] = [accepted, old].map(|accepted| if accepted { "accepts" } else { "does not accept" });
            format!("{when}, the next one ended with {}, and the service {new} the new value and {old} the old one", again.in_words())
        },
        again.advice(
            "set-secret may find the service in any state that other runs of it left: look first which credential works, and go on from there",
        ),
    );
    Ok(())
}
