//! The interface `http`: one request, one answer, as `wit/http.wit` describes them.
//!
//! HTTP/1.1 over a stream from [`CallNetwork`], one connection per request. What a redirect, a proxy or an upgrade would do is not
//! here, so it cannot be reached.

use std::convert::Infallible;
use std::pin::pin;

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use crate::capability::endpoint::{Address, Endpoint, Tls};
use crate::capability::network::{CallNetwork, OpenError, Stage, end_of, no_answer};
use crate::capability::tls;
use crate::config::limits::{Limit, Limits, Row};
use crate::failure::{Cause, Effect};
use crate::plugin::bindings::windlass::rotation::failures;
use crate::plugin::bindings::windlass::rotation::http::{Host, Request, Response};
use crate::plugin::call::CallState;
use crate::time_account::{On, spend};

/// The longest path with its query, in bytes.
const MAX_PATH: usize = 8 << 10;

/// The longest method, in bytes. `PROPPATCH`, the longest that is in use, has 9.
const MAX_METHOD: usize = 32;

/// Headers that describe the message or the connection, which are the host's: two opinions about them are how requests are smuggled.
const FORBIDDEN: [HeaderName; 7] = [
    HOST,
    CONNECTION,
    CONTENT_LENGTH,
    hyper::header::TRANSFER_ENCODING,
    hyper::header::UPGRADE,
    hyper::header::TE,
    hyper::header::TRAILER,
];

/// Why a request got no answer. Nothing of what the guest wrote is repeated, because a path or a header may hold a credential.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The request is not one that is sent.
    #[error("the request is refused: {why}")]
    Refused {
        /// The reason.
        why: &'static str,
    },
    /// The request is larger than one may be.
    #[error("the request is refused: {what}, which is more than `limits.{key}` allows ({most} {unit})")]
    TooLarge {
        /// What is too large, as a clause.
        what: &'static str,
        /// The limit's key.
        key: &'static str,
        /// The most it may be.
        most: u64,
        /// What that counts.
        unit: &'static str,
    },
    /// No connection came about.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Something went wrong when the service may have seen the request already.
    #[error("the request to {address} got no usable answer ({}): {why}", Stage::Protocol)]
    Broken {
        /// Where to.
        address: Address,
        /// The reason.
        why: String,
    },
}

impl HttpError {
    /// What the guest is told of the cause and of the service's state.
    const fn cause_and_effect(&self) -> (Cause, Effect) {
        match self {
            Self::Refused { .. } | Self::TooLarge { .. } => (Cause::Denied, Effect::Unchanged),
            Self::Open(open) => (open.cause(), Effect::Unchanged),
            Self::Broken { .. } => (Cause::Unreachable, Effect::Unknown),
        }
    }
}

impl From<HttpError> for failures::Failure {
    fn from(error: HttpError) -> Self {
        let (cause, effect) = error.cause_and_effect();
        Self { cause: cause.into(), effect: effect.into(), message: error.to_string() }
    }
}

impl Host for CallState {
    async fn send(&mut self, request: Request) -> Result<Response, failures::Failure> {
        let begun = Instant::now();
        let said = format!("{} {} {}", request.endpoint, request.method, request.path);
        let answer = send(&mut self.network, request).await.map_err(failures::Failure::from);
        let outcome = |answer: &Response| format!("{}, {} bytes", answer.status, answer.body.len());
        self.network.network().ended(begun, "http.send", || self.log.redacted(&said), &answer, outcome).await?;
        answer
    }
}

/// The answer may be late twice, once with its head and once with its body, by [`crate::config::Limits::io`] each.
async fn send(network: &mut CallNetwork, request: Request) -> Result<Response, HttpError> {
    let name = request.endpoint.clone();
    let endpoint = network.endpoint(&name)?.clone();
    let message = message(&endpoint, request, network.limits())?;
    let (stream, _slot) = network.open(&name).await?;
    let spending = spend(On::Service, format!("waiting for {}", endpoint.address()));
    // RFC 9110 section 15.5.2: the request lacks valid authentication credentials. Whatever becomes of the body, the service has said so.
    let head = |status| {
        if status == 401 {
            network.refused().answer();
        }
    };
    let answer = answered(stream, message, network.limits(), network.deadline(), head).await;
    drop(spending);
    answer.map_err(|why| HttpError::Broken { address: endpoint.address(), why })
}

