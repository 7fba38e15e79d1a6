//! The heartbeat: whether the services still accept what is stored as AWSCURRENT, asked between rotations.
//!
//! An event `{"windlass":"heartbeat"}`, of a schedule, makes the function test the secrets whose rules say `heartbeat = true`. It
//! reads and logs in, and changes nothing: no value, no label, no credential at a service. Each secret passes the gate of a step, is
//! served by the plugin that would rotate it, and is tested once, with the current value as the only one that the plugin sees. There is
//! no negative control: it would be a refused login for every secret and every heartbeat, and services lock accounts for less. A plugin
//! whose test accepts anything is found out by the next rotation.
//!
//! | verdict | means |
//! |---|---|
//! | ok | the service accepts AWSCURRENT |
//! | drift | it refuses it: somebody has changed the credential elsewhere |
//! | unreachable | it cannot be reached |
//! | unclear | something else is in the way, as the error says |
//! | skipped | it was not tested: not rotatable, a rotation under way, or out of time |
//!
//! One secret never stops the others, and none of the verdicts makes the invocation fail: metrics and alarms tell.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::{Instrument, Span, field, info_span};

use crate::config::{Config, Limits};
use crate::error::StepError;
use crate::event::{SecretArn, VersionId};
use crate::failure::Cause;
use crate::function::Invocation;
use crate::rotation::{Rotator, Used};
use crate::secret_names::SecretNames;
use crate::step_record::StepRecord;
use crate::time_account::TimeAccount;

pub mod error;
pub mod line;
pub mod selection;
pub mod verdict;

use error::HeartbeatError;
use selection::{Listing, Wanted, selected};
use verdict::{Skipped, Verdict};

/// A heartbeat: what it works with.
pub struct Heartbeat {
    /// The rotation, whose plugins and clients it uses.
    pub rotator: Arc<Rotator>,
    /// How secrets are named in the log.
    pub names: SecretNames,
    /// The invocation.
    pub invocation: Invocation,
}

/// What was found out about one secret.
#[derive(Debug)]
pub struct Checked {
    /// Its name or ARN, as the rule or the list gives it.
    pub id: String,
    /// Its ARN, where it is known.
    pub arn: Option<SecretArn>,
    /// The version that is AWSCURRENT, where it was read.
    pub version: Option<VersionId>,
    /// What came of it.
    pub verdict: Verdict,
    /// The plugin, the attempts, and where the time went.
    pub record: StepRecord,
}

/// How many secrets came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// See [`Verdict::Ok`].
    pub ok: u32,
    /// See [`Verdict::Drift`].
    pub drift: u32,
    /// See [`Verdict::Unreachable`].
    pub unreachable: u32,
    /// See [`Verdict::Unclear`]; and 1 more if secrets could not be listed.
    pub unclear: u32,
    /// See [`Verdict::Skipped`].
    pub skipped: u32,
}

/// Something that a heartbeat has to tell.
#[derive(Debug)]
pub enum Told {
    /// What was found out about a secret, and when.
    Secret(SystemTime, Box<Checked>),
    /// Secrets that rules select by pattern or tag could not be found. Those that are named in full are tested all the same.
    Unlisted(HeartbeatError),
}

impl Counts {
    const fn count(&mut self, verdict: &Verdict) {
        let counted = match verdict {
            Verdict::Ok => &mut self.ok,
            Verdict::Drift(_) => &mut self.drift,
            Verdict::Unreachable(_) => &mut self.unreachable,
            Verdict::Unclear(_) => &mut self.unclear,
            Verdict::Skipped(_) => &mut self.skipped,
        };
        *counted += 1;
    }
}

/// Begins somewhere in the list: were it always at its beginning, too little time would always leave out the same secrets.
fn begin_anywhere(ids: &mut [String], now: SystemTime) {
    // Schedules come at whole minutes, and never to the microsecond.
    let micros = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_micros() as usize);
    ids.rotate_left(micros % ids.len().max(1));
}

impl Heartbeat {
    /// The least time that must be left before a secret is begun with: enough for Secrets Manager's answers and one login.
    const LEAST_TIME: Duration = Duration::from_secs(2);

    /// Tests every selected secret, tells what was found out before the next one is begun, and answers [`Limits::RESERVE`] before the invocation's
    /// deadline.
    ///
    /// # Errors
    ///
    /// [`HeartbeatError`] if there was nothing that could be tested.
    pub async fn beat(self, mut tell: impl FnMut(Told)) -> Result<Counts, HeartbeatError> {
        let now = Instant::now();
        let end = self.invocation.deadline.checked_sub(Limits::RESERVE).unwrap_or(now).max(now);
        let mut counts = Counts::default();
        let mut ids = self.secrets(end, &mut counts, &mut tell).await?;
        begin_anywhere(&mut ids, SystemTime::now());
        let heartbeat = Arc::new(self);
        let pace = heartbeat.config().heartbeat;
        let pause = Duration::from_secs(1) / pace.per_second;
        let latest = end.checked_sub(Self::LEAST_TIME).unwrap_or(now);
        let mut running: JoinSet<(SystemTime, Checked)> = JoinSet::new();
        let mut take = |at: SystemTime, checked: Checked| {
            counts.count(&checked.verdict);
            tell(Told::Secret(at, Box::new(checked)));
        };
        let mut next = now;
        for id in ids {
            while let Some(done) = running.try_join_next() {
                if let Ok((at, checked)) = done {
                    take(at, checked);
                }
            }
            while running.len() >= pace.at_once as usize {
                if let Some(Ok((at, checked))) = running.join_next().await {
                    take(at, checked);
                }
            }
            sleep_until(next.min(latest)).await;
            let begin = Instant::now();
            if begin >= latest {
                take(SystemTime::now(), Checked::skipped(id, Skipped::OutOfTime));
                continue;
            }
            next = begin + pause;
            let heartbeat = Arc::clone(&heartbeat);
            running.spawn(async move { heartbeat.check(id, end).await });
        }
        while let Some(done) = running.join_next().await {
            // The deployed function ends with a panic; elsewhere the panic hook has said where it was.
            if let Ok((at, checked)) = done {
                take(at, checked);
            }
        }
        Ok(counts)
    }

