//! Plugins that are missing, are none, or are not the ones they say.

use rstest::rstest;
use windlass::event::Step;
use windlass::local::store::CURRENT;
use windlass::secret::SecretValue;

use crate::scene::{Scene, Set};
use crate::support::account::Deployment;
use crate::support::built;

pub type Files = Vec<(String, Vec<u8>)>;

pub fn redis() -> Vec<u8> {
    std::fs::read(built::plugin("redis")).unwrap()
}

/// The plugin for Redis with as many bytes of its manifest replaced.
pub fn edited(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut plugin = redis();
    let at = plugin.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    plugin[at..at + to.len()].copy_from_slice(to.as_bytes());
    plugin
}

pub fn file(name: &str, content: impl Into<Vec<u8>>) -> (String, Vec<u8>) {
    (name.to_owned(), content.into())
}

#[rstest]
#[case::none(vec![], "PluginNotFound", &["no installed plugin recognises it", "None is installed"])]
#[case::two_recognise_it(
    vec![file("redis.wasm", redis()), file("ridis.wasm", edited("name = \"redis\"", "name = \"ridis\""))],
    "PluginAmbiguous",
    &["several plugins recognise it: `redis@0.1.0@sha256:", "Tag it"]
)]
#[case::no_webassembly(vec![file("redis.wasm", "hello")], "PluginNotLoadable", &["no WebAssembly component", "windlass build"])]
#[case::empty(vec![file("redis.wasm", "")], "PluginNotLoadable", &["no WebAssembly component"])]
#[case::core_module(vec![file("redis.wasm", b"\0asm\x01\0\0\0")], "PluginNotLoadable", &["core WebAssembly module", "windlass build"])]
#[case::cut_off(vec![file("redis.wasm", &redis()[..4000])], "PluginNotLoadable", &["damaged"])]
#[case::manifest_with_unknown_key(vec![file("redis.wasm", edited("overlap", "overlep"))], "PluginNotLoadable", &["manifest is wrong", "overlep"])]
#[case::manifest_that_does_not_parse(vec![file("redis.wasm", edited("name = ", "name : "))], "PluginNotLoadable", &["manifest is wrong"])]
#[case::other_name(vec![file("valkey.wasm", redis())], "PluginNotLoadable", &["valkey.wasm holds the plugin `redis`", "rename the file"])]
fn a_plugin_that_cannot_be_used_is_refused(#[case] plugins: Files, #[case] error_type: &str, #[case] words: &[&str]) {
    let scene = Set::default().redis();
    let rotation = scene.begin_before(Step::Set);
    let deployment = Deployment::new(scene.configuration()).plugins(plugins);
    let scene = scene.with_function(deployment);
    for step in [Step::Set, Step::Test, Step::Finish] {
        scene.refused(&rotation.event(step), &format!("Windlass.{error_type}"), words);
    }
    // With the plugins it should have, the same rotation goes on.
    let scene = repaired(scene);
    for step in [Step::Set, Step::Test, Step::Finish] {
        scene.function.succeed(&rotation.event(step));
    }
    scene.finished(&rotation);
}

#[test]
fn a_plugin_that_is_not_installed_is_named_with_those_that_are() {
    let scene = Set::default().redis();
    let value = SecretValue::text(scene.account.value(&scene.secret, CURRENT).unwrap());
    let scene = scene.with_secret(&value, &[("windlass:plugin", "kafka")]);
    scene.refused(&scene.begin().event(Step::Create), "Windlass.PluginNotFound", &["no plugin `kafka`", "`rabbitmq`, `redis`"]);
}

#[test]
fn a_plain_component_needs_the_compiler() {
    let scene = Set::default().redis();
    let rotation = scene.begin_before(Step::Set);
    let deployment = Deployment { no_compiler: true, ..Deployment::new(scene.configuration()) };
    let scene = scene.with_function(deployment);
    scene.refused(&rotation.event(Step::Set), "Windlass.PluginNotLoadable", &["plugin `redis`", "windlass-compile"]);
    repaired(scene).function.succeed(&rotation.event(Step::Set));
}

fn repaired(scene: Scene) -> Scene {
    let deployment = Deployment::new(scene.configuration());
    scene.with_function(deployment)
}
