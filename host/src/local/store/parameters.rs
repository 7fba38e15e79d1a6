//! Checks of single parameters, with the bounds of the service model.

use std::sync::Arc;

use crate::local::api::{Blob, Hidden, RotationRules, Tag};
use crate::local::error::{Exception, ServiceError};
use crate::local::schedule::Schedule;
use crate::secret::{MAX_SECRET_BYTES, SecretValue};

/// Most labels that a secret can have.
///
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>
const MAX_LABELS: usize = 20;

const NAME: &str = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!";

pub(super) fn name(name: Option<&str>) -> Result<&str, ServiceError> {
    let name = name.ok_or_else(|| missing("name"))?;
    let valid = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+=.@!-".contains(&byte));
    match name.len() {
        1..=512 if valid => Ok(name),
        0 => Err(ServiceError::constraint("name", "Member must have length greater than or equal to 1")),
        513.. => Err(ServiceError::constraint("name", "Member must have length less than or equal to 512")),
        _ => Err(ServiceError::new(Exception::Validation, NAME)),
    }
}

/// What addresses a secret. A name is checked as a name; an ARN only has to be one.
pub(super) fn secret_id(id: Option<&str>) -> Result<&str, ServiceError> {
    let id = id.ok_or_else(|| missing("secretId"))?;
    if id.starts_with("arn:") {
        return match id.len() {
            ..=2048 => Ok(id),
            _ => Err(ServiceError::constraint("secretId", "Member must have length less than or equal to 2048")),
        };
    }
    name(Some(id))
}

/// The token that becomes the version id. `absent` is the exception that the operation uses for a missing one.
pub(super) fn token(token: Option<&str>, absent: Exception) -> Result<&str, ServiceError> {
    let token = token
        .ok_or_else(|| ServiceError::new(absent, "You must provide a ClientRequestToken value. We recommend a UUID-type value."))?;
    if (32..=64).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        Ok(token)
    } else {
        Err(ServiceError::invalid_parameter("ClientRequestToken must be 32-64 characters long."))
    }
}

pub(super) fn rotation_token(token: Option<&Hidden>) -> Result<Option<&str>, ServiceError> {
    let Some(Hidden(token)) = token else { return Ok(None) };
    if (36..=256).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        Ok(Some(token.as_str()))
    } else {
        Err(ServiceError::constraint("rotationToken", "Member must have 36 to 256 letters, digits and hyphens"))
    }
}

/// The value of a request that may have none.
pub(super) fn value(text: Option<&Hidden>, binary: Option<&Blob>) -> Result<Option<Arc<SecretValue>>, ServiceError> {
    let (member, value) = match (text, binary) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(ServiceError::invalid_parameter(
                "You can't specify both a binary secret value and a string secret value in the same secret.",
            ));
        }
        (Some(Hidden(text)), None) => ("secretString", SecretValue::text(text.as_str())),
        (None, Some(Blob(bytes))) => ("secretBinary", SecretValue::binary(bytes.as_slice())),
    };
    // Exposed to measure it.
    match value.expose_bytes().len() {
        0 => Err(ServiceError::constraint(member, "Member must have length greater than or equal to 1")),
        1..=MAX_SECRET_BYTES => Ok(Some(Arc::new(value))),
        _ => Err(ServiceError::constraint(member, "Member must have length less than or equal to 65536")),
    }
}

pub(super) fn label(label: &str) -> Result<(), ServiceError> {
    match label.chars().count() {
        1..=256 => Ok(()),
        _ => Err(ServiceError::constraint("versionStage", "Member must have length between 1 and 256, inclusive")),
    }
}

pub(super) fn label_count(count: usize) -> Result<(), ServiceError> {
    if count > MAX_LABELS {
        return Err(ServiceError::new(
            Exception::LimitExceeded,
            "You exceeded the maximum number of staging labels allowed on a secret.",
        ));
    }
    Ok(())
}

pub(super) fn tags(tags: &[Tag]) -> Result<(), ServiceError> {
    for tag in tags {
        if !(1..=128).contains(&tag.key.chars().count()) {
            return Err(ServiceError::constraint("tags.member.key", "Member must have length between 1 and 128, inclusive"));
        }
        if tag.value.chars().count() > 256 {
            return Err(ServiceError::constraint("tags.member.value", "Member must have length less than or equal to 256"));
        }
        if tag.key.to_ascii_lowercase().starts_with("aws:") {
            return Err(ServiceError::invalid_parameter("Tag keys that start with `aws:` are reserved for AWS."));
        }
    }
    Ok(())
}

pub(super) fn schedule(rules: &RotationRules) -> Result<Option<Schedule>, ServiceError> {
    Schedule::of(rules).map_err(|error| ServiceError::invalid_parameter(error.to_string()))
}

pub(super) fn missing(member: &str) -> ServiceError {
    ServiceError::new(
        Exception::Validation,
        format!("1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"),
    )
}
