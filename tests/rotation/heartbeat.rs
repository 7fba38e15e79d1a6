//! Heartbeats of the real function: real plugins, a real Redis, and secrets that rotations have left behind.

use rstest::rstest;
use serde_json::{Value, json};
use windlass::event::Step;
use windlass::local::protocol::Operation;
use windlass::secret::SecretValue;

use crate::log_lines::metric_lines;
use crate::scene::{Scene, Service, Set, USER, assert_error};
use crate::support::account::{Deployment, Function};
use crate::support::front::Front;

fn heartbeat() -> Value {
    json!({ "windlass": "heartbeat" })
}

/// A scene whose secret was rotated once, by a function that tests it as `rule` says.
fn rotated(rule: &str) -> Scene {
    let configuration = format!("[[secrets]]\n{rule}\nheartbeat = true\n");
    let scene = Set { configuration, ..Set::default() }.redis();
    for (step, answer) in scene.account.rotate(&scene.secret, &scene.function, &Value::Null) {
        assert!(answer.is_ok(), "{step}: {answer:?}");
    }
    scene
}

/// What the lines of the secrets say.
fn said(function: &Function, key: &str) -> Vec<Value> {
    let output = function.output();
    let lines = output.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["message"] == "heartbeat").map(|line| line[key].clone()).collect()
}

/// The counts of the heartbeat that was last: ok, drift, unreachable, unclear, skipped.
#[track_caller]
fn counts(function: &Function) -> [u64; 5] {
    let last = metric_lines(function).pop().unwrap();
    assert_eq!(last["message"], "heartbeat done");
    ["HeartbeatOk", "HeartbeatDrift", "HeartbeatUnreachable", "HeartbeatUnclear", "HeartbeatSkipped"]
        .map(|name| last[name].as_u64().unwrap())
}

fn redis(scene: &Scene) -> &crate::support::redis::Redis {
    let Service::Redis(redis) = &scene.service else { unreachable!() };
    redis
}

/// How often Redis was told to change a user.
fn changes(scene: &Scene) -> Option<String> {
    let statistics = redis(scene).command(&["INFO", "commandstats"]);
    let line = statistics.lines().find(|line| line.starts_with("cmdstat_acl|setuser:"))?;
    Some(line.split(',').next()?.to_owned())
}

/// Beats, and asserts that neither secret nor service is another afterwards.
#[track_caller]
fn beat(scene: &Scene) {
    let before = (scene.account.state(&scene.secret), scene.account.versions(&scene.secret));
    scene.function.succeed(&heartbeat());
    assert!(before == (scene.account.state(&scene.secret), scene.account.versions(&scene.secret)), "the secret was changed");
}

#[rstest]
#[case::by_name("secret = \"prod/app\"")]
#[case::by_pattern("secret = \"prod/*\"")]
#[case::by_arn_pattern("secret = \"arn:aws:secretsmanager:*:*:secret:prod/app-*\"")]
fn a_credential_that_works_is_ok_and_stays_as_it_is(#[case] rule: &str) {
    let scene = rotated(rule);
    let (before, users) = (changes(&scene), scene.users());
    assert!(before.is_some());
    beat(&scene);
    assert_eq!(said(&scene.function, "heartbeat"), ["ok"]);
    assert_eq!(counts(&scene.function), [1, 0, 0, 0, 0]);
    assert_eq!((changes(&scene), scene.users()), (before, users));
    let line = metric_lines(&scene.function).pop().unwrap();
    assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["FunctionName"]]));
    assert_eq!(said(&scene.function, "secret"), [scene.secret.arn.as_str()]);
    assert_eq!(said(&scene.function, "version"), [scene.account.holder(&scene.secret, "AWSCURRENT").unwrap().as_str()]);
    assert_eq!(said(&scene.function, "refused_logins"), [0]);
}

#[test]
fn a_password_that_was_changed_elsewhere_is_drift_until_it_is_corrected() {
    let scene = rotated("secret = \"prod/*\"");
    redis(&scene).add_user(USER, "changed-by-somebody-else");
    beat(&scene);
    assert_eq!(said(&scene.function, "heartbeat"), ["drift"]);
    assert_eq!(said(&scene.function, "error_type"), ["Windlass.Unauthorized"]);
    let error = said(&scene.function, "error").remove(0);
    assert!(error.as_str().unwrap().contains(&format!("`windlass doctor {} --probe`", scene.secret.arn)), "{error}");
    // One refused login, because the account may be locked after a few.
    assert_eq!(said(&scene.function, "refused_logins"), [1]);
    assert_eq!(counts(&scene.function), [0, 1, 0, 0, 0]);
    redis(&scene).add_user(USER, &scene.current().unwrap());
    beat(&scene);
    assert_eq!(counts(&scene.function), [1, 0, 0, 0, 0]);
}

