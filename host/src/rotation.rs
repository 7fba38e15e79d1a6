//! One step of a rotation, in order: the only file that knows what happens after what.
//!
//! Every step begins with the gate and may be repeated, cut off anywhere, or run twice at the same time: what has been done is read
//! from Secrets Manager and from the service, never remembered. The steps are those of
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html>.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{Instrument, info_span, warn};

use crate::candidate;
use crate::capability::network::Network;
use crate::capability::refused_logins::RefusedLogins;
use crate::choice::{Choice, Chosen};
use crate::config::swap::SwapWithinRotation;
use crate::config::{Config, Limits, SecretRule};
use crate::error::StepError;
use crate::event::{RotationEvent, SecretArn, Step};
use crate::failure::Cause;
use crate::failure::table::consequence;
use crate::manifest::Manifest;
use crate::plugin::call::{Call, CallError, Handed, Outcome};
use crate::plugin::digest::Digest;
use crate::plugin::engine::Target;
use crate::plugin::load::{CodeFrom, Plugin, Plugins};
use crate::plugin::source::PluginSource;
use crate::renewal::Renewal;
use crate::secret::SecretValue;
use crate::secrets::{Moved, SecretsManager, Stored, Version};
use crate::served::{Rotation, Served};
use crate::state::{Described, NotRotatable, State};
use crate::step_record::{Control, PluginUsed, StepOutcome, StepRecord, StepReport, StepTimes};
use crate::tags::Tags;
use crate::time_account::{On, TimeAccount, spend, tried_again};

/// Runs the steps of rotations. Holds what outlives a step: clients, configuration, compiled plugins and which secrets they served,
/// never a secret's value.
pub struct Rotator {
    config: Config,
    secrets: SecretsManager,
    source: PluginSource,
    plugins: Plugins,
    network: Arc<Network>,
    served: Served,
}

impl Rotator {
    /// The least time that must be left before anything is sent to the service: enough for a connection and an answer.
    const LEAST_TIME: Duration = Duration::from_secs(1);

    /// Puts the parts together. Reads nothing and connects to nothing.
    pub fn new(config: Config, source: PluginSource, secrets: SecretsManager, plugins: Plugins, network: Network) -> Self {
        Self { config, secrets, source, plugins, network: Arc::new(network), served: Served::default() }
    }

    /// Runs the step that `event` (JSON, as Lambda delivers it) asks for. Answers [`Limits::RESERVE`] before `deadline`, so that a
    /// typed error reaches Lambda before it ends the function.
    ///
    /// # Errors
    ///
    /// [`StepError`] says what happened, who has to act and whether a retry helps. After any error the same event can succeed later.
    pub async fn run(&self, event: &[u8], deadline: Instant) -> Result<StepReport, StepError> {
        let event = RotationEvent::parse(event)?;
        // On every line of the step, those of the plugin included: one process serves many secrets.
        let span =
            info_span!("rotation", step = event.step.name(), secret = event.secret.as_str(), version = event.version.as_str());
        let (outcome, record) = self.step(&event, deadline).instrument(span).await;
        let StepRecord { plugin, control, times, .. } = record;
        Ok(StepReport { step: event.step, outcome: outcome?, plugin, control, times })
    }

    /// Runs a step, as [`Rotator::run`] does, and says what is known of it besides its outcome.
    pub async fn step(&self, event: &RotationEvent, deadline: Instant) -> (Result<StepOutcome, StepError>, StepRecord) {
        let begin = Instant::now();
        let deadline = deadline.checked_sub(Limits::RESERVE).unwrap_or(begin).max(begin);
        let mut used = Used::default();
        let account = TimeAccount::default();
        let outcome = account.keep(self.outcome(event, deadline, &mut used)).await;
        let whole = begin.elapsed();
        (outcome.map_err(|error| error.accounted(whole, &account)), used.record(whole, &account))
    }

