//! Secrets that hold the wrong thing.

use rstest::rstest;
use serde_json::{Value, json};
use windlass::event::Step;
use windlass::local::protocol::Operation;
use windlass::local::store::{CURRENT, PENDING};
use windlass::secret::{MAX_SECRET_BYTES, SecretValue};

use crate::scene::{Scene, Set};
use crate::support::canary::Canary;

const REDIS: &[(&str, &str)] = &[("windlass:plugin", "redis")];

#[test]
fn a_secret_without_a_value_asks_for_a_first_one() {
    let mut scene = Set::default().redis();
    scene.secret = scene.account.empty_secret("prod/empty");
    scene.refused(&scene.begin().event(Step::Create), "Windlass.NoCurrentValue", &["Store a first value"]);
}

#[rstest]
#[case::binary(SecretValue::binary(*b"\x00\xffCanary-of-binary"), "MalformedSecret", "not a JSON object")]
#[case::plain_text(SecretValue::text("Canary-of-plain-text"), "MalformedSecret", "not a JSON object")]
#[case::broken_json(SecretValue::text(r#"{"password":"Canary-of-broken"#), "MalformedSecret", "not a JSON object")]
#[case::list(SecretValue::text(r#"["Canary-of-a-list"]"#), "MalformedSecret", "not a JSON object")]
#[case::no_password(SecretValue::text(r#"{"username":"app","host":"localhost"}"#), "MalformedSecret", "no field `password`")]
#[case::password_is_a_number(SecretValue::text(r#"{"password":1234567890123}"#), "MalformedSecret", "not a JSON string")]
fn a_value_that_no_pending_one_can_be_made_of_is_refused(
    #[case] value: SecretValue,
    #[case] error_type: &str,
    #[case] words: &str,
) {
    let scene = Set::default().redis().with_secret(&value, REDIS);
    for shape in ["Canary-of-binary", "Canary-of-plain-text", "Canary-of-broken", "Canary-of-a-list"] {
        scene.account.never(shape);
    }
    let rotation = scene.begin();
    scene.refused(&rotation.event(Step::Create), &format!("Windlass.{error_type}"), &[words]);
    assert_eq!(scene.account.value(&scene.secret, PENDING), None);
}

#[rstest]
#[case::host(json!({ "host": null }), &["no field `host`", "plugin `redis` requires"])]
#[case::host_is_empty(json!({ "host": "" }), &["`host`"])]
#[case::host_with_port(json!({ "host": "localhost:1" }), &["`host`"])]
#[case::port_is_text(json!({ "port": "six" }), &["`port`"])]
fn a_field_that_the_plugin_needs_is_asked_for_before_a_value_is_stored(#[case] members: Value, #[case] words: &[&str]) {
    let scene = Set { members, ..Set::default() }.redis();
    scene.refused(&scene.begin().event(Step::Create), "Windlass.MalformedSecret", words);
    assert_eq!(scene.account.value(&scene.secret, PENDING), None);
}

#[rstest]
#[case::unknown("windlass:plugins", "redis", "there is no such tag")]
#[case::path("windlass:plugin", "../redis", "windlass:plugin")]
fn a_tag_that_is_wrong_is_refused(#[case] tag: &str, #[case] value: &str, #[case] words: &str) {
    let scene = Set::default().redis();
    let secret = SecretValue::text(scene.account.value(&scene.secret, CURRENT).unwrap());
    let scene = scene.with_secret(&secret, &[(tag, value)]);
    scene.refused(&scene.begin().event(Step::Create), "Windlass.InvalidTag", &[words, tag]);
}

/// A secret of so many bytes, with a password of so many characters.
fn sized(scene: Scene, bytes: usize, password: &str) -> Scene {
    let mut value: Value = serde_json::from_str(&scene.account.value(&scene.secret, CURRENT).unwrap()).unwrap();
    value["password"] = password.into();
    value["padding"] = "".into();
    value["padding"] = "x".repeat(bytes - value.to_string().len()).into();
    assert_eq!(value.to_string().len(), bytes);
    scene.with_secret(&SecretValue::text(value.to_string()), &[])
}

#[test]
fn the_largest_secret_there_can_be_is_rotated() {
    // JSON escapes these, and a password that is longer when it is written has no room.
    let configuration = "[[secrets]]\nsecret = \"*\"\npassword = { exclude_characters = '\"\\' }\n".to_owned();
    let scene = Set { configuration, ..Set::default() }.redis();
    let first = scene.first.value().to_owned();
    let scene = sized(scene, MAX_SECRET_BYTES, &first);
    let rotation = scene.begin();
    for step in Step::ALL {
        scene.function.succeed(&rotation.event(step));
    }
    scene.finished(&rotation);
}

#[test]
fn a_new_value_that_is_too_large_is_not_stored() {
    let scene = sized(Set::default().redis(), MAX_SECRET_BYTES, "short");
    scene.refused(&scene.begin().event(Step::Create), "Windlass.MalformedSecret", &["Secrets Manager stores at most 65536"]);
}

#[rstest]
#[case::host("host", "elsewhere.example")]
#[case::username("username", "admin")]
fn a_pending_value_for_another_identity_is_refused_before_any_connection(#[case] field: &str, #[case] other: &str) {
    let scene = Set::default().redis();
    let rotation = scene.begin();
    let mut pending: Value = serde_json::from_str(&scene.account.value(&scene.secret, CURRENT).unwrap()).unwrap();
    pending["password"] = Canary::new().value().into();
    pending[field] = other.into();
    scene.account.call(
        Operation::PutSecretValue,
        &json!({
            "SecretId": scene.secret.arn, "ClientRequestToken": rotation.version(), "VersionStages": [PENDING],
            "SecretString": pending.to_string(),
        }),
    );
    scene.function.succeed(&rotation.event(Step::Create));
    for step in [Step::Set, Step::Test, Step::Finish] {
        scene.refused(&rotation.event(step), "Windlass.IdentityDiffers", &[&format!("`{field}`"), "remove AWSPENDING"]);
    }
}

#[rstest]
#[case::redis(Set::redis)]
#[case::rabbitmq(Set::rabbitmq)]
fn a_password_that_was_never_right_is_unauthorized(#[case] scene: fn(Set) -> Scene) {
    let scene = scene(Set { members: json!({ "password": Canary::new().value() }), ..Set::default() });
    let rotation = scene.begin_before(Step::Set);
    scene.fails(&rotation.event(Step::Set), "Windlass.Unauthorized", &["no stored version", "correct the secret"]);
    for step in [Step::Test, Step::Finish] {
        scene.fails(&rotation.event(step), "Windlass.Unauthorized", &["To do:"]);
    }
    assert!(scene.accepts(scene.first.value()));
}
