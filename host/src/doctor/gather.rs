//! Reads the facts, asks the service, and carries a remedy out: everything of the doctor that does not only think.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::facts::{Chosen, Facts, PluginFacts, Probe, ValueFacts, VersionFacts};
use super::finding::Remedy;
use crate::candidate::CandidateError;
use crate::capability::network::{Network, NetworkError};
use crate::capability::refused_logins::RefusedLogins;
use crate::choice::Choice;
use crate::config::Config;
use crate::error::StepError;
use crate::event::{SecretArn, VersionId};
use crate::failure::Cause;
use crate::fields::Fields;
use crate::plugin::call::{CallError, Handed};
use crate::plugin::code::compiler::Compiler;
use crate::plugin::load::{LoadError, Plugin, Plugins};
use crate::plugin::source::PluginSource;
use crate::renewal::Renewal;
use crate::secret::SecretValue;
use crate::secrets::examination::Listed;
use crate::secrets::{ErrorKind, Moved, SecretsError, SecretsManager};
use crate::state::{Described, NotRotatable};
use crate::tags::Tags;
use crate::trust::Trusted;

/// The most logins that one diagnosis tries. Services that lock accounts do so after a few more.
pub const MOST_LOGINS: usize = 6;

/// The most versions without a label that are read; the newest are.
const MOST_UNLABELLED: usize = 20;

/// How long Secrets Manager may take for one answer, retries included, and a plugin to be compiled.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a diagnosis works with.
pub struct Doctor {
    /// Secrets Manager, with the caller's own permissions.
    pub secrets: SecretsManager,
    /// The function's configuration.
    pub config: Config,
    /// The function's plugins, if the caller has them.
    pub source: Option<PluginSource>,
    /// See [`Facts::stuck_after`].
    pub stuck_after: Duration,
    /// See [`Facts::seen_error`].
    pub seen_error: Option<String>,
    /// See [`Facts::meant_function`].
    pub meant_function: Option<String>,
}

/// Why there is no diagnosis.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatherError {
    /// Secrets Manager does not answer as it should.
    #[error("{}", with_callers_remedy(.0))]
    Secrets(SecretsError),
    /// Certificates of the configuration cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The plugin cannot be run here.
    #[error("the plugin cannot be loaded")]
    Load(#[from] LoadError),
}

/// Not as its source: the message says everything, with other advice.
impl From<SecretsError> for GatherError {
    fn from(error: SecretsError) -> Self {
        Self::Secrets(error)
    }
}

/// A secret that was read: its facts, and apart from them what no fact may hold.
pub struct Examination {
    /// What is known.
    pub facts: Facts,
    /// The values, in the order of [`Facts::versions`].
    values: Vec<Option<SecretValue>>,
    serving: Option<Serving>,
}

/// What serves the secret, and what is needed for the negative control.
struct Serving {
    trusted: Trusted,
    renewal: Renewal,
}

impl Examination {
    /// Takes over what the service said to versions of an earlier examination: values of versions never change, and every login may
    /// count.
    pub fn remember(&mut self, earlier: &Self) {
        self.facts.probed = earlier.facts.probed;
        for version in &mut self.facts.versions {
            if let Some(known) = earlier.facts.versions.iter().find(|known| known.id == version.id) {
                version.probe = known.probe.clone();
            }
        }
    }
}

impl Doctor {
    /// Reads the secret with this name or ARN.
    ///
    /// # Errors
    ///
    /// [`GatherError::Secrets`] if it cannot be described or its versions cannot be listed. A version that cannot be read is a fact.
    pub async fn examine(&self, secret: &str) -> Result<Examination, GatherError> {
        let examined = self.secrets.examine(secret, deadline()).await?;
        // Of a secret that no rotation is for, values are neither readable nor of interest.
        let ours = matches!(examined.described.rotatable(), Ok(()) | Err(NotRotatable::Disabled));
        let listed = if ours { self.secrets.versions(&examined.arn, deadline()).await? } else { Vec::new() };
        let (mut versions, unread) = versions(&examined.described, listed);
        let mut values = Vec::new();
        for version in &mut versions {
            let value = if ours { self.value(&examined.arn, version).await } else { None };
            values.push(value);
        }
        group(&mut versions, &values);
        let mut facts = Facts {
            examined,
            now: SystemTime::now(),
            stuck_after: self.stuck_after,
            versions,
            unread,
            plugin: PluginFacts { looked: self.source.is_some(), ..PluginFacts::default() },
            probed: false,
            seen_error: self.seen_error.clone(),
            meant_function: self.meant_function.clone(),
        };
        let serving = if ours { self.plugin(&mut facts, &values).await } else { None };
        Ok(Examination { facts, values, serving })
    }

