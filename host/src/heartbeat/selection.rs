//! Which secrets a heartbeat tests: those that the first rule that covers them selects. Calls nothing.

use std::collections::BTreeMap;

use crate::config::{Config, SecretRule};
use crate::event::SecretArn;
use crate::secrets::listing::Listed;

/// What has to be asked of Secrets Manager to find the secrets that the rules select.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Names and ARNs that rules give in full. These need no list.
    pub exact: Vec<String>,
    /// What has to be listed.
    pub listing: Listing,
}

/// What has to be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// Nothing.
    Nothing,
    /// The secrets whose names begin with one of these texts, none of which is the beginning of another.
    Prefixes(Vec<String>),
    /// All secrets of the account and region.
    Everything,
}

impl Wanted {
    /// By these rules.
    pub fn by(rules: &[SecretRule]) -> Self {
        let mut exact: Vec<String> = Vec::new();
        let (mut prefixes, mut everything) = (Vec::new(), false);
        for rule in rules.iter().filter(|rule| rule.heartbeat) {
            let Some(pattern) = &rule.secret else {
                everything = true;
                continue;
            };
            match (pattern.exact(), pattern.name_prefix()) {
                (Some(id), _) if exact.iter().any(|known| known == id) => {}
                (Some(id), _) => exact.push(id.to_owned()),
                (None, "") => everything = true,
                (None, prefix) => prefixes.push(prefix.to_owned()),
            }
        }
        // A secret that one rule names and another one gives by its ARN is one secret.
        let named: Vec<SecretArn> = exact.iter().filter_map(|id| SecretArn::parse(id).ok()).collect();
        exact.retain(|id| named.iter().all(|arn| arn.name() != id));
        prefixes.sort();
        // In this order a text comes before all that begin with it.
        prefixes.dedup_by(|later, earlier| later.starts_with(&*earlier));
        let listing = match (everything, prefixes.is_empty()) {
            (true, _) => Listing::Everything,
            (false, true) => Listing::Nothing,
            (false, false) => Listing::Prefixes(prefixes),
        };
        Self { exact, listing }
    }

    /// Whether a rule gives this secret's name or ARN in full.
    pub fn names(&self, secret: &SecretArn) -> bool {
        self.exact.iter().any(|id| id == secret.as_str() || id == secret.name())
    }

    /// The listed secrets that are to be tested besides those that rules name: those that rules select, and that `function` rotates.
    pub fn among(&self, listed: Vec<Listed>, config: &Config, function: &str) -> Vec<SecretArn> {
        let ours = |of: &Listed| {
            of.rotation_enabled && of.function.as_deref().is_some_and(|rotating| unqualified(rotating) == unqualified(function))
        };
        let taken = listed.into_iter().filter(|of| ours(of) && selected(config, &of.arn, &of.tags) && !self.names(&of.arn));
        taken.map(|of| of.arn).collect()
    }
}

/// Whether the first rule that covers a secret with these tags selects it.
pub fn selected(config: &Config, secret: &SecretArn, tags: &BTreeMap<String, String>) -> bool {
    config.rule(secret, tags).is_some_and(|rule| rule.heartbeat)
}

/// A function's ARN without a version or an alias behind its name.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_RequestParameters>
fn unqualified(function: &str) -> &str {
    function.match_indices(':').nth(6).map_or(function, |(end, _)| &function[..end])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const FUNCTION: &str = "arn:aws:lambda:eu-west-1:123456789012:function:windlass";

    fn config(text: &str) -> Config {
        let mut config = Config::with_plugins("plugins".into());
        config.read_text(text, "windlass.toml".as_ref()).unwrap();
        config
    }

    fn rules(patterns: &[&str]) -> String {
        patterns.iter().map(|pattern| format!("[[secrets]]\nsecret = \"{pattern}\"\nheartbeat = true\n")).collect()
    }

    fn arn(name: &str) -> SecretArn {
        SecretArn::parse(&format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-a1B2c3")).unwrap()
    }

    fn listed(name: &str) -> Listed {
        Listed { arn: arn(name), tags: BTreeMap::new(), function: Some(FUNCTION.to_owned()), rotation_enabled: true }
    }

    #[rstest]
    #[case::none(&[], &[], Listing::Nothing)]
    #[case::names(&["prod/a", "prod/b", "prod/a"], &["prod/a", "prod/b"], Listing::Nothing)]
    #[case::patterns(&["prod/*", "test/*x"], &[], Listing::Prefixes(vec!["prod/".into(), "test/".into()]))]
    #[case::patterns_in_patterns(&["prod/b/*", "prod/*", "prod/*", "prod/a*"], &[], Listing::Prefixes(vec!["prod/".into()]))]
    #[case::a_pattern_without_a_beginning(&["prod/*", "*/redis"], &[], Listing::Everything)]
    #[case::both(&["prod/a", "test/*"], &["prod/a"], Listing::Prefixes(vec!["test/".into()]))]
    fn what_is_asked_for(#[case] patterns: &[&str], #[case] exact: &[&str], #[case] listing: Listing) {
        let exact = exact.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(Wanted::by(&config(&rules(patterns)).rules), Wanted { exact, listing });
    }

    #[test]
    fn rules_that_do_not_say_so_select_nothing() {
        let config = config("[[secrets]]\nsecret = \"prod/*\"\n[[secrets]]\nsecret = \"test\"\nheartbeat = false");
        assert_eq!(Wanted::by(&config.rules), Wanted { exact: Vec::new(), listing: Listing::Nothing });
    }

    #[test]
    fn a_rule_by_tag_has_everything_listed() {
        let config = config("[[secrets]]\ntags = { team = \"a\" }\nheartbeat = true");
        let wanted = Wanted::by(&config.rules);
        assert_eq!(wanted.listing, Listing::Everything);
        let tagged = |value: &str| Listed { tags: [("team".to_owned(), value.to_owned())].into(), ..listed(value) };
        assert_eq!(wanted.among(vec![tagged("a"), tagged("b")], &config, FUNCTION), [arn("a")]);
    }

    #[test]
    fn of_those_that_are_listed_this_function_tests_its_own() {
        let config = config(&format!("[[secrets]]\nsecret = \"prod/quiet\"\n{}", rules(&["prod/named", "prod/*"])));
        let other = |arn: &str| Listed { function: Some(arn.to_owned()), ..listed("prod/other") };
        let found = vec![
            listed("prod/a"),
            // An earlier rule covers it.
            listed("prod/quiet"),
            // Found by its name.
            listed("prod/named"),
            listed("test/a"),
            other("arn:aws:lambda:eu-west-1:123456789012:function:windlass2"),
            other("arn:aws:lambda:eu-west-1:210987654321:function:windlass"),
            Listed { function: None, ..listed("prod/never") },
            Listed { rotation_enabled: false, ..listed("prod/off") },
            Listed { function: Some(format!("{FUNCTION}:live")), ..listed("prod/aliased") },
        ];
        let wanted = Wanted::by(&config.rules);
        for function in [FUNCTION.to_owned(), format!("{FUNCTION}:7")] {
            assert_eq!(wanted.among(found.clone(), &config, &function), [arn("prod/a"), arn("prod/aliased")]);
        }
    }
}
