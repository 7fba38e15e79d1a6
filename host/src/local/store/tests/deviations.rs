//! Where emulators are known to differ from AWS: each test is one such place. The others stand with their topic: write-once values
//! and labels that move atomically in `values`, tokens, tests and abandoned rotations in `rotation`.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn described(world: &mut World) -> Value {
    world.ok("DescribeSecret", json!({"SecretId": "s"}))
}

/// Rotates to `token` and promotes it, without the clean-up after success.
fn promoted(world: &mut World, token: &str, current: &str) -> Rotation {
    let rotation = world.rotate(token);
    world.put(token, "new", Some(&[PENDING]));
    world.promote(token, current).unwrap();
    rotation
}

#[rstest]
#[case::secret("DescribeSecret", json!({"SecretId": "missing"}))]
#[case::version("GetSecretValue", json!({"SecretId": "s", "VersionId": V2}))]
#[case::label("GetSecretValue", json!({"SecretId": "s", "VersionStage": PREVIOUS}))]
fn what_is_not_there_is_http_400_and_not_404(#[case] operation: &str, #[case] request: Value) {
    let (exception, _) = World::with_secret().refused(operation, request);
    assert_eq!((exception, exception.status()), (Exception::ResourceNotFound, 400));
}

#[test]
fn a_label_of_another_version_is_another_error_than_no_value() {
    let mut world = World::with_secret();
    world.rotate(V1);
    let no_value = world.get(Some(V1), Some(PENDING)).unwrap_err();
    let mismatch = world.get(Some(V0), Some(PENDING)).unwrap_err();
    assert_eq!((no_value.0, mismatch.0), (Exception::ResourceNotFound, Exception::InvalidRequest));
    assert_eq!(mismatch.1, "You provided a VersionStage that is not associated to the provided VersionId.");
}

#[test]
fn a_schedule_and_its_window_are_kept_and_turn_rotation_on() {
    let mut world = World::with_secret();
    let rules = json!({"ScheduleExpression": "cron(0 8 1 * ? *)", "Duration": "3h"});
    world.rotate_with(json!({
        "SecretId": "s", "ClientRequestToken": V1, "RotationLambdaARN": FUNCTION, "RotationRules": rules, "RotateImmediately": false,
    }));
    let described = described(&mut world);
    assert_eq!((&described["RotationRules"], &described["RotationEnabled"]), (&rules, &json!(true)));
    // The clock stands on 2023-11-14; the window closes on 2023-12-01 at 11:00.
    assert_eq!(described["NextRotationDate"], 1_701_428_399.0);
}

#[test]
fn rules_that_are_not_named_again_stay_and_others_replace_them() {
    let mut world = World::with_secret();
    let rotate = |world: &mut World, token: &str, rules: Value| {
        let mut request = json!({"SecretId": "s", "ClientRequestToken": token, "RotationLambdaARN": FUNCTION});
        if !rules.is_null() {
            request["RotationRules"] = rules;
        }
        world.rotate_with(request);
        world.ok("UpdateSecretVersionStage", json!({"SecretId": "s", "VersionStage": PENDING, "RemoveFromVersionId": token}));
    };
    rotate(&mut world, V1, json!({"ScheduleExpression": "rate(10 days)", "Duration": "3h"}));
    rotate(&mut world, V2, Value::Null);
    assert_eq!(described(&mut world)["NextRotationDate"], 1_700_794_799.0, "on 2023-11-24 at 03:00");
    rotate(&mut world, &V2.replace('2', "3"), json!({"AutomaticallyAfterDays": 1}));
    let described = described(&mut world);
    assert_eq!(described["RotationRules"], json!({"AutomaticallyAfterDays": 1}));
    assert_eq!(described["NextRotationDate"], 1_700_092_799.0, "on 2023-11-16 at 00:00");
}

