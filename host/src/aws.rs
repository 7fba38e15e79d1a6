//! What the clients of AWS services share: credentials and region of the environment, and one HTTP client with its TLS configuration
//! and its connections.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::config::{ConfigBag, Intercept, RuntimeComponents, SharedHttpClient};
use aws_sdk_secretsmanager::error::BoxError;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpClient, http_client_fn};
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::retries::RequestAttempts;

use crate::time_account::tried_again;

/// AWS, as the environment of this process says how to reach it. Cheap to copy.
#[derive(Debug, Clone)]
pub struct Aws {
    sdk: SdkConfig,
}

impl Aws {
    /// With the credentials and the region of the environment. Connects to nothing.
    pub async fn from_environment() -> Self {
        Self { sdk: aws_config::defaults(BehaviorVersion::latest()).http_client(http_client()).load().await }
    }

    /// A double of it, whose answers come from this client.
    #[cfg(test)]
    pub(crate) fn double(http: SharedHttpClient) -> Self {
        let credentials = aws_sdk_secretsmanager::config::Credentials::new("local", "local", None, None, "windlass");
        let credentials = aws_sdk_secretsmanager::config::SharedCredentialsProvider::new(credentials);
        let region = aws_config::Region::new("eu-central-1");
        let sdk = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).http_client(http).region(region);
        Self { sdk: sdk.credentials_provider(credentials).build() }
    }

    /// Whether the environment names a region. Without one no request can be signed.
    pub fn has_region(&self) -> bool {
        self.sdk.region().is_some()
    }

    pub(crate) const fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }
}

/// The SDK's own client, ready when it is first used: by itself it reads the system's certificate authorities as soon as a service's
/// client is made, which takes longer than everything else before the first poll.
pub(crate) fn http_client() -> SharedHttpClient {
    let client = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    http_client_fn(move |settings, components| client.http_connector(settings, components))
}

/// Notes in the step's account when a request is sent again.
#[derive(Debug)]
pub(crate) struct CountsRepeats;

impl Intercept for CountsRepeats {
    fn name(&self) -> &'static str {
        "CountsRepeats"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        request: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if request.load::<RequestAttempts>().is_some_and(|attempts| attempts.attempts() > 1) {
            tried_again();
        }
        Ok(())
    }
}

/// Whether a request was not sent because the environment has no credentials to sign it with, or none that can be meant. That somebody who
/// has them could not be asked is another matter.
pub(crate) fn lacks_credentials(error: &(dyn std::error::Error + 'static)) -> bool {
    let found = std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref());
    matches!(found, Some(CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_)))
}

/// The innermost cause of an error, which names what failed (`Connection refused`); the outer ones only say that something did.
pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use aws_smithy_runtime_api::client::result::ConnectorError;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::none(CredentialsError::not_loaded("no credentials in the environment"), true)]
    #[case::nonsense(CredentialsError::invalid_configuration("a profile that names itself"), true)]
    #[case::nobody_answers(CredentialsError::provider_timed_out(Duration::from_secs(5)), false)]
    #[case::somebody_fails(CredentialsError::provider_error("503"), false)]
    fn only_the_environment_lacks_credentials(#[case] error: CredentialsError, #[case] expected: bool) {
        assert_eq!(lacks_credentials(&ConnectorError::other(error.into(), None)), expected);
    }

    #[test]
    fn a_refused_connection_lacks_no_credentials() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(!lacks_credentials(&ConnectorError::io(refused.into())));
    }
}
