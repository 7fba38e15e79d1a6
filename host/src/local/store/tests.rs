use std::time::{Duration, SystemTime};

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::local::error::Exception;
use crate::local::protocol::{Answer, Operation, operate};

const FUNCTION: &str = FunctionArn::DEFAULT;
const V0: &str = "00000000-0000-4000-8000-000000000000";
const V1: &str = "11111111-1111-4111-8111-111111111111";
const V2: &str = "22222222-2222-4222-8222-222222222222";

/// A store with a clock that stands still until it is moved.
struct World {
    store: Store,
    now: SystemTime,
}

impl World {
    fn new() -> Self {
        let store = Store::new(FunctionArn::parse(FUNCTION).unwrap());
        Self { store, now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) }
    }

    /// With a secret `s` whose AWSCURRENT is `V0`.
    fn with_secret() -> Self {
        let mut world = Self::new();
        world.ok("CreateSecret", json!({"Name": "s", "ClientRequestToken": V0, "SecretString": "old"}));
        world
    }

    fn call(&mut self, operation: &str, request: Value) -> Result<Answer, ServiceError> {
        let operation = Operation::from_target(Some(&format!("secretsmanager.{operation}"))).unwrap();
        self.store.expire(self.now);
        operate(&mut self.store, operation, request.to_string().as_bytes(), self.now)
    }

    fn ok(&mut self, operation: &str, request: Value) -> Value {
        match self.call(operation, request) {
            Ok(Answer::Done(body, _)) => body,
            Ok(Answer::RotationInProgress(_)) => panic!("a rotation is in progress"),
            Err(error) => panic!("{operation}: {error}"),
        }
    }

    fn refused(&mut self, operation: &str, request: Value) -> (Exception, String) {
        match self.call(operation, request) {
            Err(error) => (error.exception, error.message),
            Ok(Answer::Done(body, _)) => panic!("{operation} answered {body}"),
            Ok(Answer::RotationInProgress(_)) => panic!("a rotation is in progress"),
        }
    }

    fn labels(&mut self) -> Value {
        self.ok("DescribeSecret", json!({"SecretId": "s"}))["VersionIdsToStages"].clone()
    }

    fn get(&mut self, version: Option<&str>, stage: Option<&str>) -> Result<String, (Exception, String)> {
        let request = json!({"SecretId": "s", "VersionId": version, "VersionStage": stage});
        match self.call("GetSecretValue", request) {
            Ok(Answer::Done(body, _)) => Ok(body["SecretString"].as_str().unwrap().to_owned()),
            Ok(Answer::RotationInProgress(_)) => unreachable!("reading rotates nothing"),
            Err(error) => Err((error.exception, error.message)),
        }
    }

    fn rotate(&mut self, token: &str) -> Rotation {
        self.rotate_with(json!({"SecretId": "s", "ClientRequestToken": token, "RotationLambdaARN": FUNCTION})).unwrap()
    }

    fn rotate_with(&mut self, request: Value) -> Option<Rotation> {
        match self.call("RotateSecret", request).unwrap() {
            Answer::Done(_, work) => work,
            Answer::RotationInProgress(_) => panic!("a rotation is in progress"),
        }
    }

    fn put(&mut self, token: &str, value: &str, stages: Option<&[&str]>) -> Value {
        let mut request = json!({"SecretId": "s", "ClientRequestToken": token, "SecretString": value});
        if let Some(stages) = stages {
            request["VersionStages"] = json!(stages);
        }
        self.ok("PutSecretValue", request)
    }

    fn promote(&mut self, to: &str, from: &str) -> Result<Answer, ServiceError> {
        let request = json!({"SecretId": "s", "VersionStage": CURRENT, "MoveToVersionId": to, "RemoveFromVersionId": from});
        self.call("UpdateSecretVersionStage", request)
    }
}

