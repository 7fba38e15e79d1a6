//! Versions and their values: written once, and the labels that point to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::{CURRENT, DAY, Owner, PENDING, PREVIOUS, Secret, Store, Version, day, parameters, tags};
use crate::local::api::{CreateSecret, GetSecretValue, Named, PutSecretValue, Tag, UpdateSecret, UpdateSecretVersionStage};
use crate::local::error::{Exception, ServiceError};
use crate::secret::SecretValue;

/// Most versions of a secret. Above this number those are pruned that have no label and are a day old, and if there are none, no
/// further one is made by hand.
///
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>
const MAX_VERSIONS: usize = 100;

/// The answer of `GetSecretValue`.
#[derive(Debug)]
pub struct Read {
    /// The secret, the version and its labels.
    pub named: Named,
    /// The value.
    pub value: Arc<SecretValue>,
    /// When the version was made.
    pub created: SystemTime,
}

/// A secret as it was found outside, with a version id for each value.
pub struct Found {
    /// Its name.
    pub name: String,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// AWSCURRENT.
    pub current: (String, SecretValue),
    /// AWSPREVIOUS.
    pub previous: Option<(String, SecretValue)>,
    /// AWSPENDING: what a rotation that was interrupted had made.
    pub pending: Option<(String, SecretValue)>,
}

impl Secret {
    /// Stores a value under a version id, or finds it there. A value is never replaced.
    fn store(&mut self, token: &str, value: &Arc<SecretValue>, now: SystemTime) -> Result<(), ServiceError> {
        match self.versions.get_mut(token) {
            Some(Version { value: Some(present), .. }) if present == value => return Ok(()),
            Some(Version { value: Some(_), .. }) => return Err(ServiceError::token_in_use(token, &self.arn)),
            Some(placeholder) => {
                placeholder.value = Some(Arc::clone(value));
                placeholder.put_for = self.rotation.as_ref().map(|rotation| rotation.function.clone());
            }
            None => {
                let value = Some(Arc::clone(value));
                let version = Version { created: now, accessed: None, value, of_rotation: false, put_for: None };
                self.versions.insert(token.to_owned(), version);
            }
        }
        self.changed = now;
        Ok(())
    }

    /// Gives up the rotation in progress if AWSCURRENT now has a value that is not the rotation's. AWS calls this
    /// RotationAbandoned and takes AWSPENDING away.
    fn abandon_unless(&mut self, version: &str) {
        if let Some(running) = self.running.take_if(|running| running.version != version)
            && self.holder(PENDING) == Some(&running.version)
        {
            self.labels.remove(PENDING);
        }
    }

    /// Forgets the rotation in progress once its version has neither AWSPENDING nor AWSCURRENT.
    fn settle(&mut self) {
        let held = [self.holder(PENDING), self.current()];
        if self.running.as_ref().is_some_and(|running| !held.contains(&Some(running.version.as_str()))) {
            self.running = None;
        }
    }

    pub(super) fn prune(&mut self, now: SystemTime) {
        let mut old: Vec<(SystemTime, String)> = self
            .versions
            .iter()
            .filter(|(id, version)| now >= version.created + DAY && !self.labels.values().any(|holder| holder == *id))
            .map(|(id, version)| (version.created, id.clone()))
            .collect();
        old.sort();
        let surplus = self.versions.len().saturating_sub(MAX_VERSIONS);
        for (_, id) in old.into_iter().take(surplus) {
            self.versions.remove(&id);
        }
    }
}

fn refuse_one_more(versions: usize) -> Result<(), ServiceError> {
    if versions > MAX_VERSIONS {
        return Err(ServiceError::new(
            Exception::LimitExceeded,
            "You exceeded the maximum number of versions allowed on a secret.",
        ));
    }
    Ok(())
}

