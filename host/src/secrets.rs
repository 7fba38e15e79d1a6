//! Secrets Manager, as far as a rotation needs it. Types and errors of the AWS SDK end in this module.
//!
//! The permissions that the function's role needs are the calls made here: `secretsmanager:DescribeSecret`, `GetSecretValue`,
//! `PutSecretValue` and `UpdateSecretVersionStage` on the rotated secrets, and `GetSecretValue` on admin secrets that the operator
//! binds; for a heartbeat of secrets by pattern or tag `ListSecrets`, which knows no single secrets. Nothing here tags or updates a secret, removes AWSPENDING, or writes AWSCURRENT by PutSecretValue; `examination`, which the
//! Lambda does not contain, is for `windlass doctor`.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Operations.html>

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{Builder, Credentials, SharedHttpClient};
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use aws_sdk_secretsmanager::primitives::Blob;
use tokio::time::{Instant, sleep, timeout_at};

use crate::aws::{self, Aws, CountsRepeats, innermost, lacks_credentials};
use crate::event::{RotationEvent, RotationToken, SecretArn, VersionId};
use crate::secret::SecretValue;
use crate::state::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, Described};
use crate::time_account::{On, spend, tried_again};

#[cfg(feature = "cli")]
pub mod examination;
pub mod listing;

/// A client for the rotation's calls. Cheap to share; holds no state of a rotation.
#[derive(Debug, Clone)]
pub struct SecretsManager {
    client: Client,
}

/// A version of a secret with its value.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its id.
    pub id: VersionId,
    /// Its value.
    pub value: SecretValue,
    /// When it was created, if Secrets Manager says so.
    pub created: Option<SystemTime>,
}

/// What PutSecretValue did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// The value is the version's value now.
    Ours,
    /// The version had a value before, which stays.
    AlreadyThere,
}

/// What UpdateSecretVersionStage did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// AWSCURRENT is on the version now.
    Yes,
    /// The version that was to lose AWSCURRENT does not have it.
    HolderChanged,
}

impl SecretsManager {
    /// A client with the credentials, region and endpoint of the environment; `endpoint` overrides the latter.
    pub fn in_aws(aws: &Aws, endpoint: Option<&str>) -> Self {
        let config = Builder::from(aws.sdk());
        Self::new(match endpoint {
            Some(endpoint) => config.endpoint_url(endpoint),
            None => config,
        })
    }

    /// A client for a local endpoint that accepts any signature.
    pub fn local(endpoint: &str) -> Self {
        Self::new(Self::unauthenticated(aws::http_client()).endpoint_url(endpoint))
    }

    /// A client whose requests go where `http` takes them, to a Secrets Manager that accepts any signature.
    #[cfg(feature = "cli")]
    pub fn in_process(http: SharedHttpClient) -> Self {
        Self::new(Self::unauthenticated(http).endpoint_url("http://localhost"))
    }

