//! Requests to etcd's gateway, which takes gRPC calls as JSON over HTTP, and what its answers mean.
//!
//! Source: <https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/>

use windlass_sdk::http::Response;
use windlass_sdk::{Failure, Secret, http, json};

/// The longest token that is taken for one. JSON Web Tokens have a few hundred bytes, simple ones about twenty.
const LONGEST_TOKEN: usize = 8192;

/// Calls that the plugin makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Trades name and password for a token.
    Authenticate,
    /// Sets the password of a user.
    ChangePassword,
}

impl Call {
    const fn path(self) -> &'static str {
        match self {
            Self::Authenticate => "/v3/auth/authenticate",
            Self::ChangePassword => "/v3/auth/user/changepw",
        }
    }
}

/// Makes a call that names a user and a password, as whom the token says.
///
/// # Errors
///
/// [`refusal`], or those of the host.
pub fn ask(call: Call, user: &Secret, password: &Secret, token: Option<&Secret>) -> Result<Response, Failure> {
    // Exposed: the server compares the password, or stores its hash.
    let body = json::object([("name", user.expose()), ("password", password.expose())]);
    let mut request = http::post("gateway", call.path()).json(body);
    if let Some(token) = token {
        // Exposed: the server knows the session by it. The gateway takes it bare, without `Bearer`.
        request = request.header("authorization", token.expose());
    }
    let answer = request.send()?;
    match refusal(call, &answer) {
        Some(failure) => Err(failure),
        None => answer.ok(),
    }
}

/// What a refusal in etcd's own words means; nothing for success and for words that are not known here.
///
/// The status of a refusal depends on the version of the gateway, and one gRPC code covers a wrong password and a broken request,
/// so the sentences decide: they are constants, which clients tell errors apart by. None of them is repeated in a message.
/// Source: <https://github.com/etcd-io/etcd/blob/main/api/v3rpc/rpctypes/error.go>
pub fn refusal(call: Call, answer: &Response) -> Option<Failure> {
    let sentence = json::member(answer.text().ok()?, "message")?.strip_prefix('"')?.strip_suffix('"')?;
    Some(match sentence.strip_prefix("etcdserver: ").or_else(|| sentence.strip_prefix("auth: "))? {
        "authentication failed, invalid user ID or password" => {
            Failure::unauthorized("the server refused the name or the password")
        }
        // Not `unauthorized`: no other password would do, and the server takes a change for such a user and ignores it.
        "authentication failed, password was given for no password user" => {
            Failure::unsupported("the user was created without a password: it has only a client certificate")
        }
        "authentication is not enabled" => Failure::unsupported("authentication is off: the server asks nobody for a password"),
        "permission denied" => Failure::unauthorized("the user has no role `root`; only that may change passwords"),
        "invalid auth token" => Failure::unauthorized("the server ended the session, as it does when the user's password changes"),
        "revision of auth store is old" => Failure::conflict("users or roles were changed at the same time").unchanged(),
        "user name not found" => Failure::malformed_secret("the server has no user of the name in the field `username`"),
        "user name is empty" if call == Call::ChangePassword => {
            Failure::unsupported("the server saw no token: something before it drops the header `Authorization`")
        }
        _ => return None,
    })
}

