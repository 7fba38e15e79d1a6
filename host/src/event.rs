//! What Secrets Manager sends: one JSON event per step, parsed once; and what a schedule sends, `{"windlass":"heartbeat"}`.
//!
//! The format is that of <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html>, with
//! the step names that real events carry (`createSecret`, as in every AWS rotation template; the page's prose writes
//! `create_secret`). Nothing of a rejected event is repeated in an error except names and lengths: the event holds a RotationToken,
//! which is a capability.

use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use zeroize::Zeroizing;

/// What an invocation asks for.
#[derive(Debug, Clone)]
pub enum Request {
    /// A step of a rotation.
    Rotation(RotationEvent),
    /// A heartbeat.
    Heartbeat,
}

impl Request {
    /// Parses an event: one with the key `windlass` is ours, every other one Secrets Manager's. None is both.
    ///
    /// # Errors
    ///
    /// As [`RotationEvent::parse`].
    pub fn parse(event: &[u8]) -> Result<Self, EventError> {
        #[derive(Deserialize)]
        struct Wire {
            windlass: Option<Value>,
            #[serde(rename = "Step")]
            step: Option<IgnoredAny>,
            #[serde(rename = "SecretId")]
            secret: Option<IgnoredAny>,
            #[serde(rename = "ClientRequestToken")]
            version: Option<IgnoredAny>,
        }
        let Wire { windlass, step, secret, version } = serde_json::from_slice(event).map_err(not_an_event)?;
        let Some(asked) = windlass else { return RotationEvent::parse(event).map(Self::Rotation) };
        if step.is_some() || secret.is_some() || version.is_some() {
            return Err(EventError::BothKinds);
        }
        if asked == "heartbeat" { Ok(Self::Heartbeat) } else { Err(EventError::UnknownRequest) }
    }
}

/// One invocation: a step, for one version of one secret.
#[derive(Debug, Clone)]
pub struct RotationEvent {
    /// The step to run.
    pub step: Step,
    /// The secret, used unchanged in every call.
    pub secret: SecretArn,
    /// The version that is being made. AWS calls it ClientRequestToken here and VersionId everywhere else.
    pub version: VersionId,
    /// Says where the request comes from. Needed for rotation through an assumed role or across accounts.
    pub rotation_token: Option<RotationToken>,
}

impl RotationEvent {
    /// Parses an event. Unknown keys are ignored, because AWS has added keys before (`RotationToken`, 2024).
    ///
    /// # Errors
    ///
    /// Says which key is missing or malformed, never what it holds.
    pub fn parse(event: &[u8]) -> Result<Self, EventError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Wire {
            step: Option<String>,
            secret_id: Option<String>,
            client_request_token: Option<String>,
            rotation_token: Option<String>,
            #[serde(rename = "windlass")]
            ours: Option<IgnoredAny>,
        }
        let wire: Wire = serde_json::from_slice(event).map_err(not_an_event)?;
        if wire.ours.is_some() {
            return Err(EventError::BothKinds);
        }
        let required = |value: Option<String>, key| value.ok_or(EventError::MissingKey { key });
        Ok(Self {
            step: Step::parse(&required(wire.step, "Step")?)?,
            secret: SecretArn::parse(&required(wire.secret_id, "SecretId")?)?,
            version: VersionId::parse(&required(wire.client_request_token, "ClientRequestToken")?)?,
            rotation_token: wire.rotation_token.map(RotationToken::parse).transpose()?,
        })
    }
}

/// serde's message would quote the value it did not expect, so only its position is kept.
fn not_an_event(error: serde_json::Error) -> EventError {
    EventError::NotAnEvent { line: error.line(), column: error.column() }
}