    fn unauthenticated(http: SharedHttpClient) -> Builder {
        Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("local", "local", None, None, "windlass"))
    }

    fn new(config: Builder) -> Self {
        let config = config
            .interceptor(CountsRepeats)
            // Safe for PutSecretValue too: the SDK repeats the same bytes under the same token, which is a no-op.
            .retry_config(RetryConfig::standard().with_max_attempts(4).with_initial_backoff(Duration::from_millis(100)))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(3))
                    .operation_attempt_timeout(Duration::from_secs(10))
                    .build(),
            )
            .build();
        Self { client: Client::from_conf(config) }
    }

    /// DescribeSecret: labels, tags and everything the gate looks at.
    ///
    /// # Errors
    ///
    /// [`SecretsError`], as for every call of this type.
    pub async fn describe(&self, secret: &SecretArn, deadline: Instant) -> Result<Described, SecretsError> {
        let call = self.client.describe_secret().secret_id(secret.as_str()).send();
        let output = answer("DescribeSecret", deadline, None, call).await?;
        Ok(described(secret, output))
    }

    /// The version that holds AWSCURRENT; nothing if none does.
    ///
    /// # Errors
    ///
    /// [`SecretsError`].
    pub async fn current(&self, secret: &str, deadline: Instant) -> Result<Option<Version>, SecretsError> {
        self.value(secret, None, AWSCURRENT, deadline).await
    }

    /// The version that holds AWSPREVIOUS; nothing if none does.
    ///
    /// # Errors
    ///
    /// [`SecretsError`].
    pub async fn previous(&self, secret: &SecretArn, deadline: Instant) -> Result<Option<Version>, SecretsError> {
        self.value(secret.as_str(), None, AWSPREVIOUS, deadline).await
    }

    /// The pending value of the rotation's version; nothing if it has none yet.
    ///
    /// # Errors
    ///
    /// [`SecretsError`].
    pub async fn pending(&self, event: &RotationEvent, deadline: Instant) -> Result<Option<Version>, SecretsError> {
        self.value(event.secret.as_str(), Some(&event.version), AWSPENDING, deadline).await
    }

    /// The pending value, read again for a while if it is not there: a value that createSecret stored may take a moment to be seen
    /// by another reader (<https://github.com/aws/aws-sdk-js-v3/issues/7701>). At most a quarter of the time that is left, and 10 s.
    ///
    /// # Errors
    ///
    /// [`SecretsError`].
    pub async fn pending_soon(&self, event: &RotationEvent, deadline: Instant) -> Result<Option<Version>, SecretsError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let patience = Instant::now() + (left / 4).min(Duration::from_secs(10));
        let mut pause = Duration::from_millis(200);
        loop {
            let value = self.pending(event, deadline).await?;
            if value.is_some() || Instant::now() + pause > patience {
                return Ok(value);
            }
            sleep(pause).await;
            tried_again();
            pause = (pause * 2).min(Duration::from_secs(3));
        }
    }

    /// Stores the pending value, once: under the rotation's token, labelled AWSPENDING and nothing else.
    ///
    /// # Errors
    ///
    /// [`SecretsError`].
    pub async fn store_pending(
        &self,
        event: &RotationEvent,
        value: &SecretValue,
        deadline: Instant,
    ) -> Result<Stored, SecretsError> {
        let token = event.rotation_token.as_ref().map(RotationToken::expose);
        let call = self
            .client
            .put_secret_value()
            .secret_id(event.secret.as_str())
            .client_request_token(event.version.as_str())
            .version_stages(AWSPENDING)
            .set_rotation_token(token.map(str::to_owned));
        // The value leaves for Secrets Manager here, in the kind in which the current one is stored.
        let call = match value {
            SecretValue::Text(text) => call.secret_string(text.expose()),
            SecretValue::Binary(bytes) => call.secret_binary(Blob::new(bytes.expose())),
        };
        match answer("PutSecretValue", deadline, token, call.send()).await {
            Ok(_) => Ok(Stored::Ours),
            Err(error) if error.kind == ErrorKind::Exists => Ok(Stored::AlreadyThere),
            Err(error) => Err(error),
        }
    }

    /// Moves AWSCURRENT to the rotation's version, if `holder` has it. Secrets Manager refuses otherwise, which makes this a
    /// compare-and-swap, and moves AWSPREVIOUS by itself.
    ///
    /// # Errors
    ///
    /// [`SecretsError`].
    pub async fn promote(&self, event: &RotationEvent, holder: &VersionId, deadline: Instant) -> Result<Moved, SecretsError> {
        let call = self
            .client
            .update_secret_version_stage()
            .secret_id(event.secret.as_str())
            .version_stage(AWSCURRENT)
            .move_to_version_id(event.version.as_str())
            .remove_from_version_id(holder.as_str())
            .send();
        match answer("UpdateSecretVersionStage", deadline, None, call).await {
            Ok(_) => Ok(Moved::Yes),
            Err(error) if error.kind == ErrorKind::Invalid => Ok(Moved::HolderChanged),
            Err(error) => Err(error),
        }
    }

    async fn value(
        &self,
        secret: &str,
        version: Option<&VersionId>,
        label: &str,
        deadline: Instant,
    ) -> Result<Option<Version>, SecretsError> {
        let call = self
            .client
            .get_secret_value()
            .secret_id(secret)
            .set_version_id(version.map(|version| version.as_str().to_owned()))
            .version_stage(label)
            .send();
        match answer("GetSecretValue", deadline, None, call).await {
            Ok(output) => version_of(output).map(Some),
            // "Can't find the specified secret value for staging label", or, with a version id whose label is not seen yet, "You
            // provided a VersionStage that is not associated to the provided VersionId".
            Err(error) if error.kind == ErrorKind::NotFound || (error.kind == ErrorKind::Invalid && version.is_some()) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn described(secret: &SecretArn, output: DescribeSecretOutput) -> Described {
    let region = secret.as_str().split(':').nth(3);
    let labels = output.version_ids_to_stages.unwrap_or_default();
    Described {
        deleted: output.deleted_date.is_some(),
        owning_service: output.owning_service,
        managed_type: output.r#type,
        // Set on replicated secrets only, and then to the region in which they may be changed.
        replica: output.primary_region.as_deref().is_some_and(|primary| Some(primary) != region),
        rotation_enabled: output.rotation_enabled,
        // A version id that is none of ours cannot be this rotation's; it is left out rather than refused.
        labels: labels.into_iter().filter_map(|(id, labels)| Some((VersionId::parse(&id).ok()?, labels))).collect(),
        tags: listing::tags(output.tags.unwrap_or_default()),
    }
}

fn version_of(output: GetSecretValueOutput) -> Result<Version, SecretsError> {
    let incomplete = |message: &str| SecretsError {
        operation: "GetSecretValue",
        kind: ErrorKind::Service,
        code: None,
        message: message.to_owned(),
    };
    let id = output.version_id.as_deref().and_then(|id| VersionId::parse(id).ok());
    let value = match (output.secret_string, output.secret_binary) {
        (Some(text), _) => SecretValue::text(text),
        (None, Some(bytes)) => SecretValue::binary(bytes.into_inner()),
        (None, None) => return Err(incomplete("the answer holds no value")),
    };
    let created = output.created_date.and_then(|created| SystemTime::try_from(created).ok());
    Ok(Version { id: id.ok_or_else(|| incomplete("the answer holds no version id"))?, value, created })
}

/// Waits for a call's answer, but not beyond the deadline, and takes from its error what is safe to show.
async fn answer<T, E: ProvideErrorMetadata>(
    operation: &'static str,
    deadline: Instant,
    token: Option<&str>,
    call: impl Future<Output = Result<T, SdkError<E>>>,
) -> Result<T, SecretsError> {
    let _spending = spend(On::SecretsManager, operation);
    let error = match timeout_at(deadline, call).await {
        Ok(Ok(output)) => return Ok(output),
        Ok(Err(error)) => error,
        Err(_) => return Err(SecretsError::without_code(operation, ErrorKind::Timeout, "the function's deadline came first")),
    };
    Err(match &error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().map(str::to_owned);
            let kind = ErrorKind::of(code.as_deref(), service.raw().status().as_u16());
            // A ValidationException quotes the parameters it refuses, and RotationToken is one of them.
            let quotes = code.as_deref() == Some("ValidationException");
            let message = service.err().message().filter(|_| !quotes).unwrap_or("no message").to_owned();
            let message = token.map_or_else(|| message.clone(), |token| message.replace(token, "[redacted]"));
            SecretsError { operation, kind, code, message }
        }
        SdkError::TimeoutError(_) => SecretsError::without_code(operation, ErrorKind::Timeout, "no answer in time"),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            SecretsError::without_code(operation, ErrorKind::Timeout, "no connection in time")
        }
        SdkError::DispatchFailure(failure) => {
            let error = failure.as_connector_error();
            let unsigned = error.is_some_and(|error| lacks_credentials(error));
            let kind = if unsigned { ErrorKind::Setup } else { ErrorKind::Unreachable };
            let cause = error.map_or_else(|| "no connection".to_owned(), |error| innermost(error));
            SecretsError::without_code(operation, kind, &cause)
        }
        SdkError::ConstructionFailure(_) => SecretsError::without_code(
            operation,
            ErrorKind::Setup,
            "the request could not be built: are region and credentials set?",
        ),
        SdkError::ResponseError(_) | _ => {
            SecretsError::without_code(operation, ErrorKind::Service, "the answer was not one of Secrets Manager")
        }
    })
}

