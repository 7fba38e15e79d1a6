//! The AWS SDK's way to a Secrets Manager in this process: its requests, retries and timeouts, without a network.
//!
//! Nothing here waits for the kernel, so that a rotation can run under a clock that is paused and wound forward by hand.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

use super::exchange::Exchange;
use super::protocol::Operation;
use super::server;

type Answering = dyn Fn(Operation, Vec<u8>) -> Pin<Box<dyn Future<Output = Exchange> + Send>> + Send + Sync;

/// An HTTP client for the AWS SDK: what it sends is answered by `exchange`, most simply by [`super::backend::Backend::exchange`].
pub fn http_client<F>(exchange: impl Fn(Operation, Vec<u8>) -> F + Send + Sync + 'static) -> SharedHttpClient
where
    F: Future<Output = Exchange> + Send + 'static,
{
    let connector = SharedHttpConnector::new(Connector(Arc::new(move |operation, body| Box::pin(exchange(operation, body)))));
    http_client_fn(move |_, _| connector.clone())
}

#[derive(Clone)]
struct Connector(Arc<Answering>);

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answering = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            let operation = Operation::from_target(request.headers().get("x-amz-target"));
            let body = request.body().bytes().unwrap_or_default().to_vec();
            let exchange = match operation {
                Ok(operation) => answering(operation, body).await,
                Err(error) => Exchange::Answered(Err(error)),
            };
            let (status, kind, body) = match exchange {
                Exchange::Answered(answered) => server::body(answered),
                Exchange::Unavailable => (503, None, String::new()),
                Exchange::Lost => {
                    return Err(ConnectorError::io("the connection was closed before the answer was complete".into()));
                }
            };
            let broken = |_| ConnectorError::user("the answer has no HTTP status".into());
            let mut response = HttpResponse::new(StatusCode::try_from(status).map_err(broken)?, SdkBody::from(body));
            if let Some(kind) = kind {
                response.headers_mut().insert("x-amzn-errortype", kind);
            }
            Ok(response)
        })
    }
}
