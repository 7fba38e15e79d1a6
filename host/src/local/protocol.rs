//! From the body of a request to an operation of the store, and from its answer to a body.

use std::time::SystemTime;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::api::{self, GetRandomPassword, OfSecret};
use super::error::{Exception, ServiceError};
use super::ids;
use super::store::{Batch, Next, Page, Read, Rotation, Store};
use crate::password::{PasswordOptions, PasswordPolicy};
use crate::secret::SecretValue;

/// The operations that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `BatchGetSecretValue`.
    BatchGetSecretValue,
    /// `CancelRotateSecret`.
    CancelRotateSecret,
    /// `CreateSecret`.
    CreateSecret,
    /// `DeleteResourcePolicy`.
    DeleteResourcePolicy,
    /// `DeleteSecret`.
    DeleteSecret,
    /// `DescribeSecret`.
    DescribeSecret,
    /// `GetRandomPassword`.
    GetRandomPassword,
    /// `GetResourcePolicy`.
    GetResourcePolicy,
    /// `GetSecretValue`.
    GetSecretValue,
    /// `ListSecretVersionIds`.
    ListSecretVersionIds,
    /// `ListSecrets`.
    ListSecrets,
    /// `PutResourcePolicy`.
    PutResourcePolicy,
    /// `PutSecretValue`.
    PutSecretValue,
    /// `RemoveRegionsFromReplication`.
    RemoveRegionsFromReplication,
    /// `ReplicateSecretToRegions`.
    ReplicateSecretToRegions,
    /// `RestoreSecret`.
    RestoreSecret,
    /// `RotateSecret`.
    RotateSecret,
    /// `StopReplicationToReplica`.
    StopReplicationToReplica,
    /// `TagResource`.
    TagResource,
    /// `UntagResource`.
    UntagResource,
    /// `UpdateSecret`.
    UpdateSecret,
    /// `UpdateSecretVersionStage`.
    UpdateSecretVersionStage,
    /// `ValidateResourcePolicy`.
    ValidateResourcePolicy,
}

impl Operation {
    const ALL: [(&str, Self); 23] = [
        ("BatchGetSecretValue", Self::BatchGetSecretValue),
        ("CancelRotateSecret", Self::CancelRotateSecret),
        ("CreateSecret", Self::CreateSecret),
        ("DeleteResourcePolicy", Self::DeleteResourcePolicy),
        ("DeleteSecret", Self::DeleteSecret),
        ("DescribeSecret", Self::DescribeSecret),
        ("GetRandomPassword", Self::GetRandomPassword),
        ("GetResourcePolicy", Self::GetResourcePolicy),
        ("GetSecretValue", Self::GetSecretValue),
        ("ListSecretVersionIds", Self::ListSecretVersionIds),
        ("ListSecrets", Self::ListSecrets),
        ("PutResourcePolicy", Self::PutResourcePolicy),
        ("PutSecretValue", Self::PutSecretValue),
        ("RemoveRegionsFromReplication", Self::RemoveRegionsFromReplication),
        ("ReplicateSecretToRegions", Self::ReplicateSecretToRegions),
        ("RestoreSecret", Self::RestoreSecret),
        ("RotateSecret", Self::RotateSecret),
        ("StopReplicationToReplica", Self::StopReplicationToReplica),
        ("TagResource", Self::TagResource),
        ("UntagResource", Self::UntagResource),
        ("UpdateSecret", Self::UpdateSecret),
        ("UpdateSecretVersionStage", Self::UpdateSecretVersionStage),
        ("ValidateResourcePolicy", Self::ValidateResourcePolicy),
    ];

