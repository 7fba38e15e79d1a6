use rstest::rstest;
use serde_json::{Value, json};

use super::*;

#[rstest]
#[case::create("CreateSecret", json!({"Name": "t", "SecretString": "x"}), Exception::InvalidRequest)]
#[case::put("PutSecretValue", json!({"SecretId": "missing", "SecretString": "x"}), Exception::InvalidRequest)]
#[case::update("UpdateSecret", json!({"SecretId": "missing", "SecretString": "x"}), Exception::InvalidRequest)]
#[case::invalid_name("DescribeSecret", json!({"SecretId": "not a name"}), Exception::Validation)]
#[case::no_id("DescribeSecret", json!({}), Exception::Validation)]
#[case::wrong_type("DescribeSecret", json!({"SecretId": 1}), Exception::Serialization)]
#[case::no_value("PutSecretValue", json!({"SecretId": "s", "ClientRequestToken": V1}), Exception::InvalidRequest)]
#[case::empty_value("PutSecretValue", json!({"SecretId": "s", "ClientRequestToken": V1, "SecretString": ""}), Exception::Validation)]
#[case::two_values(
    "PutSecretValue",
    json!({"SecretId": "s", "ClientRequestToken": V1, "SecretString": "x", "SecretBinary": "eA=="}),
    Exception::InvalidParameter
)]
#[case::large("PutSecretValue", json!({"SecretId": "s", "ClientRequestToken": V1, "SecretString": "x".repeat(65_537)}), Exception::Validation)]
#[case::short_token("PutSecretValue", json!({"SecretId": "s", "ClientRequestToken": "t", "SecretString": "x"}), Exception::InvalidParameter)]
#[case::name_in_use("CreateSecret", json!({"Name": "s", "ClientRequestToken": V1, "SecretString": "x"}), Exception::ResourceExists)]
#[case::token_in_use("UpdateSecret", json!({"SecretId": "s", "ClientRequestToken": V0, "SecretString": "old"}), Exception::ResourceExists)]
#[case::reserved_tag("TagResource", json!({"SecretId": "s", "Tags": [{"Key": "aws:x", "Value": ""}]}), Exception::InvalidParameter)]
#[case::window("DeleteSecret", json!({"SecretId": "s", "RecoveryWindowInDays": 6}), Exception::InvalidParameter)]
#[case::page("ListSecrets", json!({"NextToken": "nowhere"}), Exception::InvalidNextToken)]
#[case::password("GetRandomPassword", json!({"PasswordLength": 3}), Exception::InvalidParameter)]
fn bad_requests_get_the_exception_of_aws(#[case] operation: &str, #[case] request: Value, #[case] exception: Exception) {
    assert_eq!(World::with_secret().refused(operation, request).0, exception);
}

#[test]
fn an_unknown_operation_is_named_and_the_known_ones_listed() {
    let error = Operation::from_target(Some("secretsmanager.PutNothing")).unwrap_err();
    assert_eq!(error.exception, Exception::UnknownOperation);
    assert!(error.message.contains("operation PutNothing. It has BatchGetSecretValue, CancelRotateSecret"), "{}", error.message);
}