#[test]
fn labels_and_values_at_every_moment_of_a_rotation() {
    let mut world = World::with_secret();
    assert_eq!(world.labels(), json!({V0: [CURRENT]}));
    let rotation = world.rotate(V1);
    assert_eq!((rotation.version.as_str(), rotation.kind), (V1, RotationKind::Rotation));
    assert!(rotation.arn.starts_with("arn:aws:secretsmanager:us-east-1:123456789012:secret:s-"));
    assert_eq!(world.labels(), json!({V0: [CURRENT], V1: [PENDING]}));
    assert_eq!(world.get(None, None).unwrap(), "old");

    let no_value = "Secrets Manager can't find the specified secret value for staging label: AWSPENDING";
    for version in [None, Some(V1)] {
        assert_eq!(world.get(version, Some(PENDING)).unwrap_err(), (Exception::ResourceNotFound, no_value.to_owned()));
    }
    assert_eq!(world.get(Some(V1), Some(CURRENT)).unwrap_err().0, Exception::InvalidRequest);
    let listed = world.ok("ListSecretVersionIds", json!({"SecretId": "s", "IncludeDeprecated": true}));
    assert_eq!(listed["Versions"].as_array().unwrap().len(), 1, "a version without a value is not listed");

    world.put(V1, "new", Some(&[PENDING]));
    assert_eq!(world.labels(), json!({V0: [CURRENT], V1: [PENDING]}));
    assert_eq!(world.get(Some(V1), Some(PENDING)).unwrap(), "new");
    assert_eq!(world.get(None, None).unwrap(), "old");

    world.promote(V1, V0).unwrap();
    assert_eq!(world.labels(), json!({V0: [PREVIOUS], V1: [CURRENT, PENDING]}));
    world.store.succeed(&rotation, world.now).unwrap();
    assert_eq!(world.labels(), json!({V0: [PREVIOUS], V1: [CURRENT]}));
    assert_eq!(world.get(None, None).unwrap(), "new");

    // The second rotation leaves V0 without a label: hidden from DescribeSecret, still readable.
    let rotation = world.rotate(V2);
    world.put(V2, "newer", Some(&[PENDING]));
    world.promote(V2, V1).unwrap();
    world.store.succeed(&rotation, world.now).unwrap();
    assert_eq!(world.labels(), json!({V1: [PREVIOUS], V2: [CURRENT]}));
    assert_eq!(world.get(Some(V0), None).unwrap(), "old");
}

#[test]
fn a_rotation_may_begin_while_pending_and_current_are_on_one_version() {
    let mut world = World::with_secret();
    world.ok("UpdateSecretVersionStage", json!({"SecretId": "s", "VersionStage": PENDING, "MoveToVersionId": V0}));
    world.rotate(V1);
    assert_eq!(world.labels(), json!({V0: [CURRENT], V1: [PENDING]}));
}

#[test]
fn a_second_rotation_is_refused_and_the_first_taken_up_again() {
    let mut world = World::with_secret();
    let rotation = world.rotate(V1);
    let second = json!({"SecretId": "s", "ClientRequestToken": V2});
    assert!(matches!(world.call("RotateSecret", second.clone()), Ok(Answer::RotationInProgress(None))), "somebody is on it");
    assert!(world.store.fail(&rotation, false), "the second request asked for another attempt");
    assert!(!world.store.fail(&rotation, false));
    let Ok(Answer::RotationInProgress(Some(again))) = world.call("RotateSecret", second) else { panic!("nobody is on it") };
    assert_eq!((again.version.as_str(), again.expose_token()), (V1, rotation.expose_token()));
    assert_eq!(world.labels(), json!({V0: [CURRENT], V1: [PENDING]}));
}

#[test]
fn the_same_rotation_request_twice_is_one_rotation() {
    let mut world = World::with_secret();
    let request = json!({"SecretId": "s", "ClientRequestToken": V1, "RotationLambdaARN": FUNCTION});
    assert!(world.rotate_with(request.clone()).is_some());
    assert!(world.rotate_with(request).is_none());
}