/// A call to Secrets Manager that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretsError {
    /// The operation, as AWS names it.
    pub operation: &'static str,
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// AWS's error code, if the service answered with one.
    pub code: Option<String>,
    /// AWS's message, or ours if there was no answer. Holds no secret value.
    pub message: String,
}

/// Kinds of failures of a call to Secrets Manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no such secret, version or label.
    NotFound,
    /// The version has a value already.
    Exists,
    /// The role or a policy does not allow the call.
    Denied,
    /// The key of the secret cannot be used.
    Encryption,
    /// The request does not fit the secret's state.
    Invalid,
    /// Too many requests.
    Throttled,
    /// A quota is used up.
    Limit,
    /// Secrets Manager failed.
    Service,
    /// No connection came about.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// Region or credentials are missing.
    Setup,
}

impl ErrorKind {
    fn of(code: Option<&str>, status: u16) -> Self {
        match code.unwrap_or_default() {
            "ResourceNotFoundException" => Self::NotFound,
            "ResourceExistsException" => Self::Exists,
            "AccessDeniedException" | "AccessDenied" | "UnrecognizedClientException" | "ExpiredTokenException" => Self::Denied,
            "DecryptionFailure" | "EncryptionFailure" => Self::Encryption,
            "InvalidRequestException" | "InvalidParameterException" | "ValidationException" => Self::Invalid,
            "ThrottlingException" | "Throttling" | "TooManyRequestsException" | "RequestLimitExceeded" => Self::Throttled,
            "LimitExceededException" => Self::Limit,
            _ if status == 403 => Self::Denied,
            _ if status == 429 => Self::Throttled,
            _ => Self::Service,
        }
    }

