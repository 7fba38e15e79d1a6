//! A `windlass.toml`: what is accepted is within the documented limits, and every rule can be obeyed.
#![no_main]

use std::path::Path;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use windlass::capability::address::AddressPolicy;
use windlass::capability::endpoint::granted_addresses;
use windlass::config::{Config, Loopback};
use windlass::event::SecretArn;
use windlass::password::PasswordPolicy;
use windlass_fuzz::assert_canonical;

fuzz_target!(|text: &str| {
    let mut config = Config::with_plugins("plugins".into());
    if config.read_text(text, Path::new("folder/windlass.toml")).is_err() {
        return;
    }
    let limits = &config.limits;
    assert!((Duration::from_secs(1)..=Duration::from_secs(890)).contains(&limits.call), "{limits:?}");
    assert!((1 << 20..=1 << 30).contains(&limits.memory), "{limits:?}");
    for wait in [limits.connect, limits.io] {
        assert!((Duration::from_millis(100)..=Duration::from_secs(60)).contains(&wait), "{limits:?}");
    }
    assert_ne!(config.loopback, Loopback::Local, "only a local command reaches every loopback address");
    let _ = AddressPolicy::new(&config);
    for (at, rule) in config.rules.iter().enumerate() {
        let prefix = rule.secret.strip_suffix('*').unwrap_or(&rule.secret);
        assert!(!rule.secret.is_empty() && !prefix.contains('*'), "{:?} matches nothing", rule.secret);
        let arn = format!("arn:aws:secretsmanager:eu-central-1:123456789012:secret:{prefix}-a1B2c3");
        let arn = if prefix.starts_with("arn:") { SecretArn::parse(prefix) } else { SecretArn::parse(&arn) };
        if let Ok(arn) = arn {
            let found = config.rules.iter().position(|rule| rule.covers(&arn));
            assert!(found.is_some_and(|first| first <= at), "{:?} does not cover {arn}", rule.secret);
        }
        assert!(rule.generated.as_ref().is_none_or(|fields| !fields.is_empty()), "nothing would be generated");
        let options = rule.password.clone().over(config.password.clone());
        let policy = PasswordPolicy::new(&options).expect("an accepted rule can be obeyed");
        let length = options.length.unwrap_or(32);
        // Every character is a system call, and a file has many rules.
        if length <= 64 && at < 4 {
            let value = policy.generate().expect("this machine has randomness");
            let excluded = options.exclude_characters.as_deref().unwrap_or_default();
            assert!(!value.expose().contains(|c| excluded.contains(c)), "an excluded character was generated");
            assert_eq!(value.expose().chars().count(), length as usize);
        }
        if let Some(Ok(granted)) = rule.endpoints.as_deref().map(granted_addresses) {
            granted.iter().for_each(assert_canonical);
        }
    }
});
