use rstest::rstest;
use serde_json::{Value, json};

use super::*;

#[rstest]
#[case::name("prod/app")]
#[case::full_arn("arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/app-a1B2c3")]
#[case::partial_arn("arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/app")]
fn a_secret_is_found_by(#[case] id: &str) {
    let mut world = World::new();
    let request = serde_json::from_value(json!({"Name": "prod/app", "ClientRequestToken": V0})).unwrap();
    world.store.create_secret(&request, "a1B2c3", world.now).unwrap();
    assert_eq!(world.ok("DescribeSecret", json!({"SecretId": id}))["Name"], "prod/app");
}

#[rstest]
#[case::another_region("arn:aws:secretsmanager:eu-west-1:123456789012:secret:s")]
#[case::another_suffix("arn:aws:secretsmanager:us-east-1:123456789012:secret:s-abcdef")]
#[case::longer("s2")]
fn a_secret_is_not_found_by(#[case] id: &str) {
    let mut world = World::with_secret();
    let refused = world.refused("DescribeSecret", json!({"SecretId": id}));
    assert_eq!(refused, (Exception::ResourceNotFound, "Secrets Manager can't find the specified secret.".to_owned()));
}

#[test]
fn lists_come_in_pages_and_pass_filters() {
    let mut world = World::with_secret();
    let tags = json!([{"Key": "windlass:plugin", "Value": "redis"}]);
    world.ok("CreateSecret", json!({"Name": "prod/a", "ClientRequestToken": V0, "Tags": tags}));
    world.ok("CreateSecret", json!({"Name": "prod/b", "ClientRequestToken": V0}));
    let mut names = |request: Value| -> Vec<String> {
        let list = world.ok("ListSecrets", request);
        list["SecretList"].as_array().unwrap().iter().map(|entry| entry["Name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(json!({"MaxResults": 2})), ["prod/a", "prod/b"]);
    assert_eq!(names(json!({"MaxResults": 2, "NextToken": "prod/b"})), ["s"]);
    assert_eq!(names(json!({"Filters": [{"Key": "name", "Values": ["prod/"]}]})), ["prod/a", "prod/b"]);
    assert_eq!(names(json!({"Filters": [{"Key": "tag-value", "Values": ["redis"]}]})), ["prod/a"]);
    assert_eq!(names(json!({"Filters": [{"Key": "name", "Values": ["!prod/"]}]})), ["s"]);
}