    /// What an operator can do about it.
    const fn remedy(self) -> &'static str {
        match self {
            Self::NotFound => "check that the secret exists in this region and account",
            Self::Exists => "nothing: the next attempt uses the value that is there",
            Self::Denied => "allow the call in the function's role and in the secret's resource policy",
            Self::Encryption => "allow the function's role to use the secret's KMS key (kms:Decrypt, kms:GenerateDataKey)",
            Self::Invalid => "check the secret's state with `aws secretsmanager describe-secret`",
            Self::Throttled | Self::Service => "nothing: it is tried again, by Secrets Manager or by the next heartbeat",
            Self::Limit => "remove staging labels or versions that are no longer used",
            Self::Unreachable => {
                "give the function a route to Secrets Manager: an interface endpoint in its VPC, or a NAT gateway, and check \
                 SECRETS_MANAGER_ENDPOINT"
            }
            Self::Timeout => "raise the function's timeout, and check its route to Secrets Manager",
            Self::Setup => "set AWS_REGION and credentials; Lambda does so by itself",
        }
    }
}

impl SecretsError {
    fn without_code(operation: &'static str, kind: ErrorKind, message: &str) -> Self {
        Self { operation, kind, code: None, message: message.to_owned() }
    }
}

impl fmt::Display for SecretsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, kind, code, message } = self;
        let message = message.trim_end_matches('.');
        match code {
            Some(code) => write!(f, "{operation} failed with {code}: {message}. To do: {}", kind.remedy()),
            None => write!(f, "{operation} failed: {message}. To do: {}", kind.remedy()),
        }
    }
}

impl std::error::Error for SecretsError {}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Some("ResourceNotFoundException"), 400, ErrorKind::NotFound)]
    #[case(Some("ResourceExistsException"), 400, ErrorKind::Exists)]
    #[case(Some("AccessDeniedException"), 400, ErrorKind::Denied)]
    #[case(Some("DecryptionFailure"), 400, ErrorKind::Encryption)]
    #[case(Some("InvalidRequestException"), 400, ErrorKind::Invalid)]
    #[case(Some("ThrottlingException"), 400, ErrorKind::Throttled)]
    #[case(Some("InternalServiceError"), 500, ErrorKind::Service)]
    #[case(None, 403, ErrorKind::Denied)]
    #[case(None, 429, ErrorKind::Throttled)]
    #[case(None, 503, ErrorKind::Service)]
    fn sorts_the_errors_of_the_api(#[case] code: Option<&str>, #[case] status: u16, #[case] kind: ErrorKind) {
        assert_eq!(ErrorKind::of(code, status), kind);
    }
}