    /// Tests the current value of a secret as testSecret tests a pending one, with the plugin that would serve a rotation that began
    /// now: once, without a negative control, and without remembering anything of it.
    ///
    /// # Errors
    ///
    /// Those of a step.
    pub(crate) async fn test_current(
        &self,
        secret: &SecretArn,
        described: &Described,
        current: &Version,
        deadline: Instant,
        used: &mut Used,
    ) -> Result<(), StepError> {
        let (secret, version) = (secret.clone(), current.id.clone());
        let event = RotationEvent { step: Step::Test, secret, version, rotation_token: None };
        let mut run = Run { rotator: self, event: &event, described, deadline, used };
        let tags = Tags::read(&described.tags)?;
        let chosen = run.choice().component(&tags, &current.value, deadline).await?;
        let plugin = run.load(chosen).await?;
        // Not repeated for a service that asks for patience, which is for a change that was just made.
        let tested = run.test_once(&plugin, &current.value).await?;
        tested.map_err(|why| run.plugin_error(&plugin, why))
    }

    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) const fn secrets(&self) -> &SecretsManager {
        &self.secrets
    }

    async fn outcome(&self, event: &RotationEvent, deadline: Instant, used: &mut Used) -> Result<StepOutcome, StepError> {
        let described = self.described(event, deadline).await?;
        let state = described.state(&event.version)?;
        let mut run = Run { rotator: self, event, described: &described, deadline, used };
        match (state, event.step) {
            (State::Finished, _) => Ok(StepOutcome::AlreadyCurrent),
            (State::InProgress, Step::Create) => run.create().await,
            (State::InProgress, Step::Set) => run.set().await,
            (State::InProgress, Step::Test) => run.test().await,
            (State::InProgress, Step::Finish) => run.finish().await,
        }
    }

    /// DescribeSecret, read again for a moment while it does not know the version: what another reader was told may not be seen yet.
    async fn described(&self, event: &RotationEvent, deadline: Instant) -> Result<Described, StepError> {
        let mut pause = Duration::from_millis(200);
        loop {
            let described = self.secrets.describe(&event.secret, deadline).await?;
            let stale = matches!(described.state(&event.version), Err(NotRotatable::UnknownVersion { .. }));
            if !stale || pause > Duration::from_millis(800) || deadline.saturating_duration_since(Instant::now()) < pause * 4 {
                return Ok(described);
            }
            sleep(pause).await;
            tried_again();
            pause *= 2;
        }
    }
}

/// What a step has used so far.
#[derive(Default)]
pub(crate) struct Used {
    plugin: Option<PluginUsed>,
    plugin_time: Duration,
    control: Option<Control>,
    refused: Option<RefusedLogins>,
    /// Where the plugin's code came from, if it was loaded in this step.
    code_from: Option<CodeFrom>,
}

impl Used {
    /// What is known when it is over.
    pub(crate) fn record(self, whole: Duration, account: &TimeAccount) -> StepRecord {
        StepRecord {
            refused_logins: self.refused_logins(),
            attempts: account.attempts(),
            times: StepTimes::of(whole, self.plugin_time, account),
            plugin: self.plugin,
            control: self.control,
            code_from: self.code_from,
        }
    }

    fn refused_logins(&self) -> Option<u32> {
        self.refused.as_ref().map(RefusedLogins::count)
    }
}

/// A step under way.
struct Run<'a> {
    rotator: &'a Rotator,
    event: &'a RotationEvent,
    described: &'a Described,
    deadline: Instant,
    used: &'a mut Used,
}

/// The versions of the secret, checked against each other, and what serves it.
struct Checked {
    current: SecretValue,
    pending: SecretValue,
    plugin: Arc<Plugin>,
    renewal: Renewal,
}

/// A pending value that the plugin has accepted, and what the negative control needs.
struct Tested {
    plugin: Arc<Plugin>,
    pending: SecretValue,
    renewal: Renewal,
}

