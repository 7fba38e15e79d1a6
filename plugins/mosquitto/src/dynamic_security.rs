//! Commands of Mosquitto's dynamic security plugin and the answers to them.
//!
//! Source: <https://mosquitto.org/documentation/dynamic-security/> and `plugins/dynamic-security` of
//! <https://github.com/eclipse-mosquitto/mosquitto>.

use windlass_sdk::text::joined;
use windlass_sdk::{Failure, json};

/// Where commands are published.
pub const COMMANDS: &str = "$CONTROL/dynamic-security/v1";

/// Where the answers to everybody's commands appear.
pub const ANSWERS: &str = "$CONTROL/dynamic-security/v1/response";

/// Why a command was not done. The plugin has sentences and no codes.
#[derive(Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no client of this user name.
    NoSuchClient,
    /// It does not take the user name.
    UserName,
    /// It does not take the password.
    Password,
    /// The server failed, or says something that this plugin does not know.
    Other,
}

/// The text of one command. `mark` comes back with its answer.
pub fn command(name: &str, mark: &str, members: &[(&str, &str)]) -> String {
    let mut command = json::Object::new().text("command", name).text("correlationData", mark);
    for (name, value) in members {
        command = command.text(name, value);
    }
    json::Object::new().raw("commands", &joined(&["[", &command.finish(), "]"])).finish()
}

/// The answer to the command that was marked so: its JSON object if the command was done. Nothing if this is the answer to somebody
/// else's.
pub fn answer<'a>(payload: &'a [u8], mark: &str) -> Option<Result<&'a str, Reason>> {
    let answers = json::member(std::str::from_utf8(payload).ok()?, "responses")?;
    // A message answers what came in one message, and there was one command in it.
    let answer = answers.strip_prefix('[')?.strip_suffix(']')?;
    let marked = json::member(answer, "correlationData")?;
    (marked.strip_prefix('"')?.strip_suffix('"')? == mark)
        .then(|| json::member(answer, "error").map_or(Ok(answer), |sentence| Err(Reason::of(sentence))))
}

/// What the plugin tells of a client.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The client id that it must use, as JSON text. Nothing if it may use any.
    client_id: Option<String>,
    /// Whether it cannot log in.
    pub disabled: bool,
}

impl Entry {
    /// From the answer to `getClient`.
    pub fn of(answer: &str) -> Option<Self> {
        let client = json::member(json::member(answer, "data")?, "client").filter(|client| client.starts_with('{'))?;
        Some(Self {
            client_id: json::member(client, "clientid").filter(|id| *id != r#""""#).map(str::to_owned),
            disabled: json::member(client, "disabled") == Some("true"),
        })
    }

    /// Whether this is the client id that it must use.
    pub fn takes(&self, client_id: Option<&str>) -> bool {
        let Some(bound) = &self.client_id else { return true };
        // Both sides write JSON alike: of the characters that a client id can have, the quote and the backslash are escaped.
        client_id.is_some_and(|id| json::object([("id", id)]) == json::Object::new().raw("id", bound).finish())
    }
}

impl Reason {
    /// By the plugin's sentence, as it stands in the JSON text.
    fn of(sentence: &str) -> Self {
        match sentence {
            r#""Client not found""# => Self::NoSuchClient,
            r#""Invalid/missing username""# | r#""Username not valid UTF-8""# => Self::UserName,
            r#""Invalid/missing password""# | r#""Empty password is not allowed""# => Self::Password,
            _ => Self::Other,
        }
    }

