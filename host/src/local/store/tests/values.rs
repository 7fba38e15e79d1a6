use serde_json::json;

use super::*;

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
    for number in 1..100 {
        world.put(&format!("{number:032}"), "x", None);
    }
    let count = |world: &World| world.store.named("s").unwrap().versions.len();
    world.rotate(V1);
    assert_eq!(count(&world), 101, "nothing is a day old");
    world.now += DAY;
    world.put(V2, "x", None);
    assert_eq!(count(&world), 100);
    assert!(world.get(None, Some(PREVIOUS)).is_ok());
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