impl Store {
    /// `CreateSecret`. `suffix` is what the ARN ends with.
    ///
    /// The same request a second time is no error, so that a client may repeat it.
    ///
    /// # Errors
    ///
    /// As AWS: missing token, invalid name, name in use or marked for deletion, value or tags out of bounds.
    pub fn create_secret(&mut self, request: &CreateSecret, suffix: &str, now: SystemTime) -> Result<Named, ServiceError> {
        let token = parameters::token(request.client_request_token.as_deref(), Exception::InvalidRequest)?;
        let name = parameters::name(request.name.as_deref())?;
        let owner = self.owners.get(name).cloned();
        if name.contains('!') && owner.as_ref().and_then(Owner::service).is_none() {
            return Err(ServiceError::invalid_parameter("Names with `!` belong to secrets that AWS services manage."));
        }
        let value = parameters::value(request.secret_string.as_ref(), request.secret_binary.as_ref())?;
        let tags = request.tags.as_deref().unwrap_or_default();
        parameters::tags(tags)?;
        if request.add_replica_regions.as_ref().is_some_and(|regions| !regions.is_empty()) {
            return Err(ServiceError::invalid_parameter("The local Secrets Manager has one region and no replicas."));
        }
        if let Some(present) = self.secrets.get(name) {
            if present.deletion.is_some() {
                return Err(ServiceError::invalid_request(
                    "You can't create this secret because a secret with this name is already scheduled for deletion.",
                ));
            }
            let version = present.versions.get(token);
            if version.is_some_and(|version| value.is_some() && version.value == value) {
                return Ok(present.of_version(token));
            }
            return Err(ServiceError::new(
                Exception::ResourceExists,
                format!("The operation failed because the secret {name} already exists."),
            ));
        }
        let mut secret = self.blank(name, suffix, now);
        secret.description = request.description.clone();
        secret.kms_key_id = request.kms_key_id.clone();
        secret.tags = tags::merged(&owner.as_ref().map(Owner::tags).unwrap_or_default(), tags);
        secret.owner = owner;
        let mut named = secret.named();
        if let Some(value) = value {
            secret.store(token, &value, now)?;
            secret.attach(CURRENT, token);
            named = secret.of_version(token);
        }
        self.secrets.insert(name.to_owned(), Arc::new(secret));
        Ok(named)
    }

    /// Takes over a secret that was found outside.
    ///
    /// # Errors
    ///
    /// If its name is not one.
    pub fn take_over(&mut self, found: Found, suffix: &str, now: SystemTime) -> Result<Named, ServiceError> {
        parameters::name(Some(&found.name))?;
        let mut secret = self.blank(&found.name, suffix, now);
        secret.tags = found.tags;
        let labelled = [(Some(found.current), CURRENT), (found.previous, PREVIOUS), (found.pending, PENDING)];
        for (version, label) in labelled {
            if let Some((id, value)) = version {
                secret.store(&id, &Arc::new(value), now)?;
                secret.attach(label, &id);
                // Only a rotation leaves a pending value behind, so this one is continued, not refused as somebody else's.
                if let Some(version) = secret.versions.get_mut(&id) {
                    version.of_rotation = label == PENDING;
                }
            }
        }
        let named = secret.named();
        self.secrets.insert(found.name, Arc::new(secret));
        Ok(named)
    }

