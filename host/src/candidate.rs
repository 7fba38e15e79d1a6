//! The pending value: how it is made from the current one, what it must have in common with it, and how it is corrupted for the
//! negative control. Pure except for randomness.

use crate::fields::{FieldError, Fields};
use crate::manifest::{Manifest, SecretShape};
use crate::password::{PasswordError, PasswordPolicy};
use crate::secret::{MAX_SECRET_BYTES, SecretText, SecretValue};

/// The name by which an operator says that the whole value is generated.
pub const WHOLE: &str = "*";

/// Which part of a value is new in every version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Generated {
    /// These fields of a JSON object.
    Fields(Vec<String>),
    /// All of it.
    Whole,
    /// None of it: a binary value, unless the operator says otherwise.
    Nothing,
}

/// Why no pending value can be made, or why it cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CandidateError {
    /// Fields are named, and the value has none.
    #[error(
        "the secret is not a JSON object, so its fields {fields} cannot be generated. Store a JSON object, or set `generated` to \"*\""
    )]
    NoFields {
        /// Their names.
        fields: String,
    },
    /// It looks like JSON and is none. Replacing all of it could destroy a value that somebody only mistyped.
    #[error("the secret begins like JSON but is not a JSON object. Correct it, or set `generated` to \"*\" to replace all of it")]
    BrokenJson,
    /// `*` stands beside field names.
    #[error("`generated` names \"*\" together with fields. Name either")]
    WholeAndFields,
    /// A field that says who or where is to be generated.
    #[error(
        "the field `{field}` says who or where the credential is for, so it cannot be generated. Correct `generated` in the \
         configuration or the secret's tag `windlass:generated`"
    )]
    GeneratesIdentity {
        /// The field.
        field: String,
    },
    /// Two users are to take turns, and the plugin cannot do that.
    #[error(
        "`alternating_users` is set and the plugin `{plugin}` cannot change another user than that of AWSCURRENT: its manifest has no \
         `secret.alternating`. Use another plugin, or drop `alternating_users`"
    )]
    NoAlternatingUsers {
        /// The plugin.
        plugin: String,
    },
    /// The pending value is for the same user, and users are to take turns.
    #[error(
        "AWSPENDING is for the user of AWSCURRENT: the rotation began before `alternating_users` was set. The service may hold the pending \
         password already, so do not remove AWSPENDING: take `alternating_users` out of the rule until this rotation has ended"
    )]
    BegunForOneUser,
    /// There is no name for the second user.
    #[error(
        "nothing is left of the user's name in the field `{field}` without the suffix `_clone`. Store a secret that names the user"
    )]
    NoOtherUser {
        /// The field.
        field: String,
    },
    /// A field cannot be replaced.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// No value can be generated.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The new value is too large to be stored.
    #[error("the new value would have {bytes} bytes; Secrets Manager stores at most {MAX_SECRET_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Current and pending differ where they must not.
    #[error(
        "AWSCURRENT and AWSPENDING differ in {fields}, which is not generated. A rotation must not change who or where the credential \
         is for. Find out with `windlass doctor SECRET --probe` whether the service accepts AWSPENDING; if it does not, remove AWSPENDING \
         from its version (`aws secretsmanager update-secret-version-stage`) and rotate again"
    )]
    Differs {
        /// The names of the fields, or `the whole value`.
        fields: String,
    },
}

impl Generated {
    /// Decides what is generated in `value`: what operator, tags or manifest name, else `password` of a JSON object, all of a plain
    /// string, nothing of a binary value.
    ///
    /// # Errors
    ///
    /// [`CandidateError`] if fields are named that a value of this form cannot have, or the value looks like broken JSON.
    pub fn of(value: &SecretValue, named: &[String]) -> Result<Self, CandidateError> {
        if named.iter().any(|name| name == WHOLE) {
            return if named.len() == 1 { Ok(Self::Whole) } else { Err(CandidateError::WholeAndFields) };
        }
        // The form of the value is looked at, none of its content is kept.
        let text = value.as_text().map(SecretText::expose);
        let is_object = text.is_some_and(|text| Fields::of(text).is_some());
        match (is_object, named.is_empty(), text) {
            (true, false, _) => Ok(Self::Fields(named.to_vec())),
            (true, true, _) => Ok(Self::Fields(vec!["password".to_owned()])),
            (false, false, _) => Err(CandidateError::NoFields { fields: list(named) }),
            (false, true, None) => Ok(Self::Nothing),
            (false, true, Some(text)) if text.trim_start().starts_with(['{', '[']) => Err(CandidateError::BrokenJson),
            (false, true, Some(_)) => Ok(Self::Whole),
        }
    }