    fn config(&self) -> &Config {
        self.rotator.config()
    }

    /// Names and ARNs of the secrets to test.
    async fn secrets(
        &self,
        deadline: Instant,
        counts: &mut Counts,
        tell: &mut impl FnMut(Told),
    ) -> Result<Vec<String>, HeartbeatError> {
        let wanted = Wanted::by(&self.config().rules);
        let secrets = self.rotator.secrets();
        let listed = match &wanted.listing {
            Listing::Nothing if wanted.exact.is_empty() => return Err(HeartbeatError::SelectsNothing),
            Listing::Nothing => Ok(Vec::new()),
            Listing::Prefixes(prefixes) => secrets.list(prefixes, deadline).await,
            Listing::Everything => secrets.list(&[], deadline).await,
        };
        let found = match listed {
            Ok(listed) => wanted.among(listed, self.config(), &self.invocation.function_arn),
            Err(why) if wanted.exact.is_empty() => return Err(HeartbeatError::Listing { why }),
            Err(why) => {
                counts.unclear += 1;
                tell(Told::Unlisted(HeartbeatError::Listing { why }));
                Vec::new()
            }
        };
        Ok(wanted.exact.into_iter().chain(found.iter().map(|arn| arn.as_str().to_owned())).collect())
    }

    /// Tests one secret.
    async fn check(&self, id: String, deadline: Instant) -> (SystemTime, Checked) {
        let span = info_span!(
            "heartbeat",
            request_id = self.invocation.request_id,
            trace_id = self.invocation.trace_id,
            secret = self.names.of(&id),
            version = field::Empty
        );
        let begin = Instant::now();
        let (account, mut used) = (TimeAccount::default(), Used::default());
        let mut checked = Checked::skipped(id, Skipped::OutOfTime);
        let testing = account.keep(self.tested(&mut checked, &mut used, deadline)).instrument(span);
        // Whatever waits in it ends at the deadline by itself. A heartbeat answers even if something does not.
        let tested = timeout_at(deadline + Limits::RESERVE / 2, testing).await;
        let tested = tested.unwrap_or(Err(StepError::TooLittleTime { milliseconds: 0 }));
        let took = begin.elapsed();
        checked.verdict = match tested {
            Ok(None) => Verdict::Ok,
            Ok(Some(skipped)) => Verdict::Skipped(skipped),
            Err(error) => Verdict::of(error.accounted(took, &account)),
        };
        checked.record = used.record(took, &account);
        (SystemTime::now(), checked)
    }

    /// Whether the service accepts AWSCURRENT, unless there is a reason not to ask it.
    async fn tested(&self, checked: &mut Checked, used: &mut Used, deadline: Instant) -> Result<Option<Skipped>, StepError> {
        let secrets = self.rotator.secrets();
        let (arn, described) = secrets.find(&checked.id, deadline).await?;
        Span::current().record("secret", self.names.of(arn.as_str()));
        checked.arn = Some(arn.clone());
        if !selected(self.config(), &arn, &described.tags) {
            return Ok(Some(Skipped::NotSelected));
        }
        if let Err(why) = described.rotatable() {
            return Ok(Some(Skipped::NotRotatable(why)));
        }
        if described.under_way() {
            return Ok(Some(Skipped::UnderWay));
        }
        let current = secrets.current(arn.as_str(), deadline).await?.ok_or(StepError::NoCurrentValue)?;
        Span::current().record("version", current.id.as_str());
        checked.version = Some(current.id.clone());
        let Err(error) = self.rotator.test_current(&arn, &described, &current, deadline, used).await else { return Ok(None) };
        // A rotation that began meanwhile may have changed the credential, or finished with another version.
        if error.reported().is_some_and(|(cause, _)| cause == Cause::Unauthorized) {
            let now = secrets.describe(&arn, deadline).await?;
            if now.under_way() || now.current() != Some(&current.id) {
                return Ok(Some(Skipped::UnderWay));
            }
        }
        Err(error)
    }
}

impl Checked {
    fn skipped(id: String, why: Skipped) -> Self {
        let record = StepRecord { attempts: 1, ..StepRecord::default() };
        Self { id, arn: None, version: None, verdict: Verdict::Skipped(why), record }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_secret_is_the_first_one_at_some_time_and_none_is_lost() {
        let ids = || ["a", "b", "c"].map(str::to_owned);
        let begun = |micros| {
            let mut ids = ids();
            begin_anywhere(&mut ids, UNIX_EPOCH + Duration::from_micros(micros));
            ids
        };
        let orders: BTreeSet<_> = (60_000_000..60_000_006).map(begun).collect();
        assert_eq!(orders.iter().map(|[first, ..]| first.clone()).collect::<BTreeSet<_>>(), BTreeSet::from(ids()));
        assert!(orders.into_iter().all(|order| BTreeSet::from(order) == BTreeSet::from(ids())));
        begin_anywhere(&mut [], UNIX_EPOCH);
    }
}