    /// `GetSecretValue`, of AWSCURRENT unless told otherwise.
    ///
    /// # Errors
    ///
    /// As AWS: unknown or deleted secret; a label or version that is not there or has no value yet; a label that is not on the
    /// version, which is another error.
    pub fn get_secret_value(&mut self, request: &GetSecretValue, now: SystemTime) -> Result<Read, ServiceError> {
        let name = self.live(request.secret_id.as_deref())?.name.clone();
        let secret = self.secret_mut(&name)?;
        let stage = request.version_stage.as_deref();
        let id = match (request.version_id.as_deref(), stage) {
            (Some(id), stage) => {
                if !secret.versions.contains_key(id) {
                    return Err(ServiceError::version_not_found(id));
                }
                if stage.is_some_and(|stage| secret.holder(stage) != Some(id)) {
                    return Err(ServiceError::stage_mismatch());
                }
                id.to_owned()
            }
            (None, stage) => {
                let stage = stage.unwrap_or(CURRENT);
                secret.holder(stage).ok_or_else(|| ServiceError::stage_not_found(stage))?.to_owned()
            }
        };
        let named = Named { version_stages: Some(secret.labels_of(&id)), ..secret.of_version(&id) };
        let version = secret.versions.get_mut(&id).ok_or_else(|| ServiceError::version_not_found(&id))?;
        let Some(value) = version.value.clone() else {
            // Asked with a label, AWS names the label even if the version was named too.
            return Err(match (stage, request.version_id.as_deref()) {
                (None, Some(id)) => ServiceError::version_not_found(id),
                (stage, _) => ServiceError::stage_not_found(stage.unwrap_or(CURRENT)),
            });
        };
        version.accessed = Some(day(now));
        let created = version.created;
        secret.accessed = Some(day(now));
        Ok(Read { named, value, created })
    }

    /// `PutSecretValue`: stores a value under the token and attaches labels to it (AWSCURRENT, if none is named).
    ///
    /// # Errors
    ///
    /// As AWS: missing token, no value or two, unknown or deleted secret, another value under the same token, too many labels, a
    /// RotationToken that is not that of the rotation.
    pub fn put_secret_value(&mut self, request: &PutSecretValue, now: SystemTime) -> Result<Named, ServiceError> {
        let token = parameters::token(request.client_request_token.as_deref(), Exception::InvalidRequest)?;
        let value = parameters::value(request.secret_string.as_ref(), request.secret_binary.as_ref())?
            .ok_or_else(|| ServiceError::invalid_request("You must provide either SecretString or SecretBinary."))?;
        let rotation_token = parameters::rotation_token(request.rotation_token.as_ref())?;
        let asked = request.version_stages.as_deref();
        for label in asked.unwrap_or_default() {
            parameters::label(label)?;
        }
        if asked.is_some_and(<[String]>::is_empty) {
            return Err(ServiceError::constraint("versionStages", "Member must have length greater than or equal to 1"));
        }
        let present = self.changeable(request.secret_id.as_deref())?;
        if let Some(given) = rotation_token {
            let running = present.running.as_ref().filter(|running| running.version == token);
            if running.is_none_or(|running| running.token.as_str() != given) {
                return Err(ServiceError::invalid_request(
                    "The RotationToken is not that of the rotation that makes this version. Pass on the one of the event.",
                ));
            }
        }
        let mut secret = present.clone();
        let mut labels: Vec<&str> = asked.map_or_else(|| vec![CURRENT], |labels| labels.iter().map(String::as_str).collect());
        if secret.versions.is_empty() && !labels.contains(&CURRENT) {
            labels.push(CURRENT); // The first version of a secret always becomes AWSCURRENT.
        }
        secret.store(token, &value, now)?;
        for label in &labels {
            secret.attach(label, token);
        }
        parameters::label_count(secret.labels.len())?;
        if labels.contains(&CURRENT) {
            secret.abandon_unless(token);
        }
        secret.settle();
        secret.prune(now);
        if secret.versions.len() > present.versions.len() {
            refuse_one_more(secret.versions.len())?;
        }
        *present = secret;
        Ok(Named { version_stages: Some(present.labels_of(token)), ..present.of_version(token) })
    }