#[rstest]
#[case::no_function(
    json!({"SecretId": "s", "ClientRequestToken": V1}),
    Exception::InvalidRequest, "No Lambda rotation function ARN is associated with this secret."
)]
#[case::another_function(
    json!({"SecretId": "s", "ClientRequestToken": V1, "RotationLambdaARN": "arn:aws:lambda:us-east-1:123456789012:function:other"}),
    Exception::AccessDenied,
    "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the principal secretsmanager.amazonaws.com."
)]
#[case::no_token(
    json!({"SecretId": "missing"}),
    Exception::InvalidParameter, "You must provide a ClientRequestToken value. We recommend a UUID-type value."
)]
#[case::days(
    json!({"SecretId": "s", "ClientRequestToken": V1, "RotationLambdaARN": FUNCTION, "RotationRules": {"AutomaticallyAfterDays": 1001}}),
    Exception::InvalidParameter, "RotationRules.AutomaticallyAfterDays must be within 1-1000."
)]
#[case::token_of_a_version(
    json!({"SecretId": "s", "ClientRequestToken": V2, "RotationLambdaARN": FUNCTION}),
    Exception::InvalidRequest, "already in use"
)]
fn a_refused_rotation_configures_nothing(#[case] request: Value, #[case] exception: Exception, #[case] message: &str) {
    let mut world = World::with_secret();
    world.put(V2, "labelled otherwise", Some(&["MINE"]));
    let refused = world.refused("RotateSecret", request);
    assert_eq!(refused.0, exception);
    assert!(refused.1.contains(message), "{}", refused.1);
    let described = world.ok("DescribeSecret", json!({"SecretId": "s"}));
    assert!(described.get("RotationEnabled").is_none() && described.get("RotationRules").is_none());
    assert_eq!(described["VersionIdsToStages"], json!({V0: [CURRENT], V2: ["MINE"]}));
}

#[test]
fn rotate_without_arn_uses_the_stored_one_and_keeps_the_rules() {
    let mut world = World::with_secret();
    let rules = json!({"ScheduleExpression": "rate(10 days)", "Duration": "3h"});
    let first = json!({"SecretId": "s", "ClientRequestToken": V1, "RotationLambdaARN": FUNCTION, "RotationRules": rules});
    let rotation = world.rotate_with(first).unwrap();
    world.put(V1, "new", Some(&[PENDING]));
    world.promote(V1, V0).unwrap();
    world.store.succeed(&rotation, world.now).unwrap();
    assert!(world.rotate_with(json!({"SecretId": "s", "ClientRequestToken": V2})).is_some());
    let described = world.ok("DescribeSecret", json!({"SecretId": "s"}));
    assert_eq!((&described["RotationRules"], &described["RotationLambdaARN"]), (&rules, &json!(FUNCTION)));
}

#[test]
fn a_secret_without_a_value_gets_a_pending_version_only() {
    let mut world = World::new();
    world.ok("CreateSecret", json!({"Name": "s", "ClientRequestToken": V0}));
    world.rotate(V1);
    assert_eq!(world.labels(), json!({V1: [PENDING]}));
    let (exception, message) = world.get(None, None).unwrap_err();
    assert_eq!(exception, Exception::ResourceNotFound);
    assert_eq!(message, "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT");
}

#[test]
fn a_test_works_on_a_copy_and_takes_it_away() {
    let mut world = World::with_secret();
    let request = json!({"SecretId": "s", "ClientRequestToken": V1, "RotationLambdaARN": FUNCTION, "RotateImmediately": false});
    let rotation = world.rotate_with(request).unwrap();
    assert_eq!(rotation.kind, RotationKind::Test);
    assert_eq!(world.labels(), json!({V0: [CURRENT], V1: [PENDING]}));
    assert_eq!(world.get(Some(V1), Some(PENDING)).unwrap(), "old");
    world.store.succeed(&rotation, world.now).unwrap();
    assert_eq!(world.labels(), json!({V0: [CURRENT]}));
    assert_eq!(world.get(Some(V1), None).unwrap_err().0, Exception::ResourceNotFound);
    let described = world.ok("DescribeSecret", json!({"SecretId": "s"}));
    assert_eq!((&described["RotationEnabled"], described.get("LastRotatedDate")), (&json!(true), None));
}

#[test]
fn a_failed_test_takes_its_copy_away_too() {
    let mut world = World::with_secret();
    let request = json!({"SecretId": "s", "ClientRequestToken": V1, "RotationLambdaARN": FUNCTION, "RotateImmediately": false});
    let rotation = world.rotate_with(request).unwrap();
    assert!(!world.store.fail(&rotation, true), "a test is not repeated");
    assert_eq!(world.labels(), json!({V0: [CURRENT]}));
}