impl Run<'_> {
    async fn create(&mut self) -> Result<StepOutcome, StepError> {
        let current = self.current().await?;
        if self.rotator.secrets.pending(self.event, self.deadline).await?.is_some() {
            return Ok(StepOutcome::AlreadyCreated);
        }
        let tags = Tags::read(&self.described.tags)?;
        // Loaded before anything is stored: a component that does not run, or does not prove itself, must not leave a pending value.
        let chosen = self.serving(&tags, &current, None).await?;
        let renewal = self.choice().renewal(&tags, chosen.manifest(), &current)?;
        renewal.generated.check_identity(chosen.manifest())?;
        let (plugin, failed_canary) = self.canary(chosen, &current, None).await?;
        // Made once: whatever happens to the Put, these bytes are stored or forgotten, and never made again for this call.
        let candidate = renewal.candidate(&current)?;
        // What no plugin call would be made for must not become pending: it would stay so after the secret is corrected.
        self.choice().endpoints(plugin.manifest(), &candidate)?;
        let secrets = &self.rotator.secrets;
        match secrets.store_pending(self.event, &candidate, self.deadline).await? {
            Stored::Ours => {
                self.begin(&plugin, failed_canary);
                Ok(StepOutcome::Created)
            }
            // The read above was stale, or another run came first. What is stored counts; it only has to be there.
            Stored::AlreadyThere => match secrets.pending_soon(self.event, self.deadline).await? {
                Some(_) => Ok(StepOutcome::AlreadyCreated),
                None => Err(StepError::NoPendingValue { version: self.event.version.clone() }),
            },
        }
    }

    async fn set(&mut self) -> Result<StepOutcome, StepError> {
        let Checked { current, pending, plugin, renewal } = self.checked().await?;
        let (plugin, failed_canary) = self.canary(plugin, &current, Some(&pending)).await?;
        if failed_canary.is_some() {
            self.begin(&plugin, failed_canary);
        }
        if renewal.hands_over(&current, &pending) {
            self.current_works(&plugin, &current).await?;
        }
        let previous = self.previous(plugin.manifest(), &renewal, &current).await?;
        let admin = self.admin(plugin.manifest(), &current).await?;
        let needed = self.time_to_set(plugin.manifest())?;
        let mut pause = Self::FIRST_PAUSE;
        loop {
            let (current, previous, admin) = (Some(current.clone()), previous.clone(), admin.clone());
            let call = self.call(plugin.manifest(), Handed { pending: pending.clone(), current, previous, admin })?;
            let begin = Instant::now();
            let outcome = plugin.set_secret(call).await;
            self.used.plugin_time += begin.elapsed();
            match outcome {
                Ok(Outcome::Changed) => return Ok(StepOutcome::Changed),
                Ok(Outcome::Unchanged) => return Ok(StepOutcome::Unchanged),
                Err(why) if !self.later(&why, &mut pause, needed).await => return Err(self.plugin_error(&plugin, why)),
                Err(_) => {}
            }
        }
    }

    async fn test(&mut self) -> Result<StepOutcome, StepError> {
        let Tested { plugin, pending, renewal } = self.tested().await?;
        if self.rule().is_some_and(|rule| rule.insecure_skip_negative_control) {
            self.used.control = Some(Control::Skipped);
            return Ok(StepOutcome::Accepted);
        }
        // The negative control: a test that accepts this one proves nothing.
        let corrupted = renewal.corrupt(&pending)?;
        let name = || plugin.manifest().name.to_string();
        match self.test_secret(&plugin, &corrupted).await? {
            Ok(()) => Err(StepError::TestProvesNothing { plugin: name() }),
            Err(CallError::Failure { cause: Cause::Unauthorized, .. }) => {
                self.used.control = Some(Control::Refused);
                self.rotator.served.prove(&self.event.secret, plugin.digest());
                Ok(StepOutcome::Accepted)
            }
            Err(why) if self.over_refused(&why) => Err(self.plugin_error(&plugin, why)),
            Err(why) => Err(StepError::ControlInconclusive { plugin: name(), why }),
        }
    }

    async fn finish(&mut self) -> Result<StepOutcome, StepError> {
        // finishSecret may be invoked alone and must not promote a value that nobody tested, so the test is part of it.
        let Tested { plugin, .. } = self.tested().await?;
        let secrets = &self.rotator.secrets;
        let holder = self.described.current().ok_or(StepError::NoCurrentValue)?;
        if secrets.promote(self.event, holder, self.deadline).await? == Moved::Yes {
            self.rotator.served.prove(&self.event.secret, plugin.digest());
            self.rotator.served.end(&self.event.secret);
            return Ok(StepOutcome::Promoted);
        }
        // Either an earlier attempt did it and its answer was lost, or somebody else moved the label. What is read may be stale.
        let mut pause = Self::FIRST_PAUSE;
        loop {
            match secrets.describe(&self.event.secret, self.deadline).await?.state(&self.event.version)? {
                State::Finished => return Ok(StepOutcome::Promoted),
                State::InProgress if pause > Duration::from_secs(1) || self.time_left() < pause * 2 => {
                    return Err(StepError::CurrentMoved);
                }
                State::InProgress => {
                    sleep(pause).await;
                    tried_again();
                    pause *= 2;
                }
            }
        }
    }

    /// Reads the versions, finds out what serves the secret, and refuses a pending value that is for somebody or somewhere else.
    async fn checked(&mut self) -> Result<Checked, StepError> {
        let tags = Tags::read(&self.described.tags)?;
        let pending = self.rotator.secrets.pending_soon(self.event, self.deadline).await?;
        let pending = pending.ok_or_else(|| StepError::NoPendingValue { version: self.event.version.clone() })?;
        let current = self.current().await?;
        let plugin = self.serving(&tags, &current, Some(&pending)).await?;
        let pending = pending.value;
        let renewal = self.choice().renewal(&tags, plugin.manifest(), &current)?;
        renewal.check(plugin.manifest(), &current, &pending)?;
        Ok(Checked { current, pending, plugin, renewal })
    }

    /// The plugin that serves this step, loaded: the one that is chosen, unless the rotation has begun with another one. `pending` is
    /// what it has begun with; without one it begins now.
    async fn serving(&mut self, tags: &Tags, current: &SecretValue, pending: Option<&Version>) -> Result<Arc<Plugin>, StepError> {
        let chosen = self.choice().component(tags, current, self.deadline).await?;
        let Some(pending) = pending else { return self.load(chosen).await };
        let found = chosen.trusted.digest();
        let begun = self.rotator.served.rotation(&self.event.secret, &self.event.version);
        let swapped = match &begun {
            Some(rotation) => rotation.digest != found,
            // This process has not seen its beginning. S3 counts seconds, and rounds them off.
            None => chosen.changed > pending.created && pending.created.is_some(),
        };
        if swapped {
            let plugin = chosen.trusted.manifest().name.to_string();
            let failed_canary = begun.as_ref().is_some_and(|rotation| rotation.failed_canary == Some(found));
            let begun = begun.as_ref().map(|rotation| rotation.digest);
            let accepted = self.rotator.config.swap_within_rotation(self.rule()) == SwapWithinRotation::Accept;
            if failed_canary || !accepted {
                let Some(earlier) = begun.and_then(|digest| self.rotator.plugins.loaded(digest)) else {
                    return Err(StepError::Swapped { plugin, begun, found });
                };
                warn!(plugin, begun = %earlier.digest(), %found, "the rotation goes on with the component that it began with");
                self.goes_on_with(&earlier);
                return Ok(earlier);
            }
            let begun = begun.map(|begun| begun.to_string());
            warn!(plugin, begun, %found, "the plugin was swapped within the rotation, which goes on with the new one");
        }
        let plugin = self.load(chosen).await?;
        if begun.is_none_or(|rotation| rotation.digest != found) {
            self.begin(&plugin, None);
        }
        Ok(plugin)
    }

    /// From here on, this plugin serves the rotation.
    fn begin(&self, plugin: &Plugin, failed_canary: Option<Digest>) {
        let rotation = Rotation { version: self.event.version.clone(), digest: plugin.digest(), failed_canary };
        self.rotator.served.begin(&self.event.secret, rotation);
    }

    /// Where the operator asks for it, a component that is new to the secret first has to recognise the credential in use, by its test,
    /// which changes nothing. If it does not, the one that has served the secret before goes on, and what failed is said.
    ///
    /// When a change was begun before, the service may know the pending credential instead.
    async fn canary(
        &mut self,
        plugin: Arc<Plugin>,
        current: &SecretValue,
        pending: Option<&SecretValue>,
    ) -> Result<(Arc<Plugin>, Option<Digest>), StepError> {
        let (served, secret, found) = (&self.rotator.served, &self.event.secret, plugin.digest());
        let proven = served.proven(secret);
        if !self.rotator.config.canary(self.rule()) || proven == Some(found) {
            return Ok((plugin, None));
        }
        let mut tested = self.test_secret(&plugin, current).await?;
        if let (Err(CallError::Failure { cause: Cause::Unauthorized, .. }), Some(pending)) = (&tested, pending) {
            tested = self.test_secret(&plugin, pending).await?;
        }
        let Err(why) = tested else {
            served.prove(secret, found);
            return Ok((plugin, None));
        };
        let name = plugin.manifest().name.to_string();
        let Some(previous) = proven.and_then(|digest| self.rotator.plugins.loaded(digest)) else {
            return Err(StepError::CanaryFailed { plugin: name, found, why });
        };
        warn!(
            plugin = name,
            %found,
            %why,
            goes_on_with = %previous.digest(),
            "the new component did not recognise the credential in use; the rotation goes on with the previous one"
        );
        self.goes_on_with(&previous);
        Ok((previous, Some(found)))
    }

    /// Notes that an earlier component serves this step.
    fn goes_on_with(&mut self, plugin: &Plugin) {
        let manifest = plugin.manifest();
        self.used.plugin = Some(PluginUsed {
            name: manifest.name.to_string(),
            version: manifest.version.clone(),
            digest: plugin.digest().to_string(),
            trusted_by: "an earlier step".to_owned(),
        });
    }

    /// Tests the pending value.
    async fn tested(&mut self) -> Result<Tested, StepError> {
        let Checked { pending, plugin, renewal, .. } = self.checked().await?;
        match self.test_secret(&plugin, &pending).await? {
            Ok(()) => Ok(Tested { plugin, pending, renewal }),
            Err(why) => Err(self.plugin_error(&plugin, why)),
        }
    }

    /// Refuses to let an admin credential act for the user whom AWSCURRENT names, unless AWSCURRENT logs in as that user. Otherwise whoever
    /// may write the secret could name anybody, and would be given a user with the same rights. AWS's multi-user templates ask for it too.
    async fn current_works(&mut self, plugin: &Plugin, current: &SecretValue) -> Result<(), StepError> {
        let Err(why) = self.test_secret(plugin, current).await? else { return Ok(()) };
        let why = match why {
            CallError::Failure { cause: Cause::Unauthorized, effect, message } => {
                let message = format!(
                    "where two users take turns, AWSCURRENT has to log in before an admin credential changes the other user, and the \
                     service refuses it: {message}"
                );
                CallError::Failure { cause: Cause::Unauthorized, effect, message }
            }
            why @ (CallError::Failure { .. } | CallError::Stopped(_)) => why,
        };
        Err(self.plugin_error(plugin, why))
    }

    /// How much time a change needs. Refused if a call would get less.
    fn time_to_set(&self, manifest: &Manifest) -> Result<Duration, StepError> {
        let Some(seconds) = manifest.budget.set_secret_seconds else { return Ok(Rotator::LEAST_TIME) };
        let needed = Duration::from_secs(seconds.into());
        let given = self.time_left().min(self.rotator.config.limits(self.rule()).call());
        if given < needed {
            let plugin = manifest.name.to_string();
            return Err(StepError::TooLittleTimeToSet { plugin, seconds, milliseconds: given.as_millis() });
        }
        Ok(needed)
    }

    /// Tests one value, again and again while the service says that it needs time.
    async fn test_secret(&mut self, plugin: &Plugin, value: &SecretValue) -> Result<Result<(), CallError>, StepError> {
        let mut pause = Self::FIRST_PAUSE;
        loop {
            match self.test_once(plugin, value).await? {
                Err(why) if self.later(&why, &mut pause, Rotator::LEAST_TIME).await => {}
                result => return Ok(result),
            }
        }
    }

    async fn test_once(&mut self, plugin: &Plugin, value: &SecretValue) -> Result<Result<(), CallError>, StepError> {
        let handed = Handed { pending: value.clone(), current: None, previous: None, admin: None };
        let call = self.call(plugin.manifest(), handed)?;
        let begin = Instant::now();
        let result = plugin.test_secret(call).await;
        self.used.plugin_time += begin.elapsed();
        Ok(result)
    }

    /// The pause before anything is tried again, which doubles each time.
    const FIRST_PAUSE: Duration = Duration::from_millis(250);

    /// Whether the call is to be repeated, as the table of failures says, and whether there is time for that: the pause, and what the
    /// call `needs`. Waits, then.
    async fn later(&self, why: &CallError, pause: &mut Duration, needs: Duration) -> bool {
        let repeated = match why {
            CallError::Failure { cause, effect, .. } => consequence(*cause, *effect).repeated,
            CallError::Stopped(_) => false,
        };
        if !repeated || self.used.refused.as_ref().is_some_and(RefusedLogins::used_up) || self.time_left() < *pause + needs {
            return false;
        }
        sleep(*pause).await;
        tried_again();
        *pause = (*pause * 2).min(Duration::from_secs(4));
        true
    }

    async fn current(&self) -> Result<SecretValue, StepError> {
        let version = self.rotator.secrets.current(self.event.secret.as_str(), self.deadline).await?;
        version.map(|version| version.value).ok_or(StepError::NoCurrentValue)
    }

    /// The previous value, if it is for the same identity, or for the other of two users: a credential for another user or host is nothing the plugin may use.
    async fn previous(
        &self,
        manifest: &Manifest,
        renewal: &Renewal,
        current: &SecretValue,
    ) -> Result<Option<SecretValue>, StepError> {
        let version = self.rotator.secrets.previous(&self.event.secret, self.deadline).await?;
        Ok(version.map(|version| version.value).filter(|previous| renewal.same_identity(manifest, current, previous)))
    }

    /// The admin credential that the operator bound. It is handed out only where the operator says that it belongs: by `endpoints` in
    /// the rule, or by the same host, port and TLS choice in the admin secret. Otherwise whoever may write the rotated secret could
    /// have it sent to a host of their own; AWS's multi-user templates compare the hosts for the same reason.
    async fn admin(&self, manifest: &Manifest, current: &SecretValue) -> Result<Option<SecretValue>, StepError> {
        let Some(rule) = self.rule() else { return Ok(None) };
        let Some(id) = rule.admin.as_deref() else { return Ok(None) };
        let Some(version) = self.rotator.secrets.current(id, self.deadline).await? else {
            return Err(StepError::NoAdminValue { admin: id.to_owned() });
        };
        let same = candidate::same_identity(&manifest.secret, manifest.endpoint_fields(), current, &version.value);
        if rule.endpoints.is_none() && !same {
            return Err(StepError::AdminElsewhere { admin: id.to_owned() });
        }
        Ok(Some(version.value))
    }

    fn rule(&self) -> Option<&SecretRule> {
        self.choice().rule()
    }

    /// What the configuration, the tags and the installed plugins say about this secret.
    fn choice(&self) -> Choice<'_> {
        Choice::new(&self.rotator.config, &self.rotator.source, &self.event.secret, &self.described.tags)
    }

    async fn load(&mut self, chosen: Chosen) -> Result<Arc<Plugin>, StepError> {
        let Chosen { trusted, origin, .. } = chosen;
        let trusted_by = trusted.by().to_string();
        // The very bytes that were judged: nothing is read again.
        let file = trusted.into_component();
        let (manifest, digest) = (file.manifest(), file.digest());
        let (name, version) = (manifest.name.to_string(), manifest.version.clone());
        self.used.plugin = Some(PluginUsed { name: name.clone(), version, digest: digest.to_string(), trusted_by });
        let plugins = &self.rotator.plugins;
        if let Some(plugin) = plugins.loaded(digest) {
            return Ok(plugin);
        }
        let envelope = match Target::HOST {
            Some(target) => self.rotator.source.envelope(&origin, target, self.deadline).await,
            None => Ok(None),
        };
        let _spending = spend(On::Host, "loading the plugin");
        let loaded = plugins.load(&file, envelope, self.deadline).await;
        let plugin = loaded.map_err(|source| StepError::Load { plugin: name, source })?;
        self.used.code_from = Some(plugin.code_from());
        Ok(plugin)
    }

    /// Everything a call needs; refused here if the secret lacks a field, an endpoint is not granted, or time is short.
    fn call(&mut self, manifest: &Manifest, handed: Handed) -> Result<Call, StepError> {
        let left = self.time_left();
        if left < Rotator::LEAST_TIME {
            return Err(StepError::TooLittleTime { milliseconds: left.as_millis() });
        }
        let most = self.rotator.config.limits(self.rule()).refused_logins();
        let refused = self.used.refused.get_or_insert_with(|| RefusedLogins::at_most(most)).clone();
        self.choice().call(manifest, handed, &self.rotator.network, refused, self.deadline)
    }

    fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Whether a plugin ended as it did because the service has refused as many logins as it may. Whatever else stopped it has a better
    /// error of its own.
    fn over_refused(&self, why: &CallError) -> bool {
        let about_logins = matches!(
            why,
            CallError::Failure { cause: Cause::Unauthorized | Cause::NotYetEffective | Cause::RateLimited | Cause::Denied, .. }
        );
        about_logins && self.used.refused.as_ref().is_some_and(RefusedLogins::used_up)
    }

    fn plugin_error(&self, plugin: &Plugin, why: CallError) -> StepError {
        let plugin = plugin.manifest().name.to_string();
        if let Some(refused) = self.used.refused.as_ref().filter(|_| self.over_refused(&why)) {
            return StepError::TooManyRefusedLogins { plugin, refused: refused.count(), most: refused.most(), why };
        }
        match why {
            CallError::Failure { cause: cause @ Cause::Rejected, effect, message } => {
                let (secret, version) = (self.event.secret.clone(), self.event.version.clone());
                StepError::Rejected { plugin, cause, effect, message, secret, version }
            }
            why @ (CallError::Failure { .. } | CallError::Stopped(_)) => StepError::Plugin { plugin, why },
        }
    }
}
