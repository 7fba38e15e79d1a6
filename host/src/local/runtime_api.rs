//! A Lambda Runtime API for one function process: it asks for events and answers them.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::ids;
use super::invoker::{Invocation, InvocationError, timed_out};
use super::server::{self, ListenError};

/// The largest payload of a synchronous invocation, in bytes.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const MAX_PAYLOAD: usize = 6 * 1024 * 1024;

/// A Runtime API on a loopback port, until it is dropped.
pub struct RuntimeApi {
    address: SocketAddr,
    state: Arc<State>,
    task: AbortHandle,
}

struct State {
    function: String,
    queue: mpsc::UnboundedSender<Pending>,
    waiting: tokio::sync::Mutex<mpsc::UnboundedReceiver<Pending>>,
    running: Mutex<HashMap<String, oneshot::Sender<Invocation>>>,
    init_error: Mutex<Option<InvocationError>>,
}

struct Pending {
    id: String,
    event: Vec<u8>,
    deadline: SystemTime,
    answer: oneshot::Sender<Invocation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody {
    error_type: Option<String>,
    error_message: Option<String>,
}

impl RuntimeApi {
    /// Starts to listen. `function` is the ARN that events are said to be invoked through.
    ///
    /// # Errors
    ///
    /// [`ListenError`] if there is no free loopback port.
    pub async fn start(function: &str) -> Result<Self, ListenError> {
        let (listener, address) = server::bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
        let (queue, waiting) = mpsc::unbounded_channel();
        let state = Arc::new(State {
            function: function.to_owned(),
            queue,
            waiting: tokio::sync::Mutex::new(waiting),
            running: Mutex::default(),
            init_error: Mutex::default(),
        });
        let served = Arc::clone(&state);
        let task = tokio::spawn(server::accept(listener, move |request| {
            let state = Arc::clone(&served);
            async move { Some(state.answer(request).await) }
        }));
        Ok(Self { address, state, task: task.abort_handle() })
    }

    /// What `AWS_LAMBDA_RUNTIME_API` has to be.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands an event to the function when it asks for one, and waits for what it says.
    ///
    /// # Errors
    ///
    /// What the function reported; `Sandbox.Timedout` after the deadline.
    pub async fn invoke(&self, event: Vec<u8>, deadline: Instant) -> Invocation {
        let id = ids::uuid().map_err(|error| InvocationError::new("Local.NoRandomness", error.to_string()))?;
        let left = deadline.saturating_duration_since(Instant::now());
        let (answer, answered) = oneshot::channel();
        // The receiver lives as long as `self`.
        let _cannot_fail = self.state.queue.send(Pending { id, event, deadline: SystemTime::now() + left, answer });
        match tokio::time::timeout_at(deadline, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(InvocationError::new("Runtime.ExitError", "the function's answer was lost")),
            Err(_) => Err(timed_out()),
        }
    }

    /// What the function reported of a failed start since it was last asked.
    pub fn take_init_error(&self) -> Option<InvocationError> {
        lock(&self.state.init_error).take()
    }

    /// Forgets the events that a process took and will not answer, because it is dead.
    pub fn forget_running(&self) {
        lock(&self.state.running).clear();
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        const INVOCATION: &str = "/2018-06-01/runtime/invocation/";
        let path = request.uri().path().to_owned();
        if request.method() == Method::GET && path.strip_prefix(INVOCATION) == Some("next") {
            return self.next().await;
        }
        if request.method() != Method::POST {
            return plain(StatusCode::NOT_FOUND, "InvalidPath");
        }
        let Ok(body) = Limited::new(request.into_body(), MAX_PAYLOAD).collect().await else {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge");
        };
        let body = body.to_bytes();
        if path == "/2018-06-01/runtime/init/error" {
            *lock(&self.init_error) = Some(reported(&body));
            return plain(StatusCode::ACCEPTED, "OK");
        }
        let Some((id, what)) = path.strip_prefix(INVOCATION).and_then(|rest| rest.split_once('/')) else {
            return plain(StatusCode::NOT_FOUND, "InvalidPath");
        };
        let answer = match what {
            "response" if body.is_empty() => Ok(Value::Null),
            "response" => serde_json::from_slice(&body).map_err(|_| {
                InvocationError::new("Runtime.InvalidResponse", "the function answered with something that is not JSON")
            }),
            "error" => Err(reported(&body)),
            _ => return plain(StatusCode::NOT_FOUND, "InvalidPath"),
        };
        let Some(waiting) = lock(&self.running).remove(id) else {
            return plain(StatusCode::BAD_REQUEST, "InvalidRequestID");
        };
        // Nobody waits any more if the deadline has passed.
        let _too_late = waiting.send(answer);
        plain(StatusCode::ACCEPTED, "OK")
    }

    /// The next event that somebody still waits for. Its sender is registered without a wait in between, so that an event is not
    /// lost when the process breaks the connection off.
    async fn next(&self) -> Response<Full<Bytes>> {
        let mut waiting = self.waiting.lock().await;
        let Pending { id, event, deadline, answer } = loop {
            match waiting.recv().await {
                Some(pending) if pending.answer.is_closed() => {}
                Some(pending) => break pending,
                None => return plain(StatusCode::INTERNAL_SERVER_ERROR, "ContainerError"),
            }
        };
        let mut response = Response::new(Full::new(Bytes::from(event)));
        let deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis().to_string();
        let trace = format!("Root=1-00000000-{:0>24};Sampled=0", "0");
        let values = [
            ("lambda-runtime-aws-request-id", id.as_str()),
            ("lambda-runtime-deadline-ms", &deadline),
            ("lambda-runtime-invoked-function-arn", &self.function),
            ("lambda-runtime-trace-id", &trace),
        ];
        for (name, value) in values {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        lock(&self.running).insert(id, answer);
        response
    }
}

fn reported(body: &[u8]) -> InvocationError {
    let body: ErrorBody = serde_json::from_slice(body).unwrap_or(ErrorBody { error_type: None, error_message: None });
    InvocationError::new(
        body.error_type.unwrap_or_else(|| "Unhandled".to_owned()),
        body.error_message.unwrap_or_else(|| "the function reported an error without a message".to_owned()),
    )
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let body = if status == StatusCode::ACCEPTED {
        serde_json::json!({ "status": text })
    } else {
        serde_json::json!({ "errorType": text, "errorMessage": text })
    };
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing panics while one of these is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