#[test]
fn a_value_is_written_once() {
    let mut world = World::with_secret();
    world.rotate(V1);
    world.put(V1, "new", Some(&[PENDING]));
    world.put(V1, "new", Some(&[PENDING]));
    let refused = world.refused(
        "PutSecretValue",
        json!({"SecretId": "s", "ClientRequestToken": V1, "SecretString": "x", "VersionStages": [PENDING]}),
    );
    assert_eq!(refused.0, Exception::ResourceExists);
    assert!(refused.1.starts_with(&format!("You can't use ClientRequestToken {V1} because that value is already in use")));
    let binary = json!({"SecretId": "s", "ClientRequestToken": V1, "SecretBinary": "bmV3", "VersionStages": [PENDING]});
    assert_eq!(world.refused("PutSecretValue", binary).0, Exception::ResourceExists, "the same bytes of another kind");
    assert_eq!(world.get(Some(V1), None).unwrap(), "new");
}

#[rstest]
#[case::put("PutSecretValue")]
#[case::update("UpdateSecret")]
fn another_current_value_abandons_the_rotation(#[case] operation: &str) {
    let mut world = World::with_secret();
    let rotation = world.rotate(V1);
    world.put(V1, "new", Some(&[PENDING]));
    world.ok(operation, json!({"SecretId": "s", "ClientRequestToken": V2, "SecretString": "by hand"}));
    assert_eq!(world.labels(), json!({V2: [CURRENT], V0: [PREVIOUS]}));
    assert_eq!(world.store.may_continue(&rotation), Err(Stopped::Abandoned));
    assert_eq!(world.get(Some(V1), None).unwrap(), "new", "the value the service may have is still readable");
}

#[test]
fn taking_pending_away_abandons_the_rotation() {
    let mut world = World::with_secret();
    let rotation = world.rotate(V1);
    world.ok("UpdateSecretVersionStage", json!({"SecretId": "s", "VersionStage": PENDING, "RemoveFromVersionId": V1}));
    assert_eq!(world.store.may_continue(&rotation), Err(Stopped::Abandoned));
    world.rotate(V2);
    assert_eq!(world.labels(), json!({V0: [CURRENT], V2: [PENDING]}));
}

#[test]
fn cancelling_keeps_pending_and_the_configuration() {
    let mut world = World::with_secret();
    let rotation = world.rotate(V1);
    let answer = world.ok("CancelRotateSecret", json!({"SecretId": "s"}));
    assert_eq!(answer["VersionId"], V1);
    assert_eq!(world.store.may_continue(&rotation), Err(Stopped::Cancelled));
    let described = world.ok("DescribeSecret", json!({"SecretId": "s"}));
    assert_eq!((&described["RotationEnabled"], &described["RotationLambdaARN"]), (&json!(false), &json!(FUNCTION)));
    assert_eq!(described["VersionIdsToStages"], json!({V0: [CURRENT], V1: [PENDING]}));
}

#[test]
fn a_pending_version_that_somebody_else_made_is_not_rotated() {
    let mut world = World::with_secret();
    let rotation = world.rotate(V1);
    world.put(V1, "new", Some(&[PENDING]));
    world.promote(V1, V0).unwrap();
    world.store.succeed(&rotation, world.now).unwrap();
    world.put(V2, "foreign", Some(&[PENDING]));
    let request = json!({"SecretId": "s", "ClientRequestToken": V0});
    let Ok(Answer::RotationInProgress(Some(rotation))) = world.call("RotateSecret", request) else { panic!("it is stuck") };
    let why = world.store.may_continue(&rotation).unwrap_err().to_string();
    assert!(why.starts_with(&format!("Pending secret version {V2} for Secret arn:")) && why.contains("was not created by Lambda"));
}

