//! What `windlass doctor` asks of Secrets Manager and what it may change there. The Lambda does none of it.

use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::primitives::DateTime;
use tokio::time::Instant;

use super::{AWSCURRENT, AWSPENDING, ErrorKind, Moved, SecretsError, SecretsManager, Version, answer, described, version_of};
use crate::event::{SecretArn, VersionId};
use crate::state::Described;

/// What DescribeSecret says of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// Its full ARN.
    pub arn: SecretArn,
    /// Labels, tags and everything the gate looks at.
    pub described: Described,
    /// The rotation function, if one was ever configured.
    pub function: Option<String>,
    /// When the last rotation ended.
    pub last_rotated: Option<SystemTime>,
    /// When the next one is due at the latest.
    pub next_rotation: Option<SystemTime>,
    /// The region in which a replicated secret can be changed.
    pub primary_region: Option<String>,
}

/// A version in the answer of ListSecretVersionIds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: VersionId,
    /// When its value was stored.
    pub created: Option<SystemTime>,
}

impl SecretsManager {
    /// DescribeSecret, by name or ARN.
    ///
    /// # Errors
    ///
    /// [`SecretsError`], as for every call of this type.
    pub async fn examine(&self, secret: &str, deadline: Instant) -> Result<Examined, SecretsError> {
        let call = self.client.describe_secret().secret_id(secret).send();
        let output = answer("DescribeSecret", deadline, None, call).await?;
        let arn = output.arn().and_then(|arn| SecretArn::parse(arn).ok()).ok_or_else(|| {
            SecretsError::without_code("DescribeSecret", ErrorKind::Service, "the answer holds no full ARN of a secret")
        })?;
        Ok(Examined {
            function: output.rotation_lambda_arn.clone(),
            last_rotated: output.last_rotated_date.and_then(time),
            next_rotation: output.next_rotation_date.and_then(time),
            primary_region: output.primary_region.clone(),
            described: described(&arn, output),
            arn,
        })
    }

    /// ListSecretVersionIds, versions without a label included. It may leave out a pending version that has no value.
    ///
    /// # Errors
    ///
    /// [`SecretsError`].
    pub async fn versions(&self, secret: &SecretArn, deadline: Instant) -> Result<Vec<Listed>, SecretsError> {
        let (mut listed, mut next) = (Vec::new(), None);
        loop {
            let call = self.client.list_secret_version_ids().secret_id(secret.as_str()).include_deprecated(true);
            let output = answer("ListSecretVersionIds", deadline, None, call.set_next_token(next).send()).await?;
            listed.extend(output.versions.unwrap_or_default().into_iter().filter_map(|version| {
                Some(Listed { id: VersionId::parse(&version.version_id?).ok()?, created: version.created_date.and_then(time) })
            }));
            next = output.next_token;
            if next.is_none() {
                return Ok(listed);
            }
        }
    }

    /// GetSecretValue by version id alone, whatever labels the version has; nothing if it has no value.
    ///
    /// # Errors
    ///
    /// [`SecretsError`].
    pub async fn by_id(&self, secret: &SecretArn, id: &VersionId, deadline: Instant) -> Result<Option<Version>, SecretsError> {
        let call = self.client.get_secret_value().secret_id(secret.as_str()).version_id(id.as_str()).send();
        match answer("GetSecretValue", deadline, None, call).await {
            Ok(output) => version_of(output).map(Some),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// UpdateSecretVersionStage: takes AWSPENDING from the version that has it. Secrets Manager refuses if another one does.
    ///
    /// # Errors
    ///
    /// [`SecretsError`].
    pub async fn remove_pending(&self, secret: &SecretArn, from: &VersionId, deadline: Instant) -> Result<Moved, SecretsError> {
        let call = self.client.update_secret_version_stage().secret_id(secret.as_str()).version_stage(AWSPENDING);
        moved(answer("UpdateSecretVersionStage", deadline, None, call.remove_from_version_id(from.as_str()).send()).await)
    }

    /// UpdateSecretVersionStage: moves AWSCURRENT from one version to another. Secrets Manager refuses if another one has it.
    ///
    /// # Errors
    ///
    /// [`SecretsError`].
    pub async fn move_current(
        &self,
        secret: &SecretArn,
        from: &VersionId,
        to: &VersionId,
        deadline: Instant,
    ) -> Result<Moved, SecretsError> {
        let call = self.client.update_secret_version_stage().secret_id(secret.as_str()).version_stage(AWSCURRENT);
        let call = call.move_to_version_id(to.as_str()).remove_from_version_id(from.as_str());
        moved(answer("UpdateSecretVersionStage", deadline, None, call.send()).await)
    }
}

/// What came of UpdateSecretVersionStage with the holder of the label.
fn moved<T>(result: Result<T, SecretsError>) -> Result<Moved, SecretsError> {
    match result {
        Ok(_) => Ok(Moved::Yes),
        Err(error) if error.kind == ErrorKind::Invalid => Ok(Moved::HolderChanged),
        Err(error) => Err(error),
    }
}

/// A time of the API; nothing if it is before 1970.
fn time(at: DateTime) -> Option<SystemTime> {
    Some(SystemTime::UNIX_EPOCH + Duration::new(u64::try_from(at.secs()).ok()?, at.subsec_nanos()))
}