/// Sends a message over a stream and reads the answer. Public for the fuzz target `http`, which has no sockets.
///
/// # Errors
///
/// Why there is no usable answer, as the end of a sentence.
#[doc(hidden)]
pub async fn exchange<S>(
    stream: S,
    message: hyper::Request<Full<Bytes>>,
    limits: &Limits,
    deadline: Instant,
) -> Result<Response, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    answered(stream, message, limits, deadline, |_| ()).await
}

/// The same; `heard` hears the status as soon as it is there.
async fn answered<S>(
    stream: S,
    message: hyper::Request<Full<Bytes>>,
    limits: &Limits,
    deadline: Instant,
    heard: impl FnOnce(u16),
) -> Result<Response, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let io = limits.io();
    let late = || no_answer(io);
    let mut protocol = http1::Builder::new();
    protocol.max_headers(limits.headers()).max_header_size(limits.header_bytes());
    let (mut sender, connection) =
        protocol.handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.map_err(|error| in_words(&error))?;
    let exchange = async {
        let answer = timeout_at(end_of(io, deadline), sender.send_request(message)).await;
        let answer = answer.map_err(|_| late())?.map_err(|error| in_words(&error))?;
        let (head, body) = answer.into_parts();
        heard(head.status.as_u16());
        let body = timeout_at(end_of(io, deadline), whole(body, limits)).await.map_err(|_| late())??;
        match head.status.as_u16() {
            // Nobody asked for another protocol, and what would follow is not HTTP.
            101 => Err("the service switched protocols unasked".to_owned()),
            status @ 100..=599 => Ok(Response { status, headers: readable(&head.headers), body }),
            _ => Err("the answer has a status code beyond 599".to_owned()),
        }
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

/// The message for the wire, from what the guest asked for and what only the host decides.
///
/// # Errors
///
/// Why it is refused, without repeating anything.
fn message(endpoint: &Endpoint, request: Request, limits: &Limits) -> Result<hyper::Request<Full<Bytes>>, HttpError> {
    if endpoint.tls == Tls::StartTls {
        return Err(refused("the endpoint is declared with `tls = \"start-tls\"`, which HTTP does not have"));
    }
    let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| refused("its method is not an HTTP token"))?;
    if method.as_str().len() > MAX_METHOD {
        return Err(refused("its method is longer than 32 bytes"));
    }
    if ["CONNECT", "TRACE"].iter().any(|refused| method.as_str().eq_ignore_ascii_case(refused)) {
        return Err(refused("the methods CONNECT and TRACE are not sent"));
    }
    let mut headers = checked_headers(&request.headers, limits)?;
    if request.body.len() > limits.body_bytes() {
        return Err(too_large("its body is too large", Limit::Body, limits));
    }
    let host = Address { host: endpoint.host.clone(), port: endpoint.port }.to_string();
    // RFC 9110 section 4.2: the port is left out where it is the scheme's own, and some services compare the text.
    let default = match endpoint.tls {
        Tls::FromTheStart => ":443",
        Tls::StartTls | Tls::Plain => ":80",
    };
    let host = host.strip_suffix(default).unwrap_or(&host);
    headers.insert(HOST, HeaderValue::from_str(host).map_err(|_| refused("the endpoint's host cannot stand in a header"))?);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    // RFC 9110 section 8.6: a method that expects a body has its length said even where there is none.
    let expects_none = [Method::GET, Method::HEAD, Method::DELETE, Method::OPTIONS].contains(&method);
    if !request.body.is_empty() || !expects_none {
        headers.insert(CONTENT_LENGTH, request.body.len().into());
    }
    let mut message = hyper::Request::new(Full::new(Bytes::from(request.body)));
    *message.method_mut() = method;
    *message.uri_mut() = checked_path(&request.path).map_err(refused)?;
    *message.headers_mut() = headers;
    Ok(message)
}

