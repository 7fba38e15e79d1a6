//! The network side: AWS JSON 1.1 over HTTP/1.1.
//!
//! Requests may be signed; signatures are not checked. What protects the secrets is the loopback address, and for web pages (which
//! reach loopback through a name of their own that resolves to it) the `Host` header, which has to be an address or `localhost`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use super::backend::Backend;
use super::error::{Exception, ServiceError};
use super::exchange::Exchange;
use super::ids;
use super::protocol::Operation;
use crate::config::{Config, Loopback};

/// The largest body that is read: 64 KiB of which each byte is written as `\u00XX`, and the other members.
const MAX_BODY: usize = 512 * 1024;

/// Where the server listens, and who may ask it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    address: SocketAddr,
    anywhere: bool,
}

impl Listen {
    /// On a loopback address. Port 0 lets the system choose.
    ///
    /// # Errors
    ///
    /// [`ListenError::NotLoopback`]: everyone who reaches the address reads every secret.
    pub fn loopback(address: SocketAddr) -> Result<Self, ListenError> {
        if address.ip().is_loopback() { Ok(Self { address, anywhere: false }) } else { Err(ListenError::NotLoopback { address }) }
    }

    /// On any address: everyone who reaches it reads every secret.
    pub const fn danger_anywhere(address: SocketAddr) -> Self {
        Self { address, anywhere: true }
    }
}

/// Why the server does not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address is not a loopback address.
    #[error(
        "{address} is not a loopback address: everyone who reaches it could read every secret. Use 127.0.0.1:PORT or [::1]:PORT"
    )]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// Another process has the port.
    #[error("{address} is in use by another process. Choose another port; port 0 takes a free one")]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The system refuses for another reason.
    #[error("cannot listen on {address}: {source}")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// A server that runs until it is dropped.
pub struct Server {
    address: SocketAddr,
    task: AbortHandle,
}

impl Server {
    /// Starts to listen.
    ///
    /// # Errors
    ///
    /// [`ListenError`], for instance if the port is in use.
    pub async fn start(listen: Listen, backend: Arc<Backend>) -> Result<Self, ListenError> {
        let (listener, address) = bind(listen.address).await?;
        let task = tokio::spawn(accept(listener, move |request| {
            let backend = Arc::clone(&backend);
            async move { answer(&backend, listen.anywhere, request).await }
        }));
        Ok(Self { address, task: task.abort_handle() })
    }

    /// The address, with the port that the system chose.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets plugins that run in this process reach loopback, for this is the operator's own machine, but not this server.
    pub fn out_of_reach(&self, config: &mut Config) {
        config.loopback = Loopback::Local;
        // It hands every secret out to whoever asks, so it gets what protects the Runtime API of a function: no plugin reaches it,
        // under whatever name or address of this machine. There is no Runtime API in this process.
        config.runtime_api = Some(self.address.to_string());
    }

    /// The endpoint URL for the AWS command line and SDKs.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Binds a listener and says which address it got.
pub(super) async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ListenError> {
    let refused = |source: io::Error| {
        if source.kind() == io::ErrorKind::AddrInUse {
            ListenError::InUse { address }
        } else {
            ListenError::Refused { address, source }
        }
    };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener, bound))
}

/// Serves connections until it is aborted, which ends them too. A request that gets no answer ends its connection.
pub(super) async fn accept<A, F>(listener: TcpListener, answer: A)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Option<Response<Full<Bytes>>>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Out of file descriptors, mostly: a pause lets connections end.
                Err(_) => {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                }
            },
            Some(_ended) = connections.join_next() => continue,
        };
        let answer = answer.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(request);
                async move { answer.await.ok_or(NoAnswer) }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            // A client that breaks off is its own affair.
            let _broken_off = http.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// A request that gets no answer, because an injected fault says so.
#[derive(Debug, thiserror::Error)]
#[error("the request gets no answer")]
struct NoAnswer;

async fn answer(backend: &Backend, anywhere: bool, request: Request<Incoming>) -> Option<Response<Full<Bytes>>> {
    let exchange = match reject(anywhere, &request) {
        Some(error) => Exchange::Answered(Err(error)),
        None => {
            let header = request.headers().get("x-amz-target");
            let target = header.map(|target| target.to_str().unwrap_or_default().to_owned());
            match (Limited::new(request.into_body(), MAX_BODY).collect().await, Operation::from_target(target.as_deref())) {
                (Ok(body), Ok(operation)) => backend.exchange(operation, &body.to_bytes()).await,
                (Ok(_), Err(error)) => Exchange::Answered(Err(error)),
                (Err(_), _) => Exchange::Answered(Err(ServiceError::new(
                    Exception::Serialization,
                    "The request's body is longer than 524,288 bytes or was cut off.",
                ))),
            }
        }
    };
    match exchange {
        Exchange::Answered(answered) => Some(response(answered)),
        Exchange::Unavailable => {
            let mut response = Response::new(Full::new(Bytes::from_static(b"Service Unavailable")));
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            Some(response)
        }
        Exchange::Lost => None,
    }
}

/// An answer in AWS JSON 1.1: the status, the exception's name, the body.
pub(super) fn body(answered: Result<Value, ServiceError>) -> (u16, Option<&'static str>, String) {
    match answered {
        Ok(body) => (200, None, body.to_string()),
        Err(error) => {
            let name = error.exception.name();
            let body = serde_json::json!({ "__type": name, error.exception.message_key(): error.message });
            (error.exception.status(), Some(name), body.to_string())
        }
    }
}

fn response(answered: Result<Value, ServiceError>) -> Response<Full<Bytes>> {
    let (status, kind, body) = body(answered);
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
    if let Some(kind) = kind {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(kind));
    }
    if let Some(id) = ids::uuid().ok().and_then(|id| HeaderValue::from_str(&id).ok()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

/// What is refused before the body is read.
fn reject(anywhere: bool, request: &Request<Incoming>) -> Option<ServiceError> {
    let refuse = |message: &str| Some(ServiceError::new(Exception::UnknownOperation, message));
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !anywhere && !is_local(host) {
        return refuse("The local Secrets Manager answers only requests whose Host is an IP address or localhost.");
    }
    if request.method() != Method::POST || request.uri().path() != "/" {
        return refuse(
            "This is a Secrets Manager endpoint: it takes POST requests to /, as the AWS command line and SDKs send them.",
        );
    }
    None
}

fn is_local(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let bare = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    let bare = bare.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
