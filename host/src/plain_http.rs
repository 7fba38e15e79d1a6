//! One HTTP request without TLS, over a connection of its own: to Lambda's Runtime API and to doubles of Lambda, never for a plugin.

use std::convert::Infallible;
use std::pin::pin;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The largest answer that is read, in bytes: Lambda's for a synchronous invocation.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const MAX_ANSWER: usize = 6 * 1024 * 1024;

/// Authority and path of `AWS_LAMBDA_RUNTIME_API`: `host:port` in Lambda. Doubles of Lambda write a URL, whose path tells their functions
/// apart.
pub(crate) fn authority_and_path(runtime_api: &str) -> (&str, &str) {
    let text = runtime_api.strip_prefix("http://").unwrap_or(runtime_api);
    let (authority, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    (authority, path.trim_end_matches('/'))
}

/// Sends `request` to `authority`, `host:port`, and reads the whole answer.
///
/// # Errors
///
/// What went wrong, in words.
pub(crate) async fn exchange(authority: &str, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, String> {
    #[expect(clippy::disallowed_methods, reason = "a Runtime API that Lambda or the operator names; plugins have no part in it")]
    let stream = TcpStream::connect(authority).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let exchange = async {
        let (head, body) = sender.send_request(request).await.map_err(|error| error.to_string())?.into_parts();
        // Read to its end, so that the connection is closed in order.
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
        Ok(Response::from_parts(head, body.to_bytes()))
    };
    // The connection moves the bytes while the exchange waits for them; its own errors reach the exchange.
    let connection = async {
        let _ = connection.await;
        std::future::pending::<Infallible>().await
    };
    let (exchange, connection) = (pin!(exchange), pin!(connection));
    tokio::select! {
        answer = exchange => answer,
        never = connection => match never {},
    }
}
