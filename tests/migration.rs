//! A secret moves from one of AWS's templates to Windlass and back, in every state in which it can be: the rehearsal of
//! host/deploy/MIGRATION.md, whose commands these tests run as they stand there.
//!
//! The function that rotated before is `migration/earlier_function.py`, which does what AWS's templates for PostgreSQL do, and what the
//! generic one does when somebody has filled it in for PostgreSQL. It and Windlass are two functions with two ARNs in one `windlass local`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test is meant to panic, in its helpers too")]

#[path = "migration/guide.rs"]
mod guide;
#[path = "alternating_users/postgresql.rs"]
mod postgresql;
#[path = "migration/scene.rs"]
mod scene;
mod support;

use rstest::rstest;
use scene::{BESIDE, EARLIER, SECRET, Scene, Setting, WINDLASS, password, user};
use serde_json::{Value, json};
use support::canary::Canary;

const AT_REST: [&str; 2] = [r#"["AWSCURRENT"]"#, r#"["AWSPREVIOUS"]"#];

fn usual(setting: &Setting<'_>) -> Scene {
    let scene = Scene::start(setting);
    scene.create(Scene::usual);
    scene
}

/// The guide's way for a secret at rest, from the tag to the last look.
#[track_caller]
fn moves(scene: &Scene) {
    let before = scene.value("AWSCURRENT");
    scene.follow("tag");
    let tried = scene.follow("try").json();
    scene.ends(&tried, "TestRotationSucceeded");
    assert_eq!(scene.value("AWSCURRENT"), before, "a test changes nothing");
    let rotated = scene.follow("rotate").json();
    scene.ends(&rotated, "RotationSucceeded");
    let after = scene.value("AWSCURRENT");
    assert_ne!(password(&after), password(&before));
    assert!(scene.enters(&after));
    assert_eq!(scene.value("AWSPREVIOUS"), before);
    let checked = scene.follow("check");
    assert!(checked.status.success() && checked.stdout.contains("\nNothing is wrong.\n"), "{checked:?}");
    assert!(checked.stdout.contains(&format!("on, by {WINDLASS}")), "{checked:?}");
}

/// The guide's way back for a secret at rest.
#[track_caller]
fn moves_back(scene: &Scene) {
    let tried = scene.follow("back").json();
    scene.ends(&tried, "TestRotationSucceeded");
    let before = scene.value("AWSCURRENT");
    let rotated = scene.follow("rotate").json();
    scene.ends(&rotated, "RotationSucceeded");
    assert_eq!(scene.described()["RotationLambdaARN"], EARLIER);
    assert_ne!(scene.value("AWSCURRENT"), before);
    assert!(scene.enters(&scene.value("AWSCURRENT")));
}

#[test]
fn a_secret_at_rest_moves_and_moves_back_and_moves_again() {
    let scene = usual(&Setting::default());
    scene.rotates_earlier("RotationSucceeded");
    assert_eq!(scene.look(), ["other-function"]);
    moves(&scene);
    assert!(!scene.enters(&scene.value("AWSPREVIOUS")));
    moves_back(&scene);
    assert_eq!(scene.labels(), AT_REST);
    moves(&scene);
}

#[test]
fn awspending_that_lingers_on_awscurrent_is_left_where_it_is() {
    let scene = usual(&Setting { local: &["--pending-lingers"], ..Setting::default() });
    scene.rotates_earlier("RotationSucceeded");
    assert_eq!(scene.labels(), [r#"["AWSCURRENT","AWSPENDING"]"#, AT_REST[1]]);
    assert_eq!(scene.look(), ["other-function"]);
    moves(&scene);
}

#[test]
fn a_secret_that_was_never_rotated_has_no_previous_version_and_moves() {
    let scene = usual(&Setting::default());
    scene.tests_earlier();
    assert_eq!(scene.labels(), [AT_REST[0]]);
    assert_eq!(scene.look(), ["other-function"]);
    moves(&scene);
}

/// The earlier function dies in a step of its second rotation, and nothing can go over before its version is dealt with.
#[track_caller]
fn stuck(step: &str) -> Scene {
    let fault = format!("{step}#2:error");
    let scene = usual(&Setting { local: &["--fault", &fault], ..Setting::default() });
    scene.rotates_earlier("RotationSucceeded");
    let current = scene.value("AWSCURRENT");
    let pending = scene.rotates_earlier("RotationFailed");
    assert_eq!(scene.stages()[&pending], json!(["AWSPENDING"]));
    assert_eq!(scene.value("AWSCURRENT"), current);
    scene
}

/// What happens to those who do not look first: nothing.
#[track_caller]
fn cannot_move_yet(scene: &Scene) {
    let before = scene.stages();
    let tried = scene.attempt("try").failed_with(255);
    assert!(tried.stderr.contains("A previous rotation isn't complete."), "{tried:?}");
    let described = scene.described();
    assert_eq!((&described["RotationLambdaARN"], &described["VersionIdsToStages"]), (&json!(EARLIER), &before));
}

#[test]
fn a_pending_version_without_a_value_loses_its_label_and_nothing_is_lost() {
    let scene = stuck("createSecret");
    scene.follow("freeze");
    cannot_move_yet(&scene);
    assert_eq!(scene.look(), ["valueless-pending", "rotation-disabled", "other-function"]);
    scene.follow("drop-pending");
    assert_eq!(scene.labels(), AT_REST);
    moves(&scene);
}

#[test]
fn a_pending_version_that_never_reached_the_service_loses_its_label() {
    let scene = stuck("setSecret");
    scene.follow("freeze");
    cannot_move_yet(&scene);
    assert_eq!(scene.look(), ["stuck-pending", "rotation-disabled", "other-function"]);
    scene.follow("drop-pending");
    moves(&scene);
}

#[test]
fn a_pending_version_that_the_service_has_becomes_current_before_anything_else() {
    let scene = stuck("testSecret");
    scene.follow("freeze");
    cannot_move_yet(&scene);
    let pending = scene.value("AWSPENDING");
    assert!(scene.enters(&pending) && !scene.enters(&scene.value("AWSCURRENT")));
    assert_eq!(scene.look(), ["only-pending-opens", "rotation-disabled", "other-function"]);
    scene.follow("promote-pending");
    assert_eq!(scene.value("AWSCURRENT"), pending);
    moves(&scene);
}

#[test]
fn a_careless_drop_locks_everybody_out_and_can_still_be_mended() {
    let scene = stuck("testSecret");
    scene.follow("freeze");
    scene.follow("drop-pending");
    assert_eq!(scene.look(), ["only-abandoned-opens", "rotation-disabled", "other-function"]);
    assert!(!scene.enters(&scene.value("AWSCURRENT")) && !scene.enters(&scene.value("AWSPREVIOUS")));
    scene.follow("promote-pending");
    moves(&scene);
}

#[test]
fn a_rotation_that_has_begun_may_as_well_be_ended_by_the_function_that_began_it() {
    let scene = stuck("testSecret");
    let pending = scene.value("AWSPENDING");
    let version = scene.holder("AWSPENDING");
    assert_eq!(
        scene.look(),
        ["rotation-underway", "other-function"],
        "nobody can tell a rotation that has failed from one at work"
    );
    let ended = scene.attempt("end").failed_with(255);
    assert!(ended.stderr.contains("That rotation will be reattempted."), "{ended:?}");
    scene.succeeds(&version);
    assert_eq!(scene.value("AWSCURRENT"), pending);
    assert_eq!(scene.look(), ["other-function"]);
    moves(&scene);
}

/// Windlass dies in a step of its first rotation, and the earlier function takes the secret back.
#[rstest]
#[case::before_it_stored_anything("createSecret", &["valueless-pending", "rotation-disabled"], "drop-pending")]
#[case::after_it_had_changed_the_service("finishSecret", &["only-pending-opens", "rotation-disabled"], "promote-pending")]
fn a_secret_goes_back_in_the_middle_of_a_rotation(#[case] step: &str, #[case] finds: &[&str], #[case] remedy: &str) {
    let fault = format!("{step}#2:error");
    let scene = usual(&Setting { local: &["--fault", &fault], ..Setting::default() });
    scene.rotates_earlier("RotationSucceeded");
    scene.follow("tag");
    let tried = scene.follow("try").json();
    scene.ends(&tried, "TestRotationSucceeded");
    let rotated = scene.follow("rotate").json();
    scene.ends(&rotated, "RotationFailed");
    scene.follow("freeze");
    assert_eq!(scene.look(), finds);
    scene.follow(remedy);
    moves_back(&scene);
}

#[rstest]
#[case::in_the_rule("password = { length = 20, exclude_punctuation = true, exclude_characters = \"0O1l\" }", None)]
#[case::in_tags("", Some("password-tags"))]
fn new_passwords_look_as_those_of_the_earlier_function_did(#[case] rule: &str, #[case] tags: Option<&str>) {
    let environment = [("PASSWORD_LENGTH", "20"), ("EXCLUDE_PUNCTUATION", "true"), ("EXCLUDE_CHARACTERS", "0O1l")];
    let scene = usual(&Setting { environment: &environment, rule, ..Setting::default() });
    let fits = |label| {
        let password = password(&scene.value(label));
        password.len() == 20 && password.chars().all(|of| of.is_ascii_alphanumeric() && !"0O1l".contains(of))
    };
    scene.rotates_earlier("RotationSucceeded");
    assert!(fits("AWSCURRENT"));
    if let Some(tags) = tags {
        scene.follow(tags);
    }
    moves(&scene);
    assert!(fits("AWSCURRENT"));
}

#[test]
fn what_the_plugin_does_not_know_survives_byte_for_byte() {
    let scene = Scene::start(&Setting::default());
    let value = |scene: &Scene, password: &str| {
        let port = scene.server.port();
        format!(
            "{{ \"dbInstanceIdentifier\" :\"orders\",\n\t\"port\": {port} , \"ratio\":1.50, \"big\":12345678901234567890123,\n\
             \"username\":\"app\",\"password\":\"{password}\",  \"note\":\"caf\\u00e9 \\/ \\\"x\\\"\", \"empty\":{{}}, \"engine\":\"postgres\",\
             \"host\":\"localhost\",\"list\":[1, 2 ,3]}}\n"
        )
    };
    scene.create(|scene, password| value(scene, password));
    scene.tests_earlier();
    moves(&scene);
    let after = scene.value("AWSCURRENT");
    assert_eq!(after.replace(&password(&after), "[password]"), value(&scene, "[password]"));
}

/// The rule of the guide for a secret of one of AWS's multi-user templates.
const TWO_USERS: &str = "admin = \"prod/postgresql/master\"\nalternating_users = true";

fn two_users(setting: &Setting<'_>) -> Scene {
    let scene = Scene::start(setting);
    let (rotator, of_rotator) = scene.server.rotator();
    let port = scene.server.port();
    let master = json!({ "engine": "postgres", "username": rotator, "password": of_rotator, "host": "localhost", "port": port });
    let master = scene.call("CreateSecret", json!({ "Name": "prod/postgresql/master", "SecretString": master.to_string() }));
    scene.create(|scene, password| {
        let mut value: Value = serde_json::from_str(&scene.usual(password)).unwrap();
        value["masterarn"] = master["ARN"].clone();
        value.to_string()
    });
    // PostgreSQL 16 gives CREATEROLE a right over those roles only that it is granted.
    scene.server.as_superuser("GRANT app TO rotator WITH ADMIN OPTION");
    scene
}

#[test]
fn two_users_go_on_taking_turns() {
    let scene = two_users(&Setting { rule: TWO_USERS, ..Setting::default() });
    scene.rotates_earlier("RotationSucceeded");
    assert_eq!(user(&scene.value("AWSCURRENT")), "app_clone");
    assert_eq!(scene.look(), ["other-function"]);
    for turn in ["app", "app_clone"] {
        moves(&scene);
        assert_eq!(user(&scene.value("AWSCURRENT")), turn);
        assert!(scene.enters(&scene.value("AWSPREVIOUS")), "the one before goes on working");
    }
    moves_back(&scene);
    assert_eq!(user(&scene.value("AWSCURRENT")), "app");
    assert!(scene.enters(&scene.value("AWSPREVIOUS")));
}

#[test]
fn a_pending_version_for_the_other_user_loses_its_label_and_that_user_has_the_next_turn() {
    let scene = two_users(&Setting { rule: TWO_USERS, local: &["--fault", "testSecret#2:error"], ..Setting::default() });
    scene.rotates_earlier("RotationSucceeded");
    scene.rotates_earlier("RotationFailed");
    scene.follow("freeze");
    assert!(scene.enters(&scene.value("AWSCURRENT")) && scene.enters(&scene.value("AWSPENDING")));
    assert_eq!(scene.look(), ["stuck-pending", "rotation-disabled", "other-function"]);
    scene.follow("drop-pending");
    moves(&scene);
    assert_eq!(user(&scene.value("AWSCURRENT")), "app");
}

/// As RDS manages them.
#[test]
fn an_admin_secret_that_names_no_host_is_used_where_the_rule_says() {
    let rule = format!("{TWO_USERS}\nendpoints = [\"localhost:1-65535\"]");
    let scene = two_users(&Setting { rule: &rule, ..Setting::default() });
    scene.tests_earlier();
    let (rotator, of_rotator) = scene.server.rotator();
    let master = json!({ "username": rotator, "password": of_rotator }).to_string();
    scene.call("PutSecretValue", json!({ "SecretId": "prod/postgresql/master", "SecretString": master }));
    moves(&scene);
    assert_eq!(user(&scene.value("AWSCURRENT")), "app_clone");
}

#[test]
fn a_secret_of_two_users_without_a_rule_for_them_is_noticed() {
    let scene = two_users(&Setting::default());
    scene.rotates_earlier("RotationSucceeded");
    assert_eq!(scene.look(), ["other-function", "masterarn-ignored"]);
}

#[test]
fn what_belongs_to_another_service_stays_there() {
    let scene = usual(&Setting { local: &["--owned", "prod/orders/app=rds"], ..Setting::default() });
    assert_eq!(scene.look(), ["owned-by-another-service"]);
    let tried = scene.attempt("try").failed_with(255);
    assert!(tried.stderr.contains("rds"), "{tried:?}");
}

#[test]
fn a_replica_is_moved_where_its_primary_secret_is() {
    let scene = usual(&Setting { local: &["--replica", SECRET], ..Setting::default() });
    assert_eq!(scene.look(), ["replica"]);
    assert!(scene.said().contains("rotated in its primary region"), "{}", scene.said());
    let tried = scene.attempt("try").failed_with(255);
    assert!(tried.stderr.contains("replica"), "{tried:?}");
}

#[test]
fn a_password_that_was_changed_in_the_service_is_stored_before_the_secret_moves() {
    let scene = usual(&Setting::default());
    scene.rotates_earlier("RotationSucceeded");
    let in_use = Canary::new();
    scene.changes_behind_its_back(in_use.value());
    assert_eq!(scene.look(), ["drift", "other-function"]);
    // As the doctor says: the value of AWSCURRENT, corrected, from a file.
    let current = scene.value("AWSCURRENT");
    scene.follows_the_doctor("put-secret-value", Some(&current.replace(&password(&current), in_use.value())));
    assert_eq!(scene.look(), ["other-function"]);
    moves(&scene);
}

#[test]
fn a_service_that_was_put_back_has_its_version_made_current_before_the_secret_moves() {
    let scene = usual(&Setting::default());
    scene.rotates_earlier("RotationSucceeded");
    let previous = scene.value("AWSPREVIOUS");
    scene.changes_behind_its_back(&password(&previous));
    assert_eq!(scene.look(), ["only-other-opens", "other-function"]);
    scene.follows_the_doctor("update-secret-version-stage", None);
    assert_eq!(scene.value("AWSCURRENT"), previous);
    assert_eq!(scene.look(), ["other-function"]);
    moves(&scene);
}

#[test]
fn a_service_that_cannot_be_asked_says_nothing_about_the_secret_until_that_is_mended() {
    let scene = usual(&Setting::default());
    scene.rotates_earlier("RotationSucceeded");
    let right = scene.configuration();
    scene.configures(&right.replace("ca_files", "# ca_files"));
    assert_eq!(scene.look(), ["probe-unclear", "other-function"]);
    scene.configures(&format!("{right}endpoints = [\"elsewhere.example.com:5432\"]\n"));
    assert_eq!(scene.look(), ["endpoint-denied", "other-function"]);
    scene.configures(&right);
    assert_eq!(scene.look(), ["other-function"]);
    moves(&scene);
}

/// Of the engines of AWS's template the plugin recognises one by itself.
#[test]
fn a_secret_without_a_plugin_or_with_a_misspelt_one_gets_the_right_tag() {
    let scene = Scene::start(&Setting::default());
    scene.create(|scene, password| scene.usual(password).replace("\"postgres\"", "\"aurora-postgresql\""));
    scene.rotates_earlier("RotationSucceeded");
    assert_eq!(scene.look(), ["missing-tag", "other-function"]);
    scene.call("TagResource", json!({ "SecretId": SECRET, "Tags": [{ "Key": "windlass:plugin", "Value": "postgres" }] }));
    assert_eq!(scene.look(), ["unknown-plugin", "other-function"]);
    scene.follow("tag");
    assert_eq!(scene.look(), ["other-function"]);
    moves(&scene);
}

#[test]
fn a_plain_string_whose_readers_are_ready_gets_fields_and_moves() {
    let scene = Scene::start(&Setting::default());
    scene.create(|_, password| password.to_owned());
    scene.rotates_earlier("RotationSucceeded");
    scene.follow("freeze");
    let plain = scene.value("AWSCURRENT");
    scene.follow("in-place");
    assert_eq!(password(&scene.value("AWSCURRENT")), plain);
    // The way back, and on again.
    scene.promotes("AWSPREVIOUS");
    assert_eq!(scene.value("AWSCURRENT"), plain);
    scene.promotes("AWSPREVIOUS");
    scene.follow("tag");
    assert_eq!(scene.look(), ["rotation-disabled", "other-function"]);
    moves(&scene);
}

/// A secret as the generic template keeps it. Its readers take the whole value for the password, so it must not change its form.
#[test]
fn a_plain_string_stays_as_it_is_and_a_secret_with_fields_beside_it_moves() {
    let scene = Scene::start(&Setting::default());
    scene.create(|_, password| password.to_owned());
    scene.rotates_earlier("RotationSucceeded");
    assert_eq!(scene.look(), ["missing-tag", "other-function"]);
    scene.follow("tag");
    assert_eq!(scene.look(), ["malformed-secret", "other-function"]);
    assert!(scene.said().contains("the secret is not a JSON object"), "{}", scene.said());
    let right = scene.configuration();
    scene.configures(&format!("{right}generated = [\"*\"]\n"));
    assert_eq!(scene.look(), ["malformed-secret", "other-function"], "who and where stand nowhere else");
    scene.configures(&right);
    // Whoever does not look first loses nothing.
    let plain = scene.value("AWSCURRENT");
    let tried = scene.follow("try").json();
    scene.ends(&tried, "TestRotationFailed");
    assert_eq!(scene.value("AWSCURRENT"), plain);
    let tried = scene.follow("back").json();
    scene.ends(&tried, "TestRotationSucceeded");

    scene.follow("freeze");
    scene.follow("beside");
    assert_eq!(scene.value("AWSCURRENT"), plain);

    scene.turns_to(BESIDE);
    assert_eq!(password(&scene.value("AWSCURRENT")), plain);
    assert_eq!(scene.look(), ["rotation-not-configured"]);
    assert!(scene.said().contains("AWSCURRENT opens the service"), "{}", scene.said());
    // Until the first rotation of the new secret the way back is open, and is that of the old one.
    scene.turns_to(SECRET);
    let tried = scene.follow("back").json();
    scene.ends(&tried, "TestRotationSucceeded");
    scene.follow("freeze");
    scene.turns_to(BESIDE);
    assert_eq!(scene.described()["RotationLambdaARN"], Value::Null);
    moves(&scene);
    assert!(!scene.enters(&plain), "whoever reads the old secret is locked out from the first rotation on");

    scene.turns_to(SECRET);
    scene.follow("retire");
    assert_eq!(scene.look(), ["marked-for-deletion"]);
}

#[test]
fn every_command_of_the_guide_is_rehearsed() {
    let tests = include_str!("migration.rs");
    for block in guide::blocks().keys() {
        // The helpers run these.
        let everywhere = ["labels", "look", "variables"].contains(block);
        assert!(tests.contains(&format!("\"{block}\"")) || everywhere, "nothing runs the guide's block `{block}`");
    }
}

/// So that what a reader sets fits what a reader then sees.
#[test]
fn the_guide_speaks_of_the_same_secrets_and_functions_throughout() {
    let secrets = [SECRET, BESIDE].map(|name| format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-"));
    for arn in guide::arns() {
        let known = arn == EARLIER || arn == WINDLASS || secrets.iter().any(|secret| arn.starts_with(secret));
        assert!(known, "{arn}");
    }
}

#[test]
fn every_state_in_the_guides_table_is_made_here() {
    let (tests, states) = (include_str!("migration.rs"), guide::states());
    assert!(states.len() > 10, "the table is not read whole: {states:?}");
    let missing: Vec<_> = states.iter().filter(|state| !tests.contains(&format!("\"{state}\""))).collect();
    assert!(missing.is_empty(), "the guide says that these are rehearsed: {missing:?}");
}