/// The token in the answer to [`Call::Authenticate`].
///
/// # Errors
///
/// `internal` if there is none that a header can hold.
pub fn token(answer: &Response) -> Result<Secret, Failure> {
    let token = json::member(answer.text()?, "token").and_then(|token| token.strip_prefix('"')?.strip_suffix('"'));
    // Tokens are letters, digits and `-_.`: nothing that JSON escapes.
    let plain = |token: &&str| {
        (1..=LONGEST_TOKEN).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    match token.filter(plain) {
        Some(token) => Ok(Secret::new(token)),
        None => Err(Failure::internal("the server accepted the login and sent no token")),
    }
}

#[cfg(test)]
mod tests {
    use windlass_sdk::{Cause, Effect};

    use super::*;

    #[test]
    fn the_words_of_the_server_decide_whatever_the_status() {
        use Call::{Authenticate, ChangePassword};
        let table = [
            (Authenticate, "etcdserver: authentication failed, invalid user ID or password", Some(Cause::Unauthorized)),
            (Authenticate, "auth: authentication failed, password was given for no password user", Some(Cause::Unsupported)),
            (Authenticate, "etcdserver: authentication is not enabled", Some(Cause::Unsupported)),
            (Authenticate, "etcdserver: user name is empty", None),
            (ChangePassword, "etcdserver: user name is empty", Some(Cause::Unsupported)),
            (ChangePassword, "etcdserver: permission denied", Some(Cause::Unauthorized)),
            (ChangePassword, "etcdserver: invalid auth token", Some(Cause::Unauthorized)),
            (ChangePassword, "etcdserver: revision of auth store is old", Some(Cause::Conflict)),
            (ChangePassword, "etcdserver: user name not found", Some(Cause::MalformedSecret)),
            (ChangePassword, "etcdserver: request timed out", None),
            (ChangePassword, "permission denied", None),
            (ChangePassword, "", None),
        ];
        for (call, sentence, cause) in table {
            // The shapes of 3.4 and 3.5, and of 3.6.
            for body in [
                format!(r#"{{"error":"{sentence}","message":"{sentence}","code":3}}"#),
                format!("{{\"code\":3, \"message\":\"{sentence}\", \"details\":[]}}\n"),
            ] {
                for status in [400, 401, 403, 412, 500] {
                    let failure = refusal(call, &Response::new(status, body.clone()));
                    assert_eq!(failure.as_ref().map(Failure::cause), cause, "{sentence}");
                    assert!(failure.is_none_or(|failure| failure.effect() == Effect::Unchanged), "{sentence}");
                }
            }
        }
    }

    #[test]
    fn a_token_is_taken_only_if_a_header_can_hold_it() {
        let long = format!(r#"{{"token":"{}"}}"#, "x".repeat(LONGEST_TOKEN + 1));
        let table = [
            (r#"{"header":{"revision":"1"},"token":"sMJeDyuuxVqZjnPC.11"}"#, Some("sMJeDyuuxVqZjnPC.11")),
            (r#"{"token":"eyJhbGciOi.eyJy-_c.zc3M"}"#, Some("eyJhbGciOi.eyJy-_c.zc3M")),
            (r#"{"token":""}"#, None),
            (r#"{"token":"a b"}"#, None),
            (r#"{"token":"a\nb"}"#, None),
            (r#"{"token":"é"}"#, None),
            (r#"{"token":7}"#, None),
            (r#"{"token":"}"#, None),
            (r#"{"header":{}}"#, None),
            ("", None),
            (&*long, None),
        ];
        for (body, expected) in table {
            let token = token(&Response::new(200, body));
            assert_eq!(token.as_ref().ok().map(Secret::expose), expected, "{body}");
        }
        assert_eq!(token(&Response::new(200, [0xff])).unwrap_err().cause(), Cause::Internal);
    }

    #[test]
    fn no_answer_panics() {
        let answer =
            r#"{"error":"etcdserver: permission denied","message":"etcdserver: \"é\u0000","code":3,"token":"\\"}"#.as_bytes();
        let bytes = [b'"', b'\\', b'{', b'}', b':', 0, 0x80, 0xff];
        for end in 0..=answer.len() {
            for byte in bytes {
                let mut body = answer[..end].to_vec();
                let _ = (refusal(Call::Authenticate, &Response::new(400, body.clone())), token(&Response::new(200, body.clone())));
                body.push(byte);
                let _ = (refusal(Call::ChangePassword, &Response::new(400, body.clone())), token(&Response::new(200, body)));
            }
        }
    }
}