/// Why an event was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// Not JSON, or a key has a value of the wrong type.
    #[error(
        "the event is not a rotation event: it does not parse at line {line}, column {column}. Secrets Manager sends an object \
         whose keys Step, SecretId, ClientRequestToken and RotationToken are strings"
    )]
    NotAnEvent {
        /// Line of the event's JSON text, from 1.
        line: usize,
        /// Column in that line, from 1.
        column: usize,
    },
    /// A key that every event has is absent.
    #[error(
        "the event has no key `{key}`. Invoke the function through `aws secretsmanager rotate-secret`; a test event needs Step, \
         SecretId and ClientRequestToken"
    )]
    MissingKey {
        /// The key's name.
        key: &'static str,
    },
    /// It asks for something of ours that there is not.
    #[error("the event's `windlass` is unknown: it must be \"heartbeat\"")]
    UnknownRequest,
    /// It may be Secrets Manager's or ours.
    #[error(
        "the event has the key `windlass` and keys of a rotation, so it is not clear what it asks for and nothing is done. Secrets Manager \
         sends Step, SecretId, ClientRequestToken and RotationToken; a heartbeat is {{\"windlass\":\"heartbeat\"}} and nothing else"
    )]
    BothKinds,
    /// `Step` is none of the four.
    #[error("the event's `Step` is unknown: it must be createSecret, setSecret, testSecret or finishSecret, in this spelling")]
    UnknownStep,
    /// `SecretId` is not a full ARN.
    #[error(
        "the event's `SecretId` is not the full ARN of a secret (arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX): \
         {why}"
    )]
    MalformedArn {
        /// Which part is wrong.
        why: &'static str,
    },
    /// `ClientRequestToken` cannot be a VersionId.
    #[error("the event's `ClientRequestToken` has {length} characters; a VersionId has 32 to 64, of letters, digits and hyphens")]
    MalformedVersion {
        /// Its length in characters.
        length: usize,
    },
    /// `RotationToken` is not one that AWS would send.
    #[error("the event's `RotationToken` has {length} characters; it must have 36 to 256, of letters, digits and hyphens")]
    MalformedRotationToken {
        /// Its length in characters.
        length: usize,
    },
}

/// A step of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Makes the new value and stores it as AWSPENDING.
    Create,
    /// Makes the service accept the new value.
    Set,
    /// Proves that it does.
    Test,
    /// Moves AWSCURRENT to the new value.
    Finish,
}

impl Step {
    /// The four steps, in the order in which Secrets Manager calls them.
    pub const ALL: [Self; 4] = [Self::Create, Self::Set, Self::Test, Self::Finish];

    /// The step's name in an event.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "createSecret",
            Self::Set => "setSecret",
            Self::Test => "testSecret",
            Self::Finish => "finishSecret",
        }
    }

    fn parse(name: &str) -> Result<Self, EventError> {
        Self::ALL.into_iter().find(|step| step.name() == name).ok_or(EventError::UnknownStep)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The full ARN of a secret, with the six-character suffix that Secrets Manager appends to its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SecretArn(String);

impl SecretArn {
    /// The longest ARN that the API takes, in characters.
    const MAX_LENGTH: usize = 2048;

    /// Checks a full secret ARN.
    ///
    /// # Errors
    ///
    /// [`EventError::MalformedArn`] names the part that is wrong.
    pub fn parse(arn: &str) -> Result<Self, EventError> {
        let malformed = |why| Err(EventError::MalformedArn { why });
        if arn.len() > Self::MAX_LENGTH {
            return malformed("it is longer than 2,048 characters");
        }
        let parts: Vec<&str> = arn.splitn(7, ':').collect();
        let [prefix, partition, service, region, account, kind, name] = parts[..] else {
            return malformed("it has fewer than seven parts separated by colons");
        };
        if prefix != "arn" || !partition.starts_with("aws") {
            return malformed("it does not start with `arn:aws`");
        }
        if service != "secretsmanager" || kind != "secret" {
            return malformed("it does not name a secret of Secrets Manager");
        }
        if region.is_empty() {
            return malformed("its region is empty");
        }
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !plain(partition) || !plain(region) {
            return malformed("its partition or region has other characters than lower-case letters, digits and hyphens");
        }
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return malformed("its account is not twelve digits");
        }
        // https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html lists the characters of a name.
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+=.@-".contains(&byte)) {
            return malformed("its name has a character that secret names cannot have");
        }
        match name.rsplit_once('-') {
            Some((name, suffix)) if !name.is_empty() && suffix.len() == 6 && suffix.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                Ok(Self(arn.to_owned()))
            }
            Some(_) | None => malformed("its name does not end with a hyphen and six characters"),
        }
    }

    /// The ARN's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The secret's name, without the suffix.
    pub fn name(&self) -> &str {
        let name = self.0.splitn(7, ':').last().unwrap_or_default();
        name.rsplit_once('-').map_or(name, |(name, _)| name)
    }
}

