//! What the operator says about one secret or a group of them: `[[secrets]]` of `windlass.toml`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::client_certificate::ClientCertificateFiles;
use super::error::RuleError;
use super::limits::LimitsTable;
use super::swap::SwapWithinRotation;
use super::trust::Pins;
use crate::candidate::WHOLE;
use crate::capability::grant::Grant;
use crate::event::SecretArn;
use crate::password::{PasswordOptions, PasswordPolicy};
use crate::plugin::reference::Reference;

/// What the operator says about one secret or a group of them. The first rule of the file that covers a secret counts, whole: nothing
/// is merged from a later one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretRule {
    /// Which secrets, by name or ARN.
    pub secret: Option<SecretPattern>,
    /// Tags that the secret must have besides. Whoever may tag a secret can leave a rule that is bound by tags, and enter it.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The plugin to use, whatever the secret's tags say ([`crate::plugin::reference`] has the forms).
    pub plugin: Option<Reference>,
    /// The digest that the plugin must have, `sha256:…` as `windlass inspect` prints it, or a list of those it may have.
    pub digest: Option<Pins>,
    /// Whether a new component first proves itself by a test of the credential in use. Without it: what `defaults` says.
    pub canary: Option<bool>,
    /// What becomes of a rotation whose plugin changes after it has begun. Without it: what `defaults` says.
    pub swap_within_rotation: Option<SwapWithinRotation>,
    /// Name or ARN of the secret that holds the admin credential. Without it a plugin never sees one. That secret names the same host
    /// as the rotated one, or `endpoints` says where the credential may be sent.
    pub admin: Option<String>,
    /// Whether each rotation gives its new password to the other of two users, `NAME` and `NAME_clone`, so that the old credential
    /// stays valid until the next rotation. Needs `admin`, and a plugin whose manifest names the field in `secret.alternating`.
    /// Default false.
    #[serde(default)]
    pub alternating_users: bool,
    /// Which fields createSecret fills with new values.
    pub generated: Option<Vec<String>>,
    /// Where the plugin may connect ([`crate::capability::grant`] has the grammar). Without it: what `defaults` says, else where the
    /// plugin's manifest derives from the secret.
    pub endpoints: Option<Vec<Grant>>,
    /// What the host proves itself with to this secret's endpoints, if their service demands a certificate of its clients.
    /// Endpoints of other secrets never see it. Default none.
    pub client_certificate: Option<ClientCertificateFiles>,
    /// Whether testSecret leaves the negative control out, for a service that locks accounts after one wrong password. Then nobody
    /// finds out a plugin whose test accepts anything. Default false; only in a rule with `secret`.
    #[serde(default)]
    pub insecure_skip_negative_control: bool,
    /// Whether a heartbeat tests these secrets ([`crate::heartbeat`]). Those that are not named in full have to be listed, and are tested
    /// if rotation is on and this function does it. Default false.
    #[serde(default)]
    pub heartbeat: bool,
    /// Values for the plugin's settings.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// What generated values look like.
    #[serde(default)]
    pub password: PasswordOptions,
    /// Bounds of this secret's plugin calls, where they differ from those of all.
    #[serde(default)]
    pub limits: LimitsTable,
    /// The line of the file where the rule begins.
    #[serde(skip)]
    pub line: usize,
}

impl SecretRule {
    /// Whether this rule is about the secret with these tags.
    pub fn covers(&self, secret: &SecretArn, tags: &BTreeMap<String, String>) -> bool {
        self.secret.as_ref().is_none_or(|pattern| pattern.matches(secret))
            && self.tags.iter().all(|(key, value)| tags.get(key) == Some(value))
    }

    /// The digests that the plugin may have: those of `digest`, else the one of the reference.
    pub fn pins(&self) -> Option<Pins> {
        let referred = || self.plugin.as_ref().and_then(|plugin| plugin.digest).map(Pins::from);
        self.digest.clone().or_else(referred)
    }

