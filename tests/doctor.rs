//! `windlass doctor`, against a running `windlass local`, the AWS CLI and a real redis-server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test is meant to panic, in its helpers too")]

mod support;

#[path = "doctor/scene.rs"]
mod scene;

use rstest::rstest;
use scene::Scene;
use serde_json::{Value, json};
use support::built;
use support::canary::Canary;
use support::process::Program;

/// The names of the findings, the most urgent first.
fn names(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["name"].as_str().unwrap()).collect()
}

/// What is known of the version with this label; of the first without one for an empty label.
#[track_caller]
fn version<'a>(report: &'a Value, label: &str) -> &'a Value {
    let found = report["versions"].as_array().unwrap().iter().find(|version| match label {
        "" => version["labels"] == json!([]),
        label => version["labels"].as_array().unwrap().contains(&json!(label)),
    });
    found.unwrap_or_else(|| panic!("no {label} in {report}"))
}

#[test]
fn a_rotated_secret_is_healthy_and_its_current_version_opens_the_service() {
    let mut scene = Scene::start("");
    scene.rotated("app");
    let report = scene.doctor("app", &["--probe", "--yes"], 0);
    assert_eq!(names(&report), Vec::<&str>::new());
    assert_eq!(report["healthy"], true);
    assert_eq!(report["plugin"]["name"], "redis");
    assert_eq!(report["plugin"]["endpoints"], json!([format!("127.0.0.1:{}", scene.redis.port)]));
    assert_eq!(version(&report, "AWSCURRENT")["opens"], true);
    let previous = scene.password("app", "AWSPREVIOUS");
    assert_eq!(version(&report, "AWSPREVIOUS")["opens"], scene.redis.accepts("app", previous.value()));
    // The same in words, with the endpoint where the AWS CLI finds it too.
    let finished = scene.quiet(scene.command("app", &[]).run().succeeded());
    assert!(finished.stdout.contains("\nNothing is wrong.\n") && finished.stdout.contains("--probe asks it"), "{finished:?}");
}

#[test]
fn a_secret_that_nobody_rotates_is_said_to_be_so() {
    let mut scene = Scene::start("");
    scene.create("app", &Canary::new(), "redis");
    let report = scene.doctor("app", &[], 4);
    assert_eq!(names(&report), ["rotation-not-configured"]);
    let command = report["findings"][0]["commands"][0].as_str().unwrap().replace("FUNCTION_ARN", &scene.function);
    let password = scene.password("app", "AWSCURRENT");
    scene.redis.add_user("app", password.value());
    scene.shell(&command);
    scene.until("app", |described| {
        described["VersionIdsToStages"].as_object().unwrap().values().any(|of| of == &json!(["AWSPREVIOUS"]))
    });
    assert_eq!(names(&scene.doctor("app", &["--probe", "--yes"], 0)), Vec::<&str>::new());
}

#[test]
fn a_secret_without_a_value_needs_a_first_one() {
    let scene = Scene::start("");
    scene.aws(&["create-secret", "--name", "app"]);
    assert_eq!(names(&scene.doctor("app", &[], 4)), ["no-current-value", "rotation-not-configured"]);
}

#[test]
fn what_the_command_lacks_on_this_machine_is_told_once_with_what_to_do_here() {
    let empty = tempfile::tempdir().unwrap();
    let doctor = |region: &[(&str, &str)], more: &[&str]| {
        let program = Program::windlass().args(["doctor", "app"]).args(more);
        let program = program.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", empty.path());
        region.iter().fold(program, |program, (name, value)| program.env(name, value)).run().failed_with(1).stderr
    };
    let nowhere = doctor(&[], &[]);
    assert!(nowhere.starts_with("error: there is no AWS region. Set AWS_REGION"), "{nowhere}");
    let region = [("AWS_REGION", "us-east-1")];
    let nobody = doctor(&region, &[]);
    assert!(nobody.starts_with("error: DescribeSecret failed: no credentials found"), "{nobody}");
    assert!(nobody.contains("To do: set AWS_REGION and credentials, or AWS_PROFILE"), "{nobody}");
    assert_eq!(nobody.matches("To do").count(), 1, "{nobody}");
    let folder = empty.path().to_str().unwrap();
    let nothing = doctor(&region, &["--plugins", folder]);
    assert!(nothing.starts_with(&format!("error: there is no plugin in {folder}. ")), "{nothing}");
}

