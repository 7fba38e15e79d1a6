//! What holds for one secret: the plugin that serves it, what is generated, where that plugin may connect. Decided from the operator's
//! configuration, the secret's tags and value, and what is installed; [`crate::rotation`] acts on it, and so does whatever explains it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use crate::alternating_users::AlternatingUsers;
use crate::candidate::{self, CandidateError, Generated};
use crate::capability::endpoint::{self, Endpoint};
use crate::capability::network::Network;
use crate::capability::refused_logins::RefusedLogins;
use crate::config::{Config, SecretRule};
use crate::error::StepError;
use crate::event::SecretArn;
use crate::manifest::{Manifest, SecretShape};
use crate::password::PasswordPolicy;
use crate::plugin::call::{Call, Handed};
use crate::plugin::reference::Reference;
use crate::plugin::source::{FoundPlugin, Origin, PluginSource};
use crate::renewal::Renewal;
use crate::secret::{SecretText, SecretValue};
use crate::tags::Tags;
use crate::trust::Trusted;

/// The configuration and the plugins, looked at for one secret.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    config: &'a Config,
    source: &'a PluginSource,
    rule: Option<&'a SecretRule>,
}

/// The component that serves a secret, and may run.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The component.
    pub trusted: Trusted,
    /// Where it was found.
    pub origin: Origin,
    /// When what is there became what it is, where that is known.
    pub changed: Option<SystemTime>,
}

impl<'a> Choice<'a> {
    /// For the secret with this ARN and these tags.
    pub fn new(config: &'a Config, source: &'a PluginSource, secret: &SecretArn, tags: &BTreeMap<String, String>) -> Self {
        Self { config, source, rule: config.rule(secret, tags) }
    }

    /// The operator's rule for the secret.
    pub const fn rule(&self) -> Option<&'a SecretRule> {
        self.rule
    }

    /// The component that serves the secret, if the operator trusts it: by the operator's rule, else by the secret's tag, else by the
    /// manifest that matches the secret's fields.
    ///
    /// # Errors
    ///
    /// [`StepError::Source`] if none or several do, [`StepError::Untrusted`] if that one may not run.
    pub async fn component(&self, tags: &Tags, value: &SecretValue, deadline: Instant) -> Result<Chosen, StepError> {
        let reference: Option<&Reference> = self.rule.and_then(|rule| rule.plugin.as_ref()).or(tags.plugin.as_ref());
        let none = SecretShape::default();
        // Compared with the manifests' own texts; not kept.
        let field = |name: &str| candidate::field(&none, value, name).map(|text| text.expose().to_owned());
        let FoundPlugin { component, origin, changed } = self.source.find(reference, &field, deadline).await?;
        if matches!(self.source, PluginSource::Only { .. }) {
            return Ok(Chosen { trusted: Trusted::by_command_line(component), origin, changed });
        }
        let trust = &self.config.trust;
        // Read only where it counts, so that nobody is stopped by a file that nobody asked for.
        let signature = if trust.keys.is_empty() { None } else { self.source.signature(&origin, deadline).await? };
        // A tag's digest is no pin: whoever may tag a secret does not say what is trusted.
        let pins = self.rule.and_then(SecretRule::pins);
        let trusted = Trusted::judge(component, trust, pins.as_ref(), signature.as_deref())?;
        Ok(Chosen { trusted, origin, changed })
    }

    /// What is made new and how: operator, then tags, then manifest, then environment, then the defaults. Whether users take turns is
    /// the operator's alone to say.
    ///
    /// # Errors
    ///
    /// [`StepError::Candidate`] if that does not fit the value.
    pub fn renewal(&self, tags: &Tags, manifest: &Manifest, value: &SecretValue) -> Result<Renewal, StepError> {
        let rule = self.rule.cloned().unwrap_or_default();
        let named = rule.generated.or_else(|| tags.generated.clone()).unwrap_or_else(|| manifest.secret.generated.clone());
        let options = rule.password.over(tags.password.clone()).over(manifest.password.clone()).over(self.config.password());
        let policy = PasswordPolicy::new(&options).map_err(CandidateError::from)?;
        let generated = Generated::of(value, &named)?;
        let alternating = rule.alternating_users.then(|| AlternatingUsers::of(manifest, &generated)).transpose()?;
        Ok(Renewal { generated, policy, alternating })
    }

    /// Where the plugin may connect with this value.
    ///
    /// # Errors
    ///
    /// [`StepError::MissingField`] if the value lacks a field, [`StepError::Endpoint`] if an endpoint is not granted.
    pub fn endpoints(&self, manifest: &Manifest, value: &SecretValue) -> Result<BTreeMap<String, Endpoint>, StepError> {
        for field in &manifest.secret.required {
            if candidate::field(&manifest.secret, value, field).is_none() {
                return Err(StepError::MissingField { plugin: manifest.name.to_string(), field: field.clone() });
            }
        }
        // Host and port leave the secret here: they are where the plugin may connect. Without the manifest's defaults, because what
        // the manifest says and what the secret says do not count the same there.
        let none = SecretShape::default();
        let field = |name: &str| candidate::field(&none, value, name).as_ref().map(SecretText::expose).map(str::to_owned);
        Ok(endpoint::endpoints(manifest, &field, self.config.endpoints(self.rule))?)
    }

    /// A call of the plugin with these versions: its endpoints, settings, limits and certificate.
    ///
    /// # Errors
    ///
    /// As [`Choice::endpoints`], of the pending version.
    pub fn call(
        &self,
        manifest: &Manifest,
        handed: Handed,
        network: &Arc<Network>,
        refused: RefusedLogins,
        deadline: Instant,
    ) -> Result<Call, StepError> {
        let endpoints = self.endpoints(manifest, &handed.pending)?;
        let mut settings = manifest.settings.clone();
        settings.extend(self.rule.map(|rule| rule.settings.clone()).unwrap_or_default());
        let client_certificate = self.rule.and_then(|rule| network.client_certificate(rule));
        let (network, limits) = (Arc::clone(network), self.config.limits(self.rule));
        Ok(Call { handed, endpoints, client_certificate, settings, network, limits, refused, deadline })
    }
}
