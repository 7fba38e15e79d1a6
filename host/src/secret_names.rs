//! How secrets are named in the log: by ARN, or, where the operator wants it (`log.secret = "hash"`), by a digest of it.
//!
//! Error messages quote Secrets Manager, which quotes ARNs and names; these are replaced in the text that goes into the log. What
//! Lambda is answered stays as it is: it goes to Secrets Manager, and to whoever invoked the function and named the secret.

use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::config::log::SecretNaming;

/// How many bytes of a digest are shown: enough that no two secrets of an account share one.
const SHOWN_BYTES: usize = 8;

/// How secrets are named, and which ones are known besides the one that a line is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretNames {
    naming: SecretNaming,
    /// Names or ARNs of admin secrets, as configured.
    admins: Vec<String>,
}

impl SecretNames {
    /// As the configuration says.
    pub fn configured(config: &Config) -> Self {
        let admins = config.rules.iter().filter_map(|rule| rule.admin.clone()).collect();
        Self { naming: config.log.secret, admins }
    }

    /// What a secret is called in the log: its ARN, or `sha256:` and 16 hexadecimal digits. `id` is its ARN; or its name, as long as
    /// nothing else is known of it.
    pub fn of(&self, id: &str) -> String {
        match self.naming {
            SecretNaming::Arn => id.to_owned(),
            SecretNaming::Hash => hash(id),
        }
    }

    /// A text for the log that is about a secret which has these names, the first of which is what the log calls it by; or about none.
    pub fn in_text(&self, text: String, called: &[&str]) -> String {
        if self.naming == SecretNaming::Arn {
            return text;
        }
        let mut text = text;
        for id in called {
            text = replace(&text, id, &hash(called[0]));
        }
        for admin in &self.admins {
            text = replace(&text, admin, &hash(admin));
        }
        without_arns(&text)
    }
}

fn hash(id: &str) -> String {
    let digits: String = Sha256::digest(id.as_bytes()).iter().take(SHOWN_BYTES).map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

/// Replaces a name wherever it stands alone, or with more behind a hyphen, as in an ARN. A short name is part of many words.
fn replace(text: &str, name: &str, by: &str) -> String {
    let (mut replaced, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(name).filter(|_| !name.is_empty()) {
        let (before, from) = rest.split_at(at);
        let after = &from[name.len()..];
        let begins = !before.chars().next_back().or_else(|| replaced.chars().next_back()).is_some_and(in_names);
        // The full stop that ends a sentence ends a name, too.
        let mut following = after.chars();
        let ends = match following.next() {
            Some('-') | None => true,
            Some('.') => !following.next().is_some_and(in_names),
            Some(next) => !in_names(next),
        };
        replaced.push_str(before);
        replaced.push_str(if begins && ends { by } else { name });
        rest = after;
    }
    replaced + rest
}

/// Replaces whatever else looks like the ARN of a secret.
fn without_arns(text: &str) -> String {
    let in_arns = |of: char| in_names(of) || ":*?".contains(of);
    let (mut replaced, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("arn:") {
        let (before, from) = rest.split_at(at);
        let end = from.find(|of| !in_arns(of)).unwrap_or(from.len());
        let arn = from[..end].trim_end_matches([':', '.']);
        replaced.push_str(before);
        if arn.contains(":secretsmanager:") {
            replaced.push_str(&hash(arn))
        } else {
            replaced.push_str(arn)
        }
        rest = &from[arn.len()..];
    }
    replaced + rest
}

/// The characters of a secret's name: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>
fn in_names(of: char) -> bool {
    of.is_ascii_alphanumeric() || "/_+=.@-".contains(of)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/app-a1B2c3";
    const HASH: &str = "sha256:76245421e5fb9caa";

    fn hashed() -> SecretNames {
        SecretNames { naming: SecretNaming::Hash, admins: vec!["prod/admin".to_owned()] }
    }

    #[rstest]
    #[case::arn(&format!("no {ARN} here"), "no HASH here")]
    #[case::name("failed: prod/app.", "failed: HASH.")]
    #[case::in_quotes(
        "`prod/app` is not `prod/app2`, `xprod/app` or `prod/app.b`",
        "`HASH` is not `prod/app2`, `xprod/app` or `prod/app.b`"
    )]
    #[case::pattern("on secret:prod/app-??????", "on secret:HASH-??????")]
    #[case::twice_at_once("prod/app prod/app", "HASH HASH")]
    #[case::admin("the admin secret `prod/admin` has", "the admin secret `sha256:ab214432989cdbaf` has")]
    #[case::other_secret(
        "on arn:aws:secretsmanager:eu-west-1:123456789012:secret:other-a1B2c3: no",
        "on sha256:00363625ade668da: no"
    )]
    #[case::other_service("arn:aws:kms:eu-west-1:123456789012:key/1.", "arn:aws:kms:eu-west-1:123456789012:key/1.")]
    fn a_text_is_freed_of_names(#[case] text: &str, #[case] expected: &str) {
        let called = [ARN, "prod/app"];
        assert_eq!(hashed().in_text(text.to_owned(), &called), expected.replace("HASH", HASH));
        assert_eq!(SecretNames::default().in_text(text.to_owned(), &called), text);
    }

    #[test]
    fn a_secret_is_named_as_configured() {
        assert_eq!((SecretNames::default().of(ARN).as_str(), hashed().of(ARN).as_str()), (ARN, HASH));
    }
}
