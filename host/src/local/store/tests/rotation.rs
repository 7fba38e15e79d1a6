use rstest::rstest;
use serde_json::{Value, json};

use super::*;

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
fn a_function_does_not_go_on_with_the_value_of_another_one() {
    const OTHER: &str = "arn:aws:lambda:us-east-1:123456789012:function:other";
    let mut world = World::with_secret();
    world.store.also_invoke(FunctionArn::parse(OTHER).unwrap()).unwrap();
    let of = |function: &str| json!({"SecretId": "s", "ClientRequestToken": V1, "RotationLambdaARN": function});
    let before = world.rotate_with(of(OTHER)).unwrap();
    assert_eq!(before.function, OTHER);
    world.put(V1, "new", Some(&[PENDING]));
    assert_eq!(world.store.may_continue(&before), Ok(()));
    assert!(!world.store.fail(&before, false));
    let after = world.rotate_with(of(FUNCTION)).unwrap();
    assert_eq!(after.function, FUNCTION);
    let said = world.store.may_continue(&after).unwrap_err().to_string();
    assert_eq!(
        said,
        format!(
            "Pending secret version {V1} for Secret {} was not created by Lambda {FUNCTION}. Remove the AWSPENDING staging label and restart rotation",
            after.arn
        )
    );
}

#[test]
fn a_function_may_fill_what_another_one_left_without_a_value() {
    const OTHER: &str = "arn:aws:lambda:us-east-1:123456789012:function:other";
    let mut world = World::with_secret();
    world.store.also_invoke(FunctionArn::parse(OTHER).unwrap()).unwrap();
    let of = |function: &str| json!({"SecretId": "s", "ClientRequestToken": V1, "RotationLambdaARN": function});
    let before = world.rotate_with(of(OTHER)).unwrap();
    assert!(!world.store.fail(&before, false));
    let after = world.rotate_with(of(FUNCTION)).unwrap();
    world.put(V1, "new", Some(&[PENDING]));
    assert_eq!(world.store.may_continue(&after), Ok(()));
}

#[test]
fn a_function_of_another_region_is_not_invoked() {
    let mut world = World::with_secret();
    let elsewhere = FunctionArn::parse("arn:aws:lambda:eu-west-1:123456789012:function:other").unwrap();
    let error = world.store.also_invoke(elsewhere).unwrap_err().to_string();
    assert!(error.contains("eu-west-1") && error.contains(FUNCTION), "{error}");
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