    /// Checks what no value can be checked for alone. `password` is what holds where this rule says nothing.
    pub(super) fn check(&self, password: &PasswordOptions) -> Result<(), RuleError> {
        if self.secret.is_none() {
            if self.tags.is_empty() {
                return Err(RuleError::Everything);
            }
            if self.admin.is_some() {
                return Err(RuleError::AdminByTag);
            }
            if self.client_certificate.is_some() {
                return Err(RuleError::CertificateByTag);
            }
            if self.insecure_skip_negative_control {
                return Err(RuleError::NoControlByTag);
            }
        }
        if self.alternating_users && self.admin.is_none() {
            return Err(RuleError::AlternatingWithoutAdmin);
        }
        PasswordPolicy::new(&self.password.clone().over(password.clone()))?;
        match self.generated.as_deref() {
            Some([]) => Err(RuleError::Generated),
            Some(names) if names.len() > 1 && names.iter().any(|name| name == WHOLE) => Err(RuleError::Generated),
            Some(_) | None => Ok(()),
        }
    }
}

/// Says where to find it in the file.
impl fmt::Display for SecretRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.secret {
            Some(secret) => write!(f, "the rule for `{secret}` at line {}", self.line),
            None => write!(f, "the rule at line {}", self.line),
        }
    }
}

/// Which secrets are meant: a name, or a full ARN if it begins with `arn:`. A `*` stands for any characters, none and `/` among them;
/// there is no way to mean a star, which no name of a secret has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SecretPattern(String);

/// A text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` matches no secret: {why}. Write a name such as \"prod/app\", a pattern such as \"prod/*\", or a full ARN")]
pub struct SecretPatternError {
    text: String,
    why: &'static str,
}

impl TryFrom<String> for SecretPattern {
    type Error = SecretPatternError;

    fn try_from(text: String) -> Result<Self, SecretPatternError> {
        // The characters of a name: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
        let in_names = |of: char| of.is_ascii_alphanumeric() || "/_+=.@-*".contains(of);
        let why = if text.is_empty() {
            "it is empty"
        } else if text.starts_with("arn:") {
            let literal = !text.contains('*');
            if literal && SecretArn::parse(&text).is_err() {
                "it is no full ARN of a secret"
            } else {
                return Ok(Self(text));
            }
        } else if !text.chars().all(in_names) {
            "it has characters that no secret's name has"
        } else {
            return Ok(Self(text));
        };
        Err(SecretPatternError { text: text.escape_debug().to_string(), why })
    }
}

/// This secret and no other.
impl From<&SecretArn> for SecretPattern {
    fn from(secret: &SecretArn) -> Self {
        Self(secret.as_str().to_owned())
    }
}

impl SecretPattern {
    /// The name or the ARN, if one secret is meant.
    pub fn exact(&self) -> Option<&str> {
        (!self.0.contains('*')).then_some(&*self.0)
    }

    /// What the names of all secrets that are meant begin with, as far as that is certain; empty, if nothing is.
    pub fn name_prefix(&self) -> &str {
        let literal = |text: &'_ str| text.find('*').unwrap_or(text.len());
        if !self.0.starts_with("arn:") {
            return &self.0[..literal(&self.0)];
        }
        // An ARN of a secret has six colons. With as many in the pattern no star can stand for one.
        let mut parts = self.0.splitn(7, ':').skip(6);
        let Some(name) = parts.next().filter(|name| !name.contains(':')) else { return "" };
        let prefix = &name[..literal(name)];
        // The last seven characters of an ARN, a hyphen and six others, are not part of the name.
        let tail = prefix.len().saturating_sub(7);
        let end = prefix.bytes().skip(tail).position(|byte| byte == b'-').map_or(prefix.len(), |at| tail + at);
        &prefix[..end]
    }