#[test]
fn a_secret_that_is_marked_for_deletion_comes_back_by_the_command_that_is_printed() {
    let mut scene = Scene::start("");
    scene.rotated("app");
    scene.aws(&["delete-secret", "--secret-id", "app", "--recovery-window-in-days", "7"]);
    let report = scene.doctor("app", &[], 4);
    assert_eq!(names(&report), ["marked-for-deletion"]);
    scene.shell(report["findings"][0]["commands"][0].as_str().unwrap());
    assert_eq!(names(&scene.doctor("app", &[], 0)), Vec::<&str>::new());
}

#[rstest]
#[case::no_tag(None, "missing-tag", "Tag it with the name of one of: `etcd`, `http-basic`, ")]
#[case::unknown_plugin(Some("kafka"), "unknown-plugin", "Installed: `etcd`, `http-basic`, ")]
#[case::no_plugin_name(Some("../redis"), "invalid-tag", "windlass:plugin")]
fn a_pending_version_without_a_value_is_explained_by_its_cause_and_taken_away(
    #[case] plugin: Option<&str>,
    #[case] cause: &str,
    #[case] says: &str,
) {
    let mut scene = Scene::start("");
    scene.create("app", &Canary::new(), plugin.unwrap_or_default());
    let pending = scene.rotation_fails("app");
    let report = scene.doctor("app", &["--probe", "--yes"], 4);
    assert_eq!(names(&report), ["valueless-pending", cause]);
    assert!(report["findings"][1]["what"].as_str().unwrap().contains(says), "{report}");
    assert_eq!(version(&report, "AWSPENDING")["state"], "has no value");

    scene.aws(&["cancel-rotate-secret", "--secret-id", "app"]);
    let report = scene.doctor("app", &["--apply", "--yes"], 4);
    assert_eq!(names(&report), [cause, "rotation-disabled"]);
    assert!(scene.describe("app")["VersionIdsToStages"].get(&pending).is_none());
}

#[test]
fn an_endpoint_that_the_operator_does_not_grant_is_named_with_what_would_grant_it() {
    let mut scene = Scene::start("[defaults]\nendpoints = ['elsewhere.example.com:6379']\n");
    scene.create("app", &Canary::new(), "redis");
    scene.rotation_fails("app");
    let report = scene.doctor("app", &["--probe", "--yes"], 4);
    assert_eq!(names(&report), ["valueless-pending", "endpoint-denied"]);
    let address = format!("127.0.0.1:{}", scene.redis.port);
    assert!(report["findings"][1]["what"].as_str().unwrap().contains(&address), "{report}");
    assert_eq!(report["probed"], false, "nothing is sent where the operator forbids it");
}

#[test]
fn when_nothing_opens_the_service_that_is_called_drift_until_somebody_mends_it() {
    let mut scene = Scene::start("");
    let password = Canary::new();
    scene.create("app", &password, "redis");
    scene.redis.add_user("app", "changed-behind-our-back");
    let pending = scene.rotation_fails("app");
    scene.aws(&["cancel-rotate-secret", "--secret-id", "app"]);
    scene.password("app", "AWSPENDING");
    let report = scene.doctor("app", &["--probe", "--apply", "--yes"], 4);
    assert_eq!(names(&report), ["drift", "stuck-pending", "rotation-disabled"]);
    assert_eq!(report["findings"][1]["commands"], json!([]), "no command that could lose the last credential");
    assert_eq!(scene.describe("app")["VersionIdsToStages"][&pending], json!(["AWSPENDING"]), "--apply left it alone");

    // Not asked, the doctor does not know, and leaves it alone too.
    let report = scene.doctor("app", &["--apply", "--yes"], 4);
    assert_eq!(names(&report), ["stuck-pending", "rotation-disabled"]);
    assert_eq!(report["findings"][0]["can_apply"], Value::Null);

    // AWSCURRENT works again, so nothing is lost with the label.
    scene.redis.add_user("app", password.value());
    let report = scene.doctor("app", &["--probe"], 1);
    assert_eq!(report, Value::Null, "without a terminal and without --yes nothing is tried");
    let report = scene.doctor("app", &["--probe", "--yes"], 4);
    assert_eq!(names(&report), ["stuck-pending", "rotation-disabled"]);
    let command = report["findings"][0]["can_apply"].as_str().unwrap();
    assert_eq!(report["findings"][0]["commands"][0], command);
    scene.shell(command);
    assert!(scene.describe("app")["VersionIdsToStages"].get(&pending).is_none(), "the printed command does what it says");
    assert_eq!(names(&scene.doctor("app", &["--probe", "--yes"], 4)), ["rotation-disabled"]);
}