impl fmt::Display for SecretArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a secret version. Opaque and compared byte by byte: callers choose it, and not all choose a lower-case UUID.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionId(String);

impl VersionId {
    /// Checks a version id.
    ///
    /// # Errors
    ///
    /// [`EventError::MalformedVersion`] if its length is not 32 to 64 or it has other characters than letters, digits and hyphens.
    pub fn parse(id: &str) -> Result<Self, EventError> {
        let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if plain && (32..=64).contains(&id.len()) {
            Ok(Self(id.to_owned()))
        } else {
            Err(EventError::MalformedVersion { length: id.chars().count() })
        }
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The RotationToken of an event: whoever has it can write the pending version, so it prints as `[redacted]`.
#[derive(Clone)]
pub struct RotationToken(Zeroizing<String>);

impl RotationToken {
    fn parse(token: String) -> Result<Self, EventError> {
        let token = Zeroizing::new(token);
        // The pattern is that of RotationTokenType in the service model of the AWS SDKs.
        let plain = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if plain && (36..=256).contains(&token.len()) {
            Ok(Self(token))
        } else {
            Err(EventError::MalformedRotationToken { length: token.chars().count() })
        }
    }

    /// The token, for PutSecretValue and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RotationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/redis/app-a1B2c3";
    const VERSION: &str = "0f4f8d1a-9f7c-4b52-9a3e-7a0c1d2e3f40";

    fn event(step: &str, arn: &str, version: &str) -> Vec<u8> {
        serde_json::json!({"Step": step, "SecretId": arn, "ClientRequestToken": version}).to_string().into_bytes()
    }

    #[rstest]
    #[case("createSecret", Step::Create)]
    #[case("setSecret", Step::Set)]
    #[case("testSecret", Step::Test)]
    #[case("finishSecret", Step::Finish)]
    fn reads_each_step(#[case] name: &str, #[case] step: Step) {
        let event = RotationEvent::parse(&event(name, ARN, VERSION)).unwrap();
        assert_eq!((event.step, event.secret.as_str(), event.version.as_str()), (step, ARN, VERSION));
        assert_eq!(event.secret.name(), "prod/redis/app");
        assert!(event.rotation_token.is_none());
    }

    #[test]
    fn ignores_keys_it_does_not_know() {
        let event = serde_json::json!({
            "Step": "testSecret", "SecretId": ARN, "ClientRequestToken": VERSION,
            "RotationToken": "b1946ac9-2492-4d23-8c5b-1f2e3d4c5b6a", "Future": {"a": [1, null]}
        });
        assert!(RotationEvent::parse(event.to_string().as_bytes()).unwrap().rotation_token.is_some());
    }

    #[rstest]
    #[case::prose_spelling("create_secret")]
    #[case::upper_case("CREATESECRET")]
    #[case::empty("")]
    fn refuses_an_unknown_step(#[case] step: &str) {
        assert_eq!(RotationEvent::parse(&event(step, ARN, VERSION)).unwrap_err(), EventError::UnknownStep);
    }

    #[rstest]
    #[case::a_name("prod/redis/app")]
    #[case::no_suffix("arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod")]
    #[case::other_service("arn:aws:kms:eu-central-1:123456789012:secret:prod-a1B2c3")]
    #[case::short_account("arn:aws:secretsmanager:eu-central-1:1234:secret:prod-a1B2c3")]
    #[case::line_feed("arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod\n-a1B2c3")]
    #[case::line_feed_in_region("arn:aws:secretsmanager:eu-central-1\n:123456789012:secret:prod-a1B2c3")]
    #[case::space_in_region("arn:aws:secretsmanager:eu central-1:123456789012:secret:prod-a1B2c3")]
    #[case::escape_in_partition("arn:aws\u{1b}[31m:secretsmanager:eu-central-1:123456789012:secret:prod-a1B2c3")]
    #[case::no_region("arn:aws:secretsmanager::123456789012:secret:prod-a1B2c3")]
    fn refuses_what_is_not_a_full_arn(#[case] arn: &str) {
        let error = RotationEvent::parse(&event("setSecret", arn, VERSION)).unwrap_err();
        assert!(matches!(error, EventError::MalformedArn { .. }), "{error}");
    }

    #[rstest]
    #[case::too_short("0f4f8d1a")]
    #[case::too_long(&"a".repeat(65))]
    #[case::control_character("0f4f8d1a-9f7c-4b52-9a3e-7a0c1d2e3f4\n")]
    fn refuses_a_malformed_version(#[case] version: &str) {
        let error = RotationEvent::parse(&event("setSecret", ARN, version)).unwrap_err();
        assert_eq!(error, EventError::MalformedVersion { length: version.len() });
    }

    #[rstest]
    #[case::not_json(b"Step", "the event is not a rotation event")]
    #[case::wrong_type(br#"{"Step": 7}"#, "the event is not a rotation event")]
    #[case::empty_object(b"{}", "the event has no key `Step`")]
    fn says_what_is_wrong_with_an_event(#[case] event: &[u8], #[case] start: &str) {
        let error = RotationEvent::parse(event).unwrap_err().to_string();
        assert!(error.starts_with(start), "{error}");
    }

    #[test]
    fn an_event_of_ours_asks_for_a_heartbeat_and_no_other_one_does() {
        assert!(matches!(Request::parse(br#"{"windlass":"heartbeat"}"#), Ok(Request::Heartbeat)));
        // EventBridge's own events have keys, too.
        assert!(matches!(Request::parse(br#"{"windlass":"heartbeat","time":"2026-11-26T05:41:09Z"}"#), Ok(Request::Heartbeat)));
        assert!(matches!(Request::parse(&event("testSecret", ARN, VERSION)), Ok(Request::Rotation(_))));
    }

    #[rstest]
    #[case::other_word(r#"{"windlass":"Heartbeat"}"#, EventError::UnknownRequest)]
    #[case::no_word(r#"{"windlass":7}"#, EventError::UnknownRequest)]
    #[case::nothing(r#"{"windlass":null}"#, EventError::MissingKey { key: "Step" })]
    #[case::a_step_too(r#"{"windlass":"heartbeat","Step":"setSecret"}"#, EventError::BothKinds)]
    #[case::a_secret_too(r#"{"windlass":"heartbeat","SecretId":"a"}"#, EventError::BothKinds)]
    #[case::a_step_and_no_word(r#"{"windlass":7,"Step":"setSecret"}"#, EventError::BothKinds)]
    fn an_event_that_may_be_ours_or_not_is_neither(#[case] event: &str, #[case] error: EventError) {
        assert_eq!(Request::parse(event.as_bytes()).unwrap_err(), error);
    }

    #[test]
    fn a_rotation_that_mentions_us_is_refused_wherever_it_is_parsed() {
        let event =
            serde_json::json!({"Step": "testSecret", "SecretId": ARN, "ClientRequestToken": VERSION, "windlass": "heartbeat"});
        assert_eq!(RotationEvent::parse(event.to_string().as_bytes()).unwrap_err(), EventError::BothKinds);
    }

    #[test]
    fn never_shows_a_rotation_token() {
        let event = serde_json::json!({
            "Step": "testSecret", "SecretId": ARN, "ClientRequestToken": VERSION, "RotationToken": "canary-canary-canary-canary-canary-canary"
        });
        let event = RotationEvent::parse(event.to_string().as_bytes()).unwrap();
        assert!(!format!("{event:?}").contains("canary"));
        let malformed = serde_json::json!({
            "Step": "testSecret", "SecretId": ARN, "ClientRequestToken": VERSION, "RotationToken": "canary"
        });
        let error = RotationEvent::parse(malformed.to_string().as_bytes()).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("canary"));
    }
}
