//! What was seen in all calls of the run.

use super::super::ConformanceError;
use super::super::scene::Bench;
use super::super::verdict::{Flaws, Verdict};

#[expect(clippy::needless_pass_by_ref_mut, reason = "checks are alike")]
pub(super) async fn granted_endpoints(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    let mut flaws = Flaws::default();
    if bench.subject.seen().calls == 0 {
        return Ok(nothing_seen());
    }
    for denied in bench.subject.seen().denied {
        flaws.expect(
            false,
            || format!("the host denied `{denied}`"),
            "open the endpoints of the manifest by their names, and no more connections than one call may",
        );
    }
    Ok(flaws.verdict(""))
}

#[expect(clippy::needless_pass_by_ref_mut, reason = "checks are alike")]
pub(super) async fn no_values(bench: &mut Bench) -> Result<Verdict, ConformanceError> {
    let mut flaws = Flaws::default();
    if bench.subject.seen().calls == 0 {
        return Ok(nothing_seen());
    }
    for line in bench.subject.seen().values_in_words {
        flaws.expect(
            false,
            || format!("the plugin said a value, which the host replaced: `{line}`"),
            "leave values out of messages and log lines: the host cannot know one that was transformed",
        );
    }
    Ok(flaws.verdict(""))
}

fn nothing_seen() -> Verdict {
    Verdict::NotShown { why: "no other check was run, so nothing was seen".to_owned() }
}