    /// The operation of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find_map(|(known, operation)| (known == name).then_some(operation))
    }

    /// The operation's name in the service model.
    pub fn name(self) -> &'static str {
        // Every operation is in the table: `named` could not find it otherwise, and a test looks.
        Self::ALL.into_iter().find_map(|(name, operation)| (operation == self).then_some(name)).unwrap_or_default()
    }

    /// Whether the operation only reads, apart from dates of access.
    pub const fn reads(self) -> bool {
        match self {
            Self::BatchGetSecretValue
            | Self::DescribeSecret
            | Self::GetRandomPassword
            | Self::GetResourcePolicy
            | Self::GetSecretValue
            | Self::ListSecretVersionIds
            | Self::ListSecrets
            | Self::ValidateResourcePolicy => true,
            Self::CancelRotateSecret
            | Self::CreateSecret
            | Self::DeleteResourcePolicy
            | Self::DeleteSecret
            | Self::PutResourcePolicy
            | Self::PutSecretValue
            | Self::RemoveRegionsFromReplication
            | Self::ReplicateSecretToRegions
            | Self::RestoreSecret
            | Self::RotateSecret
            | Self::StopReplicationToReplica
            | Self::TagResource
            | Self::UntagResource
            | Self::UpdateSecret
            | Self::UpdateSecretVersionStage => false,
        }
    }

    /// The operation that an `X-Amz-Target` header names.
    ///
    /// # Errors
    ///
    /// `UnknownOperationException`, listing what there is.
    pub fn from_target(target: Option<&str>) -> Result<Self, ServiceError> {
        let name = target.and_then(|target| target.strip_prefix("secretsmanager."));
        if let Some(operation) = name.and_then(Self::named) {
            return Ok(operation);
        }
        let asked = match (name, target) {
            (Some(name), _) if !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                format!("The local Secrets Manager does not have the operation {name}.")
            }
            (_, Some(_)) => "The X-Amz-Target header does not name an operation of Secrets Manager.".to_owned(),
            (_, None) => "The request has no X-Amz-Target header, so it is not one of the AWS command line or an SDK.".to_owned(),
        };
        let known: Vec<&str> = Self::ALL.iter().map(|(name, _)| *name).collect();
        Err(ServiceError::new(Exception::UnknownOperation, format!("{asked} It has {}.", known.join(", "))))
    }
}

/// What an operation came to.
pub enum Answer {
    /// It succeeded, with this body; and a rotation may have begun.
    Done(Value, Option<Rotation>),
    /// `RotateSecret` was refused because of a rotation that is not complete; that one may have been taken up again.
    RotationInProgress(Option<Rotation>),
}

impl From<Value> for Answer {
    fn from(body: Value) -> Self {
        Self::Done(body, None)
    }
}

