//! Events that cannot be right, and secrets in a state in which they are not to be rotated. Nothing reaches the service.

use rstest::rstest;
use serde_json::{Value, json};
use windlass::event::Step;
use windlass::local::ids;
use windlass::local::protocol::Operation;
use windlass::local::store::CURRENT;

use crate::scene::{Scene, Set};

#[rstest]
#[case::unknown_step(json!({ "Step": "rotateSecret" }), "InvalidEvent", "must be createSecret, setSecret, testSecret or finishSecret")]
#[case::no_step(json!({ "Step": null }), "InvalidEvent", "no key `Step`")]
#[case::no_secret(json!({ "SecretId": null }), "InvalidEvent", "no key `SecretId`")]
#[case::no_version(json!({ "ClientRequestToken": null }), "InvalidEvent", "no key `ClientRequestToken`")]
#[case::name_for_arn(json!({ "SecretId": "prod/app" }), "InvalidEvent", "not the full ARN")]
#[case::other_arn(json!({ "SecretId": "arn:aws:s3:us-east-1:123456789012:secret:app-AbCdEf" }), "InvalidEvent", "does not name a secret")]
#[case::short_version(json!({ "ClientRequestToken": "1" }), "InvalidEvent", "32 to 64")]
#[case::malformed_token(json!({ "RotationToken": "short" }), "InvalidEvent", "36 to 256")]
#[case::wrong_type(json!({ "SecretId": 7 }), "InvalidEvent", "not a rotation event")]
#[case::unknown_version(json!({ "ClientRequestToken": "11111111-1111-4111-8111-111111111111" }), "UnknownVersion", "no staging label")]
#[case::unknown_secret(
    json!({ "SecretId": "arn:aws:secretsmanager:us-east-1:123456789012:secret:nobody-AbCdEf" }),
    "SecretNotFound",
    "check that the secret exists"
)]
fn a_malformed_event_is_refused(#[case] members: Value, #[case] error_type: &str, #[case] words: &str) {
    let scene = Set::default().redis();
    let rotation = scene.begin_before(Step::Set);
    for step in Step::ALL {
        let mut event = rotation.event(step);
        let object = event.as_object_mut().unwrap();
        object.extend(members.as_object().unwrap().clone());
        object.retain(|_, member| !member.is_null());
        scene.refused(&event, &format!("Windlass.{error_type}"), &[words]);
    }
    scene.function.succeed(&rotation.event(Step::Set));
}

#[test]
fn keys_that_nobody_knows_are_ignored() {
    let scene = Set::default().redis();
    let rotation = scene.begin();
    for step in Step::ALL {
        let mut event = rotation.event(step);
        event["Future"] = json!({ "a": [1, null, "x"] });
        scene.function.succeed(&event);
    }
    scene.finished(&rotation);
}

#[rstest]
#[case::disabled(Operation::CancelRotateSecret, "RotationDisabled", "`aws secretsmanager rotate-secret` enables it")]
#[case::deleted(Operation::DeleteSecret, "SecretDeleted", "`aws secretsmanager restore-secret` brings it back")]
fn a_secret_that_is_not_to_be_rotated_is_left_alone(#[case] operation: Operation, #[case] error_type: &str, #[case] words: &str) {
    let scene = Set::default().redis();
    let rotation = scene.begin_before(Step::Set);
    scene.account.call(operation, &json!({ "SecretId": scene.secret.arn }));
    for step in Step::ALL {
        scene.refused(&rotation.event(step), &format!("Windlass.{error_type}"), &[words]);
    }
}

#[test]
fn a_version_that_is_not_pending_is_refused() {
    let scene = Set::default().redis();
    let rotation = scene.begin_before(Step::Set);
    // AWS abandons a rotation when a new AWSCURRENT is stored.
    let first = scene.account.holder(&scene.secret, CURRENT).unwrap();
    put_current(&scene);
    for step in Step::ALL {
        scene.refused(&rotation.event(step), "Windlass.UnknownVersion", &["The rotation was abandoned"]);
        let mut previous = rotation.event(step);
        previous["ClientRequestToken"] = first.as_str().into();
        scene.refused(&previous, "Windlass.NotPending", &["is not AWSPENDING", "Start a rotation"]);
    }
}

fn put_current(scene: &Scene) {
    let value = scene.account.value(&scene.secret, CURRENT).unwrap();
    let request = json!({ "SecretId": scene.secret.arn, "ClientRequestToken": ids::uuid().unwrap(), "SecretString": value });
    scene.account.call(Operation::PutSecretValue, &request);
}
