use rstest::rstest;
use serde_json::{Value, json};

use super::*;

/// A replica `copy` and a secret `rds!db` of RDS, both with a value.
fn world() -> World {
    let mut world = World::with_secret();
    world.store.belongs("copy".to_owned(), Owner::Region("us-west-2".to_owned()));
    world.store.belongs("rds!db".to_owned(), Owner::Service("rds".to_owned()));
    for name in ["copy", "rds!db"] {
        world.ok("CreateSecret", json!({"Name": name, "ClientRequestToken": V0, "SecretString": "old"}));
    }
    world
}

#[test]
fn whom_a_secret_belongs_to_is_shown() {
    let mut world = world();
    let copy = world.ok("DescribeSecret", json!({"SecretId": "copy"}));
    assert_eq!((&copy["PrimaryRegion"], copy.get("OwningService")), (&json!("us-west-2"), None));
    let owned = world.ok("DescribeSecret", json!({"SecretId": "rds!db"}));
    assert_eq!((&owned["OwningService"], owned.get("PrimaryRegion")), (&json!("rds"), None));
    assert_eq!(owned["Tags"], json!([{"Key": "aws:secretsmanager:owningService", "Value": "rds"}]));
    let own = world.ok("DescribeSecret", json!({"SecretId": "s"}));
    assert_eq!((own.get("OwningService"), own.get("PrimaryRegion")), (None, None));
}

#[rstest]
#[case::put("PutSecretValue", json!({"ClientRequestToken": V1, "SecretString": "x"}))]
#[case::update("UpdateSecret", json!({"ClientRequestToken": V1, "Description": "x"}))]
#[case::label("UpdateSecretVersionStage", json!({"VersionStage": "MINE", "MoveToVersionId": V0}))]
#[case::rotate("RotateSecret", json!({"ClientRequestToken": V1, "RotationLambdaARN": FUNCTION}))]
#[case::cancel("CancelRotateSecret", json!({}))]
#[case::delete("DeleteSecret", json!({}))]
#[case::force_delete("DeleteSecret", json!({"ForceDeleteWithoutRecovery": true}))]
#[case::restore("RestoreSecret", json!({}))]
#[case::tag("TagResource", json!({"Tags": [{"Key": "a", "Value": "b"}]}))]
#[case::untag("UntagResource", json!({"TagKeys": ["aws:secretsmanager:owningService"]}))]
#[case::put_policy("PutResourcePolicy", json!({"ResourcePolicy": "{}"}))]
#[case::delete_policy("DeleteResourcePolicy", json!({}))]
fn it_is_changed_elsewhere(#[case] operation: &str, #[case] mut request: Value) {
    let mut world = world();
    for (name, exception, message) in [
        (
            "copy",
            Exception::InvalidParameter,
            "Operation not permitted on a replica secret. Call must be made in primary secret's region.",
        ),
        (
            "rds!db",
            Exception::InvalidRequest,
            "The secret is managed by another service (rds), and you must use that service to update it.",
        ),
    ] {
        let before = world.ok("DescribeSecret", json!({"SecretId": name}));
        request["SecretId"] = name.into();
        assert_eq!(world.refused(operation, request.clone()), (exception, message.to_owned()));
        assert_eq!(world.ok("DescribeSecret", json!({"SecretId": name})), before);
    }
}

#[test]
fn it_can_be_read() {
    let mut world = world();
    for name in ["copy", "rds!db"] {
        assert_eq!(world.ok("GetSecretValue", json!({"SecretId": name}))["SecretString"], "old");
        world.ok("ListSecretVersionIds", json!({"SecretId": name}));
        world.ok("GetResourcePolicy", json!({"SecretId": name}));
    }
}

#[rstest]
#[case::region("primary-region", "us-west", "copy")]
#[case::service("owning-service", "rds", "rds!db")]
fn it_is_found_by_whom_it_belongs_to(#[case] key: &str, #[case] value: &str, #[case] name: &str) {
    let listed = world().ok("ListSecrets", json!({"Filters": [{"Key": key, "Values": [value]}]}));
    let entries = listed["SecretList"].as_array().unwrap();
    assert_eq!((entries.len(), &entries[0]["Name"]), (1, &json!(name)));
}

#[test]
fn names_of_other_services_are_theirs() {
    let refused = World::new().refused("CreateSecret", json!({"Name": "rds!db", "ClientRequestToken": V0}));
    assert_eq!(refused.0, Exception::InvalidParameter);
}

#[rstest]
#[case::replicate("ReplicateSecretToRegions", json!({"AddReplicaRegions": [{"Region": "us-west-2"}]}))]
#[case::remove("RemoveRegionsFromReplication", json!({"RemoveReplicaRegions": ["us-west-2"]}))]
#[case::stop("StopReplicationToReplica", json!({}))]
fn one_region_has_no_replication(#[case] operation: &str, #[case] mut request: Value) {
    let mut world = World::with_secret();
    request["SecretId"] = "s".into();
    let (exception, message) = world.refused(operation, request.clone());
    assert_eq!(exception, Exception::InvalidRequest);
    assert!(message.contains("one region"), "{message}");
    request["SecretId"] = "missing".into();
    assert_eq!(world.refused(operation, request).0, Exception::ResourceNotFound);
}