fn checked_path(path: &str) -> Result<hyper::Uri, &'static str> {
    if !path.starts_with('/') {
        return Err("its path does not start with `/`");
    }
    if path.len() > MAX_PATH {
        return Err("its path is longer than 8 KiB");
    }
    if path.contains('#') {
        return Err("its path has a fragment");
    }
    const UNENCODED: &str = "its path has characters that must be percent-encoded";
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(UNENCODED);
    }
    let parsed: hyper::http::uri::PathAndQuery = path.parse().map_err(|_| UNENCODED)?;
    // What was checked is what is sent, or nothing is.
    if parsed.as_str() == path { Ok(hyper::Uri::from(parsed)) } else { Err(UNENCODED) }
}

const fn refused(why: &'static str) -> HttpError {
    HttpError::Refused { why }
}

fn too_large(what: &'static str, limit: Limit, limits: &Limits) -> HttpError {
    let Row { key, unit, .. } = limit.row();
    HttpError::TooLarge { what, key, most: limits.get(limit), unit }
}

fn checked_headers(headers: &[(String, String)], limits: &Limits) -> Result<HeaderMap, HttpError> {
    if headers.len() > limits.headers() {
        return Err(too_large("it has too many headers", Limit::Headers, limits));
    }
    if headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > limits.header_bytes() {
        return Err(too_large("its headers are too large", Limit::HeaderBytes, limits));
    }
    let mut checked = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused("the name of a header is not an HTTP token"))?;
        if FORBIDDEN.contains(&name) || name.as_str().starts_with("proxy-") {
            return Err(refused(
                "it has a header that only the host sets: Host, Connection, Content-Length, Transfer-Encoding, Upgrade, \
                        TE, Trailer or Proxy-*",
            ));
        }
        if value.chars().any(char::is_control) {
            return Err(refused("the value of a header has control characters"));
        }
        let value =
            HeaderValue::from_bytes(value.as_bytes()).map_err(|_| refused("the value of a header has control characters"))?;
        checked.append(name, value);
    }
    Ok(checked)
}

