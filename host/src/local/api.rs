//! The requests and answers of the operations, with the names of the service model.
//!
//! Requests carry no `Debug`, because they hold values. Members that this service does not know are ignored, as AWS does.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::secret::SecretValue;

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    /// Its name, 1 to 128 characters.
    pub key: String,
    /// Its value, up to 256 characters.
    #[serde(default)]
    pub value: String,
}

/// When a secret is rotated. Kept, shown and told as `NextRotationDate`; nothing here rotates a secret when it is due.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RotationRules {
    /// Days between rotations, 1 to 1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automatically_after_days: Option<i64>,
    /// How long the rotation window is open, such as `3h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// `cron(…)` or `rate(…)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_expression: Option<String>,
}

/// A `SecretString` or a RotationToken: text that is wiped.
#[derive(Clone)]
pub struct Hidden(pub Zeroizing<String>);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Zeroizing::new(String::deserialize(deserializer)?)))
    }
}

/// A `SecretBinary`: bytes that travel as base64.
#[derive(Clone)]
pub struct Blob(pub Zeroizing<Vec<u8>>);

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use base64::Engine;
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        base64::engine::general_purpose::STANDARD
            .decode(text.as_bytes())
            .map(|bytes| Self(Zeroizing::new(bytes)))
            // The decoder's own message would quote a character of the value.
            .map_err(|_| serde::de::Error::custom("SecretBinary is not base64"))
    }
}

/// A value as the members `SecretString` and `SecretBinary` of a request: a copy, which is wiped with it.
pub(super) fn members(value: &SecretValue) -> (Option<Hidden>, Option<Blob>) {
    match value {
        SecretValue::Text(text) => (Some(Hidden(Zeroizing::new(text.expose().to_owned()))), None),
        SecretValue::Binary(bytes) => (None, Some(Blob(Zeroizing::new(bytes.expose().to_vec())))),
    }
}

macro_rules! requests {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $member:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Default, Deserialize)]
            #[serde(rename_all = "PascalCase")]
            #[allow(missing_docs, reason = "the members are those of the service model and are documented there")]
            pub struct $name { $($(#[$attribute])* pub $member: Option<$type>,)* }
        )*
    };
}

requests! {
    /// `CreateSecret`.
    CreateSecret {
        name: String,
        client_request_token: String,
        description: String,
        kms_key_id: String,
        secret_string: Hidden,
        secret_binary: Blob,
        tags: Vec<Tag>,
        add_replica_regions: Vec<serde::de::IgnoredAny>,
    }
    /// An operation that takes a secret and nothing else.
    OfSecret { secret_id: String, }
    /// `GetSecretValue`.
    GetSecretValue { secret_id: String, version_id: String, version_stage: String, }
    /// `PutSecretValue`.
    PutSecretValue {
        secret_id: String,
        client_request_token: String,
        secret_string: Hidden,
        secret_binary: Blob,
        version_stages: Vec<String>,
        rotation_token: Hidden,
    }
    /// `UpdateSecret`.
    UpdateSecret {
        secret_id: String,
        client_request_token: String,
        description: String,
        kms_key_id: String,
        secret_string: Hidden,
        secret_binary: Blob,
    }
    /// `UpdateSecretVersionStage`.
    UpdateSecretVersionStage {
        secret_id: String,
        version_stage: String,
        remove_from_version_id: String,
        move_to_version_id: String,
    }
    /// `TagResource`.
    TagResource { secret_id: String, tags: Vec<Tag>, }
    /// `UntagResource`.
    UntagResource { secret_id: String, tag_keys: Vec<String>, }
    /// `GetRandomPassword`.
    GetRandomPassword {
        password_length: i64,
        exclude_characters: String,
        exclude_numbers: bool,
        exclude_punctuation: bool,
        exclude_uppercase: bool,
        exclude_lowercase: bool,
        include_space: bool,
        require_each_included_type: bool,
    }
    /// `RotateSecret`.
    RotateSecret {
        secret_id: String,
        client_request_token: String,
        #[serde(rename = "RotationLambdaARN")]
        rotation_lambda_arn: String,
        rotation_rules: RotationRules,
        rotate_immediately: bool,
    }
    /// `BatchGetSecretValue`.
    BatchGetSecretValue { secret_id_list: Vec<String>, filters: Vec<Filter>, max_results: i64, next_token: String, }
    /// `PutResourcePolicy`.
    PutResourcePolicy { secret_id: String, resource_policy: String, block_public_policy: bool, }
    /// `ValidateResourcePolicy`.
    ValidateResourcePolicy { secret_id: String, resource_policy: String, }
    /// `ListSecrets`.
    ListSecrets {
        include_planned_deletion: bool,
        max_results: i64,
        next_token: String,
        filters: Vec<Filter>,
        sort_order: String,
        sort_by: String,
    }
    /// One filter of `ListSecrets` and `BatchGetSecretValue`.
    Filter { key: String, values: Vec<String>, }
    /// `ListSecretVersionIds`.
    ListSecretVersionIds { secret_id: String, max_results: i64, next_token: String, include_deprecated: bool, }
    /// `DeleteSecret`.
    DeleteSecret { secret_id: String, recovery_window_in_days: i64, force_delete_without_recovery: bool, }
}