    /// `UpdateSecret`: changes the description or the key, or stores a new value as AWSCURRENT.
    ///
    /// # Errors
    ///
    /// As AWS: missing token, unknown or deleted secret, a token that is in use, whatever its value.
    pub fn update_secret(&mut self, request: &UpdateSecret, now: SystemTime) -> Result<Named, ServiceError> {
        let token = parameters::token(request.client_request_token.as_deref(), Exception::InvalidRequest)?;
        let value = parameters::value(request.secret_string.as_ref(), request.secret_binary.as_ref())?;
        let present = self.changeable(request.secret_id.as_deref())?;
        if value.is_some() && present.versions.contains_key(token) {
            return Err(ServiceError::token_in_use(token, &present.arn));
        }
        let mut secret = present.clone();
        if let Some(description) = &request.description {
            secret.description = Some(description.clone()).filter(|text| !text.is_empty());
        }
        if let Some(key) = &request.kms_key_id {
            secret.kms_key_id = Some(key.clone()).filter(|text| !text.is_empty());
        }
        secret.changed = now;
        let mut named = secret.named();
        if let Some(value) = value {
            secret.store(token, &value, now)?;
            secret.attach(CURRENT, token);
            secret.abandon_unless(token);
            secret.prune(now);
            refuse_one_more(secret.versions.len())?;
            named = secret.of_version(token);
        }
        *present = secret;
        Ok(named)
    }

    /// `UpdateSecretVersionStage`: attaches, moves or removes a label. A label that is attached moves only if the request says
    /// where it is, which makes this a compare-and-swap.
    ///
    /// # Errors
    ///
    /// As AWS: unknown or deleted secret, unknown version, a label that is somewhere else, AWSCURRENT that would be nowhere.
    pub fn update_secret_version_stage(
        &mut self,
        request: &UpdateSecretVersionStage,
        now: SystemTime,
    ) -> Result<Named, ServiceError> {
        let label = request.version_stage.as_deref().ok_or_else(|| parameters::missing("versionStage"))?;
        parameters::label(label)?;
        let from = request.remove_from_version_id.as_deref();
        let to = request.move_to_version_id.as_deref();
        let present = self.changeable(request.secret_id.as_deref())?;
        for version in [from, to].into_iter().flatten() {
            if !present.versions.contains_key(version) {
                return Err(ServiceError::version_not_found(version));
            }
        }
        match (present.holder(label), from, to) {
            (_, None, None) => {
                return Err(ServiceError::invalid_parameter(
                    "You must provide a value for RemoveFromVersionId, MoveToVersionId, or both.",
                ));
            }
            (Some(holder), None, Some(to)) if holder != to => {
                return Err(ServiceError::invalid_parameter(format!(
                    "The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to version \
                     {holder}, so you must explicitly reference that version in RemoveFromVersionId."
                )));
            }
            (holder, Some(from), _) if holder != Some(from) => {
                return Err(ServiceError::invalid_parameter(match holder {
                    Some(holder) => format!(
                        "The parameter RemoveFromVersionId is wrong. Staging label {label} is currently attached to version \
                         {holder}, so you must explicitly reference that version in RemoveFromVersionId."
                    ),
                    None => format!("Staging label {label} is not attached to version {from}."),
                }));
            }
            (_, Some(_), None) if label == CURRENT => {
                return Err(ServiceError::invalid_parameter(
                    "You can only move staging label AWSCURRENT to a different secret version. It can\u{2019}t be completely removed.",
                ));
            }
            _ => {}
        }
        if let Some(to) = to.filter(|_| label == CURRENT)
            && present.versions.get(to).is_some_and(|version| version.value.is_none())
        {
            return Err(ServiceError::version_not_found(to));
        }
        let mut secret = present.clone();
        match to {
            Some(to) => secret.attach(label, to),
            None => {
                secret.labels.remove(label);
            }
        }
        parameters::label_count(secret.labels.len())?;
        secret.settle();
        secret.changed = now;
        *present = secret;
        Ok(present.named())
    }

    fn blank(&self, name: &str, suffix: &str, now: SystemTime) -> Secret {
        Secret {
            arn: self.function.secret_arn(name, suffix),
            name: name.to_owned(),
            description: None,
            kms_key_id: None,
            owner: None,
            policy: None,
            tags: Vec::new(),
            created: now,
            changed: now,
            rotated: None,
            accessed: None,
            deletion: None,
            rotation: None,
            running: None,
            versions: BTreeMap::new(),
            labels: BTreeMap::new(),
        }
    }
}
