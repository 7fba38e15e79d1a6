//! Plugins that mean harm to a real service, in each step: what becomes of them, and that nothing becomes of the credential. The whole
//! corpus of them is in `tests/hostile`.

use rstest::rstest;
use windlass::event::Step;
use windlass::local::store::CURRENT;
use windlass::secret::SecretValue;

use crate::scene::{Scene, Set};
use crate::support::account::Deployment;
use crate::support::built;

/// A scene whose secret is served by the guest `hostile` with this behaviour, with as little time as the configuration allows.
fn served_by(behaviour: &str) -> Scene {
    let scene = Set::default().redis();
    let value = SecretValue::text(scene.account.value(&scene.secret, CURRENT).unwrap());
    let component = std::fs::read(built::guest("hostile")).unwrap();
    let rule = format!("[limits]\ncall_seconds = 1\n[[secrets]]\nsecret = \"*\"\nsettings = {{ behaviour = \"{behaviour}\" }}\n");
    let configuration = format!("{}{rule}", scene.configuration());
    let deployment = Deployment::new(configuration).plugins(vec![("hostile.wasm".to_owned(), component)]);
    scene.with_secret(&value, &[("windlass:plugin", "hostile")]).with_function(deployment)
}

#[rstest]
#[case::panics("panics", "PluginStopped", &["panicked at", "defect of the plugin"])]
#[case::spins("spins", "PluginDeadline", &["its time was up", "limits.call_seconds"])]
#[case::eats_memory("eats-memory", "PluginStopped", &["more than 67108864 bytes of memory"])]
#[case::says_its_secret_everywhere("says-its-secret", "PluginInternal", &["internal (unchanged): [redacted]", "plugin's author"])]
fn a_hostile_plugin_ends_as_a_typed_error_and_the_secret_stays_where_it_was(
    #[case] behaviour: &str,
    #[case] error_type: &str,
    #[case] words: &[&str],
) {
    let scene = served_by(behaviour);
    let before = scene.current();
    let rotation = scene.begin_before(Step::Set);
    for step in [Step::Set, Step::Test, Step::Finish] {
        scene.fails(&rotation.event(step), &format!("Windlass.{error_type}"), words);
    }
    assert!(scene.current() == before && scene.accepts(before.as_deref().unwrap()));
}
