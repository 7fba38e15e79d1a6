//! Whole rotations, as Secrets Manager runs them.

use rstest::rstest;
use serde_json::{Value, json};
use windlass::event::Step;
use windlass::local::store::{CURRENT, PENDING};
use windlass::secret::SecretValue;

use crate::scene::{Scene, Service, Set, USER, assert_error};
use crate::support::account::Deployment;
use crate::support::pki::Kind;

/// Rotates and returns the new password.
#[track_caller]
fn rotate(scene: &Scene) -> String {
    let steps = scene.account.rotate(&scene.secret, &scene.function, &Value::Null);
    let expected: Vec<_> = Step::ALL.map(|step| (step.name().to_owned(), Ok(Value::Null))).into();
    assert_eq!(steps, expected, "{}", scene.function.output());
    scene.current().unwrap()
}

#[rstest]
#[case::plain(None)]
#[case::tls(Some(Kind::Good))]
fn redis_takes_the_new_password_and_keeps_the_one_before_until_the_next_rotation(#[case] tls: Option<Kind>) {
    let scene = Set { tls, ..Set::default() }.redis();
    let first = scene.first.value();
    let second = rotate(&scene);
    assert!(second != first && scene.accepts(&second) && scene.accepts(first));
    let third = rotate(&scene);
    assert!(scene.accepts(&third) && scene.accepts(&second) && !scene.accepts(first));
    assert_eq!(scene.previous().as_deref(), Some(&*second));
    assert_eq!(scene.account.holder(&scene.secret, PENDING), None);
    let Service::Redis(redis) = &scene.service else { unreachable!() };
    assert!(redis.accepts_over_tls(USER, &third));
    let saved = redis.acl_file().unwrap();
    for (password, kept) in [(first, false), (&second, true), (&third, true)] {
        assert_eq!(saved.contains(&sha256(password)), kept, "the ACL file survives a restart of the server");
    }
}

#[rstest]
#[case::http(None)]
#[case::https(Some(Kind::Good))]
fn rabbitmq_takes_the_new_password_and_refuses_the_one_before(#[case] tls: Option<Kind>) {
    let scene = Set { tls, ..Set::default() }.rabbitmq();
    let mut before = scene.first.value().to_owned();
    for _ in 0..2 {
        let after = rotate(&scene);
        assert!(after != before && scene.accepts(&after) && !scene.accepts(&before));
        before = after;
    }
    let Service::RabbitMq(rabbitmq, user) = &scene.service else { unreachable!() };
    assert_eq!(rabbitmq.user(user)["tags"], json!(["administrator"]));
}

#[test]
fn everything_but_the_password_is_kept_byte_for_byte() {
    let scene = Set { members: json!({ "comment": "a  b\u{e9}\n\"" }), ..Set::default() }.redis();
    let before = scene.account.value(&scene.secret, CURRENT).unwrap();
    let after = rotate(&scene);
    assert_eq!(scene.account.value(&scene.secret, CURRENT).unwrap(), before.replace(scene.first.value(), &after));
}

#[test]
fn an_admin_that_the_operator_bound_changes_users_who_may_not() {
    let scene = Set::default().rabbitmq();
    let Service::RabbitMq(rabbitmq, user) = &scene.service else { unreachable!() };
    rabbitmq.put_user(user, scene.first.value(), "management");
    let admin = json!({ "username": crate::support::rabbitmq::ADMIN, "password": crate::support::rabbitmq::ADMIN_PASSWORD });
    let admin = scene.account.secret("prod/admin", &SecretValue::text(admin.to_string()), &[]);
    let rotation = scene.begin_before(Step::Set);
    scene.fails(&rotation.event(Step::Set), "Windlass.Unauthorized", &["no stored version", "bind an admin secret"]);
    let configuration = format!("{}[[secrets]]\nsecret = \"prod/*\"\nadmin = {:?}\n", scene.configuration(), admin.arn);
    // The admin secret names no host, so the operator has to say where it may be sent.
    let careless = Deployment::new(configuration.clone()).deploy(&scene.account);
    let error = careless.invoke(&rotation.event(Step::Set)).unwrap_err();
    assert_error(&error, "Windlass.AdminElsewhere", &["prod/admin", "Add `endpoints`"]);
    let configuration = format!("{configuration}endpoints = [\"localhost:{}\"]\n", scene.proxy().port());
    let function = Deployment::new(configuration).deploy(&scene.account);
    for step in [Step::Set, Step::Test, Step::Finish] {
        function.succeed(&rotation.event(step));
    }
    scene.finished(&rotation);
    assert_eq!(rabbitmq.user(user)["tags"], json!(["management"]));
}

#[test]
fn rotation_that_is_not_to_begin_at_once_tests_the_current_credential() {
    let scene = Set::default().redis();
    let before = scene.account.state(&scene.secret);
    let steps = scene.account.rotate(&scene.secret, &scene.function, &json!({ "RotateImmediately": false }));
    assert_eq!(steps, [("testSecret".to_owned(), Ok(Value::Null))], "{}", scene.function.output());
    assert!(scene.account.state(&scene.secret) == before && scene.accepts(scene.first.value()));
}

/// The check on the check: what a function certainly logs is found when it must not be there.
#[test]
#[should_panic(expected = "the function's output holds the canary secret")]
fn the_output_of_every_function_is_searched() {
    let scene = Set::default().redis();
    scene.account.never(&scene.secret.arn);
    scene.function.succeed(&scene.begin().event(Step::Create));
}

pub fn sha256(text: &str) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