/// The answer of most operations: which secret, and which version if one was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Named {
    /// The full ARN.
    #[serde(rename = "ARN")]
    pub arn: String,
    /// The name.
    pub name: String,
    /// The version that the operation is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// The version's labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_stages: Option<Vec<String>>,
    /// When the secret may be deleted for good.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_date")]
    pub deletion_date: Option<SystemTime>,
}

/// The answer of `DescribeSecret`, and one entry of `ListSecrets`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "the members are those of the service model and are documented there")]
pub struct Description {
    #[serde(rename = "ARN")]
    pub arn: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation_enabled: Option<bool>,
    #[serde(rename = "RotationLambdaARN", skip_serializing_if = "Option::is_none")]
    pub rotation_lambda_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation_rules: Option<RotationRules>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_date")]
    pub last_rotated_date: Option<SystemTime>,
    #[serde(serialize_with = "date")]
    pub last_changed_date: SystemTime,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_date")]
    pub last_accessed_date: Option<SystemTime>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_date")]
    pub deleted_date: Option<SystemTime>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_date")]
    pub next_rotation_date: Option<SystemTime>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_ids_to_stages: Option<BTreeMap<String, Vec<String>>>,
    /// What `VersionIdsToStages` is called in `ListSecrets`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_versions_to_stages: Option<BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owning_service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_region: Option<String>,
    #[serde(serialize_with = "date")]
    pub created_date: SystemTime,
}

/// One entry of `Errors` in the answer of `BatchGetSecretValue`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "the members are those of the service model and are documented there")]
pub struct ApiError {
    pub secret_id: String,
    pub error_code: &'static str,
    pub message: String,
}

/// One entry of `ValidationErrors` in the answer of `ValidateResourcePolicy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "the members are those of the service model and are documented there")]
pub struct ValidationError {
    pub check_name: &'static str,
    pub error_message: &'static str,
}

/// One entry of `ListSecretVersionIds`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "the members are those of the service model and are documented there")]
pub struct VersionEntry {
    pub version_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub version_stages: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_date")]
    pub last_accessed_date: Option<SystemTime>,
    #[serde(serialize_with = "date")]
    pub created_date: SystemTime,
    pub kms_key_ids: Vec<String>,
}

/// Seconds since 1970 with milliseconds, which is how AWS writes dates in JSON 1.1.
pub(crate) fn seconds(date: SystemTime) -> f64 {
    let since = date.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // Milliseconds stay far below the 2^53 up to which an f64 is exact.
    since.as_millis() as f64 / 1000.0
}

fn date<S: Serializer>(date: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(seconds(*date))
}

fn optional_date<S: Serializer>(date: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match date {
        Some(at) => serializer.serialize_some(&seconds(*at)),
        None => serializer.serialize_none(),
    }
}