#[rstest]
#[case::right(|token: &str| Some(token.to_owned()), true)]
#[case::absent(|_: &str| None, true)]
#[case::wrong(|_: &str| Some("b1946ac9-2492-4d23-8c5b-1f2e3d4c5b6a".to_owned()), false)]
fn a_rotation_token_has_to_be_that_of_the_rotation(#[case] token: fn(&str) -> Option<String>, #[case] accepted: bool) {
    let mut world = World::with_secret();
    let rotation = world.rotate(V1);
    let mut request = json!({"SecretId": "s", "ClientRequestToken": V1, "SecretString": "new", "VersionStages": [PENDING]});
    if let Some(token) = token(rotation.expose_token()) {
        request["RotationToken"] = token.into();
    }
    assert_eq!(world.call("PutSecretValue", request).is_ok(), accepted);
    assert_eq!(world.get(Some(V1), None).is_ok(), accepted);
}

#[test]
fn moving_a_label_is_a_compare_and_swap() {
    let mut world = World::with_secret();
    world.put(V1, "new", Some(&["MINE"]));
    let held = format!(
        "The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently attached to version {V0}, so you \
         must explicitly reference that version in RemoveFromVersionId."
    );
    let rows = [
        (json!({"VersionStage": CURRENT, "MoveToVersionId": V1}), held.as_str()),
        (json!({"VersionStage": CURRENT, "MoveToVersionId": V1, "RemoveFromVersionId": V1}), "is currently attached to version"),
        (json!({"VersionStage": CURRENT, "RemoveFromVersionId": V0}), "You can only move staging label AWSCURRENT"),
        (json!({"VersionStage": "MINE", "MoveToVersionId": V0}), "is currently attached to version"),
        (json!({"VersionStage": CURRENT, "MoveToVersionId": V2, "RemoveFromVersionId": V0}), V2),
        (json!({"VersionStage": "MINE"}), "RemoveFromVersionId, MoveToVersionId, or both"),
    ];
    for (mut request, message) in rows {
        request["SecretId"] = "s".into();
        let refused = world.refused("UpdateSecretVersionStage", request);
        assert!(refused.1.contains(message), "{}", refused.1);
        assert_eq!(world.labels(), json!({V0: [CURRENT], V1: ["MINE"]}), "nothing moved");
    }
    world.promote(V1, V0).unwrap();
    assert_eq!(world.labels(), json!({V1: [CURRENT, "MINE"], V0: [PREVIOUS]}));
    assert!(world.promote(V1, V0).is_err(), "the holder is another now");
    world.promote(V0, V1).unwrap();
    assert_eq!(world.labels(), json!({V0: [CURRENT], V1: [PREVIOUS, "MINE"]}));
}

#[test]
fn current_never_points_to_a_version_without_a_value() {
    let mut world = World::with_secret();
    world.rotate(V1);
    assert!(world.promote(V1, V0).is_err());
    assert_eq!(world.get(None, None).unwrap(), "old");
}

#[test]
fn a_secret_has_at_most_twenty_labels() {
    let mut world = World::with_secret();
    let labels: Vec<String> = (0..19).map(|number| format!("L{number}")).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    world.put(V0, "old", Some(&labels));
    let refused = world.refused(
        "PutSecretValue",
        json!({"SecretId": "s", "ClientRequestToken": V1, "SecretString": "x", "VersionStages": ["L19"]}),
    );
    assert_eq!(refused.0, Exception::LimitExceeded);
    assert_eq!(world.get(Some(V1), None).unwrap_err().0, Exception::ResourceNotFound, "a refused version is not stored");
}

#[test]
fn put_without_labels_moves_current() {
    let mut world = World::with_secret();
    assert_eq!(world.put(V1, "new", None)["VersionStages"], json!([CURRENT]));
    assert_eq!(world.labels(), json!({V1: [CURRENT], V0: [PREVIOUS]}));
}

