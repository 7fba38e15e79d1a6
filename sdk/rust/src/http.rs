//! HTTP requests to the endpoints of the plugin's manifest.

use std::fmt;

use crate::text::{decimal, joined};
use crate::{Failure, Secret, host};

/// A GET request. Endpoint by name, path with query, percent-encoded (see [`segment`]).
pub fn get(endpoint: &str, path: impl Into<String>) -> Request {
    Request::new("GET", endpoint, path)
}

/// A PUT request.
pub fn put(endpoint: &str, path: impl Into<String>) -> Request {
    Request::new("PUT", endpoint, path)
}

/// A POST request.
pub fn post(endpoint: &str, path: impl Into<String>) -> Request {
    Request::new("POST", endpoint, path)
}

/// A PATCH request.
pub fn patch(endpoint: &str, path: impl Into<String>) -> Request {
    Request::new("PATCH", endpoint, path)
}

/// A DELETE request.
pub fn delete(endpoint: &str, path: impl Into<String>) -> Request {
    Request::new("DELETE", endpoint, path)
}

/// `text` as one segment of a path or one value of a query: everything but letters, digits and `-._~` percent-encoded.
///
/// Source: <https://www.rfc-editor.org/rfc/rfc3986#section-2.3>
pub fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for digit in [byte >> 4, byte] {
                encoded.push(char::from(b"0123456789ABCDEF"[usize::from(digit & 15)]));
            }
        }
    }
    // A segment of dots would be taken for a step in the path.
    match encoded.as_str() {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => encoded,
    }
}

/// A request that is being put together; [`Request::send`] sends it.
pub struct Request {
    pub(crate) endpoint: String,
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    fn new(method: &'static str, endpoint: &str, path: impl Into<String>) -> Self {
        Self { endpoint: endpoint.to_owned(), method, path: path.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// Adds a header. `Host`, `Content-Length` and `Connection` are the host's; it refuses them.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds `Authorization: Basic …`.
    ///
    /// Source: <https://www.rfc-editor.org/rfc/rfc7617>
    #[must_use]
    pub fn basic_auth(self, user: &Secret, password: &Secret) -> Self {
        // Exposed: the scheme sends both in every request.
        let pair = joined(&[user.expose(), ":", password.expose()]);
        self.header("authorization", joined(&["Basic ", &base64(pair.as_bytes())]))
    }

    /// Adds `Authorization: Bearer …`.
    #[must_use]
    pub fn bearer_auth(self, token: &Secret) -> Self {
        // Exposed: the scheme sends the token in every request.
        self.header("authorization", joined(&["Bearer ", token.expose()]))
    }

    /// Sets the body to this JSON text, with its `Content-Type`.
    #[must_use]
    pub fn json(self, text: impl Into<String>) -> Self {
        self.header("content-type", "application/json").body(text.into())
    }

    /// Sets the body. At most 1 MiB.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = bytes.into();
        self
    }

    /// Sends the request and waits for the whole answer, whatever its status: [`Response::ok`] makes a failure of a bad one.
    ///
    /// # Errors
    ///
    /// `denied` with effect `unchanged` before anything is sent; `unreachable`, with effect `unchanged` if no connection came about.
    pub fn send(self) -> Result<Response, Failure> {
        let asked = (self.method, self.endpoint.clone());
        host::send(self).map(|response| Response { asked: Some(asked), ..response })
    }

    /// The method.
    pub const fn method(&self) -> &'static str {
        self.method
    }

    /// Path and query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The value of the first header of this name, in whatever case.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body.
    pub fn body_bytes(&self) -> &[u8] {
        &self.body
    }
}

/// Method and endpoint only: headers, path and body may hold credentials.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Request(")?;
        f.write_str(self.method)?;
        f.write_str(" ")?;
        f.write_str(&self.endpoint)?;
        f.write_str(")")
    }
}

/// An answer, whatever its status.
pub struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) asked: Option<(&'static str, String)>,
}