    /// Reads a version's value and notes what came of it.
    async fn value(&self, secret: &SecretArn, version: &mut VersionFacts) -> Option<SecretValue> {
        match self.secrets.by_id(secret, &version.id, deadline()).await {
            Ok(Some(read)) => Some(read.value),
            Ok(None) => None,
            Err(error) => {
                version.value = ValueFacts::Unreadable { why: plain(&error) };
                None
            }
        }
    }

    /// Finds the plugin and what would stop its steps, as the rotation does, and which versions are for somebody else.
    async fn plugin(&self, facts: &mut Facts, values: &[Option<SecretValue>]) -> Option<Serving> {
        let source = self.source.as_ref()?;
        let place = facts.versions.iter().position(|version| facts.current() == Some(version));
        let current = place.and_then(|place| values[place].as_ref())?;
        match self.served(facts, source, current, values).await {
            Ok(serving) => Some(serving),
            Err(problem) => {
                facts.plugin.problem = Some(problem);
                None
            }
        }
    }

    async fn served(
        &self,
        facts: &mut Facts,
        source: &PluginSource,
        current: &SecretValue,
        values: &[Option<SecretValue>],
    ) -> Result<Serving, StepError> {
        let tags = Tags::read(&facts.examined.described.tags)?;
        let choice = Choice::new(&self.config, source, &facts.examined.arn, &facts.examined.described.tags);
        let trusted = choice.component(&tags, current, deadline()).await?.trusted;
        let manifest = trusted.manifest();
        let chosen = facts.plugin.chosen.insert(Chosen {
            name: manifest.name.to_string(),
            version: manifest.version.clone(),
            trusted_by: trusted.by().to_string(),
            endpoints: Vec::new(),
        });
        facts.plugin.ignores_master = names_master(current) && !choice.rule().is_some_and(|rule| rule.alternating_users);
        let renewal = choice.renewal(&tags, manifest, current)?;
        renewal.generated.check_identity(manifest)?;
        // Several endpoints of a plugin may be one service, in plain text and encrypted.
        let addresses: BTreeSet<_> = choice.endpoints(manifest, current)?.values().map(|of| of.address().to_string()).collect();
        chosen.endpoints = addresses.into_iter().collect();
        let pending = facts.pending().map(|pending| pending.id.clone());
        for (version, value) in facts.versions.iter_mut().zip(values) {
            let (ValueFacts::Stored { differs, .. }, Some(value)) = (&mut version.value, value) else { continue };
            *differs = if Some(&version.id) == pending.as_ref() {
                differences(&renewal, &trusted, current, value)
            } else {
                let same = renewal.same_identity(manifest, current, value);
                (!same).then(|| "who or where the credential is for".to_owned())
            };
        }
        Ok(Serving { trusted, renewal })
    }

    /// How many logins [`Doctor::probe`] would try at most; none if no plugin could try them.
    pub fn logins(&self, examination: &Examination) -> usize {
        if examination.serving.is_none() {
            return 0;
        }
        let mut groups: Vec<_> =
            examination.facts.versions.iter().filter(|version| may_be_tried(version)).map(VersionFacts::group).collect();
        groups.sort_unstable();
        groups.dedup();
        groups.len().min(MOST_LOGINS)
    }