#[test]
fn a_value_that_was_put_by_hand_moves_the_next_date() {
    let mut world = World::with_secret();
    let rules = json!({"AutomaticallyAfterDays": 10});
    let request = json!({
        "SecretId": "s", "ClientRequestToken": V1, "RotationLambdaARN": FUNCTION, "RotationRules": rules, "RotateImmediately": false,
    });
    let test = world.rotate_with(request).unwrap();
    world.store.succeed(&test, world.now).unwrap();
    let before = described(&mut world)["NextRotationDate"].as_f64().unwrap();
    world.now += DAY * 3;
    world.put(V2, "by hand", None);
    assert_eq!(described(&mut world)["NextRotationDate"].as_f64().unwrap(), before + 3.0 * 86_400.0);
}

#[test]
fn only_a_successful_rotation_is_a_last_rotation() {
    let mut world = World::with_secret();
    let rotation = world.rotate(V1);
    world.store.fail(&rotation, false);
    assert!(described(&mut world).get("LastRotatedDate").is_none());
    world.ok("UpdateSecretVersionStage", json!({"SecretId": "s", "VersionStage": PENDING, "RemoveFromVersionId": V1}));
    let rotation = promoted(&mut world, V2, V0);
    world.store.succeed(&rotation, world.now).unwrap();
    assert_eq!(described(&mut world)["LastRotatedDate"], 1_700_000_000.0);
}

#[test]
fn without_rotation_there_is_neither_a_last_nor_a_next_one() {
    let mut world = World::with_secret();
    let rules = json!({"AutomaticallyAfterDays": 10});
    let request = json!({"SecretId": "s", "ClientRequestToken": V1, "RotationLambdaARN": FUNCTION, "RotationRules": rules});
    let rotation = world.rotate_with(request).unwrap();
    world.put(V1, "new", Some(&[PENDING]));
    world.promote(V1, V0).unwrap();
    world.store.succeed(&rotation, world.now).unwrap();
    world.ok("CancelRotateSecret", json!({"SecretId": "s"}));
    let described = described(&mut world);
    assert_eq!((described.get("LastRotatedDate"), described.get("NextRotationDate")), (None, None));
    assert_eq!(described["RotationRules"], rules);
}

#[rstest]
#[case::aws(false, json!([CURRENT]))]
#[case::lingering(true, json!([CURRENT, PENDING]))]
fn after_success_pending_goes_or_lingers_and_the_next_rotation_begins(#[case] lingers: bool, #[case] labels: Value) {
    let mut world = World::with_secret();
    if lingers {
        world.store.let_pending_linger();
    }
    let rotation = promoted(&mut world, V1, V0);
    world.store.succeed(&rotation, world.now).unwrap();
    assert_eq!(world.labels(), json!({V0: [PREVIOUS], V1: labels}));
    let rotation = promoted(&mut world, V2, V1);
    world.store.succeed(&rotation, world.now).unwrap();
    assert_eq!(world.labels(), json!({V1: [PREVIOUS], V2: labels}));
}

#[test]
fn a_new_current_value_takes_no_other_label_from_the_old_one() {
    let mut world = World::with_secret();
    world.ok("UpdateSecretVersionStage", json!({"SecretId": "s", "VersionStage": "MINE", "MoveToVersionId": V0}));
    world.put(V1, "new", None);
    assert_eq!(world.labels(), json!({V0: [PREVIOUS, "MINE"], V1: [CURRENT]}));
}