/// Carries an operation out.
///
/// # Errors
///
/// The operation's own, and `SerializationException` for a body that does not parse.
pub fn operate(store: &mut Store, operation: Operation, body: &[u8], now: SystemTime) -> Result<Answer, ServiceError> {
    Ok(match operation {
        Operation::CreateSecret => written(store.create_secret(&read(body)?, &ids::arn_suffix()?, now)?),
        Operation::DescribeSecret => written(store.describe_secret(&read(body)?)?),
        Operation::GetSecretValue => value(store.get_secret_value(&read(body)?, now)?).into(),
        Operation::BatchGetSecretValue => {
            let Batch { values, errors, next } = store.batch_get_secret_value(&read(body)?, now)?;
            let values: Vec<Value> = values.into_iter().map(value).collect();
            with_next(json!({ "SecretValues": values, "Errors": errors }), next).into()
        }
        Operation::PutSecretValue => written(store.put_secret_value(&read(body)?, now)?),
        Operation::UpdateSecret => written(store.update_secret(&read(body)?, now)?),
        Operation::UpdateSecretVersionStage => written(store.update_secret_version_stage(&read(body)?, now)?),
        Operation::TagResource => {
            store.tag_resource(&read(body)?)?;
            json!({}).into()
        }
        Operation::UntagResource => {
            store.untag_resource(&read(body)?)?;
            json!({}).into()
        }
        Operation::GetRandomPassword => random_password(&read(body)?)?.into(),
        Operation::CancelRotateSecret => written(store.cancel_rotate_secret(&read(body)?, now)?),
        Operation::DeleteSecret => written(store.delete_secret(&read(body)?, now)?),
        Operation::RestoreSecret => written(store.restore_secret(&read(body)?)?),
        Operation::RotateSecret => match store.rotate_secret(&read(body)?, &ids::uuid()?, now)? {
            Next::Started(named, work) => Answer::Done(json!(named), work),
            Next::InProgress(work) => Answer::RotationInProgress(work),
        },
        Operation::PutResourcePolicy => written(store.put_resource_policy(&read(body)?)?),
        Operation::GetResourcePolicy => {
            let (named, policy) = store.get_resource_policy(&read(body)?)?;
            let mut answer = json!(named);
            if let Some(policy) = policy {
                answer["ResourcePolicy"] = policy.into();
            }
            answer.into()
        }
        Operation::DeleteResourcePolicy => written(store.delete_resource_policy(&read(body)?)?),
        Operation::ValidateResourcePolicy => {
            let errors = store.validate_resource_policy(&read(body)?)?;
            json!({ "PolicyValidationPassed": errors.is_empty(), "ValidationErrors": errors }).into()
        }
        Operation::ReplicateSecretToRegions | Operation::RemoveRegionsFromReplication | Operation::StopReplicationToReplica => {
            let request: OfSecret = read(body)?;
            store.replicate(request.secret_id.as_deref())?;
            json!({}).into()
        }
        Operation::ListSecrets => {
            let Page { entries, next } = store.list_secrets(&read(body)?)?;
            with_next(json!({ "SecretList": entries }), next).into()
        }
        Operation::ListSecretVersionIds => {
            let (named, Page { entries, next }) = store.list_secret_version_ids(&read(body)?)?;
            with_next(json!({ "ARN": named.arn, "Name": named.name, "Versions": entries }), next).into()
        }
    })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ServiceError> {
    // serde's message may quote what it did not expect, so only the place is told.
    serde_json::from_slice(if body.is_empty() { b"{}" } else { body }).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        ServiceError::new(Exception::Serialization, format!("The request's body is not what the operation takes, at {place}."))
    })
}

fn written(answer: impl serde::Serialize) -> Answer {
    json!(answer).into()
}

fn with_next(mut body: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        body["NextToken"] = next.into();
    }
    body
}

fn value(Read { named, value, created }: Read) -> Value {
    use base64::Engine;
    let mut body = json!(named);
    body["CreatedDate"] = api::seconds(created).into();
    // Exposed because this is the operation that hands values out.
    match value.as_ref() {
        SecretValue::Text(text) => body["SecretString"] = text.expose().into(),
        SecretValue::Binary(bytes) => {
            body["SecretBinary"] = base64::engine::general_purpose::STANDARD.encode(bytes.expose()).into();
        }
    }
    body
}

fn random_password(request: &GetRandomPassword) -> Result<Value, ServiceError> {
    let length = u32::try_from(request.password_length.unwrap_or(32)).unwrap_or(0);
    let options = PasswordOptions {
        length: Some(length),
        exclude_characters: Some(request.exclude_characters.clone().unwrap_or_default()),
        exclude_numbers: request.exclude_numbers,
        exclude_punctuation: request.exclude_punctuation,
        exclude_uppercase: request.exclude_uppercase,
        exclude_lowercase: request.exclude_lowercase,
        include_space: request.include_space,
        require_each_included_type: request.require_each_included_type,
    };
    let made = PasswordPolicy::new(&options).and_then(|policy| policy.generate());
    let password = made.map_err(|error| ServiceError::invalid_parameter(error.to_string()))?;
    // Exposed because this is the operation that hands passwords out.
    Ok(json!({ "RandomPassword": password.expose() }))
}