    /// Tries the versions at the service: each value once, those with a label first. Versions without one only if AWSCURRENT does not
    /// log in, because they do not matter otherwise. If none is refused, a corrupted copy must be, as in testSecret: a test that cannot
    /// fail proves nothing. Where the operator leaves the negative control out, it is left out here too.
    ///
    /// # Errors
    ///
    /// [`GatherError::Load`] or [`GatherError::Network`], before anything is tried.
    pub async fn probe(&self, examination: &mut Examination) -> Result<(), GatherError> {
        let Examination { facts, values, serving } = examination;
        let (Some(serving), Some(source)) = (serving, &self.source) else { return Ok(()) };
        let network = Arc::new(Network::new(&self.config)?);
        let component = serving.trusted.clone().into_component();
        let plugin = Plugins::new(Compiler::InProcess)?.load(&component, Ok(None), deadline()).await?;
        let choice = Choice::new(&self.config, source, &facts.examined.arn, &facts.examined.described.tags);
        let limits = self.config.limits(choice.rule());
        let refused = RefusedLogins::at_most(limits.refused_logins());
        let attempt = Attempt { choice, plugin: &plugin, network: &network, refused, patience: limits.call() };
        let (mut logins, mut opening) = (0, None);
        for (place, value) in values.iter().enumerate() {
            let version = &facts.versions[place];
            let (Some(value), Some(group)) = (value, version.group()) else { continue };
            let known = facts.versions[..place].iter().find(|of| of.group() == Some(group) && of.probe != Probe::Withheld);
            let needless = version.labels.is_empty() && facts.current().is_some_and(|current| current.probe == Probe::Opens);
            let said = match known {
                _ if !may_be_tried(version) => Probe::Withheld,
                Some(known) => known.probe.clone(),
                None if needless => continue,
                None if logins == MOST_LOGINS => Probe::Spared,
                None => {
                    logins += 1;
                    attempt.with(value).await
                }
            };
            opening = opening.or_else(|| (said == Probe::Opens).then_some(value));
            // All versions that are tried lead to the same place: what stopped one stops the others, or locks the account.
            let hopeless = matches!(said, Probe::Denied { .. } | Probe::Unclear { .. });
            facts.versions[place].probe = said;
            if hopeless {
                break;
            }
        }
        facts.probed = true;
        let refused = facts.versions.iter().any(|version| version.probe == Probe::Refused)
            || choice.rule().is_some_and(|rule| rule.insecure_skip_negative_control);
        if let (Some(opening), false) = (opening, refused)
            && let Some(doubt) = attempt.control(serving, opening).await
        {
            let doubtful = facts.versions.iter_mut().filter(|version| version.probe == Probe::Opens);
            doubtful.for_each(|version| version.probe = Probe::Unclear { why: doubt.clone() });
        }
        Ok(())
    }

    /// Carries a remedy out, unless the label has moved since it was read.
    ///
    /// # Errors
    ///
    /// [`GatherError::Secrets`].
    pub async fn apply(&self, secret: &SecretArn, remedy: &Remedy) -> Result<Moved, GatherError> {
        Ok(match remedy {
            Remedy::RemovePending { from } => self.secrets.remove_pending(secret, from, deadline()).await?,
            Remedy::MoveCurrent { from, to } => self.secrets.move_current(secret, from, to, deadline()).await?,
        })
    }
}

/// What every login of a probe has in common.
struct Attempt<'a> {
    choice: Choice<'a>,
    plugin: &'a Plugin,
    network: &'a Arc<Network>,
    refused: RefusedLogins,
    patience: Duration,
}

impl Attempt<'_> {
    /// Logs in with a value, as testSecret does.
    async fn with(&self, value: &SecretValue) -> Probe {
        let handed = Handed { pending: value.clone(), current: None, previous: None, admin: None };
        let (refused, until) = (self.refused.clone(), Instant::now() + self.patience);
        match self.choice.call(self.plugin.manifest(), handed, self.network, refused, until) {
            Ok(call) => verdict(self.plugin.test_secret(call).await),
            Err(why) => Probe::Unclear { why: why.to_string() },
        }
    }

    /// Logs in with a copy of a value that opens the service, corrupted on purpose; says why the answer proves nothing, if so.
    async fn control(&self, serving: &Serving, opening: &SecretValue) -> Option<String> {
        let said = match serving.renewal.corrupt(opening) {
            Ok(corrupted) => self.with(&corrupted).await,
            Err(why) => Probe::Unclear { why: why.to_string() },
        };
        match said {
            Probe::Refused => None,
            Probe::Opens => Some(
                "the plugin also accepts a credential that was corrupted on purpose, so its test proves nothing. Replace the plugin"
                    .to_owned(),
            ),
            Probe::Denied { why } | Probe::Unclear { why } => Some(format!("a credential that was corrupted on purpose should have been refused, but: {why}")),
            Probe::NotAsked | Probe::Withheld | Probe::Spared => Some("the test could not be tested".to_owned()),
        }
    }
}

