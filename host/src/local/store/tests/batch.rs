use rstest::rstest;
use serde_json::{Value, json};

use super::*;

/// `s`, `prod/a` and `prod/b` with a value, `prod/empty` without one.
fn world() -> World {
    let mut world = World::with_secret();
    for (name, token) in [("prod/a", V1), ("prod/b", V2)] {
        world.ok("CreateSecret", json!({"Name": name, "ClientRequestToken": token, "SecretString": format!("value of {name}")}));
    }
    world.ok("CreateSecret", json!({"Name": "prod/empty", "ClientRequestToken": V0}));
    world
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|entry| entry["Name"].as_str().unwrap()).collect()
}

#[test]
fn values_come_with_what_a_single_read_answers() {
    let mut world = world();
    let single = world.ok("GetSecretValue", json!({"SecretId": "prod/a"}));
    let batch = world.ok("BatchGetSecretValue", json!({"SecretIdList": ["prod/a"]}));
    assert_eq!(batch, json!({"SecretValues": [single], "Errors": []}));
}

#[test]
fn a_secret_without_a_value_does_not_fail_the_others() {
    let mut world = world();
    world.ok("DeleteSecret", json!({"SecretId": "prod/b"}));
    let batch = world.ok("BatchGetSecretValue", json!({"SecretIdList": ["prod/empty", "missing", "s", "prod/b"]}));
    assert_eq!(names(&batch["SecretValues"]), ["s"]);
    assert_eq!(
        batch["Errors"],
        json!([
            {
                "SecretId": "prod/empty",
                "ErrorCode": "ResourceNotFoundException",
                "Message": "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
            },
            {
                "SecretId": "missing",
                "ErrorCode": "ResourceNotFoundException",
                "Message": "Secrets Manager can't find the specified secret.",
            },
            {
                "SecretId": "prod/b",
                "ErrorCode": "InvalidRequestException",
                "Message": "You can't perform this operation on the secret because it was marked for deletion.",
            },
        ])
    );
}

#[test]
fn filters_give_pages() {
    let mut world = world();
    let filters = json!([{"Key": "name", "Values": ["prod/"]}]);
    let first = world.ok("BatchGetSecretValue", json!({"Filters": filters, "MaxResults": 1}));
    assert_eq!(names(&first["SecretValues"]), ["prod/a"]);
    let rest = json!({"Filters": filters, "MaxResults": 20, "NextToken": first["NextToken"]});
    let rest = world.ok("BatchGetSecretValue", rest);
    assert_eq!((names(&rest["SecretValues"]), rest.get("NextToken")), (vec!["prod/b"], None));
    assert_eq!(rest["Errors"][0]["SecretId"], "prod/empty");
}

#[rstest]
#[case::neither(json!({}), Exception::InvalidParameter)]
#[case::both(json!({"SecretIdList": ["s"], "Filters": [{"Key": "name", "Values": ["s"]}]}), Exception::InvalidParameter)]
#[case::pages_of_a_list(json!({"SecretIdList": ["s"], "MaxResults": 1}), Exception::InvalidParameter)]
#[case::none(json!({"SecretIdList": []}), Exception::Validation)]
#[case::too_many(json!({"SecretIdList": vec!["s"; 21]}), Exception::Validation)]
#[case::large_page(json!({"Filters": [{"Key": "name", "Values": ["s"]}], "MaxResults": 21}), Exception::Validation)]
#[case::unknown_filter(json!({"Filters": [{"Key": "colour", "Values": ["s"]}]}), Exception::Validation)]
#[case::unknown_page(json!({"Filters": [{"Key": "name", "Values": ["s"]}], "NextToken": "nowhere"}), Exception::InvalidNextToken)]
fn a_batch_that_cannot_be_read_is_refused(#[case] request: Value, #[case] exception: Exception) {
    assert_eq!(world().refused("BatchGetSecretValue", request).0, exception);
}