impl Response {
    /// An answer for a unit test.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), asked: None }
    }

    /// The status code, 100 to 599.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The value of the first header of this name, in whatever case.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The whole body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The whole body as text.
    ///
    /// # Errors
    ///
    /// `internal` if it is not UTF-8.
    pub fn text(&self) -> Result<&str, Failure> {
        std::str::from_utf8(&self.body).map_err(|_| self.failure(Failure::internal, "that is not text"))
    }

    /// This answer if its status is 200 to 299, else a failure that names method, endpoint and status and never quotes the body.
    ///
    /// # Errors
    ///
    /// | status | cause | effect |
    /// |---|---|---|
    /// | 401, 403 | unauthorized | unchanged |
    /// | 429 | rate-limited | unchanged |
    /// | 409, 412, 423 | conflict | unchanged |
    /// | 400, 413, 422 | rejected | unchanged |
    /// | 404, 405, 410, 501 | unsupported | unchanged |
    /// | 3xx (nothing follows it) | unsupported | unchanged for GET, else unknown |
    /// | 408, other 5xx | unreachable | unchanged for GET, else unknown |
    /// | others | internal | unchanged for GET, else unknown |
    pub fn ok(self) -> Result<Self, Failure> {
        let failure = match self.status {
            200..=299 => return Ok(self),
            401 | 403 => self.failure(Failure::unauthorized, ""),
            429 => self.failure(Failure::rate_limited, ""),
            409 | 412 | 423 => self.failure(Failure::conflict, "").unchanged(),
            400 | 413 | 422 => self.failure(Failure::rejected, ""),
            // Some services carry a change out and then send the client on, to the page that shows it.
            300..=399 => self.failure(Failure::unsupported, ", a redirect, which is not followed").unknown(),
            404 | 405 | 410 | 501 => self.failure(Failure::unsupported, ""),
            408 | 500..=599 => self.failure(Failure::unreachable, ""),
            _ => self.failure(Failure::internal, ""),
        };
        let reads = self.asked.as_ref().is_some_and(|(method, _)| *method == "GET");
        Err(if reads { failure.unchanged() } else { failure })
    }

    fn failure(&self, of: fn(String) -> Failure, more: &str) -> Failure {
        let (method, endpoint) = self.asked.as_ref().map_or(("a request", ""), |(method, endpoint)| (*method, endpoint.as_str()));
        let status = decimal(self.status.into());
        of(joined(&["the endpoint `", endpoint, "` answered ", method, " with ", &status, more]))
    }
}

/// The status only: headers and body may hold credentials.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status).finish_non_exhaustive()
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Base64 with padding. Source: <https://www.rfc-editor.org/rfc/rfc4648#section-4>
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0u32, |group, at| group << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for digit in 0..4 {
            let sextet = (group >> (18 - 6 * digit) & 63) as usize;
            encoded.push(if digit <= chunk.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cause, Effect};

    #[test]
    fn base64_matches_the_vectors_of_rfc_4648() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in vectors {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn a_segment_cannot_leave_its_place_in_the_path() {
        assert_eq!(segment("a/b?c#d é%"), "a%2Fb%3Fc%23d%20%C3%A9%25");
        assert_eq!((segment("."), segment(".."), segment("a.b")), ("%2E".into(), "%2E%2E".into(), "a.b".into()));
    }

    #[test]
    fn a_bad_status_becomes_a_failure_that_does_not_quote_the_body() {
        let table = [
            (301, "GET", Cause::Unsupported, Effect::Unchanged),
            (303, "POST", Cause::Unsupported, Effect::Unknown),
            (307, "PUT", Cause::Unsupported, Effect::Unknown),
            (404, "PUT", Cause::Unsupported, Effect::Unchanged),
            (400, "PUT", Cause::Rejected, Effect::Unchanged),
            (401, "PUT", Cause::Unauthorized, Effect::Unchanged),
            (403, "PUT", Cause::Unauthorized, Effect::Unchanged),
            (409, "PUT", Cause::Conflict, Effect::Unchanged),
            (418, "PUT", Cause::Internal, Effect::Unknown),
            (429, "PUT", Cause::RateLimited, Effect::Unchanged),
            (503, "GET", Cause::Unreachable, Effect::Unchanged),
            (503, "PUT", Cause::Unreachable, Effect::Unknown),
        ];
        for (status, method, cause, effect) in table {
            let response = Response { asked: Some((method, "api".to_owned())), ..Response::new(status, "canary") };
            let failure = response.ok().unwrap_err();
            assert_eq!((failure.cause(), failure.effect()), (cause, effect), "{status} {method}");
            assert_eq!(failure.message().split(',').next(), Some(&*format!("the endpoint `api` answered {method} with {status}")));
        }
        assert!(Response::new(204, "").ok().is_ok());
    }

    #[test]
    fn debug_shows_neither_headers_nor_bodies() {
        let request = get("api", "/canary").basic_auth(&Secret::new("canary"), &Secret::new("canary")).json("canary");
        assert_eq!(format!("{request:?}"), "Request(GET api)");
        assert_eq!(format!("{:?}", Response::new(200, "canary")), "Response { status: 200, .. }");
    }
}
