//! How an operation fails, in the words of the service.

use std::fmt;

/// The exceptions that the service answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exception {
    /// The secret or version does not exist. HTTP 400, not 404.
    ResourceNotFound,
    /// The name or the version is taken.
    ResourceExists,
    /// A parameter has a value that cannot be.
    InvalidParameter,
    /// The request cannot be done in the secret's present state.
    InvalidRequest,
    /// A resource policy has a syntax error.
    MalformedPolicyDocument,
    /// A resource policy lets everybody in, and `BlockPublicPolicy` forbids it.
    PublicPolicy,
    /// A quota is used up.
    LimitExceeded,
    /// The continuation token is not one that was handed out.
    InvalidNextToken,
    /// The rotation function cannot be invoked.
    AccessDenied,
    /// A parameter breaks a constraint of the service model.
    Validation,
    /// The request's body does not parse.
    Serialization,
    /// There is no such operation here.
    UnknownOperation,
    /// There are too many requests. Only an injected fault says so here.
    Throttling,
    /// The local service failed itself: its durable copy could not be written.
    InternalService,
}

impl Exception {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ResourceNotFound => "ResourceNotFoundException",
            Self::ResourceExists => "ResourceExistsException",
            Self::InvalidParameter => "InvalidParameterException",
            Self::InvalidRequest => "InvalidRequestException",
            Self::MalformedPolicyDocument => "MalformedPolicyDocumentException",
            Self::PublicPolicy => "PublicPolicyException",
            Self::LimitExceeded => "LimitExceededException",
            Self::InvalidNextToken => "InvalidNextTokenException",
            Self::AccessDenied => "AccessDeniedException",
            Self::Validation => "ValidationException",
            Self::Serialization => "SerializationException",
            Self::UnknownOperation => "UnknownOperationException",
            Self::Throttling => "ThrottlingException",
            Self::InternalService => "InternalServiceError",
        }
    }

    /// The HTTP status of the answer.
    pub const fn status(self) -> u16 {
        match self {
            Self::ResourceNotFound
            | Self::ResourceExists
            | Self::InvalidParameter
            | Self::InvalidRequest
            | Self::MalformedPolicyDocument
            | Self::PublicPolicy
            | Self::LimitExceeded
            | Self::InvalidNextToken
            | Self::AccessDenied
            | Self::Validation
            | Self::Serialization
            | Self::UnknownOperation
            | Self::Throttling => 400,
            Self::InternalService => 500,
        }
    }

    /// The key under which the message stands. Exceptions of the service model have a member `Message`; those of the layers in
    /// front of the service do not, and the SDKs show the difference.
    pub const fn message_key(self) -> &'static str {
        match self {
            Self::ResourceNotFound
            | Self::ResourceExists
            | Self::InvalidParameter
            | Self::InvalidRequest
            | Self::MalformedPolicyDocument
            | Self::PublicPolicy
            | Self::LimitExceeded
            | Self::InvalidNextToken
            | Self::InternalService => "Message",
            Self::AccessDenied | Self::Validation | Self::Serialization | Self::UnknownOperation | Self::Throttling => "message",
        }
    }
}

/// An operation that was refused. The message is AWS's where it is known; it holds ids and names, never a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceError {
    /// Which exception.
    pub exception: Exception,
    /// What the caller reads.
    pub message: String,
}

impl ServiceError {
    /// An exception with its message.
    pub fn new(exception: Exception, message: impl Into<String>) -> Self {
        Self { exception, message: message.into() }
    }

    pub(super) fn secret_not_found() -> Self {
        Self::new(Exception::ResourceNotFound, "Secrets Manager can't find the specified secret.")
    }

    pub(super) fn stage_not_found(stage: &str) -> Self {
        Self::new(
            Exception::ResourceNotFound,
            format!("Secrets Manager can't find the specified secret value for staging label: {stage}"),
        )
    }

    pub(super) fn version_not_found(version: &str) -> Self {
        Self::new(
            Exception::ResourceNotFound,
            format!("Secrets Manager can't find the specified secret value for VersionId: {version}"),
        )
    }

    pub(super) fn stage_mismatch() -> Self {
        Self::new(Exception::InvalidRequest, "You provided a VersionStage that is not associated to the provided VersionId.")
    }

    pub(super) fn marked_for_deletion() -> Self {
        Self::new(Exception::InvalidRequest, "You can't perform this operation on the secret because it was marked for deletion.")
    }

    pub(super) fn token_in_use(token: &str, arn: &str) -> Self {
        Self::new(
            Exception::ResourceExists,
            format!("You can't use ClientRequestToken {token} because that value is already in use for a version of secret {arn}."),
        )
    }

    pub(super) fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new(Exception::InvalidParameter, message)
    }

    pub(super) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(Exception::InvalidRequest, message)
    }

    /// A broken constraint of the service model, in the form in which AWS reports one.
    pub(super) fn constraint(member: &str, constraint: &str) -> Self {
        Self::new(
            Exception::Validation,
            format!("1 validation error detected: Value at '{member}' failed to satisfy constraint: {constraint}"),
        )
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.exception.name(), self.message)
    }
}

impl std::error::Error for ServiceError {}