    /// The names of the generated fields; none for a whole value.
    pub fn fields(&self) -> &[String] {
        match self {
            Self::Fields(fields) => fields,
            Self::Whole | Self::Nothing => &[],
        }
    }

    /// `current` with its generated part made anew and everything else kept byte for byte, in the same kind (text or binary).
    ///
    /// # Errors
    ///
    /// [`CandidateError`] if a field is missing or no string, no value can be generated, or the result is too large.
    pub fn renew(&self, current: &SecretValue, policy: &PasswordPolicy) -> Result<SecretValue, CandidateError> {
        let renewed = match (self, current) {
            (Self::Nothing, value) => value.clone(),
            (Self::Whole, SecretValue::Text(_)) => SecretValue::Text(policy.generate()?),
            // A generated binary value consists of the policy's characters too, so that the policy holds for both kinds.
            (Self::Whole, SecretValue::Binary(_)) => SecretValue::binary(policy.generate()?.expose().as_bytes()),
            (Self::Fields(names), value) => {
                let no_fields = || CandidateError::NoFields { fields: list(names) };
                // The current text is the template of the new one.
                let text = value.as_text().map(SecretText::expose).ok_or_else(no_fields)?;
                let fields = Fields::of(text).ok_or_else(no_fields)?;
                let replacements: Vec<(&str, SecretText)> =
                    names.iter().map(|name| Ok((name.as_str(), policy.generate()?))).collect::<Result<_, PasswordError>>()?;
                SecretValue::Text(fields.with(&replacements)?)
            }
        };
        let bytes = renewed.expose_bytes().len();
        if bytes > MAX_SECRET_BYTES { Err(CandidateError::TooLarge { bytes }) } else { Ok(renewed) }
    }

    /// A copy of `pending` that the service must refuse: other values in the generated part, the same everywhere else.
    ///
    /// The values follow the same policy, so that a service refuses them because they are wrong and not because they are malformed.
    /// A binary value of which nothing is generated has its last bit flipped.
    ///
    /// # Errors
    ///
    /// As [`Generated::renew`].
    pub fn corrupt(&self, pending: &SecretValue, policy: &PasswordPolicy) -> Result<SecretValue, CandidateError> {
        if *self == Self::Nothing {
            let mut bytes = pending.expose_bytes().to_vec();
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
            return Ok(SecretValue::binary(bytes));
        }
        // One character out of a small alphabet can come out the same by chance; a control that equals the candidate would fail a
        // correct plugin.
        for _ in 0..64 {
            let corrupted = self.renew(pending, policy)?;
            if corrupted != *pending {
                return Ok(corrupted);
            }
        }
        Err(CandidateError::Password(PasswordError::NoCharacters))
    }

    /// Checks that `current` and `pending` are the same but for the generated part, and name the same identity in any case: whoever
    /// may write the pending value must not choose where the current credential is sent.
    ///
    /// # Errors
    ///
    /// [`CandidateError::GeneratesIdentity`] or [`CandidateError::Differs`], which names the fields.
    pub fn check(&self, manifest: &Manifest, current: &SecretValue, pending: &SecretValue) -> Result<(), CandidateError> {
        self.check_identity(manifest)?;
        let identity = manifest.identity_fields(self.fields());
        let moved: Vec<String> = identity
            .into_iter()
            .filter(|name| field(&manifest.secret, current, name) != field(&manifest.secret, pending, name))
            .map(str::to_owned)
            .collect();
        if !moved.is_empty() {
            return Err(CandidateError::Differs { fields: list(&moved) });
        }
        self.check_rest(current, pending)
    }

    /// Checks that no field which says who or where is generated.
    ///
    /// # Errors
    ///
    /// [`CandidateError::GeneratesIdentity`].
    pub fn check_identity(&self, manifest: &Manifest) -> Result<(), CandidateError> {
        let (identity, matches) = (&manifest.secret.identity, &manifest.secret.matches);
        let fixed = |name: &String| {
            manifest.endpoint_fields().any(|of| of == name) || identity.contains(name) || matches.contains_key(name)
        };
        match self.fields().iter().find(|name| fixed(name)) {
            Some(name) => Err(CandidateError::GeneratesIdentity { field: name.clone() }),
            None => Ok(()),
        }
    }