#[test]
fn a_deleted_secret_answers_describe_only_until_it_is_restored() {
    let mut world = World::with_secret();
    let rotation = world.rotate(V1);
    world.ok("DeleteSecret", json!({"SecretId": "s", "RecoveryWindowInDays": 7}));
    assert_eq!(world.store.may_continue(&rotation), Err(Stopped::Deleted));
    let marked = "You can't perform this operation on the secret because it was marked for deletion.".to_owned();
    for (operation, request) in [
        ("GetSecretValue", json!({"SecretId": "s"})),
        ("PutSecretValue", json!({"SecretId": "s", "ClientRequestToken": V2, "SecretString": "x"})),
        ("UpdateSecretVersionStage", json!({"SecretId": "s", "VersionStage": "MINE", "MoveToVersionId": V0})),
        ("RotateSecret", json!({"SecretId": "s", "ClientRequestToken": V2})),
        ("TagResource", json!({"SecretId": "s", "Tags": []})),
        ("UntagResource", json!({"SecretId": "s", "TagKeys": []})),
    ] {
        assert_eq!(world.refused(operation, request), (Exception::InvalidRequest, marked.clone()));
    }
    let again = json!({"Name": "s", "ClientRequestToken": V2});
    assert!(world.refused("CreateSecret", again).1.contains("already scheduled for deletion"));
    assert!(world.ok("DescribeSecret", json!({"SecretId": "s"}))["DeletedDate"].is_number());
    assert_eq!(world.ok("ListSecrets", json!({}))["SecretList"], json!([]));
    world.ok("RestoreSecret", json!({"SecretId": "s"}));
    assert_eq!(world.get(None, None).unwrap(), "old");
    world.ok("DeleteSecret", json!({"SecretId": "s"}));
    world.now += DAY * 30;
    assert_eq!(world.refused("DescribeSecret", json!({"SecretId": "s"})).0, Exception::ResourceNotFound);
}

#[test]
fn a_forced_deletion_is_at_once() {
    let mut world = World::with_secret();
    world.ok("DeleteSecret", json!({"SecretId": "s", "ForceDeleteWithoutRecovery": true}));
    assert_eq!(world.get(None, None).unwrap_err().0, Exception::ResourceNotFound);
    world.ok("DeleteSecret", json!({"SecretId": "s", "ForceDeleteWithoutRecovery": true}));
    world.ok("CreateSecret", json!({"Name": "s", "ClientRequestToken": V0, "SecretString": "again"}));
}

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
fn a_value_of_64_kib_and_a_binary_one_are_kept_as_they_are() {
    let mut world = World::with_secret();
    let large = "x".repeat(65_536);
    world.put(V1, &large, None);
    assert_eq!(world.get(None, None).unwrap(), large);
    world.ok("PutSecretValue", json!({"SecretId": "s", "ClientRequestToken": V2, "SecretBinary": "AP8="}));
    let read = world.ok("GetSecretValue", json!({"SecretId": "s"}));
    assert_eq!((&read["SecretBinary"], read.get("SecretString")), (&json!("AP8="), None));
}

#[test]
fn old_versions_without_a_label_are_pruned_after_a_day() {
    let mut world = World::with_secret();
    for number in 0..110 {
        world.put(&format!("{number:032}"), "x", None);
    }
    let count = |world: &mut World| world.store.named("s").unwrap().versions.len();
    assert_eq!(count(&mut world), 111, "nothing is a day old");
    world.now += DAY;
    world.put(V1, "x", None);
    assert_eq!(count(&mut world), 100);
    assert!(world.get(None, Some(PREVIOUS)).is_ok());
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

#[test]
fn an_error_never_shows_a_value() {
    let mut world = World::with_secret();
    for request in [
        json!({"SecretId": "s", "ClientRequestToken": V0, "SecretString": "canary"}),
        json!({"SecretId": "s", "ClientRequestToken": ["canary"], "SecretString": "canary"}),
        json!({"SecretId": "s", "ClientRequestToken": V1, "SecretBinary": "canary*"}),
        json!({"SecretId": "s", "ClientRequestToken": V1, "SecretString": "x", "RotationToken": "canary"}),
    ] {
        let refused = world.refused("PutSecretValue", request);
        assert!(!format!("{refused:?}").contains("canary"), "{refused:?}");
    }
}

#[test]
fn an_unknown_operation_is_named_and_the_known_ones_listed() {
    let error = Operation::from_target(Some("secretsmanager.PutResourcePolicy")).unwrap_err();
    assert_eq!(error.exception, Exception::UnknownOperation);
    assert!(error.message.contains("operation PutResourcePolicy. It has CancelRotateSecret, CreateSecret"), "{}", error.message);
}
