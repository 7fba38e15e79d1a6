//! The secrets themselves: a pure state machine. Time and ids are passed in, nothing is read or written outside.
//!
//! A secret has versions, and labels that each point to at most one version, so that a label on two versions cannot be expressed.
//! Every operation checks everything before it changes anything.

mod batch;
mod deletion;
mod listing;
mod owner;
mod parameters;
mod policy;
mod rotation;
mod state;
mod tags;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::api::{Description, Named, OfSecret, RotationRules, Tag};
use super::error::ServiceError;
use super::schedule::Schedule;
use crate::secret::SecretValue;

pub use batch::Batch;
pub use listing::Page;
pub use owner::Owner;
pub use rotation::{ElsewhereError, FunctionArn, FunctionArnError, Next, Rotation, RotationKind, Stopped};
pub use state::StateError;
pub use values::{Found, Read};

/// The label of the version that clients get.
pub const CURRENT: &str = "AWSCURRENT";
/// The label of the version that a rotation is making.
pub const PENDING: &str = "AWSPENDING";
/// The label of the version that was AWSCURRENT before.
pub const PREVIOUS: &str = "AWSPREVIOUS";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// All secrets of one region of one account. A clone shares what has not changed since.
#[derive(Clone)]
pub struct Store {
    function: FunctionArn,
    /// Further functions that can be invoked.
    others: Vec<FunctionArn>,
    /// By name.
    secrets: BTreeMap<String, Arc<Secret>>,
    /// To whom secrets belong that get these names.
    owners: BTreeMap<String, Owner>,
    /// Whether AWSPENDING stays where it is after a rotation.
    pending_lingers: bool,
}

/// A secret with its versions.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secret {
    arn: String,
    name: String,
    description: Option<String>,
    kms_key_id: Option<String>,
    /// Who else decides about it.
    #[serde(default)]
    owner: Option<Owner>,
    /// Its resource policy, as it was given.
    #[serde(default)]
    policy: Option<String>,
    tags: Vec<Tag>,
    created: SystemTime,
    changed: SystemTime,
    rotated: Option<SystemTime>,
    accessed: Option<SystemTime>,
    /// When it may be deleted for good, if it is marked for deletion.
    deletion: Option<SystemTime>,
    rotation: Option<RotationSettings>,
    /// The rotation or test that has been started and is neither done nor given up.
    running: Option<Running>,
    versions: BTreeMap<String, Version>,
    /// Which version each label is attached to.
    labels: BTreeMap<String, String>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Version {
    created: SystemTime,
    accessed: Option<SystemTime>,
    /// Absent from the moment in which RotateSecret makes the version until createSecret puts a value. Never replaced.
    #[serde(with = "state::value")]
    value: Option<Arc<SecretValue>>,
    /// Whether a rotation made it. AWS refuses to continue a rotation whose pending version somebody else made.
    of_rotation: bool,
    /// The function that the secret had when the rotation's value was put. AWS refuses to continue with another one.
    #[serde(default)]
    put_for: Option<String>,
}

#[derive(Clone, Serialize, Deserialize)]
struct RotationSettings {
    function: String,
    rules: Option<RotationRules>,
    #[serde(skip)]
    schedule: Option<Schedule>,
    /// When the rules were set.
    since: SystemTime,
    enabled: bool,
}

#[derive(Clone, Serialize, Deserialize)]
struct Running {
    version: String,
    #[serde(with = "state::wiped")]
    token: Zeroizing<String>,
    kind: RotationKind,
    /// Whether somebody works on it. If not, its attempts are used up and RotateSecret starts them again.
    active: bool,
    /// Whether RotateSecret was called meanwhile, which asks for another attempt.
    again: bool,
}

impl Secret {
    /// The value under a label, if the label is attached to a version that has a value.
    pub fn labelled(&self, label: &str) -> Option<&Arc<SecretValue>> {
        self.versions.get(self.labels.get(label)?)?.value.as_ref()
    }

    /// Which version a label is attached to.
    pub fn holder(&self, label: &str) -> Option<&str> {
        self.labels.get(label).map(String::as_str)
    }

    /// The full ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    fn labels_of(&self, version: &str) -> Vec<String> {
        self.labels.iter().filter(|(_, holder)| *holder == version).map(|(label, _)| label.clone()).collect()
    }

    fn stages(&self) -> BTreeMap<String, Vec<String>> {
        let labelled: BTreeSet<&String> = self.labels.values().collect();
        labelled.into_iter().map(|version| (version.clone(), self.labels_of(version))).collect()
    }

    /// Attaches a label to a version, wherever it was. AWSPREVIOUS follows AWSCURRENT: it goes to the version that AWSCURRENT
    /// leaves.
    fn attach(&mut self, label: &str, version: &str) {
        let left = self.labels.insert(label.to_owned(), version.to_owned());
        if label == CURRENT
            && let Some(left) = left.filter(|left| left != version)
        {
            self.labels.insert(PREVIOUS.to_owned(), left);
        }
    }

    fn current(&self) -> Option<&str> {
        self.holder(CURRENT)
    }

    fn named(&self) -> Named {
        Named { arn: self.arn.clone(), name: self.name.clone(), version_id: None, version_stages: None, deletion_date: None }
    }

    fn of_version(&self, version: &str) -> Named {
        Named { version_id: Some(version.to_owned()), ..self.named() }
    }

    fn description(&self) -> Description {
        let stages = self.stages();
        Description {
            arn: self.arn.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            kms_key_id: self.kms_key_id.clone(),
            rotation_enabled: self.rotation.as_ref().map(|rotation| rotation.enabled),
            rotation_lambda_arn: self.rotation.as_ref().map(|rotation| rotation.function.clone()),
            rotation_rules: self.rotation.as_ref().and_then(|rotation| rotation.rules.clone()),
            last_rotated_date: self.rotated.filter(|_| self.rotation.as_ref().is_some_and(|rotation| rotation.enabled)),
            last_changed_date: self.changed,
            last_accessed_date: self.accessed,
            deleted_date: self.deletion,
            next_rotation_date: self.next_rotation(),
            tags: self.tags.clone(),
            version_ids_to_stages: (!stages.is_empty()).then_some(stages),
            secret_versions_to_stages: None,
            owning_service: self.owner.as_ref().and_then(Owner::service).map(str::to_owned),
            primary_region: self.owner.as_ref().and_then(Owner::region).map(str::to_owned),
            created_date: self.created,
        }
    }
}

