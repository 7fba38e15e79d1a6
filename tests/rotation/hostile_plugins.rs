//! Plugins that mean harm, one behaviour each: what becomes of it, and that nothing gets out. Their sources are in `tests/guests`.

use rstest::rstest;
use windlass::event::Step;
use windlass::local::store::CURRENT;
use windlass::secret::SecretValue;

use crate::scene::{Scene, Set};
use crate::support::account::Deployment;
use crate::support::built;

/// A scene whose secret is served by this guest, with as little time as the configuration allows.
fn served_by(guest: &str, settings: &str) -> Scene {
    let scene = Set::default().redis();
    let value = SecretValue::text(scene.account.value(&scene.secret, CURRENT).unwrap());
    let component = std::fs::read(built::guest(guest)).unwrap();
    let rule = format!("[limits]\ncall_seconds = 1\n[[secrets]]\nsecret = \"*\"\n{settings}");
    let configuration = format!("{}{rule}", scene.configuration());
    let deployment = Deployment::new(configuration).plugins(vec![(format!("{guest}.wasm"), component)]);
    scene.with_secret(&value, &[("windlass:plugin", guest)]).with_function(deployment)
}

#[rstest]
#[case::panics("panics", "PluginStopped", &["panicked at", "defect of the plugin"])]
#[case::spins("spins", "PluginDeadline", &["its time was up", "limits.call_seconds"])]
#[case::eats_memory("eats-memory", "PluginStopped", &["more than 67108864 bytes of memory"])]
#[case::returns_a_huge_failure("returns-huge-failure", "PluginStopped", &["the plugin was stopped because it handed over too much data", "limits.argument_kib"])]
#[case::writes_endlessly("writes-endlessly", "PluginDeadline", &["its time was up"])]
#[case::says_its_secret_everywhere("logs-its-secret", "PluginInternal", &["internal (unchanged): [redacted]", "plugin's author"])]
fn a_hostile_plugin_ends_as_a_typed_error_and_the_secret_stays_where_it_was(
    #[case] guest: &str,
    #[case] error_type: &str,
    #[case] words: &[&str],
) {
    let scene = served_by(guest, "");
    let before = scene.current();
    let rotation = scene.begin_before(Step::Set);
    for step in [Step::Set, Step::Test, Step::Finish] {
        scene.fails(&rotation.event(step), &format!("Windlass.{error_type}"), words);
    }
    assert!(scene.current() == before && scene.accepts(before.as_deref().unwrap()));
}

#[test]
fn a_test_that_cannot_fail_is_found_out() {
    let scene = served_by("always-accepts", "");
    let before = scene.current();
    let rotation = scene.begin_before(Step::Test);
    scene.fails(&rotation.event(Step::Test), "Windlass.TestProvesNothing", &["corrupted on purpose", "not promoted"]);
    assert!(scene.current() == before);
}

#[test]
fn a_test_sees_no_other_credential() {
    let scene = served_by("reads-current-in-test", "");
    let rotation = scene.begin_before(Step::Test);
    // It accepts whatever it is given if it can read nothing else, which is how it is found out.
    scene.fails(&rotation.event(Step::Test), "Windlass.TestProvesNothing", &["corrupted on purpose"]);
}

#[rstest]
#[case::not_in_the_manifest("elsewhere", "")]
#[case::metadata_address("metadata", "")]
#[case::metadata_address_that_the_operator_lists("metadata", "endpoints = [\"169.254.169.254:80\"]")]
fn only_granted_endpoints_are_reached(#[case] endpoint: &str, #[case] rule: &str, #[values("connection", "http")] interface: &str) {
    let settings = format!("settings = {{ endpoint = \"{endpoint}\", interface = \"{interface}\" }}\n{rule}");
    let scene = served_by("calls-denied-endpoint", &settings);
    let rotation = scene.begin_before(Step::Set);
    let turns = scene.proxy().turns();
    scene.fails(&rotation.event(Step::Set), "Windlass.Denied", &["denied (unchanged)"]);
    assert_eq!(scene.proxy().turns(), turns);
}

#[rstest]
fn the_granted_neighbour_is_reached(#[values("connection", "http")] interface: &str) {
    let settings = format!("settings = {{ endpoint = \"service\", interface = \"{interface}\" }}\n");
    let scene = served_by("calls-denied-endpoint", &settings);
    let rotation = scene.begin_before(Step::Set);
    match interface {
        "connection" => scene.function.succeed(&rotation.event(Step::Set)),
        // Redis does not speak HTTP; what matters is that it was asked.
        _ => drop(scene.fails(&rotation.event(Step::Set), "Windlass.Unreachable", &["unreachable (unknown)"])),
    }
}
