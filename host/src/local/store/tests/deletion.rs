use serde_json::json;

use super::*;

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
