//! The JSON of an event: what is accepted is well-formed, and what is refused is not repeated.
#![no_main]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use windlass::event::{RotationEvent, SecretArn, Step, VersionId};

const ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod-a1B2c3";
const VERSION: &str = "0f4f8d1a-9f7c-4b52-9a3e-7a0c1d2e3f40";

/// Everything that is ever said about a refused event, without the numbers in it.
static SENTENCES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let with_arn = |arn: &str| format!(r#"{{"Step":"setSecret","SecretId":"{arn}","ClientRequestToken":"{VERSION}"}}"#);
    let mut refused = vec![
        String::new(),
        "{}".to_owned(),
        r#"{"Step":"setSecret"}"#.to_owned(),
        r#"{"windlass":"heartbeat"}"#.to_owned(),
        format!(r#"{{"Step":"setSecret","SecretId":"{ARN}"}}"#),
        r#"{"Step":"","SecretId":"","ClientRequestToken":""}"#.to_owned(),
        format!(r#"{{"Step":"setSecret","SecretId":"{ARN}","ClientRequestToken":""}}"#),
        format!(r#"{{"Step":"setSecret","SecretId":"{ARN}","ClientRequestToken":"{VERSION}","RotationToken":""}}"#),
        with_arn(&ARN.repeat(40)),
        with_arn("prod"),
    ];
    let parts = [
        ("arn:aws:", "arn:other:"),
        (":secretsmanager:", ":kms:"),
        ("eu-central-1", ""),
        ("eu-central-1", "eu central 1"),
        ("123456789012", "1234"),
        ("prod", "pr od"),
        ("-a1B2c3", ""),
    ];
    refused.extend(parts.map(|(part, other)| with_arn(&ARN.replace(part, other))));
    refused.iter().map(|event| sentence(event.as_bytes()).expect("each of these is refused")).collect()
});

fn sentence(event: &[u8]) -> Option<String> {
    let error = RotationEvent::parse(event).err()?;
    Some(error.to_string().replace(|c: char| c.is_ascii_digit(), ""))
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(event) = RotationEvent::parse(bytes) else {
        let said = sentence(bytes).expect("it was refused a moment ago");
        assert!(SENTENCES.contains(&said), "this is not one of the sentences about a refused event: {said:?}");
        return;
    };
    let (arn, version) = (event.secret.as_str(), event.version.as_str());
    assert!(Step::ALL.contains(&event.step));
    assert_eq!(SecretArn::parse(arn).as_ref(), Ok(&event.secret));
    assert_eq!(VersionId::parse(version).as_ref(), Ok(&event.version));
    assert!(arn.len() <= 2_048 && arn.bytes().all(|byte| byte.is_ascii_graphic()) && !event.secret.name().is_empty(), "{arn:?}");
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    assert!(plain(version) && (32..=64).contains(&version.len()), "{version:?}");
    if let Some(token) = &event.rotation_token {
        // Read in order to be looked for.
        let token = token.expose();
        assert!(plain(token) && (36..=256).contains(&token.len()));
        let elsewhere = arn.contains(token) || version.contains(token);
        assert!(elsewhere || !format!("{event:?}").contains(token), "the token is shown");
    }
});
