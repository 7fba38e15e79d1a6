//! GetObject. Types and errors of the AWS SDK for S3 end in this file.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, ResponseChecksumValidation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::primitives::ByteStream;

use super::ObjectError;
use crate::aws::{Aws, CountsRepeats, innermost};
use crate::plugin::reference::ObjectUri;

/// A client that is made with the first object.
#[derive(Debug)]
pub(super) struct S3 {
    aws: Aws,
    client: OnceLock<Client>,
}

/// What came of a conditional read.
#[derive(Debug)]
pub(super) enum Answer {
    /// The object.
    Object {
        /// Its bytes; one more than asked for if it has more.
        bytes: Vec<u8>,
        /// When it became what it is.
        changed: Option<SystemTime>,
        /// What to ask with the next time. Never trusted: what the bytes are their digest says.
        tag: Option<String>,
    },
    /// It is the one that is known already.
    NotModified,
}

impl S3 {
    pub(super) const fn new(aws: Aws) -> Self {
        Self { aws, client: OnceLock::new() }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            let timeouts = TimeoutConfig::builder().connect_timeout(Duration::from_secs(3)).read_timeout(Duration::from_secs(5));
            let config = Builder::from(self.aws.sdk())
                .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(100)))
                .timeout_config(timeouts.build())
                .interceptor(CountsRepeats)
                // The digest of the component is compared with more than what S3 says of it.
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
                .disable_s3_express_session_auth(true)
                .build();
            Client::from_conf(config)
        })
    }

    pub(super) async fn get(&self, uri: &ObjectUri, most: u64, known: Option<&str>) -> Result<Answer, ObjectError> {
        let request = self.client().get_object().bucket(&uri.bucket).key(&uri.key);
        let request = request.set_version_id(uri.version.clone()).set_if_none_match(known.map(str::to_owned));
        match request.send().await {
            Ok(object) => {
                let GetObjectOutput { body, e_tag: tag, last_modified, .. } = object;
                let bytes = bytes(body, most).await.map_err(|why| ObjectError::Unreachable { uri: uri.clone(), why })?;
                let changed = last_modified.and_then(|changed| SystemTime::try_from(changed).ok());
                Ok(Answer::Object { bytes, changed, tag })
            }
            Err(error) => refused(uri, &error),
        }
    }
}

/// The body, and not more than one byte beyond `most` of it.
async fn bytes(mut body: ByteStream, most: u64) -> Result<Vec<u8>, String> {
    let most = usize::try_from(most).unwrap_or(usize::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    while bytes.len() < most
        && let Some(chunk) = body.try_next().await.map_err(|error| error.to_string())?
    {
        bytes.extend_from_slice(&chunk[..chunk.len().min(most - bytes.len())]);
    }
    Ok(bytes)
}

fn refused(uri: &ObjectUri, error: &SdkError<GetObjectError>) -> Result<Answer, ObjectError> {
    let uri = || uri.clone();
    let status = error.raw_response().map(|response| response.status().as_u16());
    let code = error.code().map(str::to_owned);
    match (status, code.as_deref()) {
        (Some(304), _) => Ok(Answer::NotModified),
        (_, Some("NoSuchBucket")) => Err(ObjectError::Missing { uri: uri(), what: "the bucket does not exist" }),
        (_, Some("NoSuchVersion")) => Err(ObjectError::Missing { uri: uri(), what: "the object has no such version" }),
        (Some(404), _) => Err(ObjectError::Missing { uri: uri(), what: "the bucket has no such object" }),
        // Besides: the bucket is in another region.
        (Some(301 | 400 | 401 | 403 | 405), code) => {
            Err(ObjectError::Denied { uri: uri(), code: code.unwrap_or("no reason given").to_owned() })
        }
        _ => Err(ObjectError::Unreachable { uri: uri(), why: innermost(error) }),
    }
}