    /// Whether this secret is meant.
    pub fn matches(&self, secret: &SecretArn) -> bool {
        let text = if self.0.starts_with("arn:") { secret.as_str() } else { secret.name() };
        let mut pieces = self.0.split('*');
        let first = pieces.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else { return false };
        let Some(last) = pieces.next_back() else { return rest.is_empty() };
        // The leftmost place for each piece in the middle leaves most room for the others.
        for piece in pieces {
            match rest.find(piece) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

/// As it was written.
impl fmt::Display for SecretPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn arn(name: &str) -> SecretArn {
        SecretArn::parse(&format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-a1B2c3")).unwrap()
    }

    fn matches(pattern: &str, name: &str) -> bool {
        SecretPattern::try_from(pattern.to_owned()).unwrap().matches(&arn(name))
    }

    #[rstest]
    #[case::name("prod/app", "prod/app", "prod/app2")]
    #[case::name_is_not_a_prefix("prod/app", "prod/app", "xprod/app")]
    #[case::prefix("prod/*", "prod/a/b", "prod")]
    #[case::suffix("*/redis", "prod/redis", "prod/redis2")]
    #[case::middle("prod/*/redis", "prod/a/b/redis", "prod/redis")]
    #[case::two_stars("*/app*", "prod/app-1", "prod/ap")]
    #[case::no_overlap("ab*ba", "abba", "aba")]
    #[case::greedy_would_fail("*a*a", "xaya", "xya")]
    #[case::everything("*", "prod", "")]
    #[case::arn("arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod-a1B2c3", "prod", "prod2")]
    #[case::arn_pattern("arn:aws:secretsmanager:*:123456789012:secret:prod/*", "prod/app", "test/app")]
    #[case::other_account("arn:aws:secretsmanager:eu-west-1:1*:secret:*", "prod", "")]
    #[case::case_counts("Prod", "Prod", "prod")]
    fn a_pattern_matches_its_secrets_and_not_their_neighbours(#[case] pattern: &str, #[case] yes: &str, #[case] no: &str) {
        assert!(matches(pattern, yes), "{pattern} {yes}");
        assert!(no.is_empty() || !matches(pattern, no), "{pattern} {no}");
    }

    #[rstest]
    #[case::name("prod/app", Some("prod/app"), "prod/app")]
    #[case::arn(
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod-a1B2c3",
        Some("arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod-a1B2c3"),
        "prod"
    )]
    #[case::prefix("prod/*", None, "prod/")]
    #[case::suffix("*/redis", None, "")]
    #[case::middle("prod/*/redis*", None, "prod/")]
    #[case::arn_pattern("arn:aws:secretsmanager:*:123456789012:secret:prod/*", None, "prod/")]
    #[case::arn_with_any_suffix("arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/my-app-*", None, "prod/my")]
    #[case::arn_with_half_a_suffix("arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/app-a1B*", None, "prod/app")]
    #[case::arn_of_any_region("arn:aws:secretsmanager:*:123456789012:secret:prod-a1B2c3", None, "prod")]
    #[case::arn_with_a_star_for_colons("arn:aws:secretsmanager:*:secret:prod/*", None, "")]
    fn a_pattern_says_what_to_list(#[case] pattern: &str, #[case] exact: Option<&str>, #[case] prefix: &str) {
        let pattern = SecretPattern::try_from(pattern.to_owned()).unwrap();
        assert_eq!((pattern.exact(), pattern.name_prefix()), (exact, prefix));
    }

    #[rstest]
    #[case::empty("", "it is empty")]
    #[case::space("prod app", "characters")]
    #[case::question_mark("prod/?", "characters")]
    #[case::short_arn("arn:aws:secretsmanager:a:1:secret:b", "no full ARN")]
    fn what_matches_nothing_is_refused(#[case] text: &str, #[case] why: &str) {
        let error = SecretPattern::try_from(text.to_owned()).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn tags_are_asked_for_besides_the_name() {
        let rule = SecretRule {
            secret: Some(SecretPattern::try_from("prod/*".to_owned()).unwrap()),
            tags: [("team".to_owned(), "a".to_owned())].into(),
            ..SecretRule::default()
        };
        let tags = |value: &str| BTreeMap::from([("team".to_owned(), value.to_owned()), ("x".to_owned(), "y".to_owned())]);
        assert!(rule.covers(&arn("prod/app"), &tags("a")));
        assert!(!rule.covers(&arn("prod/app"), &tags("b")));
        assert!(!rule.covers(&arn("prod/app"), &BTreeMap::new()));
        assert!(!rule.covers(&arn("test/app"), &tags("a")));
    }
}
