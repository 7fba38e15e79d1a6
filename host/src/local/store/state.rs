//! The store as text and back: what `windlass local --state FILE` keeps.
//!
//! JSON: `{"format": 1, "secrets": {NAME: …}}`, with the members that the types of [`super`] have. Values are in the clear, text as it is
//! and bytes in base64. A member that a later version adds has a default, so that older files stay readable; what a later version must not
//! misread gets another number. The function's ARN is in the ARNs of the secrets, which belong to its region and account.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Rotation, Secret, Store};
use crate::local::schedule::Schedule;

/// The number of the form that is described here.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    secrets: BTreeMap<&'a str, &'a Secret>,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

#[derive(Deserialize)]
struct Read {
    secrets: BTreeMap<String, Secret>,
}

/// Why a text is not the state of a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// It is of another form.
    #[error("it has the format {0}, and this version reads {FORMAT}. Use the version of windlass that wrote it, or another file")]
    Format(u32),
    /// It is damaged, or something else.
    #[error("it is not the state of a local Secrets Manager, at line {line}, column {column}. Use another file, or remove it")]
    Damaged {
        /// Where the reading ended, from 1.
        line: usize,
        /// Where in the line, from 1.
        column: usize,
    },
    /// It holds secrets of another region or account.
    #[error(
        "it holds {arn}, which is not of the region and account of --function-arn. Use the function's ARN with which it was made"
    )]
    Elsewhere {
        /// A secret of another region or account.
        arn: String,
    },
}

impl Store {
    /// The store as text.
    ///
    /// # Errors
    ///
    /// None is known: everything here can be written as JSON.
    pub fn to_state(&self) -> serde_json::Result<Zeroizing<Vec<u8>>> {
        let secrets = self.secrets.iter().map(|(name, secret)| (name.as_str(), &**secret)).collect();
        Ok(Zeroizing::new(serde_json::to_vec_pretty(&Written { format: FORMAT, secrets })?))
    }

    /// This store with the secrets of a text, in place of its own.
    ///
    /// # Errors
    ///
    /// [`StateError`] says what is wrong with it.
    pub fn with_state(self, text: &[u8]) -> Result<Self, StateError> {
        // serde's own message may quote what it did not expect.
        let damaged = |error: serde_json::Error| StateError::Damaged { line: error.line(), column: error.column() };
        let Format { format } = serde_json::from_slice(text).map_err(damaged)?;
        if format != FORMAT {
            return Err(StateError::Format(format));
        }
        let Read { secrets } = serde_json::from_slice(text).map_err(damaged)?;
        let here = self.function.secret_arn("", "");
        let here = here.trim_end_matches('-');
        if let Some(secret) = secrets.values().find(|secret| !secret.arn.starts_with(here)) {
            return Err(StateError::Elsewhere { arn: secret.arn.clone() });
        }
        let secrets = secrets.into_iter().map(|(name, mut secret)| {
            if let Some(rotation) = &mut secret.rotation {
                // Follows from the rules, which were checked before they were kept.
                rotation.schedule = rotation.rules.as_ref().and_then(|rules| Schedule::of(rules).ok().flatten());
            }
            (name, Arc::new(secret))
        });
        Ok(Self { secrets: secrets.collect(), ..self })
    }

    /// The rotations that somebody was working on.
    pub fn under_way(&self) -> Vec<Rotation> {
        let of_secret = |secret: &Arc<Secret>| {
            let running = secret.running.as_ref().filter(|running| running.active)?;
            let (version, token) = (running.version.clone(), running.token.clone());
            let function = secret.rotation.as_ref()?.function.clone();
            Some(Rotation { arn: secret.arn.clone(), version, kind: running.kind, function, token })
        };
        self.secrets.values().filter_map(of_secret).collect()
    }
}

/// A value in JSON: `{"text": …}` or `{"base64": …}`.
pub(super) mod value {
    use std::sync::Arc;

    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use zeroize::Zeroizing;

