//! Why the function does not start, and the request that tells Lambda, which shows it to whoever invokes the function. Without it
//! they read an exit status.
//!
//! lambda_runtime makes this request for its own hooks only.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-initerror>

use std::io;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use serde_json::json;
use tokio::time::timeout;

use crate::capability::network::NetworkError;
use crate::config::ConfigError;
use crate::log::UnknownLevel;
use crate::plain_http::{authority_and_path, exchange};
use crate::plugin::load::LoadError;

/// Why the function does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// An environment variable is no text.
    #[error("the environment variable {name} is not UTF-8")]
    Environment {
        /// Its name, as far as that is text.
        name: String,
    },
    /// `WINDLASS_LOG` is none.
    #[error(transparent)]
    Level(#[from] UnknownLevel),
    /// The environment or `windlass.toml` is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file or an address that the configuration names cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// WebAssembly does not run here.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The operating system refuses something.
    #[error("the operating system refuses what the function needs to start: {0}")]
    System(#[from] io::Error),
}

impl InitError {
    /// The longest wait for the Runtime API, which listens on this machine. Lambda takes the end of the process for an answer, too.
    const PATIENCE: Duration = Duration::from_secs(1);

    /// The error's name for machines: Lambda's `errorType`.
    pub const fn error_type(&self) -> &'static str {
        match self {
            Self::Environment { .. } | Self::Level(_) | Self::Config(_) | Self::Network(_) => "Windlass.Configuration",
            Self::Load(_) | Self::System(_) => "Windlass.Start",
        }
    }

    /// The whole story: what is wrong and, where that does not say it, why.
    pub fn message(&self) -> String {
        let mut message = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let because = error.to_string();
            // Most errors of the start say their cause themselves.
            if !message.contains(&because) {
                message.push_str(", because ");
                message.push_str(&because);
            }
            cause = error.source();
        }
        message
    }

    /// Tells Lambda. `runtime_api` is the value of `AWS_LAMBDA_RUNTIME_API`; nothing else is connected to.
    ///
    /// # Errors
    ///
    /// Why Lambda may not have heard of it. The end of the process is all that is left to tell it then.
    pub async fn report(&self, runtime_api: &str) -> Result<(), String> {
        self.report_within(runtime_api, Self::PATIENCE).await
    }

    async fn report_within(&self, runtime_api: &str, patience: Duration) -> Result<(), String> {
        let body = json!({ "errorType": self.error_type(), "errorMessage": self.message(), "stackTrace": [] });
        let (authority, path) = authority_and_path(runtime_api);
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{path}/2018-06-01/runtime/init/error"))
            .header(HOST, authority)
            .header(CONTENT_TYPE, "application/json")
            .header("Lambda-Runtime-Function-Error-Type", self.error_type())
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(|error| error.to_string())?;
        match timeout(patience, exchange(authority, request)).await {
            Ok(Ok(answer)) if answer.status().is_success() => Ok(()),
            Ok(Ok(answer)) => Err(format!("the Runtime API answered {}", answer.status())),
            Ok(Err(why)) => Err(why),
            Err(_) => Err(format!("no answer within {} ms", patience.as_millis())),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn error() -> InitError {
        InitError::Config(ConfigError::UnknownVariable { name: "WINDLASS_PLUGIN".to_owned() })
    }

    /// Takes one request, answers with this, and tells what it was asked.
    async fn answered(answer: &str) -> (String, Result<(), String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"}") {
                assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(asked).unwrap().replace(&address, "[address]")
        };
        let error = error();
        tokio::join!(asked, error.report(&address))
    }

    #[tokio::test]
    async fn lambda_is_told_the_type_and_the_message() {
        let (asked, reported) = answered("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(reported, Ok(()));
        insta::assert_snapshot!(asked.replace('\r', ""), @r#"
        POST /2018-06-01/runtime/init/error HTTP/1.1
        host: [address]
        content-type: application/json
        lambda-runtime-function-error-type: Windlass.Configuration
        content-length: 179

        {"errorMessage":"the environment variable WINDLASS_PLUGIN is unknown. Known: WINDLASS_CONFIG, WINDLASS_PLUGINS, WINDLASS_LOG","errorType":"Windlass.Configuration","stackTrace":[]}
        "#);
    }

    #[tokio::test]
    async fn a_double_of_lambda_is_told_below_its_path() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = format!("http://{}/.rt/windlass/", listener.local_addr().unwrap());
        let asked = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 64];
            stream.read_exact(&mut asked).await.unwrap();
            String::from_utf8(asked.to_vec()).unwrap()
        };
        let error = error();
        let (asked, _unanswered) = tokio::join!(asked, error.report_within(&api, Duration::from_secs(5)));
        assert!(asked.starts_with("POST /.rt/windlass/2018-06-01/runtime/init/error HTTP/1.1\r\n"), "{asked}");
    }

    #[rstest]
    #[case::refused("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", "the Runtime API answered 403 Forbidden")]
    #[case::no_http("220 welcome\r\n\r\n", "invalid HTTP version parsed")]
    #[case::closed("", "connection closed before message completed")]
    #[tokio::test]
    async fn what_lambda_did_not_take_is_said(#[case] answer: &str, #[case] why: &str) {
        assert_eq!(answered(answer).await.1, Err(why.to_owned()));
    }

    #[tokio::test]
    async fn a_runtime_api_that_is_silent_does_not_hold_up_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let reported = error().report_within(&address, Duration::from_millis(50)).await;
        assert_eq!(reported, Err("no answer within 50 ms".to_owned()));
    }

    #[test]
    fn a_cause_is_said_once() {
        let source = io::Error::other("denied");
        let config = InitError::from(ConfigError::Unreadable { path: "windlass.toml".into(), source });
        assert_eq!(config.message(), "the configuration file windlass.toml cannot be read: denied");
        let level = InitError::from(crate::log::targets(Some("loud")).unwrap_err());
        assert_eq!(
            (level.error_type(), level.message().as_str()),
            ("Windlass.Configuration", "`loud` is not a log level. Set WINDLASS_LOG to error, warn, info or debug")
        );
    }
}