#[test]
fn a_rotation_that_ended_between_set_and_finish_is_finished_by_moving_awscurrent() {
    let mut scene = Scene::start("");
    let pending = scene.between_set_and_finish("app");
    let report = scene.doctor("app", &["--probe", "--yes"], 4);
    assert_eq!(names(&report), ["only-pending-opens", "rotation-disabled"]);
    assert_eq!((&version(&report, "AWSCURRENT")["opens"], &version(&report, "AWSPENDING")["opens"]), (&json!(false), &json!(true)));
    let report = scene.doctor("app", &["--probe", "--apply", "--yes"], 4);
    assert_eq!(names(&report), ["rotation-disabled"]);
    assert_eq!(version(&report, "AWSCURRENT")["id"], pending);
    assert_eq!(version(&report, "AWSCURRENT")["opens"], true);
}

#[test]
fn a_rotation_that_may_be_at_work_is_left_alone() {
    let mut scene = Scene::start("");
    scene.rotated("app");
    let value = scene.aws.json(["get-secret-value", "--secret-id", "app"])["SecretString"].as_str().unwrap().to_owned();
    scene.put_pending("app", &value);
    let arguments = ["--probe", "--apply", "--yes", "--json"];
    let finished = scene.quiet(scene.command("app", &arguments).run().succeeded());
    assert_eq!(names(&finished.json()), ["rotation-underway"]);
    assert_eq!(names(&scene.doctor("app", &["--probe", "--yes"], 4)), ["stuck-pending"], "--stuck-after 0 says otherwise");
}

#[test]
fn the_only_working_credential_of_an_abandoned_rotation_is_found_without_its_label() {
    let mut scene = Scene::start("");
    let pending = scene.between_set_and_finish("app");
    // Somebody stores another value, which abandons the rotation.
    let wrong = Canary::new();
    scene.canaries.push(wrong.clone());
    let value = scene.value(&wrong);
    scene.aws(&["put-secret-value", "--secret-id", "app", "--secret-string", &value]);
    assert!(scene.describe("app")["VersionIdsToStages"].get(&pending).is_none());

    let report = scene.doctor("app", &[], 4);
    assert_eq!(names(&report), ["rotation-disabled", "abandoned-version"]);
    let report = scene.doctor("app", &["--probe", "--apply", "--yes"], 4);
    assert_eq!(names(&report), ["rotation-disabled"]);
    assert_eq!(version(&report, "AWSCURRENT")["id"], pending);
    let works = scene.password("app", "AWSCURRENT");
    assert!(scene.redis.accepts("app", works.value()));
}

#[test]
fn the_error_of_a_version_that_another_function_made_is_explained() {
    let mut scene = Scene::start("");
    scene.rotated("app");
    // As a function leaves it that was replaced in the middle of a rotation.
    let other = Canary::new();
    scene.canaries.push(other.clone());
    let pending = scene.put_pending("app", &scene.value(&other));
    scene.aws.run(["rotate-secret", "--secret-id", "app"]).failed_with(255);
    let why = scene.event("app", "RotationAbandoned")["why"].as_str().unwrap().to_owned();
    assert!(why.contains("was not created by Lambda"), "{why}");
    let report = scene.doctor("app", &["--probe", "--yes", "--error", &why], 4);
    assert_eq!(names(&report), ["not-created-by-function"]);
    let report = scene.doctor("app", &["--probe", "--yes", "--apply", "--error", &why], 0);
    assert_eq!(names(&report), ["unknown-error"], "it is of the past now");
    assert!(scene.describe("app")["VersionIdsToStages"].get(&pending).is_none());
}

