//! `wit/secret.wit`: the versions of the secret that this call may see, and the operator's settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::candidate;
use crate::manifest::Manifest;
use crate::plugin::bindings::windlass::rotation::secret::{Host, Version};
use crate::plugin::call::CallState;
use crate::secret::SecretValue;

/// What one call may know. A version that is not here does not exist for the guest.
pub(crate) struct CallSecrets {
    pub(crate) pending: SecretValue,
    pub(crate) current: Option<SecretValue>,
    pub(crate) previous: Option<SecretValue>,
    pub(crate) admin: Option<SecretValue>,
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) manifest: Arc<Manifest>,
}

impl CallSecrets {
    fn version(&self, of: Version) -> Option<&SecretValue> {
        match of {
            Version::Pending => Some(&self.pending),
            Version::Current => self.current.as_ref(),
            Version::Previous => self.previous.as_ref(),
            Version::Admin => self.admin.as_ref(),
        }
    }

    fn field(&self, of: Version, name: &str) -> Option<String> {
        // To the guest, which is what the value is for. Its memory is out of reach of any wiping, and so is the copy on the way.
        candidate::field(&self.manifest.secret, self.version(of)?, name).map(|value| value.expose().to_owned())
    }

    fn setting(&self, name: &str) -> Option<String> {
        self.settings.get(name).or_else(|| self.manifest.settings.get(name)).cloned()
    }
}

impl Host for CallState {
    fn field(&mut self, of: Version, name: String) -> Option<String> {
        self.secrets.field(of, &name)
    }

    fn text(&mut self, of: Version) -> Option<String> {
        // To the guest, as in `field`.
        self.secrets.version(of)?.as_text().map(|text| text.expose().to_owned())
    }

    fn raw(&mut self, of: Version) -> Option<Vec<u8>> {
        // To the guest, as in `field`.
        self.secrets.version(of).map(|value| value.expose_bytes().to_vec())
    }

    fn setting(&mut self, name: String) -> Option<String> {
        self.secrets.setting(&name)
    }

    fn refused(&mut self, _of: Version) {
        self.network.refused().report();
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn secrets(pending: SecretValue) -> CallSecrets {
        let manifest = r#"
            name = "a"
            version = "1"
            settings = { depth = "1", width = "2" }
            [secret]
            defaults = { port = "6379", gone = "default" }
        "#;
        CallSecrets {
            pending,
            current: None,
            previous: None,
            admin: None,
            settings: [("depth".to_owned(), "9".to_owned())].into(),
            manifest: Arc::new(Manifest::parse(manifest).unwrap()),
        }
    }

    #[rstest]
    #[case::string("user", Some("a\"p"))]
    #[case::number("ratio", Some("0.10"))]
    #[case::boolean("tls", Some("true"))]
    #[case::object("nested", Some("{ \"a\": 1 }"))]
    #[case::default("port", Some("6379"))]
    #[case::null_is_like_absent("gone", Some("default"))]
    #[case::absent("nobody", None)]
    #[case::twice("twice", Some("last"))]
    fn answers_for_a_field(#[case] name: &str, #[case] text: Option<&str>) {
        let stored = r#"{"user": "a\"p", "ratio": 0.10, "tls": true, "nested": { "a": 1 }, "gone": null, "twice": "first", "twice": "last"}"#;
        assert_eq!(secrets(SecretValue::text(stored)).field(Version::Pending, name).as_deref(), text);
    }

    #[rstest]
    #[case::not_json(SecretValue::text("port"))]
    #[case::not_an_object(SecretValue::text("[\"port\"]"))]
    #[case::binary(SecretValue::binary(*b"{}"))]
    fn has_only_defaults_where_there_is_no_object(#[case] pending: SecretValue) {
        let secrets = secrets(pending);
        assert_eq!(["port", "user"].map(|name| secrets.field(Version::Pending, name)), [Some("6379".into()), None]);
    }

    #[test]
    fn a_version_that_was_not_handed_over_does_not_exist() {
        assert_eq!(secrets(SecretValue::text("{}")).field(Version::Current, "port"), None);
    }

    #[test]
    fn the_operator_s_setting_precedes_the_manifest_s() {
        let secrets = secrets(SecretValue::text("{}"));
        assert_eq!(["depth", "width", "height"].map(|name| secrets.setting(name)), [Some("9".into()), Some("2".into()), None]);
    }
}