#[test]
fn a_service_that_is_down_is_unreachable() {
    let scene = rotated("secret = \"prod/*\"");
    redis(&scene).kill();
    beat(&scene);
    assert_eq!(counts(&scene.function), [0, 0, 1, 0, 0]);
    assert_eq!(said(&scene.function, "cause"), ["unreachable"]);
}

#[test]
fn a_secret_whose_rotation_is_under_way_is_left_alone() {
    let scene = rotated("secret = \"prod/*\"");
    let rotation = scene.begin();
    let turns = scene.proxy.turns();
    for _ in [Step::Create, Step::Set] {
        beat(&scene);
        assert_eq!(counts(&scene.function), [0, 0, 0, 0, 1]);
        scene.function.succeed(&rotation.event(Step::Create));
    }
    assert_eq!(said(&scene.function, "reason"), ["rotation under way", "rotation under way"]);
    assert_eq!(scene.proxy.turns(), turns);
    for step in Step::ALL {
        scene.function.succeed(&rotation.event(step));
    }
    beat(&scene);
    // The label stays on the finished version for a while.
    scene.finished(&rotation);
}

#[rstest]
#[case::deleted(Operation::DeleteSecret, "the secret is scheduled for deletion")]
#[case::disabled(Operation::CancelRotateSecret, "rotation is disabled for the secret")]
fn a_secret_that_no_step_would_run_for_is_skipped_with_the_reason(#[case] operation: Operation, #[case] reason: &str) {
    let scene = rotated("secret = \"prod/app\"");
    scene.account.call(operation, &json!({ "SecretId": scene.secret.arn }));
    let turns = scene.proxy.turns();
    scene.function.succeed(&heartbeat());
    assert_eq!(counts(&scene.function), [0, 0, 0, 0, 1]);
    assert!(said(&scene.function, "reason")[0].as_str().unwrap().starts_with(reason));
    assert_eq!(scene.proxy.turns(), turns);
}

#[test]
fn a_plugin_that_is_not_there_or_not_trusted_is_unclear_and_gets_nothing() {
    let scene = rotated("secret = \"prod/*\"");
    let rules = |plugin: &str| format!("{plugin}[[secrets]]\nsecret = \"prod/*\"\nheartbeat = true\n");
    let pin = format!("[plugins.redis]\ndigest = \"sha256:{}\"\n", "0".repeat(64));
    for (more, error_type) in
        [(rules("") + "plugin = \"nothing\"\n", "Windlass.PluginNotFound"), (rules(&pin), "Windlass.PluginUntrusted")]
    {
        let function = Deployment::new(scene.configuration() + &more).deploy(&scene.account);
        let turns = scene.proxy.turns();
        function.succeed(&heartbeat());
        assert_eq!(said(&function, "error_type"), [error_type]);
        assert_eq!(counts(&function), [0, 0, 0, 1, 0]);
        assert_eq!(scene.proxy.turns(), turns);
    }
}

#[test]
fn a_secret_that_this_function_does_not_rotate_is_not_tested() {
    let scene = rotated("secret = \"prod/*\"");
    scene.account.secret("prod/never-rotated", &SecretValue::text("{}"), &[]);
    beat(&scene);
    assert_eq!(counts(&scene.function), [1, 0, 0, 0, 0]);
    assert_eq!(said(&scene.function, "secret"), [scene.secret.arn.as_str()]);
}

#[test]
fn a_list_that_is_denied_is_said_with_what_to_allow() {
    const DENIED: &str =
        r#"{"__type":"AccessDeniedException","Message":"User: x is not authorized to perform: secretsmanager:ListSecrets"}"#;
    let scene = rotated("secret = \"prod/*\"");
    let front = Front::before(scene.account.port(), u32::MAX, 400, DENIED);
    let configuration = format!("{}[[secrets]]\nsecret = \"prod/*\"\nheartbeat = true\n", scene.configuration());
    let function = Deployment::new(configuration).secrets_manager(front.port()).deploy(&scene.account);
    let error = function.invoke(&heartbeat()).unwrap_err();
    assert_error(&error, "Windlass.HeartbeatDenied", &["secretsmanager:ListSecrets on `*`", "AccessDeniedException"]);
    let line = metric_lines(&function).pop().unwrap();
    assert_eq!(json!([line["message"], line["ErrorType"], line["Failures"]]), json!(["heartbeat failed", error.error_type, 1]));
}

#[test]
fn an_event_that_may_be_for_a_rotation_or_for_a_heartbeat_does_nothing() {
    let scene = rotated("secret = \"prod/*\"");
    let rotation = scene.begin();
    let mut both = rotation.event(Step::Create);
    both["windlass"] = "heartbeat".into();
    scene.refused(&both, "Windlass.InvalidEvent", &["not clear what it asks for"]);
    scene.refused(&json!({ "windlass": "beat" }), "Windlass.InvalidEvent", &["it must be \"heartbeat\""]);
}