#[test]
fn versions_without_a_label_are_listed_only_when_asked_for() {
    let mut world = World::with_secret();
    world.put(V1, "new", None);
    world.put(V2, "newer", None);
    assert_eq!(world.labels(), json!({V1: [PREVIOUS], V2: [CURRENT]}));
    let mut ids = |deprecated: bool| {
        let listed = world.ok("ListSecretVersionIds", json!({"SecretId": "s", "IncludeDeprecated": deprecated}));
        let mut ids: Vec<_> = listed["Versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|version| version["VersionId"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(false), [V1, V2]);
    assert_eq!(ids(true), [V0, V1, V2]);
}

#[test]
fn cancelling_names_the_partial_version_and_no_other() {
    let mut world = World::with_secret();
    let rotation = promoted(&mut world, V1, V0);
    world.store.succeed(&rotation, world.now).unwrap();
    assert!(world.ok("CancelRotateSecret", json!({"SecretId": "s"})).get("VersionId").is_none());
    world.rotate(V2);
    assert_eq!(world.ok("CancelRotateSecret", json!({"SecretId": "s"}))["VersionId"], V2);
}

#[test]
fn a_hundred_versions_of_one_day_are_the_most_that_values_put_by_hand_make() {
    let mut world = World::with_secret();
    for number in 1..100 {
        world.put(&format!("{number:032}"), "x", None);
    }
    let put = json!({"SecretId": "s", "ClientRequestToken": V1, "SecretString": "x"});
    for operation in ["PutSecretValue", "UpdateSecret"] {
        assert_eq!(world.refused(operation, put.clone()).0, Exception::LimitExceeded);
    }
    assert_eq!(world.get(Some(V1), None).unwrap_err().0, Exception::ResourceNotFound, "a refused version is not stored");
    world.put(&format!("{:032}", 99), "x", None);
    world.now += DAY;
    world.put(V1, "x", None);
}

#[test]
fn a_secret_that_is_marked_for_deletion_is_not_deleted_twice() {
    let mut world = World::with_secret();
    let window = world.ok("DeleteSecret", json!({"SecretId": "s", "RecoveryWindowInDays": 7}));
    assert_eq!(window["DeletionDate"], 1_700_000_000.0 + 7.0 * 86_400.0);
    assert_eq!(world.refused("DeleteSecret", json!({"SecretId": "s"})).0, Exception::InvalidRequest);
}

#[rstest]
#[case::words("all", &["PROD"], &["prod/db"])]
#[case::a_word_in_the_middle("all", &["db"], &["prod/db"])]
#[case::words_of_a_description("description", &["billing data"], &["prod/db"])]
#[case::not_a_prefix_of_a_word("description", &["illing"], &[])]
#[case::names_have_a_case("name", &["PROD"], &[])]
#[case::names_have_a_beginning("name", &["db"], &[])]
#[case::one_of_two("name", &["s", "prod"], &["prod/db", "s"])]
#[case::tag("tag-key", &["team"], &["prod/db"])]
fn filters_match_as_aws_matches(#[case] key: &str, #[case] values: &[&str], #[case] names: &[&str]) {
    let mut world = World::with_secret();
    let tags = json!([{"Key": "team", "Value": "blue"}]);
    world.ok(
        "CreateSecret",
        json!({"Name": "prod/db", "ClientRequestToken": V1, "Description": "Data of the billing", "Tags": tags}),
    );
    let listed = world.ok("ListSecrets", json!({"Filters": [{"Key": key, "Values": values}]}));
    let found: Vec<_> = listed["SecretList"].as_array().unwrap().iter().map(|entry| entry["Name"].as_str().unwrap()).collect();
    assert_eq!(found, names);
}

#[rstest]
#[case::by_creation(json!({}), &["s", "a", "b"])]
#[case::backwards(json!({"SortOrder": "desc"}), &["b", "a", "s"])]
#[case::by_name(json!({"SortBy": "name"}), &["a", "b", "s"])]
#[case::by_change(json!({"SortBy": "last-changed-date"}), &["a", "b", "s"])]
fn secrets_are_listed_in_order(#[case] request: Value, #[case] names: &[&str]) {
    let mut world = World::with_secret();
    for name in ["a", "b"] {
        world.now += DAY;
        world.ok("CreateSecret", json!({"Name": name, "ClientRequestToken": V1}));
    }
    world.now += DAY;
    world.put(V2, "newer", None);
    let listed = world.ok("ListSecrets", request);
    let found: Vec<_> = listed["SecretList"].as_array().unwrap().iter().map(|entry| entry["Name"].as_str().unwrap()).collect();
    assert_eq!(found, names);
}
