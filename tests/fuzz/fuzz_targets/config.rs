//! A `windlass.toml`: what is accepted is within the documented limits, and every rule can be obeyed.
#![no_main]

use std::collections::BTreeMap;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use windlass::capability::address::AddressPolicy;
use windlass::capability::grant::Grant;
use windlass::config::limits::{Limits, TABLE};
use windlass::config::{Config, Loopback};
use windlass::event::SecretArn;
use windlass::password::PasswordPolicy;

fuzz_target!(|text: &str| {
    let mut config = Config::with_plugins("plugins".into());
    if config.read_text(text, Path::new("folder/windlass.toml")).is_err() {
        return;
    }
    assert_ne!(config.loopback, Loopback::Local, "only a local command reaches every loopback address");
    let _ = AddressPolicy::new(&config);
    assert_within(&config.limits(None));
    assert_canonical(config.endpoints(None));
    PasswordPolicy::new(&config.password()).expect("accepted defaults can be obeyed");
    for (at, rule) in config.rules.iter().enumerate() {
        assert!(rule.secret.is_some() || (!rule.tags.is_empty() && rule.admin.is_none()), "{rule}");
        if let Some(pattern) = &rule.secret {
            // A secret that the pattern means: each star stands for nothing.
            let name = pattern.to_string().replace('*', "");
            let arn = format!("arn:aws:secretsmanager:eu-central-1:123456789012:secret:{name}-a1B2c3");
            let arn = if name.starts_with("arn:") { SecretArn::parse(&name) } else { SecretArn::parse(&arn) };
            if let Ok(arn) = arn {
                let found = config.rules.iter().position(|rule| rule.covers(&arn, &rule.tags));
                assert!(found.is_some_and(|first| first <= at), "{rule} does not cover {arn}");
            }
        }
        assert!(rule.generated.as_ref().is_none_or(|fields| !fields.is_empty()), "nothing would be generated");
        assert_within(&config.limits(Some(rule)));
        assert_canonical(rule.endpoints.as_deref());
        let options = rule.password.clone().over(config.password());
        let policy = PasswordPolicy::new(&options).expect("an accepted rule can be obeyed");
        let length = options.length.unwrap_or(32);
        // Every character is a system call, and a file has many rules.
        if length <= 64 && at < 4 {
            let value = policy.generate().expect("this machine has randomness");
            let excluded = options.exclude_characters.as_deref().unwrap_or_default();
            assert!(!value.expose().contains(|c| excluded.contains(c)), "an excluded character was generated");
            assert_eq!(value.expose().chars().count(), length as usize);
        }
    }
    let _ =
        config.rule(&SecretArn::parse("arn:aws:secretsmanager:a:123456789012:secret:b-a1B2c3").expect("an ARN"), &BTreeMap::new());
});

fn assert_within(limits: &Limits) {
    for row in TABLE {
        assert!((row.least..=row.most).contains(&limits.get(row.limit)), "{}", row.key);
    }
}

fn assert_canonical(grants: Option<&[Grant]>) {
    for grant in grants.into_iter().flatten() {
        assert_eq!(Grant::parse(&grant.to_string()).as_ref(), Ok(grant), "an entry does not read back as it is printed");
    }
}
