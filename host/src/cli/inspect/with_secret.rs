//! What a plugin would get for one secret: where it could connect, and what the host would refuse. Nothing is connected to, and of
//! the secret only hosts and ports leave this file.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::NEEDS_GRANT;
use crate::candidate::{self, CandidateError, Generated};
use crate::capability::endpoint::{self, Endpoint, Tls};
use crate::error::StepError;
use crate::manifest::{Manifest, SecretShape};
use crate::password::PasswordPolicy;
use crate::redact::legible;
use crate::secret::SecretValue;

/// What a plugin would get, without a rule of the operator.
#[derive(Debug, Serialize)]
pub(super) struct WithSecret {
    /// Where it could connect, by the name it uses.
    endpoints: BTreeMap<String, Reached>,
    /// Endpoints that it would not get, because the manifest names their host.
    needs_grant: Vec<String>,
    /// What the host would say instead of rotating.
    refusals: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Reached {
    /// `host:port`.
    address: String,
    #[serde(serialize_with = "name")]
    tls: Tls,
}

fn name<S: Serializer>(tls: &Tls, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match tls {
        Tls::FromTheStart => "encrypted",
        Tls::StartTls => "start-tls",
        Tls::Plain => "plain-text",
    })
}

impl WithSecret {
    /// Asks what the host asks in createSecret, in its words. The host stops at the first refusal; here all are told.
    pub(super) fn of(manifest: &Manifest, secret: &SecretValue) -> Self {
        let shape = &manifest.secret;
        let mut refusals = Vec::new();
        for field in &shape.required {
            if candidate::field(shape, secret, field).is_none() {
                let error = StepError::MissingField { plugin: manifest.name.to_string(), field: field.clone() };
                refusals.push(error.message());
            }
        }
        if let Err(error) = renewed(manifest, secret) {
            refusals.push(StepError::from(error).message());
        }
        // Host and port leave the secret here, to be shown. Without the manifest's defaults, as the host does it.
        let none = SecretShape::default();
        let field = |name: &str| candidate::field(&none, secret, name).map(|text| text.expose().to_owned());
        let granted = endpoint::endpoints(manifest, &field, None).unwrap_or_else(|error| {
            refusals.push(StepError::from(error).message());
            BTreeMap::new()
        });
        // If there is none at all, the refusal says so.
        let left_out = manifest.endpoints.keys().filter(|name| !granted.is_empty() && !granted.contains_key(*name));
        let needs_grant = left_out.cloned().collect();
        let reached =
            |(name, endpoint): (String, Endpoint)| (name, Reached { address: endpoint.address().to_string(), tls: endpoint.tls });
        let endpoints = granted.into_iter().map(reached).collect();
        Self { endpoints, needs_grant, refusals }
    }

    /// The lines for people.
    pub(super) fn words(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, Reached { address, tls }) in &self.endpoints {
            let tls = match tls {
                Tls::FromTheStart => "encrypted",
                Tls::StartTls => "begins in plain text (STARTTLS)",
                Tls::Plain => "in plain text",
            };
            lines.push(legible::line(&format!("`{name}`: {address}, {tls}")));
        }
        lines.extend(self.needs_grant.iter().map(|name| legible::line(&format!("`{name}`: {NEEDS_GRANT}"))));
        lines.extend(self.refusals.iter().map(|refusal| legible::line(&format!("refused: {refusal}"))));
        if lines.is_empty() {
            lines.push("it could connect nowhere".to_owned());
        }
        lines
    }
}

/// Makes the next value, as createSecret would, and throws it away.
fn renewed(manifest: &Manifest, secret: &SecretValue) -> Result<(), CandidateError> {
    let generated = Generated::of(secret, &manifest.secret.generated)?;
    generated.check_identity(manifest)?;
    generated.renew(secret, &PasswordPolicy::new(&manifest.password)?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const TWO: &str = "name = \"acme\"\nversion = \"1\"\n[secret]\nrequired = [\"user\", \"host\", \"password\"]\ndefaults = { port = \"443\" }\n\
                       [endpoints.api]\naddress = \"{host}:{port}\"\ntls = \"optional\"\n[endpoints.mail]\naddress = \"{host}:25\"\n\
                       tls = \"start-tls\"\n[endpoints.vendor]\naddress = \"api.example.com:443\"";

    fn told(secret: &str) -> String {
        WithSecret::of(&Manifest::parse(TWO).unwrap(), &SecretValue::text(secret)).words().join("\n")
    }

    #[test]
    fn says_where_the_plugin_could_connect() {
        let secret = r#"{"user": "app", "password": "canary", "host": "Acme.example.", "tls": false}"#;
        insta::assert_snapshot!(told(secret), @r"
        `api`: acme.example:443, in plain text
        `mail`: acme.example:25, begins in plain text (STARTTLS)
        `vendor`: the manifest names this host, not the secret: out of reach until a rule of the operator lists it in `endpoints`
        ");
    }

    #[test]
    fn says_everything_that_the_host_would_refuse() {
        insta::assert_snapshot!(told(r#"{"password": 1, "host": "https://canary"}"#), @r"
        refused: the secret has no field `user`, which plugin `acme` requires. Add it to the secret's JSON object
        refused: a rotation replaces the secret's field `password`, which is not a JSON string. Make it one, or name other fields in `generated`
        refused: the secret's field `host` cannot be used in the address of the plugin's endpoint `api`: it is a URL or a path; write the bare host name
        ");
    }

    #[rstest]
    #[case::password_for_host(r#"{"user": "canary", "password": "canary", "host": "can ary@x/y"}"#)]
    #[case::no_object("canary")]
    #[case::broken_json("{\"password\": \"canary\"")]
    #[case::list(r#"["canary"]"#)]
    fn a_secret_that_is_refused_is_not_repeated(#[case] secret: &str) {
        let text = told(secret);
        assert!(text.contains("refused: ") && !text.contains("canary"), "{text}");
    }

    #[test]
    fn a_plugin_without_endpoints_connects_nowhere() {
        let manifest = Manifest::parse("name = \"acme\"\nversion = \"1\"").unwrap();
        assert_eq!(WithSecret::of(&manifest, &SecretValue::text("canary")).words(), ["it could connect nowhere"]);
    }
}