    fn check_rest(&self, current: &SecretValue, pending: &SecretValue) -> Result<(), CandidateError> {
        let differs = |fields: String| Err(CandidateError::Differs { fields });
        let whole = || "the whole value".to_owned();
        match self {
            Self::Nothing => {
                if current == pending {
                    Ok(())
                } else {
                    differs(whole())
                }
            }
            Self::Whole => {
                let same_kind = current.as_text().is_some() == pending.as_text().is_some();
                if same_kind { Ok(()) } else { differs(whole()) }
            }
            Self::Fields(generated) => {
                // Compared, not kept: only names leave this function.
                let texts = (current.as_text().map(SecretText::expose), pending.as_text().map(SecretText::expose));
                let (Some(current), Some(pending)) = (texts.0.and_then(Fields::of), texts.1.and_then(Fields::of)) else {
                    return differs(whole());
                };
                let names: Vec<String> =
                    current.differences(&pending).into_iter().filter(|name| !generated.contains(name)).collect();
                if names.is_empty() { Ok(()) } else { differs(list(&names)) }
            }
        }
    }
}

/// Whether two values have the same fields of these names, defaults included. Values that have none of them are the same.
pub fn same_identity<'a>(
    shape: &SecretShape,
    identity: impl IntoIterator<Item = &'a str>,
    one: &SecretValue,
    other: &SecretValue,
) -> bool {
    identity.into_iter().all(|name| field(shape, one, name) == field(shape, other, name))
}

/// A field of a value as plugins see it: of the value's JSON object, else the manifest's default.
pub fn field(shape: &SecretShape, value: &SecretValue, name: &str) -> Option<SecretText> {
    // The text is searched for the field; only the field leaves.
    let found = value.as_text().and_then(|text| Fields::of(text.expose())?.get(name));
    found.or_else(|| shape.defaults.get(name).map(SecretText::new))
}

