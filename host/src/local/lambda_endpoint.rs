//! A function that something else runs, invoked as a client of AWS Lambda does it: by cargo-lambda, SAM, LocalStack or another double of
//! Lambda.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>

use std::str::FromStr;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::invoker::{Invocation, InvocationError, timed_out};
use super::store::FunctionArn;
use crate::plain_http;

/// Where the double of Lambda answers: `http://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LambdaEndpoint {
    authority: String,
}

/// A text is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the endpoint of a Lambda on this machine: write http://HOST:PORT, such as http://127.0.0.1:9000")]
pub struct LambdaEndpointError(String);

impl FromStr for LambdaEndpoint {
    type Err = LambdaEndpointError;

    fn from_str(text: &str) -> Result<Self, LambdaEndpointError> {
        let authority = text.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest)).unwrap_or_default();
        let port = authority.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none_or(|port| port == 0) || authority.contains(['/', '@', '?', '#', ' ']) {
            return Err(LambdaEndpointError(text.escape_debug().to_string()));
        }
        Ok(Self { authority: authority.to_owned() })
    }
}

/// How Lambda reports what a function threw.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionError {
    error_type: String,
    error_message: String,
}

impl LambdaEndpoint {
    /// Invokes the function and waits for its answer.
    ///
    /// # Errors
    ///
    /// The function's error; `Lambda.Unreachable` if nothing answers, `Lambda.` and the status if Lambda itself refuses.
    pub async fn invoke(&self, function: &FunctionArn, event: Vec<u8>, deadline: Instant) -> Invocation {
        let exchange = plain_http::exchange(&self.authority, self.request(function, event)?);
        let answer = match timeout_at(deadline, exchange).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => return Err(self.unreachable(&why)),
            Err(_) => return Err(timed_out()),
        };
        let body = answer.body();
        let failed = answer.headers().contains_key("x-amz-function-error");
        // cargo-lambda tells a function's error by the status of a broken server, without that header.
        if (failed || !answer.status().is_success())
            && let Ok(error) = serde_json::from_slice::<FunctionError>(body)
        {
            return Err(InvocationError::new(error.error_type, error.error_message));
        }
        if failed {
            return Err(InvocationError::new("Lambda.UnreadableError", "the function failed and did not say how"));
        }
        if !answer.status().is_success() {
            let status = answer.status();
            let said = String::from_utf8_lossy(body).chars().take(400).collect::<String>();
            let why = format!("http://{} refused to invoke {}: {said}", self.authority, function.as_str());
            return Err(InvocationError::new(format!("Lambda.{}", status.as_u16()), why));
        }
        // Secrets Manager ignores what the function answers.
        Ok(serde_json::from_slice(body).unwrap_or(Value::Null))
    }

    fn request(&self, function: &FunctionArn, event: Vec<u8>) -> Result<Request<Full<Bytes>>, InvocationError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/2015-03-31/functions/{}/invocations", function.name()))
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(event)));
        request.map_err(|error| self.unreachable(&error.to_string()))
    }

    fn unreachable(&self, why: &str) -> InvocationError {
        let what = format!("no Lambda answers at http://{}: {why}. Start it, or correct --lambda-endpoint", self.authority);
        InvocationError::new("Lambda.Unreachable", what)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::Duration;

    use super::*;

    /// Answers one invocation with this; what it was asked, and what came of it.
    async fn answered(answer: &str) -> (String, Invocation) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint: LambdaEndpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let asked = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"}") {
                assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(asked).unwrap()
        };
        let function = FunctionArn::default();
        let deadline = Instant::now() + Duration::from_secs(60);
        tokio::join!(asked, endpoint.invoke(&function, br#"{"Step":"createSecret"}"#.to_vec(), deadline))
    }

    fn response(head: &str, body: &str) -> String {
        format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn the_function_is_named_and_gets_the_event() {
        let (asked, invocation) = answered(&response("200 OK", "null")).await;
        assert!(asked.starts_with("POST /2015-03-31/functions/windlass/invocations HTTP/1.1\r\n"), "{asked}");
        assert!(asked.ends_with("\r\n\r\n{\"Step\":\"createSecret\"}"), "{asked}");
        assert_eq!(invocation, Ok(Value::Null));
    }

    #[rstest]
    #[case::thrown(
        response("200 OK\r\nx-amz-function-error: Unhandled", r#"{"errorType":"Windlass.Event","errorMessage":"no"}"#),
        "Windlass.Event: no"
    )]
    #[case::thrown_in_cargo_lambda(
        response("500 Internal Server Error", r#"{"errorType":"Windlass.Event","errorMessage":"no"}"#),
        "Windlass.Event: no"
    )]
    #[case::not_said(response("200 OK\r\nx-amz-function-error: Unhandled", "?"), "Lambda.UnreadableError: ")]
    #[case::refused(response("404 Not Found", "no such function"), "Lambda.404: http://127.0.0.1:")]
    #[case::no_http("220 welcome\r\n\r\n".to_owned(), "Lambda.Unreachable: no Lambda answers at http://127.0.0.1:")]
    #[tokio::test]
    async fn what_went_wrong_is_told_apart(#[case] answer: String, #[case] error: &str) {
        let said = answered(&answer).await.1.unwrap_err().to_string();
        assert!(said.starts_with(error), "{said}");
    }

    #[tokio::test]
    async fn a_lambda_that_is_not_there_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let endpoint: LambdaEndpoint = format!("http://{address}/").parse().unwrap();
        let error =
            endpoint.invoke(&FunctionArn::default(), Vec::new(), Instant::now() + Duration::from_secs(60)).await.unwrap_err();
        assert_eq!(error.error_type, "Lambda.Unreachable");
        assert!(error.error_message.contains(&address.to_string()) && error.error_message.contains("--lambda-endpoint"));
    }

    #[rstest]
    #[case("127.0.0.1:9000")]
    #[case("https://127.0.0.1:9000")]
    #[case("http://127.0.0.1")]
    #[case("http://:9000")]
    #[case("http://127.0.0.1:0")]
    #[case("http://127.0.0.1:9000/2015-03-31")]
    #[case("http://user@127.0.0.1:9000")]
    fn what_is_no_endpoint_is_refused(#[case] text: &str) {
        assert!(text.parse::<LambdaEndpoint>().unwrap_err().to_string().contains("write http://HOST:PORT"));
    }
}
