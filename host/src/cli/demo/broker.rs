//! The service of the demo: the part of RabbitMQ's management interface that concerns users, on a real HTTP listener, with a user
//! store of its own. It answers as RabbitMQ 3.10 does, so the plugin that rotates it is the one for the real broker.
//!
//! Source: <https://www.rabbitmq.com/docs/management#http-api>

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

/// A broker that runs until it is dropped.
pub(super) struct Broker {
    address: SocketAddr,
    task: AbortHandle,
}

type Users = Arc<Mutex<HashMap<String, User>>>;

struct User {
    password_hash: [u8; 32],
    tags: Vec<String>,
}

/// What PUT /api/users/NAME takes.
#[derive(Deserialize)]
struct NewUser {
    password: Option<String>,
    tags: Option<Tags>,
}

/// Tags are sent as a list, and by older clients as a string with commas.
#[derive(Deserialize)]
#[serde(untagged)]
enum Tags {
    List(Vec<String>),
    Text(String),
}

impl Broker {
    /// Listens on a free loopback port and knows one user, who may change passwords.
    pub(super) async fn start(user: &str, password: &str) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let administrator = User { password_hash: hash(password), tags: vec!["administrator".to_owned()] };
        let users: Users = Arc::new(Mutex::new(HashMap::from([(user.to_owned(), administrator)])));
        let task = tokio::spawn(serve(listener, users)).abort_handle();
        Ok(Self { address, task })
    }

    /// The port it listens on.
    pub(super) const fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, users: Users) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let users = Arc::clone(&users);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&users), request));
            // A client that breaks off is its own problem; the next connection is served.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(users: Users, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let login = login(&request);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let body = Limited::new(request.into_body(), 64 * 1024).collect().await.map(|body| body.to_bytes());
    let mut users = users.lock().unwrap_or_else(PoisonError::into_inner);
    let (status, body) = match (login.and_then(|(name, password)| authenticate(&users, &name, &password)), body) {
        (None, _) => (StatusCode::UNAUTHORIZED, json!({"error": "not_authorized", "reason": "Login failed"})),
        (Some(_), Err(_)) => (StatusCode::BAD_REQUEST, json!({"error": "bad_request", "reason": "body_too_large"})),
        (Some(caller), Ok(body)) => route(&mut users, &caller, &method, &path, &body),
    };
    // RabbitMQ answers a change with no content.
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn route(users: &mut HashMap<String, User>, caller: &str, method: &Method, path: &str, body: &[u8]) -> (StatusCode, Value) {
    let described = |name: &str, user: &User| json!({"name": name, "tags": user.tags});
    let administrator = users.get(caller).is_some_and(|user| user.tags.iter().any(|tag| tag == "administrator"));
    match (method, path.strip_prefix("/api/users/")) {
        (&Method::GET, None) if path == "/api/whoami" => {
            (StatusCode::OK, users.get(caller).map_or(Value::Null, |user| described(caller, user)))
        }
        (&Method::GET | &Method::PUT, Some(_)) if !administrator => {
            (StatusCode::UNAUTHORIZED, json!({"error": "not_authorized", "reason": "Not administrator user"}))
        }
        (&Method::GET, Some(name)) => match users.get(name) {
            Some(user) => (StatusCode::OK, described(name, user)),
            None => (StatusCode::NOT_FOUND, json!({"error": "Object Not Found", "reason": "Not Found"})),
        },
        (&Method::PUT, Some(name)) => match serde_json::from_slice(body) {
            Ok(NewUser { password: Some(password), tags: Some(tags) }) => {
                let tags = match tags {
                    Tags::List(tags) => tags,
                    Tags::Text(tags) => tags.split(',').map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect(),
                };
                let known = users.insert(name.to_owned(), User { password_hash: hash(&password), tags }).is_some();
                (if known { StatusCode::NO_CONTENT } else { StatusCode::CREATED }, Value::Null)
            }
            Ok(_) => (StatusCode::BAD_REQUEST, json!({"error": "bad_request", "reason": "tags_not_present"})),
            Err(_) => (StatusCode::BAD_REQUEST, json!({"error": "bad_request", "reason": "not_json"})),
        },
        _ => (StatusCode::NOT_FOUND, json!({"error": "Object Not Found", "reason": "Not Found"})),
    }
}

/// Name and password of the `Authorization` header (RFC 7617).
fn login(request: &Request<Incoming>) -> Option<(String, String)> {
    let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let pair = String::from_utf8(BASE64_STANDARD.decode(header.strip_prefix("Basic ")?).ok()?).ok()?;
    pair.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()))
}

fn authenticate(users: &HashMap<String, User>, name: &str, password: &str) -> Option<String> {
    users.get(name).filter(|user| user.password_hash == hash(password)).map(|_| name.to_owned())
}

fn hash(password: &str) -> [u8; 32] {
    Sha256::digest(password.as_bytes()).into()
}