/// Names for a message: a secret may have thousands of them, and any characters in them.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let name = |name: &String| format!("`{}`", name.chars().take(64).collect::<String>().escape_debug());
    let mut list = names.iter().take(SHOWN).map(name).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        list.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    list
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::password::PasswordOptions;

    fn policy() -> PasswordPolicy {
        PasswordPolicy::new(&PasswordOptions::default()).unwrap()
    }

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[rstest]
    #[case::object(SecretValue::text(r#"{"password":"x"}"#), &[], Ok(Generated::Fields(named(&["password"]))))]
    #[case::object_named(SecretValue::text(r#"{"key":"x"}"#), &["key"], Ok(Generated::Fields(named(&["key"]))))]
    #[case::object_whole(SecretValue::text(r#"{"key":"x"}"#), &["*"], Ok(Generated::Whole))]
    #[case::plain(SecretValue::text("hunter"), &[], Ok(Generated::Whole))]
    #[case::plain_named(SecretValue::text("hunter"), &["key"], Err(CandidateError::NoFields { fields: "`key`".into() }))]
    #[case::broken(SecretValue::text("{\"password\":"), &[], Err(CandidateError::BrokenJson))]
    #[case::array(SecretValue::text("[1]"), &[], Err(CandidateError::BrokenJson))]
    #[case::binary(SecretValue::binary(*b"\0\x01"), &[], Ok(Generated::Nothing))]
    #[case::binary_whole(SecretValue::binary(*b"\0\x01"), &["*"], Ok(Generated::Whole))]
    #[case::binary_named(SecretValue::binary(*b"{}"), &["a"], Err(CandidateError::NoFields { fields: "`a`".into() }))]
    #[case::mixed(SecretValue::text("x"), &["*", "a"], Err(CandidateError::WholeAndFields))]
    fn decides_what_is_generated(
        #[case] value: SecretValue,
        #[case] names: &[&str],
        #[case] expected: Result<Generated, CandidateError>,
    ) {
        assert_eq!(Generated::of(&value, &named(names)), expected);
    }

    #[rstest]
    #[case::same(r#"{"user":"a","password":"1"}"#, r#"{"password":"2", "user":"a"}"#, None)]
    #[case::user(r#"{"user":"a","password":"1"}"#, r#"{"user":"b","password":"2"}"#, Some("`user`"))]
    #[case::added(r#"{"password":"1"}"#, r#"{"password":"2","host":"evil"}"#, Some("`host`"))]
    #[case::spelling(r#"{"n":0.10,"password":"1"}"#, r#"{"n":0.1,"password":"2"}"#, Some("`n`"))]
    #[case::no_object(r#"{"password":"1"}"#, "plain", Some("the whole value"))]
    fn refuses_a_pending_value_for_somebody_else(#[case] current: &str, #[case] pending: &str, #[case] differs: Option<&str>) {
        let generated = Generated::Fields(named(&["password"]));
        let result = generated.check_rest(&SecretValue::text(current), &SecretValue::text(pending));
        assert_eq!(result.err(), differs.map(|fields| CandidateError::Differs { fields: fields.into() }));
    }

    const MANIFEST: &str = "name = \"a\"\nversion = \"1\"\n[secret]\nrequired = [\"user\", \"password\"]\n\
                            [endpoints.e]\naddress = \"{host}:{port}\"";

    #[rstest]
    #[case::host(Generated::Fields(named(&["password", "host"])), Some(CandidateError::GeneratesIdentity { field: "host".into() }))]
    #[case::whole(Generated::Whole, Some(CandidateError::Differs { fields: "`host`, `password`".into() }))]
    #[case::password(Generated::Fields(named(&["password"])), Some(CandidateError::Differs { fields: "`host`".into() }))]
    fn nobody_redirects_a_rotation_by_what_is_generated(#[case] generated: Generated, #[case] expected: Option<CandidateError>) {
        let manifest = Manifest::parse(MANIFEST).unwrap();
        let current = SecretValue::text(r#"{"user":"a","password":"1","host":"db","port":1}"#);
        let pending = SecretValue::text(r#"{"user":"a","password":"2","host":"evil","port":1}"#);
        assert_eq!(generated.check(&manifest, &current, &pending).err(), expected);
    }

    #[test]
    fn names_in_messages_are_few_short_and_plain() {
        let names: Vec<String> = (0..10).map(|number| format!("\u{1b}{}{number}", "x".repeat(100))).collect();
        let shown = list(&names);
        assert!(shown.ends_with(" and 2 more") && shown.len() < 800 && !shown.contains('\u{1b}'), "{shown}");
    }

    #[test]
    fn refuses_a_value_that_would_be_too_large() {
        let current = SecretValue::text(format!(r#"{{"password":"","rest":"{}"}}"#, "x".repeat(MAX_SECRET_BYTES - 30)));
        let error = Generated::Fields(named(&["password"])).renew(&current, &policy()).unwrap_err();
        assert!(matches!(error, CandidateError::TooLarge { .. }));
    }

    #[test]
    fn defaults_count_as_identity() {
        let shape = SecretShape { defaults: [("port".to_owned(), "6379".to_owned())].into(), ..SecretShape::default() };
        let same =
            |one: &str, other: &str| same_identity(&shape, ["host", "port"], &SecretValue::text(one), &SecretValue::text(other));
        assert!(same(r#"{"host":"a"}"#, r#"{"host":"a","port":6379}"#));
        assert!(!same(r#"{"host":"a"}"#, r#"{"host":"a","port":6380}"#));
        assert!(!same(r#"{"host":"a"}"#, r#"{"host":"b"}"#));
    }

    proptest! {
        #[test]
        fn a_corrupted_copy_is_another_value_for_the_same_identity(password in "[ -~]{0,40}", user in "[a-z]{1,8}") {
            let json = serde_json::json!({"user": user, "password": password}).to_string();
            let pending = SecretValue::text(json);
            let generated = Generated::Fields(named(&["password"]));
            let corrupted = generated.corrupt(&pending, &policy()).unwrap();
            prop_assert_ne!(&corrupted, &pending);
            prop_assert!(generated.check_rest(&pending, &corrupted).is_ok());
        }

        #[test]
        fn corrupting_a_kept_binary_value_changes_it(bytes in proptest::collection::vec(any::<u8>(), 1..100)) {
            let pending = SecretValue::binary(bytes);
            prop_assert_ne!(Generated::Nothing.corrupt(&pending, &policy()).unwrap(), pending);
        }
    }
}
