//! Plugins that are swapped while one function runs: by tag, by S3 object, by layer folder.

use std::fs;

use serde_json::{Value, json};
use windlass::event::Step;
use windlass::local::protocol::Operation;
use windlass::plugin::digest::Digest;
use windlass::secret::SecretValue;

use crate::bad_plugins::{file, redis};
use crate::scene::{Scene, Set, assert_error};
use crate::support::account::{Deployment, Function, Secret};
use crate::support::canary::Canary;
use crate::support::moto::Moto;

/// The plugin for Redis under another name and version, of the same lengths.
fn variant(name: &str, version: &str) -> Vec<u8> {
    let mut plugin = redis();
    for (from, to) in
        [("name = \"redis\"", format!("name = \"{name}\"")), ("version = \"0.1.0\"", format!("version = \"{version}\""))]
    {
        assert_eq!(from.len(), to.len());
        let at = plugin.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        plugin[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    plugin
}

/// Another secret of the scene's service, for a user of its own.
fn secret(scene: &Scene, user: &str, tags: &[(&str, &str)]) -> Secret {
    let crate::scene::Service::Redis(redis) = &scene.service else { unreachable!() };
    let password = Canary::new();
    redis.add_user(user, password.value());
    let mut value: Value = serde_json::from_str(&scene.account.value(&scene.secret, "AWSCURRENT").unwrap()).unwrap();
    value["username"] = user.into();
    value["password"] = password.value().into();
    scene.account.secret(&format!("prod/{user}"), &SecretValue::text(value.to_string()), tags)
}

/// Rotates a secret; the digests of the steps' plugins, as the function's log says.
#[track_caller]
fn rotated(scene: &Scene, function: &Function, secret: &Secret) -> Vec<String> {
    let before = function.output_length();
    let steps = scene.account.rotate(secret, function, &Value::Null);
    let expected: Vec<_> = Step::ALL.map(|step| (step.name().to_owned(), Ok(Value::Null))).into();
    assert_eq!(steps, expected, "{}", function.output());
    served_since(function, before)
}

/// The digests that served the steps since the function had written this many bytes.
fn served_since(function: &Function, bytes: u64) -> Vec<String> {
    let output = String::from_utf8(function.output_since(bytes)).unwrap();
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == "step done").filter_map(|line| line["digest"].as_str().map(str::to_owned)).collect()
}

fn tag(scene: &Scene, secret: &Secret, plugin: &str) {
    let tags = json!([{ "Key": "windlass:plugin", "Value": plugin }]);
    scene.account.call(Operation::TagResource, &json!({ "SecretId": secret.arn, "Tags": tags }));
}

/// A configuration that lets plugins come from moto's bucket, and the variables that lead there.
fn with_s3(scene: &Scene, moto: &Moto, more: &str) -> Deployment {
    let prefix = format!("s3://{}/windlass/", Moto::BUCKET);
    let s3 = format!("{more}\n[trust]\nrequire = \"insecure_nothing\"\n[s3]\nprefixes = [\"{prefix}\"]\n");
    Deployment::new(scene.configuration() + &s3).variable("AWS_ENDPOINT_URL_S3", &moto.endpoint())
}

/// Every step of a rotation was served by this component.
fn four_times(plugin: &[u8]) -> Vec<String> {
    vec![Digest::of(plugin).to_string(); 4]
}

#[test]
fn three_secrets_are_served_by_three_plugins_and_each_is_swapped_in_its_own_way() {
    let (scene, moto) = (Set::default().redis(), Moto::start());
    let [by_tag_1, by_tag_2] = ["0.1.0", "0.1.1"].map(|version| variant("redis", version));
    let [object_1, object_2] = ["0.2.0", "0.2.1"].map(|version| variant("redis", version));
    let [layer_1, layer_2] = ["0.3.0", "0.3.1"].map(|version| variant("ridis", version));
    let layer = tempfile::tempdir().unwrap();
    fs::write(layer.path().join("ridis.wasm"), &layer_1).unwrap();
    moto.put("windlass/redis.wasm", &object_1);
    let uri = format!("s3://{}/windlass/redis.wasm", Moto::BUCKET);

    let one = secret(&scene, "one", &[("windlass:plugin", "redis@0.1.0")]);
    let two = secret(&scene, "two", &[("windlass:plugin", &uri)]);
    let three = secret(&scene, "three", &[("windlass:plugin", "ridis")]);
    let installed = vec![file("redis@0.1.0.wasm", by_tag_1.clone()), file("redis@0.1.1.wasm", by_tag_2.clone())];
    let deployment = Deployment { layer: Some(layer.path().to_owned()), ..with_s3(&scene, &moto, "") };
    let function = deployment.plugins(installed).deploy(&scene.account);
    let process = |function: &Function| function.process_id().unwrap();

    let served = |secret| rotated(&scene, &function, secret);
    assert_eq!([served(&one), served(&two), served(&three)], [&by_tag_1, &object_1, &layer_1].map(|plugin| four_times(plugin)));
    let first = process(&function);

    tag(&scene, &one, "redis@0.1.1");
    assert_eq!([served(&one), served(&two), served(&three)], [&by_tag_2, &object_1, &layer_1].map(|plugin| four_times(plugin)));

    moto.put("windlass/redis.wasm", &object_2);
    assert_eq!([served(&one), served(&two), served(&three)], [&by_tag_2, &object_2, &layer_1].map(|plugin| four_times(plugin)));

    fs::write(layer.path().join("ridis.wasm"), &layer_2).unwrap();
    assert_eq!([served(&one), served(&two), served(&three)], [&by_tag_2, &object_2, &layer_2].map(|plugin| four_times(plugin)));
    assert_eq!(process(&function), first, "one process served them all");
}

#[test]
fn a_broken_object_is_refused_before_anything_is_stored_and_nothing_is_lost() {
    let (scene, moto) = (Set::default().redis(), Moto::start());
    moto.put("windlass/redis.wasm", &redis());
    let uri = format!("s3://{}/windlass/redis.wasm", Moto::BUCKET);
    let secret = secret(&scene, "one", &[("windlass:plugin", &uri)]);
    let function = with_s3(&scene, &moto, "").deploy(&scene.account);
    assert_eq!(rotated(&scene, &function, &secret), four_times(&redis()));
    let held = scene.account.state(&secret);

    let mut exports_nothing = redis();
    let export = b"windlass:rotation/rotator@0.1.0";
    let places: Vec<_> = (0..exports_nothing.len()).filter(|at| exports_nothing[*at..].starts_with(export)).collect();
    for at in places {
        exports_nothing[at + export.len() - 5..at + export.len()].copy_from_slice(b"0.9.0");
    }
    for (broken, words) in [
        (b"hello".to_vec(), "no WebAssembly component"),
        (redis()[..4_000].to_vec(), "damaged"),
        (exports_nothing, "rotator@0.9.0"),
    ] {
        moto.put("windlass/redis.wasm", &broken);
        let rotation = scene.account.begin(&secret, &Value::Null);
        let error = function.invoke(&rotation.event(Step::Create)).unwrap_err();
        assert_error(&error, "Windlass.PluginNotLoadable", &[words]);
        // The version has no value, so the rotation begins with the plugin that is there next.
        moto.put("windlass/redis.wasm", &redis());
        for step in Step::ALL {
            function.succeed(&rotation.event(step));
        }
    }
    assert_ne!(scene.account.state(&secret), held);
}

#[test]
fn what_s3_does_not_show_is_said_with_what_to_do() {
    let (scene, moto) = (Set::default().redis(), Moto::start());
    let digest = Digest::of(&redis()).to_string();
    moto.put("windlass/redis.wasm", &variant("redis", "0.2.0"));
    let function = with_s3(&scene, &moto, "").deploy(&scene.account);
    let bucket = Moto::BUCKET;
    for (user, plugin, error_type, words) in [
        ("one", format!("s3://{bucket}/windlass/none.wasm"), "PluginNotFound", "the bucket has no such object"),
        ("two", format!("s3://other-{bucket}/windlass/redis.wasm"), "PluginDenied", "Add its prefix to `prefixes` of [s3]"),
        ("three", format!("s3://{bucket}/redis.wasm"), "PluginDenied", "Allowed: s3://acme-plugins/windlass/"),
        ("four", format!("s3://{bucket}/windlass/redis.wasm@{digest}"), "PluginMismatch", "was referred to"),
        ("five", "redis@0.9.0".to_owned(), "PluginMismatch", "only `redis@0.1.0@sha256:"),
        ("six", "https://plugins.example/redis.wasm".to_owned(), "InvalidTag", "plugins do not come from `https:`"),
    ] {
        let secret = secret(&scene, user, &[("windlass:plugin", &plugin)]);
        let rotation = scene.account.begin(&secret, &Value::Null);
        let error = function.invoke(&rotation.event(Step::Create)).unwrap_err();
        assert_error(&error, &format!("Windlass.{error_type}"), &[words]);
    }
}

#[test]
fn a_version_of_an_object_is_what_a_rule_says() {
    let (scene, moto) = (Set::default().redis(), Moto::start());
    let first = moto.put("windlass/redis.wasm", &redis());
    moto.put("windlass/redis.wasm", b"something else");
    let uri = format!("s3://{}/windlass/redis.wasm?versionId={first}", Moto::BUCKET);
    let rule = format!("[[secrets]]\nsecret = \"prod/one\"\nplugin = \"{uri}@{}\"\n", Digest::of(&redis()));
    let secret = secret(&scene, "one", &[]);
    let function = with_s3(&scene, &moto, &rule).deploy(&scene.account);
    assert_eq!(rotated(&scene, &function, &secret), four_times(&redis()));
}

/// Begins a rotation, lets something happen, and runs the other steps.
#[track_caller]
fn interrupted(scene: &Scene, happens: impl FnOnce()) -> Vec<String> {
    let rotation = scene.begin();
    let before = scene.function.output_length();
    scene.function.succeed(&rotation.event(Step::Create));
    happens();
    for step in [Step::Set, Step::Test, Step::Finish] {
        scene.function.succeed(&rotation.event(step));
    }
    scene.finished(&rotation);
    served_since(&scene.function, before)
}

#[test]
fn a_swap_waits_for_the_next_rotation() {
    let scene = Set::default().redis();
    let swap = || scene.function.replace_plugin("redis.wasm", &variant("redis", "0.2.0"));
    assert_eq!(interrupted(&scene, swap), four_times(&redis()));
    assert!(scene.function.output().contains("the rotation goes on with the component that it began with"));
    assert_eq!(interrupted(&scene, || ()), four_times(&variant("redis", "0.2.0")));
}

#[test]
fn a_swap_within_a_rotation_is_accepted_where_the_operator_says_so() {
    let scene = Set { configuration: "[defaults]\nswap_within_rotation = \"accept\"\n".to_owned(), ..Set::default() }.redis();
    let (old, new) = (Digest::of(&redis()).to_string(), Digest::of(&variant("redis", "0.2.0")).to_string());
    let swap = || scene.function.replace_plugin("redis.wasm", &variant("redis", "0.2.0"));
    assert_eq!(interrupted(&scene, swap), [&old, &new, &new, &new].map(String::clone));
    assert!(scene.function.output().contains("the plugin was swapped within the rotation"));
}

/// Another process has not seen the beginning. What S3 says of the object's age is as good.
#[test]
fn an_object_that_is_younger_than_the_rotation_waits_in_every_process() {
    let (scene, moto) = (Set::default().redis(), Moto::start());
    moto.put("windlass/redis.wasm", &redis());
    let uri = format!("s3://{}/windlass/redis.wasm", Moto::BUCKET);
    let secret = secret(&scene, "one", &[("windlass:plugin", &uri)]);
    let function = with_s3(&scene, &moto, "").deploy(&scene.account);
    let rotation = scene.account.begin(&secret, &Value::Null);
    function.succeed(&rotation.event(Step::Create));
    let put = std::time::Instant::now();
    // S3 counts whole seconds.
    while put.elapsed() < std::time::Duration::from_secs(2) {
        moto.put("windlass/redis.wasm", &variant("redis", "0.2.0"));
    }
    let other = with_s3(&scene, &moto, "").deploy(&scene.account);
    let error = other.invoke(&rotation.event(Step::Set)).unwrap_err();
    let found = Digest::of(&variant("redis", "0.2.0")).to_string();
    assert_error(&error, "Windlass.PluginSwapped", &[&found, "swap_within_rotation"]);
    // The one that has seen the beginning goes on with what it has.
    function.succeed(&rotation.event(Step::Set));
    let accepting = with_s3(&scene, &moto, "[defaults]\nswap_within_rotation = \"accept\"\n").deploy(&scene.account);
    for step in [Step::Test, Step::Finish] {
        accepting.succeed(&rotation.event(step));
    }
}

/// A component that recognises no credential, because its login is another command.
fn blind() -> Vec<u8> {
    let mut plugin = variant("redis", "0.2.0");
    let command = b"AUTH";
    let at = plugin.windows(command.len()).position(|window| window == command).unwrap();
    plugin[at..at + command.len()].copy_from_slice(b"PONG");
    plugin
}

#[test]
fn a_canary_that_does_not_recognise_the_credential_leaves_the_rotation_to_the_previous_component() {
    let scene = Set { configuration: "[defaults]\ncanary = true\n".to_owned(), ..Set::default() }.redis();
    assert_eq!(rotated(&scene, &scene.function, &scene.secret), four_times(&redis()));
    scene.function.replace_plugin("redis.wasm", &blind());
    assert_eq!(rotated(&scene, &scene.function, &scene.secret), four_times(&redis()));
    let output = scene.function.output();
    let said = output.lines().find(|line| line.contains("did not recognise the credential in use")).expect("it is said");
    assert!(said.contains(&Digest::of(&blind()).to_string()) && said.contains(&Digest::of(&redis()).to_string()), "{said}");
    // One that does recognise it serves from the next rotation on.
    scene.function.replace_plugin("redis.wasm", &variant("redis", "0.3.0"));
    assert_eq!(rotated(&scene, &scene.function, &scene.secret), four_times(&variant("redis", "0.3.0")));
}

#[test]
fn a_canary_without_a_previous_component_stops_the_rotation_before_anything_is_changed() {
    let scene = Set { configuration: "[defaults]\ncanary = true\n".to_owned(), ..Set::default() }.redis();
    scene.function.replace_plugin("redis.wasm", &blind());
    let rotation = scene.begin();
    scene.fails(&rotation.event(Step::Create), "Windlass.CanaryFailed", &["new to this secret", "Nothing was changed"]);
    assert_eq!(scene.pending(), None);
    scene.function.replace_plugin("redis.wasm", &redis());
    for step in Step::ALL {
        scene.function.succeed(&rotation.event(step));
    }
    scene.finished(&rotation);
}
