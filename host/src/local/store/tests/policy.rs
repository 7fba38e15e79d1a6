use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn policy(principal: Value) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "secretsmanager:GetSecretValue", "Resource": "*"}],
    })
}

fn account() -> Value {
    policy(json!({"AWS": "arn:aws:iam::123456789012:root"}))
}

#[test]
fn a_policy_is_kept_shown_and_deleted() {
    let mut world = World::with_secret();
    let none = world.ok("GetResourcePolicy", json!({"SecretId": "s"}));
    assert_eq!((&none["Name"], none.get("ResourcePolicy")), (&json!("s"), None));
    let text = account().to_string();
    world.ok("PutResourcePolicy", json!({"SecretId": "s", "ResourcePolicy": text, "BlockPublicPolicy": true}));
    assert_eq!(world.ok("GetResourcePolicy", json!({"SecretId": "s"}))["ResourcePolicy"], text);
    world.ok("DeleteResourcePolicy", json!({"SecretId": "s"}));
    assert!(world.ok("GetResourcePolicy", json!({"SecretId": "s"})).get("ResourcePolicy").is_none());
    world.ok("DeleteResourcePolicy", json!({"SecretId": "s"}));
}

#[rstest]
#[case::everybody(policy(json!("*")), true)]
#[case::every_account(policy(json!({"AWS": "*"})), true)]
#[case::in_a_list(policy(json!({"AWS": ["arn:aws:iam::123456789012:root", "*"]})), true)]
#[case::everybody_but(json!({"Statement": {"Effect": "Allow", "NotPrincipal": {"AWS": "x"}, "Action": "*", "Resource": "*"}}), true)]
#[case::one_account(account(), false)]
#[case::a_service(policy(json!({"Service": "secretsmanager.amazonaws.com"})), false)]
#[case::under_a_condition(
    json!({"Statement": {
        "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-example"}},
    }}),
    false
)]
#[case::denied(json!({"Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}}), false)]
fn a_policy_that_lets_everybody_in_is_found(#[case] policy: Value, #[case] public: bool) {
    let mut world = World::with_secret();
    let policy = policy.to_string();
    let valid = world.ok("ValidateResourcePolicy", json!({"ResourcePolicy": policy}));
    assert_eq!(valid["PolicyValidationPassed"], !public);
    assert_eq!(valid["ValidationErrors"].as_array().unwrap().is_empty(), !public);
    let blocked = world.call("PutResourcePolicy", json!({"SecretId": "s", "ResourcePolicy": policy, "BlockPublicPolicy": true}));
    assert_eq!(blocked.err().map(|error| error.exception), public.then_some(Exception::PublicPolicy));
    world.ok("PutResourcePolicy", json!({"SecretId": "s", "ResourcePolicy": policy}));
}

#[rstest]
#[case::no_json("{".to_owned())]
#[case::no_object("[]".to_owned())]
#[case::no_statement("{}".to_owned())]
#[case::statements_that_are_none(json!({"Statement": []}).to_string())]
#[case::version(json!({"Version": "2019-10-19", "Statement": account()["Statement"]}).to_string())]
#[case::effect(json!({"Statement": {"Effect": "Maybe", "Principal": "*", "Action": "*", "Resource": "*"}}).to_string())]
#[case::no_principal(json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}).to_string())]
#[case::no_action(json!({"Statement": {"Effect": "Allow", "Principal": "*", "Resource": "*"}}).to_string())]
#[case::no_resource(json!({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*"}}).to_string())]
fn a_policy_with_a_syntax_error_is_refused_and_the_old_one_stays(#[case] policy: String) {
    let mut world = World::with_secret();
    let old = account().to_string();
    world.ok("PutResourcePolicy", json!({"SecretId": "s", "ResourcePolicy": old}));
    for operation in ["PutResourcePolicy", "ValidateResourcePolicy"] {
        let refused = world.refused(operation, json!({"SecretId": "s", "ResourcePolicy": policy}));
        assert_eq!(refused.0, Exception::MalformedPolicyDocument);
    }
    assert_eq!(world.ok("GetResourcePolicy", json!({"SecretId": "s"}))["ResourcePolicy"], old);
}

#[test]
fn a_policy_needs_a_secret_that_is_there() {
    let mut world = World::with_secret();
    world.ok("DeleteSecret", json!({"SecretId": "s"}));
    let policy = account().to_string();
    for (id, exception) in [("s", Exception::InvalidRequest), ("missing", Exception::ResourceNotFound)] {
        for operation in ["PutResourcePolicy", "GetResourcePolicy", "DeleteResourcePolicy", "ValidateResourcePolicy"] {
            assert_eq!(world.refused(operation, json!({"SecretId": id, "ResourcePolicy": policy})).0, exception, "{operation}");
        }
    }
}

#[rstest]
#[case::none(json!({"SecretId": "s"}))]
#[case::empty(json!({"SecretId": "s", "ResourcePolicy": ""}))]
#[case::large(json!({"SecretId": "s", "ResourcePolicy": " ".repeat(20_481)}))]
fn the_length_of_a_policy_has_bounds(#[case] request: Value) {
    assert_eq!(World::with_secret().refused("PutResourcePolicy", request).0, Exception::Validation);
}