/// The whole body; trailers are dropped.
async fn whole(mut body: Incoming, limits: &Limits) -> Result<Vec<u8>, String> {
    let most = limits.body_bytes();
    let too_large =
        || format!("its body is larger than `limits.{}` allows ({} KiB)", Limit::Body.row().key, limits.get(Limit::Body));
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|error| in_words(&error))?.into_data() {
            if bytes.len() + data.len() > most {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

fn readable(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| std::str::from_utf8(value.as_bytes()).ok().map(str::to_owned);
    headers.iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect()
}

/// hyper says what happened and keeps why in the source.
fn in_words(error: &hyper::Error) -> String {
    use std::error::Error;
    if error.is_incomplete_message() {
        return "the service closed the connection before the answer was complete".to_owned();
    }
    if let Some(refusal) = error.source().and_then(tls::refusal) {
        return refusal;
    }
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;
    use rstest::rstest;
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::capability::network::Network;
    use crate::capability::test_server::{
        AndThen, Authority, Certificate, answers, config, endpoint, listen, over, read_head, silent,
    };
    use crate::config::{Limit, Limits, Loopback};

    fn request(method: &str, path: &str) -> Request {
        Request {
            endpoint: "service".to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    fn call(endpoint: Endpoint, trust: &[&Authority], limits: Limits) -> CallNetwork {
        let config = config(Loopback::Local, trust);
        let network = Arc::new(Network::new(&config.config).unwrap());
        let endpoints = BTreeMap::from([(endpoint.name.clone(), endpoint)]);
        CallNetwork::new(network, endpoints, limits, Instant::now() + Duration::from_secs(30))
    }

    async fn get(port: u16) -> Result<Response, HttpError> {
        send(&mut call(endpoint("127.0.0.1", port, Tls::Plain), &[], Limits::default()), request("GET", "/")).await
    }

    fn told(result: Result<Response, HttpError>) -> (Cause, Effect, String) {
        let error = result.err().unwrap();
        let (cause, effect) = error.cause_and_effect();
        (cause, effect, error.to_string())
    }

    #[tokio::test]
    async fn a_refused_login_is_counted_though_the_rest_of_the_answer_is_missing() {
        let answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 10\r\n\r\nabc".to_vec();
        let port = listen(answers(None, answer, AndThen::HangsUp)).await;
        let mut call = call(endpoint("127.0.0.1", port, Tls::Plain), &[], Limits::default());
        assert!(matches!(send(&mut call, request("GET", "/")).await, Err(HttpError::Broken { .. })));
        assert_eq!(call.refused().count(), 1);
    }

    #[rstest]
    #[case::plain(false)]
    #[case::tls(true)]
    #[tokio::test]
    async fn sends_a_request_and_returns_the_answer_whatever_its_status(#[case] encrypted: bool) {
        let authority = Authority::new();
        let acceptor = encrypted.then(|| authority.acceptor(&Certificate::for_name("localhost")));
        let tls = if encrypted { Tls::FromTheStart } else { Tls::Plain };
        // What arrived comes back as the answer's body.
        let port = listen(over(acceptor, |mut stream| {
            Box::pin(async move {
                let mut head = read_head(&mut stream).await;
                let mut body = [0; 4];
                tokio::io::AsyncReadExt::read_exact(&mut stream, &mut body).await.unwrap();
                head.extend(body);
                let answer = format!("HTTP/1.1 404 No\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: {}\r\n\r\n", head.len());
                stream.write_all(&[answer.as_bytes(), &head].concat()).await.unwrap();
                stream.flush().await.unwrap();
            })
        }))
        .await;
        let mut asked = request("PUT", "/api/users/a%2Fb?x=y");
        asked.headers = vec![("Authorization".to_owned(), "Basic eDp5".to_owned())];
        asked.body = b"{\"\"}".to_vec();
        let mut call = call(endpoint("localhost", port, tls), &[&authority], Limits::default());
        let answer = send(&mut call, asked).await.unwrap();
        let cookie = |value: &str| ("set-cookie".to_owned(), value.to_owned());
        assert_eq!(answer.status, 404);
        assert_eq!(answer.headers[..2], [cookie("a"), cookie("b")]);
        let mut lines: Vec<String> = String::from_utf8(answer.body).unwrap().split("\r\n").map(str::to_owned).collect();
        lines[1..].sort();
        assert_eq!(
            lines,
            [
                "PUT /api/users/a%2Fb?x=y HTTP/1.1".to_owned(),
                String::new(),
                "authorization: Basic eDp5".to_owned(),
                "connection: close".to_owned(),
                "content-length: 4".to_owned(),
                format!("host: localhost:{port}"),
                "{\"\"}".to_owned(),
            ]
        );
    }

    #[rstest]
    #[case::https(443, Tls::FromTheStart, "service.example", "service.example")]
    #[case::http(80, Tls::Plain, "service.example", "service.example")]
    #[case::https_on_80(80, Tls::FromTheStart, "service.example", "service.example:80")]
    #[case::other(15671, Tls::FromTheStart, "service.example", "service.example:15671")]
    #[case::v6(443, Tls::FromTheStart, "fd12::1", "[fd12::1]")]
    fn the_host_header_is_the_endpoints(#[case] port: u16, #[case] tls: Tls, #[case] host: &str, #[case] header: &str) {
        let message = message(&endpoint(host, port, tls), request("GET", "/"), &Limits::default()).unwrap();
        assert_eq!(message.headers()[HOST], header);
    }

    #[rstest]
    #[case::get("GET", 0, None)]
    #[case::get_with_body("GET", 3, Some("3"))]
    #[case::post("POST", 0, Some("0"))]
    #[case::put("PUT", 3, Some("3"))]
    #[case::delete("DELETE", 0, None)]
    fn the_length_is_said_where_a_body_is_expected(#[case] method: &str, #[case] length: usize, #[case] header: Option<&str>) {
        let asked = Request { body: vec![0; length], ..request(method, "/") };
        let message = message(&endpoint("a", 443, Tls::FromTheStart), asked, &Limits::default()).unwrap();
        assert_eq!(message.headers().get(CONTENT_LENGTH).map(|value| value.to_str().unwrap()), header);
    }

    #[rstest]
    #[case::empty_method("", "/", &[], "not an HTTP token")]
    #[case::split_method("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET", "/", &[], "not an HTTP token")]
    #[case::long_method("CANARYCANARYCANARYCANARYCANARYCANARY", "/", &[], "32 bytes")]
    #[case::connect("CONNECT", "/", &[], "CONNECT and TRACE")]
    #[case::connect_in_lower_case("connect", "/", &[], "CONNECT and TRACE")]
    #[case::trace("TRACE", "/", &[], "CONNECT and TRACE")]
    #[case::empty_path("GET", "", &[], "start with `/`")]
    #[case::absolute("GET", "http://canary/", &[], "start with `/`")]
    #[case::asterisk("OPTIONS", "*", &[], "start with `/`")]
    #[case::fragment("GET", "/canary#x", &[], "fragment")]
    #[case::space("GET", "/canary HTTP/1.1", &[], "percent-encoded")]
    #[case::split_path("GET", "/canary\r\nX: y", &[], "percent-encoded")]
    #[case::beyond_ascii("GET", "/canär", &[], "percent-encoded")]
    #[case::host("GET", "/", &[("Host", "canary")], "only the host sets")]
    #[case::connection("GET", "/", &[("connection", "upgrade")], "only the host sets")]
    #[case::length("GET", "/", &[("CONTENT-LENGTH", "0")], "only the host sets")]
    #[case::transfer("GET", "/", &[("Transfer-Encoding", "chunked")], "only the host sets")]
    #[case::upgrade("GET", "/", &[("Upgrade", "websocket")], "only the host sets")]
    #[case::te("GET", "/", &[("TE", "trailers")], "only the host sets")]
    #[case::trailer("GET", "/", &[("Trailer", "X")], "only the host sets")]
    #[case::proxy("GET", "/", &[("Proxy-Authorization", "canary")], "only the host sets")]
    #[case::split_name("GET", "/", &[("X: y\r\nHost", "canary")], "not an HTTP token")]
    #[case::name_with_space("GET", "/", &[("Host ", "canary")], "not an HTTP token")]
    #[case::empty_name("GET", "/", &[("", "canary")], "not an HTTP token")]
    #[case::split_value("GET", "/", &[("X", "canary\r\nHost: b")], "control characters")]
    #[case::tab("GET", "/", &[("X", "canary\tx")], "control characters")]
    #[case::nul("GET", "/", &[("X", "canary\0")], "control characters")]
    #[tokio::test]
    async fn a_request_that_could_mean_two_things_is_denied_before_anything_is_sent(
        #[case] method: &str,
        #[case] path: &str,
        #[case] headers: &[(&str, &str)],
        #[case] why: &str,
    ) {
        let mut asked = request(method, path);
        asked.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        // Nothing listens on port 1: a request that got as far as dialling would be unreachable.
        let mut call = call(endpoint("127.0.0.1", 1, Tls::Plain), &[], Limits::default());
        let (cause, effect, message) = told(send(&mut call, asked).await);
        assert_eq!((cause, effect), (Cause::Denied, Effect::Unchanged));
        assert!(message.contains(why) && !message.to_lowercase().contains("canar"), "{message}");
    }

    #[rstest]
    #[case::body(Request { body: vec![0; (1 << 20) + 1], ..request("PUT", "/") })]
    #[case::path(request("GET", &format!("/{}", "x".repeat(MAX_PATH))))]
    #[case::header_count(Request { headers: vec![("x".to_owned(), String::new()); 101], ..request("GET", "/") })]
    #[case::header_bytes(Request { headers: vec![("x".to_owned(), "y".repeat(32 << 10))], ..request("GET", "/") })]
    fn a_request_beyond_its_limits_is_denied(#[case] asked: Request) {
        assert!(message(&endpoint("a", 443, Tls::FromTheStart), asked, &Limits::default()).is_err());
    }

    #[test]
    fn an_endpoint_with_start_tls_has_no_http() {
        assert!(message(&endpoint("a", 443, Tls::StartTls), request("GET", "/"), &Limits::default()).is_err());
    }

    #[rstest]
    #[case::redirect("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n", 302, "")]
    #[case::no_content("HTTP/1.1 204 No Content\r\n\r\n", 204, "")]
    #[case::chunked("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Trailer: dropped\r\n\r\n", 200, "abc")]
    #[case::until_the_end("HTTP/1.0 500 Broken\r\n\r\nabc", 500, "abc")]
    #[case::continues("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc")]
    #[tokio::test]
    async fn an_answer_is_an_answer(#[case] answer: &'static str, #[case] status: u16, #[case] body: &str) {
        let answer = get(listen(answers(None, answer, AndThen::HangsUp)).await).await.unwrap();
        assert_eq!((answer.status, answer.body), (status, body.as_bytes().to_vec()));
        assert!(!answer.headers.iter().any(|(name, _)| name == "x-trailer"));
    }

    #[tokio::test]
    async fn a_header_that_is_no_utf_8_is_left_out() {
        let answer = b"HTTP/1.1 200 OK\r\nX-Broken: \xff\r\nX-Whole: \xc3\xa4\r\nContent-Length: 0\r\n\r\n".to_vec();
        let answer = get(listen(answers(None, answer, AndThen::Listens)).await).await.unwrap();
        let names: Vec<_> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-whole", "content-length"]);
    }

    fn head_with(headers: usize, value: usize) -> Vec<u8> {
        let header = |number| format!("X-{number}: {}\r\n", "v".repeat(value));
        format!("HTTP/1.1 200 OK\r\n{}\r\n", (0..headers).map(header).collect::<String>()).into_bytes()
    }

    #[rstest]
    #[case::no_http(b"+OK redis\r\n\r\n".to_vec(), AndThen::HangsUp, "")]
    #[case::hangs_up(b"".to_vec(), AndThen::HangsUp, "closed the connection before")]
    #[case::closes_mid_head(b"HTTP/1.1 200 OK\r\nContent-".to_vec(), AndThen::HangsUp, "closed the connection before")]
    #[case::closes_mid_body(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec(), AndThen::HangsUp, "")]
    #[case::closes_mid_chunk(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc".to_vec(), AndThen::HangsUp, "")]
    #[case::too_many_headers(head_with(200, 1), AndThen::Listens, "head is too large")]
    #[case::too_large_a_head(head_with(50, 1000), AndThen::Listens, "head is too large")]
    #[case::endless_header(vec![b'x'; 1 << 20], AndThen::Listens, "")]
    #[case::announced_too_large(b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n".to_vec(), AndThen::Listens, "http_body_kib")]
    #[case::too_large([b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 2 << 20]].concat(), AndThen::Listens, "http_body_kib")]
    #[case::switches(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_vec(), AndThen::Listens, "")]
    #[case::status(b"HTTP/1.1 777 Lucky\r\nContent-Length: 0\r\n\r\n".to_vec(), AndThen::Listens, "beyond 599")]
    #[case::two_lengths(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_vec(), AndThen::Listens, "")]
    #[tokio::test]
    async fn an_answer_that_cannot_be_used_leaves_the_effect_unknown(
        #[case] answer: Vec<u8>,
        #[case] and_then: AndThen,
        #[case] why: &str,
    ) {
        let (cause, effect, message) = told(get(listen(answers(None, answer, and_then)).await).await);
        assert_eq!((cause, effect), (Cause::Unreachable, Effect::Unknown));
        assert!(message.contains("got no usable answer (protocol): ") && message.contains(why), "{message}");
    }

    #[rstest]
    #[case::head(b"")]
    #[case::body(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")]
    #[tokio::test]
    async fn an_answer_that_does_not_come_costs_the_limit(#[case] start: &'static [u8]) {
        let port = listen(answers(None, start, AndThen::Listens)).await;
        let limits = Limits::default().with(Limit::Io, 100);
        let mut call = call(endpoint("127.0.0.1", port, Tls::Plain), &[], limits);
        let begin = Instant::now();
        let (cause, effect, message) = told(send(&mut call, request("GET", "/")).await);
        assert_eq!((cause, effect), (Cause::Unreachable, Effect::Unknown));
        assert!(message.contains("no answer within 100 ms"), "{message}");
        assert!(begin.elapsed() < Duration::from_secs(5), "that was the call's time");
    }

    /// Under TLS 1.3 the service refuses a client after its own handshake is done.
    #[tokio::test]
    async fn a_service_that_demands_a_certificate_says_so_before_the_answer() {
        let authority = Authority::new();
        let acceptor = authority.acceptor_for_clients(&Certificate::for_name("localhost"), &rustls::version::TLS13);
        let port = listen(answers(Some(acceptor), "HTTP/1.1 204 No Content\r\n\r\n", AndThen::HangsUp)).await;
        let mut call = call(endpoint("localhost", port, Tls::FromTheStart), &[&authority], Limits::default());
        let (cause, _, message) = told(send(&mut call, request("GET", "/")).await);
        assert!(cause == Cause::Unreachable && message.contains("the service demands a client certificate"), "{message}");
    }

    #[tokio::test]
    async fn no_connection_means_nothing_changed() {
        let (cause, effect, message) = told(get(1).await);
        assert_eq!((cause, effect), (Cause::Unreachable, Effect::Unchanged));
        assert!(message.starts_with("127.0.0.1:1 could not be reached (connect)"), "{message}");
    }

    #[tokio::test]
    async fn an_endpoint_nobody_granted_is_denied() {
        let mut call = call(endpoint("127.0.0.1", listen(silent).await, Tls::Plain), &[], Limits::default());
        let asked = Request { endpoint: "other".to_owned(), ..request("GET", "/") };
        let (cause, effect, _) = told(send(&mut call, asked).await);
        assert_eq!((cause, effect), (Cause::Denied, Effect::Unchanged));
    }

    #[tokio::test]
    async fn a_tls_answer_without_length_that_is_cut_is_not_taken_for_whole() {
        let authority = Authority::new();
        let acceptor = authority.acceptor(&Certificate::for_name("localhost"));
        let port = listen(answers(Some(acceptor), "HTTP/1.1 200 OK\r\n\r\nabc", AndThen::HangsUp)).await;
        let mut call = call(endpoint("localhost", port, Tls::FromTheStart), &[&authority], Limits::default());
        let (_, effect, _) = told(send(&mut call, request("GET", "/")).await);
        assert_eq!(effect, Effect::Unknown);
    }

    #[tokio::test]
    async fn requests_count_as_connections() {
        let port = listen(answers(None, "HTTP/1.1 204 No Content\r\n\r\n", AndThen::Listens)).await;
        let mut call = call(endpoint("127.0.0.1", port, Tls::Plain), &[], Limits::default());
        for _ in 0..Limits::default().connections() {
            send(&mut call, request("GET", "/")).await.unwrap();
        }
        let (cause, effect, message) = told(send(&mut call, request("GET", "/")).await);
        assert_eq!((cause, effect), (Cause::Denied, Effect::Unchanged));
        assert!(message.contains("opened 64 connections"), "{message}");
    }

    proptest! {
        #[test]
        fn what_is_sent_has_the_lines_that_were_asked_for(
            method in "[A-Za-z]{1,8}|\\PC{0,8}",
            path in "/[ -~]{0,40}|\\PC{0,40}",
            name in "[A-Za-z-]{1,12}|[ -~]{0,12}",
            value in "\\PC{0,20}|[\\x00-\\x7f]{0,20}",
        ) {
            let mut asked = request(&method, &path);
            asked.headers = vec![(name.clone(), value.clone())];
            if let Ok(message) = message(&endpoint("a", 443, Tls::FromTheStart), asked, &Limits::default()) {
                prop_assert_eq!(message.uri().to_string(), path);
                prop_assert_eq!(message.method().as_str(), method);
                prop_assert_eq!(message.headers()[HOST].as_bytes(), b"a");
                prop_assert_eq!(message.headers()[name].as_bytes(), value.as_bytes());
                prop_assert!(!value.contains(['\r', '\n']));
            }
        }
    }
}