/// The versions in the order in which they matter, the newest without a label, and how many more of those there are.
fn versions(described: &Described, listed: Vec<Listed>) -> (Vec<VersionFacts>, usize) {
    let version = |id: &VersionId, labels: Vec<String>| VersionFacts {
        id: id.clone(),
        labels,
        created: listed.iter().find(|listed| listed.id == *id).and_then(|listed| listed.created),
        value: ValueFacts::Absent,
        probe: Probe::NotAsked,
    };
    // Which labels a version has is what DescribeSecret says: the list may leave a version without a value out.
    let mut labelled: Vec<_> = described.labels.iter().map(|(id, labels)| version(id, labels.clone())).collect();
    labelled.retain(|version| !version.labels.is_empty());
    labelled.sort_by_key(VersionFacts::rank);
    let has_label = |id: &VersionId| labelled.iter().any(|version| version.id == *id);
    let mut unlabelled: Vec<_> =
        listed.iter().filter(|listed| !has_label(&listed.id)).map(|listed| version(&listed.id, Vec::new())).collect();
    unlabelled.sort_by_key(|version| std::cmp::Reverse(version.created));
    let unread = unlabelled.len().saturating_sub(MOST_UNLABELLED);
    unlabelled.truncate(MOST_UNLABELLED);
    labelled.extend(unlabelled);
    (labelled, unread)
}

/// Numbers the values, so that equal ones have equal numbers. Only the numbers are kept.
fn group(versions: &mut [VersionFacts], values: &[Option<SecretValue>]) {
    let mut distinct: Vec<&SecretValue> = Vec::new();
    for (version, value) in versions.iter_mut().zip(values) {
        let Some(value) = value else { continue };
        let group = distinct.iter().position(|known| *known == value).unwrap_or_else(|| {
            distinct.push(value);
            distinct.len() - 1
        });
        version.value = ValueFacts::Stored { group, differs: None };
    }
}

/// What every step would refuse about this pending value: names of fields.
fn differences(renewal: &Renewal, trusted: &Trusted, current: &SecretValue, pending: &SecretValue) -> Option<String> {
    match renewal.check(trusted.manifest(), current, pending) {
        Ok(()) => None,
        Err(CandidateError::Differs { fields }) => Some(fields),
        Err(other) => Some(format!("a way that is refused: {other}")),
    }
}

/// Whether a secret is one of AWS's multi-user templates: it names the secret of a superuser.
///
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html>
fn names_master(value: &SecretValue) -> bool {
    // Its name is looked for, its value is not looked at.
    let fields = value.as_text().and_then(|text| Fields::of(text.expose()));
    fields.is_some_and(|fields| fields.get("masterarn").is_some())
}

/// Whether a rotation would send this value where AWSCURRENT is sent: whoever may write a version must not choose who gets to see it.
const fn may_be_tried(version: &VersionFacts) -> bool {
    matches!(version.value, ValueFacts::Stored { differs: None, .. })
}

fn verdict(result: Result<(), CallError>) -> Probe {
    match result {
        Ok(()) => Probe::Opens,
        Err(CallError::Failure { cause: Cause::Unauthorized, .. }) => Probe::Refused,
        Err(CallError::Failure { cause: Cause::Denied, message, .. }) => Probe::Denied { why: message },
        Err(why) => Probe::Unclear { why: why.to_string() },
    }
}

fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

/// Secrets Manager's words, without what the function's operator could do about them.
fn plain(error: &SecretsError) -> String {
    let SecretsError { operation, code, message, .. } = error;
    match code {
        Some(code) => format!("{operation} failed with {code}: {message}"),
        None => format!("{operation} failed: {message}"),
    }
}

/// The error, and what the person at the terminal can do about it.
fn with_callers_remedy(error: &SecretsError) -> String {
    let to_do = match error.kind {
        ErrorKind::Denied => {
            "use credentials that may call secretsmanager:DescribeSecret, ListSecretVersionIds and GetSecretValue on the secret, and \
             UpdateSecretVersionStage with --apply"
        }
        ErrorKind::NotFound => "check name, region (AWS_REGION) and account; a full ARN leaves no doubt",
        ErrorKind::Unreachable | ErrorKind::Timeout => "check the network, AWS_REGION and --endpoint",
        ErrorKind::Setup => {
            "set AWS_REGION and credentials, or AWS_PROFILE; after `aws sso login`, run `eval \"$(aws configure export-credentials \
             --format env)\"`"
        }
        ErrorKind::Exists
        | ErrorKind::Encryption
        | ErrorKind::Invalid
        | ErrorKind::Throttled
        | ErrorKind::Limit
        | ErrorKind::Service => "see the message; try again later if the service failed",
    };
    format!("{}. To do: {to_do}", plain(error).trim_end_matches('.'))
}