    use crate::secret::SecretValue;

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Form {
        Text(String),
        Base64(String),
    }

    pub(in super::super) fn serialize<S: Serializer>(value: &Option<Arc<SecretValue>>, serializer: S) -> Result<S::Ok, S::Error> {
        // Exposed because the file is where the secrets are kept.
        let form = value.as_deref().map(|value| match value {
            SecretValue::Text(text) => Form::Text(text.expose().to_owned()),
            SecretValue::Binary(bytes) => Form::Base64(BASE64_STANDARD.encode(bytes.expose())),
        });
        form.serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<SecretValue>>, D::Error> {
        let value = match Option::<Form>::deserialize(deserializer)? {
            None => return Ok(None),
            Some(Form::Text(text)) => SecretValue::text(Zeroizing::new(text).as_str()),
            Some(Form::Base64(text)) => {
                let bytes = BASE64_STANDARD.decode(Zeroizing::new(text).as_bytes());
                SecretValue::binary(bytes.map_err(|_| serde::de::Error::custom("a value is not base64"))?)
            }
        };
        Ok(Some(Arc::new(value)))
    }
}

/// A text that is wiped.
pub(super) mod wiped {
    use serde::{Deserialize, Deserializer, Serializer};
    use zeroize::Zeroizing;

    pub(in super::super) fn serialize<S: Serializer>(text: &Zeroizing<String>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
        String::deserialize(deserializer).map(Zeroizing::new)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::local::api::{CreateSecret, RotateSecret};
    use crate::local::store::FunctionArn;

    const V0: &str = "00000000-0000-4000-8000-000000000000";
    const V1: &str = "11111111-1111-4111-8111-111111111111";

    fn store() -> Store {
        let mut store = Store::new(FunctionArn::default());
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_234);
        let create =
            json!({ "Name": "s", "ClientRequestToken": V0, "SecretBinary": "AAEC", "Tags": [{ "Key": "a", "Value": "b" }] });
        store.create_secret(&serde_json::from_value::<CreateSecret>(create).unwrap(), "a1B2c3", now).unwrap();
        let rotate = json!({ "SecretId": "s", "ClientRequestToken": V1, "RotationLambdaARN": FunctionArn::DEFAULT, "RotationRules": { "AutomaticallyAfterDays": 7 } });
        store.rotate_secret(&serde_json::from_value::<RotateSecret>(rotate).unwrap(), &"t".repeat(36), now).unwrap();
        store
    }

    #[test]
    fn what_was_written_is_read_again_to_the_last_member() {
        let text = store().to_state().unwrap();
        let read = Store::new(FunctionArn::default()).with_state(&text).unwrap();
        assert_eq!(*read.to_state().unwrap(), *text);
        let next = |store: &Store| store.named("s").unwrap().next_rotation();
        assert!(next(&read).is_some() && next(&read) == next(&store()));
        let [rotation] = &read.under_way()[..] else { panic!("one rotation is under way") };
        assert_eq!((rotation.version.as_str(), rotation.expose_token()), (V1, &*"t".repeat(36)));
    }

    #[rstest]
    #[case::nothing("", "line 1, column 0")]
    #[case::cut_off("{\"format\": 1, \"secrets\": {\"s\"", "line 1, column ")]
    #[case::later("{\"format\": 2, \"secrets\": []}", "the format 2")]
    #[case::something_else("{\"format\": 1}", "not the state")]
    fn what_is_not_a_state_is_refused(#[case] text: &str, #[case] why: &str) {
        let error = Store::new(FunctionArn::default()).with_state(text.as_bytes()).err().unwrap().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn secrets_of_another_account_are_refused() {
        let other = FunctionArn::parse("arn:aws:lambda:us-east-1:210987654321:function:windlass").unwrap();
        let error = Store::new(other).with_state(&store().to_state().unwrap()).err().unwrap();
        assert!(matches!(error, StateError::Elsewhere { .. }), "{error}");
    }
}
