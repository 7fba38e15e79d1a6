//! Services and a Secrets Manager that are down, silent, overloaded, somebody else, or out of bounds.

use std::net::TcpListener;
use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use windlass::event::Step;

use crate::scene::{Set, assert_error};
use crate::support::account::Deployment;
use crate::support::front::Front;
use crate::support::pki::Kind;
use crate::support::port;

#[rstest]
#[case::redis(true)]
#[case::rabbitmq(false)]
fn a_service_that_is_down_is_named(#[case] redis: bool) {
    let closed = port::free();
    let members = json!({ "port": closed, "management_port": closed });
    let set = Set { members, ..Set::default() };
    let scene = if redis { set.redis() } else { set.rabbitmq() };
    let rotation = scene.begin_before(Step::Set);
    let words = [&*format!("localhost:{closed}"), "check the network path"];
    for step in [Step::Set, Step::Test, Step::Finish] {
        scene.fails(&rotation.event(step), "Windlass.Unreachable", &words);
    }
}

#[rstest]
#[case::redis(true)]
#[case::rabbitmq(false)]
fn a_service_that_never_answers_is_given_up(#[case] redis: bool) {
    // Connections wait in its queue for ever.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let configuration = "[limits]\nio_milliseconds = 300\n".to_owned();
    let set = Set { members: json!({ "port": port, "management_port": port }), configuration, ..Set::default() };
    let scene = if redis { set.redis() } else { set.rabbitmq() };
    let rotation = scene.begin_before(Step::Set);
    scene.fails(&rotation.event(Step::Set), "Windlass.Unreachable", &["check the network path"]);
}

#[test]
fn a_host_that_does_not_resolve_is_named() {
    let scene = Set { members: json!({ "host": "nowhere.invalid" }), ..Set::default() }.redis();
    let rotation = scene.begin_before(Step::Set);
    scene.refused(&rotation.event(Step::Set), "Windlass.Unreachable", &["nowhere.invalid", "resolve"]);
}

#[rstest]
#[case::unknown_authority(
    Some(Kind::Good),
    true,
    "signed by an unknown authority. If it is your own, add its file to `tls.ca_files`"
)]
#[case::expired(Some(Kind::Expired), false, "expired")]
#[case::wrong_name(Some(Kind::WrongName), false, "is for another name")]
fn a_server_that_cannot_prove_who_it_is_gets_no_credential(
    #[case] tls: Option<Kind>,
    #[case] authority_unknown: bool,
    #[case] words: &str,
) {
    let scene = Set { tls, authority_unknown, ..Set::default() }.redis();
    let rotation = scene.begin_before(Step::Set);
    for step in [Step::Set, Step::Test, Step::Finish] {
        scene.fails(&rotation.event(step), "Windlass.Unreachable", &[words, "(tls)"]);
    }
}

#[test]
fn a_server_without_tls_gets_no_credential_unless_the_secret_says_so() {
    let scene = Set { members: json!({ "tls": null }), ..Set::default() }.redis();
    let rotation = scene.begin_before(Step::Set);
    scene.fails(&rotation.event(Step::Set), "Windlass.Unreachable", &["tls"]);
}

#[test]
fn loopback_is_denied_unless_the_operator_grants_it() {
    let scene = Set { loopback_denied: true, ..Set::default() }.redis();
    let rotation = scene.begin_before(Step::Set);
    for step in [Step::Set, Step::Test, Step::Finish] {
        scene.refused(&rotation.event(step), "Windlass.Denied", &["loopback"]);
    }
    let granted = scene.another_function();
    for step in [Step::Set, Step::Test, Step::Finish] {
        granted.succeed(&rotation.event(step));
    }
    scene.finished(&rotation);
}

#[test]
fn an_endpoint_that_the_operator_does_not_list_is_denied() {
    let configuration = "[[secrets]]\nsecret = \"prod/*\"\nendpoints = [\"redis.example.com:6379\"]\n".to_owned();
    let scene = Set { configuration, ..Set::default() }.redis();
    let words = ["do not list", &format!("localhost:{}", scene.proxy.port())];
    scene.refused(&scene.begin().event(Step::Create), "Windlass.EndpointDenied", &words);
}

#[test]
fn too_little_time_is_not_begun_with() {
    let scene = Set::default().redis();
    let rotation = scene.begin_before(Step::Set);
    // Compiled in time, so that what is short is the time for the service.
    scene.function.succeed(&rotation.event(Step::Set));
    let (before, turns) = (scene.account.state(&scene.secret), scene.proxy.turns());
    let error = scene.function.invoke_within(&rotation.event(Step::Test), Duration::from_millis(1400)).unwrap_err();
    assert_error(&error, "Windlass.TooLittleTime", &["ms are left", "Raise the function's timeout"]);
    assert!(before == scene.account.state(&scene.secret) && turns == scene.proxy.turns());
    scene.function.succeed(&rotation.event(Step::Test));
}

const THROTTLED: &str = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
const BROKEN: &str = r#"{"__type":"InternalServiceError","message":"An error occurred on the server side."}"#;

#[rstest]
#[case::throttled(400, THROTTLED)]
#[case::failing(500, BROKEN)]
#[case::behind_a_broken_gateway(503, "<html>no</html>")]
fn a_secrets_manager_that_recovers_is_asked_again(#[case] status: u16, #[case] body: &'static str) {
    let scene = Set::default().redis();
    let front = Front::before(scene.account.port(), 3, status, body);
    let deployment = Deployment::new(scene.configuration()).secrets_manager(front.port());
    let scene = scene.with_function(deployment);
    let rotation = scene.begin();
    for step in Step::ALL {
        scene.function.succeed(&rotation.event(step));
    }
    assert_eq!(front.refused(), 3);
    scene.finished(&rotation);
}

#[rstest]
#[case::throttled(400, THROTTLED, "SecretsManagerThrottled")]
#[case::failing(500, BROKEN, "SecretsManagerFailed")]
#[case::behind_a_broken_gateway(503, "<html>no</html>", "SecretsManagerFailed")]
#[case::denying(400, r#"{"__type":"AccessDeniedException","Message":"User: x is not authorized"}"#, "SecretsManagerDenied")]
fn a_secrets_manager_that_does_not_recover_is_reported(#[case] status: u16, #[case] body: &'static str, #[case] error_type: &str) {
    let scene = Set::default().redis();
    let rotation = scene.begin_before(Step::Set);
    let front = Front::before(scene.account.port(), u32::MAX, status, body);
    let deployment = Deployment::new(scene.configuration()).secrets_manager(front.port());
    let scene = scene.with_function(deployment);
    scene.refused(&rotation.event(Step::Set), &format!("Windlass.{error_type}"), &["DescribeSecret failed", "To do: "]);
}

#[test]
fn a_secrets_manager_that_is_unreachable_is_reported() {
    let scene = Set::default().redis();
    let rotation = scene.begin_before(Step::Set);
    let deployment = Deployment::new(scene.configuration()).secrets_manager(port::free());
    let scene = scene.with_function(deployment);
    let words = ["DescribeSecret failed", "route to Secrets Manager", "SECRETS_MANAGER_ENDPOINT"];
    scene.refused(&rotation.event(Step::Set), "Windlass.SecretsManagerUnreachable", &words);
}