    /// What it means that this command was not done.
    pub fn failure(self, command: &str) -> Failure {
        match self {
            Self::NoSuchClient => Failure::malformed_secret("the server has no client of the name in the field `username`"),
            Self::UserName => Failure::malformed_secret("the server does not take the name in the field `username`"),
            Self::Password => Failure::rejected("the server does not take the new password"),
            // When hashing fails, the client is left without a valid password.
            Self::Other => {
                Failure::internal(joined(&[command, " was answered with an error that is not known, see the server's log"]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use windlass_sdk::{Cause, Effect};

    use super::*;

    #[test]
    fn nothing_in_a_name_or_password_is_syntax() {
        assert_eq!(
            command("x", "c1", &[("username", "a\"b"), ("password", "\\\",\"x\":1,%ü\n")]),
            r#"{"commands":[{"command":"x","correlationData":"c1","username":"a\"b","password":"\\\",\"x\":1,%ü\u000a"}]}"#
        );
    }

    #[test]
    fn answers_are_told_apart() {
        let refused = |sentence: &str| {
            format!(r#"{{"responses":[{{"command":"setClientPassword","error":"{sentence}","correlationData":"c1"}}]}}"#)
        };
        let done = r#"{"command":"setClientPassword","correlationData":"c1"}"#;
        let table = [
            (format!(r#"{{"responses":[{done}]}}"#), Some(Ok(done))),
            (r#"{"responses":[{"command":"setClientPassword","correlationData":"c2"}]}"#.to_owned(), None),
            (r#"{"responses":[{"command":"setClientPassword"}]}"#.to_owned(), None),
            (r#"{"responses":[{"correlationData":"c1"},{"correlationData":"c1"}]}"#.to_owned(), None),
            (refused("Client not found"), Some(Err(Reason::NoSuchClient))),
            (refused("Username not valid UTF-8"), Some(Err(Reason::UserName))),
            (refused("Empty password is not allowed"), Some(Err(Reason::Password))),
            (refused("Internal error"), Some(Err(Reason::Other))),
            (refused("canary"), Some(Err(Reason::Other))),
        ];
        for (payload, expected) in table {
            assert_eq!(answer(payload.as_bytes(), "c1"), expected, "{payload}");
        }
    }

    #[test]
    fn what_is_no_answer_is_for_somebody_else() {
        let whole = br#"{"responses":[{"command":"x","correlationData":"c1","error":"y"}]}"#;
        for end in 0..whole.len() {
            assert_eq!(answer(&whole[..end], "c1"), None);
        }
        for payload in [
            b"\xff".as_slice(),
            b"[]",
            b"{\"responses\":[",
            b"{\"responses\":[]}",
            b"{\"responses\":\"]\"}",
            b"{\"responses\":[\"]}",
        ] {
            assert_eq!(answer(payload, "c1"), None);
        }
        assert_eq!(answer(br#"{"responses":[{"correlationData":"}]}"#, ""), None);
        assert_eq!(answer(br#"{"responses":[{"correlationData":1}]}"#, "1"), None);
    }

    #[test]
    fn a_client_is_bound_to_its_client_id_or_to_none() {
        let entry = |client: &str| Entry::of(&format!(r#"{{"command":"getClient","data":{{"client":{client}}}}}"#));
        let any = entry(r#"{"username":"app","roles":[],"groups":[]}"#).unwrap();
        assert!(any.takes(None) && any.takes(Some("x")) && !any.disabled);
        assert_eq!(entry(r#"{"clientid":"","disabled":false}"#), Some(any));
        let bound = entry(r#"{"clientid":"a \"\\é/","disabled":true}"#).unwrap();
        assert!(bound.takes(Some("a \"\\é/")) && !bound.takes(Some("a")) && !bound.takes(None) && bound.disabled);
        for answer in ["", "{}", r#"{"data":1}"#, r#"{"data":{}}"#, r#"{"data":{"client":"app"}}"#, r#"{"data":{"client":{}"#] {
            assert_eq!(Entry::of(answer), None, "{answer}");
        }
    }

    #[test]
    fn reasons_become_causes() {
        let table = [
            (Reason::NoSuchClient, Cause::MalformedSecret, Effect::Unchanged),
            (Reason::UserName, Cause::MalformedSecret, Effect::Unchanged),
            (Reason::Password, Cause::Rejected, Effect::Unchanged),
            (Reason::Other, Cause::Internal, Effect::Unknown),
        ];
        for (reason, cause, effect) in table {
            let failure = reason.failure("x");
            assert_eq!((failure.cause(), failure.effect()), (cause, effect));
        }
    }
}
