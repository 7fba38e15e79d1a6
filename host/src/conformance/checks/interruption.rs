//! A function can be killed anywhere. Whatever the plugin had done by then, the same step again has to end well.

use super::super::ConformanceError;
use super::super::scene::Bench;
use super::super::subject::Place;
use super::super::verdict::{Flaws, Verdict};

/// More calls of the host than this are not tried one by one.
const MOST: usize = 100;

pub(super) async fn interrupted(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    const CONVERGE: &str = "set-secret may find the service in any state that an earlier run left: look first which credential works, and go \
                            on from there";
    let mut flaws = Flaws::default();
    let mut killed = 0;
    for after in 1..=MOST {
        let scene = bench.scene().await?;
        let handed = bench.handed(&scene)?;
        let cut = bench.subject.set_cut_off(&handed, after).await?;
        if cut.result.is_some() {
            break;
        }
        killed = after;
        let place =
            || format!("killed after call {after} of the host ({})", cut.host_calls.last().map_or("none", |call| call.function));
        let again = bench.subject.set(&handed, Place::AsItIs).await?;
        let converged = matches!(again.result, Some(Ok(_)));
        flaws.expect(converged, || format!("{}, the next set-secret ended with {}", place(), again.in_words()), CONVERGE);
        let accepted = bench.service.accepts(&scene.account, &scene.pending).await?;
        flaws.expect(
            accepted || !converged,
            || format!("{}, the next set-secret succeeded, and the service does not accept the new value", place()),
            CONVERGE,
        );
    }
    Ok(flaws.verdict(format!("{killed} places")))
}