#[test]
fn a_pending_version_for_another_host_is_named_and_never_sent_there() {
    let mut scene = Scene::start("");
    scene.rotated("app");
    let elsewhere = scene::listener();
    let stray = Canary::new();
    scene.canaries.push(stray.clone());
    let value = json!({ "username": "app", "password": stray.value(), "host": "127.0.0.1",
                        "port": elsewhere.local_addr().unwrap().port(), "tls": false });
    scene.put_pending("app", &value.to_string());
    let report = scene.doctor("app", &["--probe", "--yes"], 4);
    assert_eq!(names(&report), ["identity-differs"]);
    assert!(report["findings"][0]["what"].as_str().unwrap().contains("differs from AWSCURRENT in `port`"), "{report}");
    elsewhere.set_nonblocking(true).unwrap();
    assert!(elsewhere.accept().is_err(), "the stray host was asked");
}

#[test]
fn equal_values_are_said_to_be_equal_and_tried_once() {
    let mut scene = Scene::start("");
    scene.rotated("app");
    let value = scene.aws.json(["get-secret-value", "--secret-id", "app"])["SecretString"].as_str().unwrap().to_owned();
    scene.put_pending("app", &value);
    let finished = scene.quiet(scene.command("app", &["--probe", "--yes", "--json", "--stuck-after", "0"]).run().failed_with(4));
    let report = finished.json();
    assert_eq!(version(&report, "AWSPENDING")["value"], version(&report, "AWSCURRENT")["value"]);
    assert_eq!(version(&report, "AWSPENDING")["opens"], true);
    assert!(finished.stderr.contains("at most 2 stored values"), "{finished:?}");
}

/// A plugin that lies or tells must neither make a version pass for one that works nor carry a value to the terminal.
#[rstest]
#[case::accepts_everything("accepts-everything", "its test proves nothing")]
#[case::tells("says-its-secret", "no clear answer")]
#[case::panics("panics", "panicked")]
fn a_bad_plugin_proves_nothing_and_tells_nothing(#[case] behaviour: &str, #[case] says: &str) {
    let mut scene = Scene::start(&format!("[[secrets]]\nsecret = 'app'\nsettings = {{ behaviour = '{behaviour}' }}\n"));
    scene.create("app", &Canary::awkward(), "hostile");
    let program = scene.bare("app", &["--probe", "--yes", "--json"]).arg("--config").arg(scene.config());
    let finished = scene.quiet(program.arg("--plugins").arg(built::target_folder().join("guests")).run().failed_with(4));
    let report = finished.json();
    assert_eq!(names(&report), ["probe-unclear", "rotation-not-configured"], "{finished:?}");
    assert!(report["findings"][0]["what"].as_str().unwrap().contains(says), "{finished:?}");
    assert_eq!(version(&report, "AWSCURRENT")["opens"], Value::Null);
}

/// Answers on a real terminal: `n` changes nothing, `y` runs the command.
#[rstest]
#[case::refused("n", "Not run.", true)]
#[case::nothing("", "Not run.", true)]
#[case::agreed("y", "Done.", false)]
fn asks_on_the_terminal_before_it_changes_anything(#[case] answer: &str, #[case] says: &str, #[case] stays: bool) {
    let mut scene = Scene::start("");
    scene.create("app", &Canary::new(), "kafka");
    let pending = scene.rotation_fails("app");
    scene.aws(&["cancel-rotate-secret", "--secret-id", "app"]);
    let finished = scene.on_a_terminal("app", &["--apply"], answer);
    assert!(finished.stdout.contains("Run this? [y/N]") && finished.stdout.contains(says), "{finished:?}");
    assert!(finished.stdout.contains(&format!("--version-stage AWSPENDING --remove-from-version-id {pending}")), "{finished:?}");
    assert_eq!(scene.describe("app")["VersionIdsToStages"].get(&pending).is_some(), stays);
}

#[rstest]
#[case::no_secret("nobody", &[], "DescribeSecret failed with ResourceNotFoundException")]
#[case::no_folder("app", &["--plugins", "/nowhere"], "--plugins /nowhere is not a folder")]
#[case::no_config("app", &["--config", "/nowhere/windlass.toml"], "/nowhere/windlass.toml cannot be read")]
fn what_cannot_be_diagnosed_is_said(#[case] secret: &str, #[case] arguments: &[&str], #[case] says: &str) {
    let mut scene = Scene::start("");
    scene.create("app", &Canary::new(), "redis");
    let finished = scene.bare(secret, arguments).run().failed_with(1);
    assert_eq!(finished.stdout, "");
    assert!(finished.stderr.contains(says), "{finished:?}");
}