impl Store {
    /// A store without secrets, in the region and account of the rotation function.
    pub const fn new(function: FunctionArn) -> Self {
        Self { function, others: Vec::new(), secrets: BTreeMap::new(), owners: BTreeMap::new(), pending_lingers: false }
    }

    /// Lets secrets be rotated with this function, too.
    ///
    /// # Errors
    ///
    /// If it is of another region or account, in which Secrets Manager invokes nothing.
    pub fn also_invoke(&mut self, function: FunctionArn) -> Result<(), ElsewhereError> {
        if function.place() != self.function.place() {
            return Err(ElsewhereError { function: function.as_str().to_owned(), here: self.function.as_str().to_owned() });
        }
        self.others.push(function);
        Ok(())
    }

    /// The function that rotations invoke, unless a secret has another one.
    pub const fn function(&self) -> &FunctionArn {
        &self.function
    }

    /// Lets AWSPENDING stay on the version that a rotation made AWSCURRENT, as it has been seen to. AWS's back end takes it away,
    /// and so does the store unless told otherwise.
    pub const fn let_pending_linger(&mut self) {
        self.pending_lingers = true;
    }

    /// The secret of this name, whatever its state.
    pub fn named(&self, name: &str) -> Option<&Secret> {
        self.secrets.get(name).map(Arc::as_ref)
    }

    /// The secret with this full ARN, whatever its state.
    pub fn with_arn(&self, arn: &str) -> Option<&Secret> {
        self.secrets.values().find(|secret| secret.arn == arn).map(Arc::as_ref)
    }

    /// `DescribeSecret`. It answers for a secret that is marked for deletion too.
    ///
    /// # Errors
    ///
    /// As AWS: for a secret that is not there.
    pub fn describe_secret(&self, request: &OfSecret) -> Result<Description, ServiceError> {
        Ok(self.secret(request.secret_id.as_deref())?.description())
    }

    /// Removes the secrets whose time to be restored is over. Called before every operation.
    pub fn expire(&mut self, now: SystemTime) {
        self.secrets.retain(|_, secret| secret.deletion.is_none_or(|deletion| now < deletion));
    }

    /// Finds a secret by name, full ARN or ARN without the six-character suffix.
    fn name_of(&self, id: Option<&str>) -> Result<String, ServiceError> {
        let id = parameters::secret_id(id)?;
        if !id.starts_with("arn:") {
            return self.secrets.get(id).map(|secret| secret.name.clone()).ok_or_else(ServiceError::secret_not_found);
        }
        // A full ARN goes first: without its suffix it could be read as the partial ARN of a secret with a longer name.
        let partial =
            |secret: &&Arc<Secret>| secret.arn.strip_prefix(id).is_some_and(|rest| rest.len() == 7 && rest.starts_with('-'));
        let secrets = self.secrets.values();
        let found = secrets.clone().find(|secret| secret.arn == id).or_else(|| secrets.clone().find(partial));
        found.map(|secret| secret.name.clone()).ok_or_else(ServiceError::secret_not_found)
    }

    fn secret(&self, id: Option<&str>) -> Result<&Secret, ServiceError> {
        let name = self.name_of(id)?;
        self.secrets.get(&name).map(Arc::as_ref).ok_or_else(ServiceError::secret_not_found)
    }

    /// A secret that is not marked for deletion.
    fn live(&self, id: Option<&str>) -> Result<&Secret, ServiceError> {
        let secret = self.secret(id)?;
        if secret.deletion.is_some() { Err(ServiceError::marked_for_deletion()) } else { Ok(secret) }
    }

    /// A secret that is not marked for deletion and belongs to nobody else, to change it. Callers check before they change.
    fn changeable(&mut self, id: Option<&str>) -> Result<&mut Secret, ServiceError> {
        let secret = self.live(id)?;
        secret.refuse_if_owned()?;
        let name = secret.name.clone();
        self.secret_mut(&name)
    }

    fn secret_mut(&mut self, name: &str) -> Result<&mut Secret, ServiceError> {
        self.secrets.get_mut(name).map(Arc::make_mut).ok_or_else(ServiceError::secret_not_found)
    }
}

/// The day of a date: AWS tells no more about accesses.
fn day(date: SystemTime) -> SystemTime {
    let since = date.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs() / DAY.as_secs() * DAY.as_secs())
}
