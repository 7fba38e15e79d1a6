//! Which plugins run: signed ones, pinned ones, and no others where the operator says so. Keys and signatures are made by the real
//! commands.

use std::fs;

use rstest::rstest;
use windlass::event::Step;
use windlass::plugin::digest::Digest;

use crate::bad_plugins::{Files, edited, file, redis};
use crate::scene::{Scene, Set};
use crate::support::account::Deployment;
use crate::support::built;
use crate::support::process::Program;

/// A pair of keys.
struct Signer {
    folder: tempfile::TempDir,
    public: String,
}

impl Signer {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = Program::windlass().folder(folder.path()).args(["keygen", "--json", "release.key"]).run().succeeded().json();
        Self { folder, public: made["public_key"].as_str().unwrap().to_owned() }
    }

    fn sign(&self, plugin: &[u8]) -> Vec<u8> {
        fs::write(self.folder.path().join("plugin.wasm"), plugin).unwrap();
        Program::windlass().folder(self.folder.path()).args(["sign", "--key", "release.key", "plugin.wasm"]).run().succeeded();
        fs::read(self.folder.path().join("plugin.wasm.sig")).unwrap()
    }

    /// The table that trusts this key.
    fn trust(&self, require: &str) -> String {
        format!("[trust]\nrequire = \"{require}\"\nkeys = {{ release = \"{}\" }}\n", self.public)
    }

    /// The plugin for Redis, signed.
    fn signed(&self) -> Files {
        vec![file("redis.wasm", redis()), file("redis.wasm.sig", self.sign(&redis()))]
    }
}

/// Another deployment with this configuration besides the scene's.
fn deployed(scene: Scene, configuration: &str, plugins: Files) -> Scene {
    let deployment = Deployment::new(format!("{}{configuration}", scene.configuration())).plugins(plugins);
    scene.with_function(deployment)
}

/// The version of the plugin that is older than the built one.
fn older() -> Vec<u8> {
    edited("version = \"0.1.0\"", "version = \"0.0.9\"")
}

/// By what the plugins of the function's steps were trusted, as its log says.
fn trusted_by(scene: &Scene) -> Vec<String> {
    let output = scene.function.output();
    let steps = output.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    steps.filter_map(|line| line["trusted_by"].as_str().map(str::to_owned)).collect()
}

#[test]
fn what_is_signed_by_a_configured_key_rotates() {
    let signer = Signer::new();
    let scene = deployed(Set::default().redis(), &signer.trust("signature"), signer.signed());
    let rotation = scene.begin();
    for step in Step::ALL {
        scene.function.succeed(&rotation.event(step));
    }
    scene.finished(&rotation);
    assert_eq!(trusted_by(&scene), ["signature release"; 4]);
    assert!(!scene.function.output().contains("not verified"));
}

/// What lies in the plugin folder instead of the signed plugin.
type Instead = fn(&Signer) -> Files;

#[rstest]
#[case::unsigned(
    |_: &Signer| vec![file("redis.wasm", redis())],
    &["is not signed: there is no redis.wasm.sig beside it", "`release` (ed25519:", "windlass sign"]
)]
#[case::signature_of_another_plugin(
    |signer: &Signer| vec![file("redis.wasm", redis()), file("redis.wasm.sig", signer.sign(&fs::read(built::plugin("rabbitmq")).unwrap()))],
    &["a signature by `release` that is not for it (redis 0.1.0, sha256:"]
)]
#[case::signature_of_an_older_version(
    |signer: &Signer| vec![file("redis.wasm", redis()), file("redis.wasm.sig", signer.sign(&older()))],
    &["a signature by `release` that is not for it (redis 0.1.0, sha256:"]
)]
#[case::changed_version(
    |signer: &Signer| vec![file("redis.wasm", older()), file("redis.wasm.sig", signer.sign(&redis()))],
    &["a signature by `release` that is not for it (redis 0.0.9, sha256:", "Install both again"]
)]
#[case::changed_code(
    |signer: &Signer| vec![file("redis.wasm", edited("WHOAMI", "WHOAMY")), file("redis.wasm.sig", signer.sign(&redis()))],
    &["a signature by `release` that is not for it (redis 0.1.0, sha256:"]
)]
#[case::something_appended(
    |signer: &Signer| vec![file("redis.wasm", [redis(), b"\0\x02\x01x".to_vec()].concat()), file("redis.wasm.sig", signer.sign(&redis()))],
    &["a signature by `release` that is not for it (redis 0.1.0, sha256:"]
)]
#[case::signed_by_somebody_else(
    |_: &Signer| Signer::new().signed(),
    &["came with a signature by ed25519:", "trusts only `release` (ed25519:", "`trust.keys`"]
)]
#[case::damaged_signature(
    |signer: &Signer| vec![file("redis.wasm", redis()), file("redis.wasm.sig", [signer.sign(&redis()), b"\n".to_vec()].concat())],
    &["redis.wasm.sig is a damaged signature"]
)]
#[case::huge_signature(
    |signer: &Signer| vec![file("redis.wasm", redis()), file("redis.wasm.sig", signer.sign(&redis()).repeat(100_000))],
    &["redis.wasm.sig is no signature: it has more than 1024 bytes"]
)]
fn what_is_not_signed_as_it_is_never_meets_the_service(#[case] instead: Instead, #[case] words: &[&str]) {
    let signer = Signer::new();
    let scene = Set::default().redis();
    let rotation = scene.begin_before(Step::Set);
    let scene = deployed(scene, &signer.trust("signature"), instead(&signer));
    for step in [Step::Set, Step::Test, Step::Finish] {
        scene.refused(&rotation.event(step), "Windlass.PluginUntrusted", words);
    }
    assert!(trusted_by(&scene).is_empty());
    // With the plugin as it was signed the same rotation goes on, in the same process.
    for (name, content) in signer.signed() {
        scene.function.replace_plugin(&name, &content);
    }
    for step in [Step::Set, Step::Test, Step::Finish] {
        scene.function.succeed(&rotation.event(step));
    }
    scene.finished(&rotation);
}

#[test]
fn no_pending_value_is_made_for_a_plugin_that_would_not_run() {
    let signer = Signer::new();
    let scene = deployed(Set::default().redis(), &signer.trust("signature"), vec![file("redis.wasm", redis())]);
    scene.refused(&scene.begin().event(Step::Create), "Windlass.PluginUntrusted", &["is not signed"]);
}

/// A signature file that cannot be read is there all the same: somebody wanted the plugin to be signed.
#[test]
fn a_signature_that_cannot_be_read_is_no_missing_one() {
    let signer = Signer::new();
    let scene = Set::default().redis();
    let rotation = scene.begin_before(Step::Set);
    let scene = deployed(scene, &signer.trust("signature"), vec![file("redis.wasm", redis())]);
    scene.function.make_plugin_folder("redis.wasm.sig");
    scene.refused(&rotation.event(Step::Set), "Windlass.PluginUntrusted", &["redis.wasm.sig", "cannot be read"]);
}

const OTHER: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// With the digest of the plugin for Redis, and another.
fn pinned(text: &str) -> String {
    text.replace("GOOD", &Digest::of(&redis()).to_string()).replace("OTHER", OTHER)
}

#[rstest]
#[case::by_name("[trust]\nrequire = \"digest\"\n[plugins.redis]\ndigest = \"GOOD\"\n")]
#[case::by_name_among_others("[trust]\nrequire = \"digest\"\n[plugins.redis]\ndigest = [\"OTHER\", \"GOOD\"]\n")]
#[case::by_the_rule("[trust]\nrequire = \"digest\"\n[[secrets]]\nsecret = \"prod/*\"\ndigest = \"GOOD\"\n")]
#[case::where_either_would_do("[trust]\nrequire = \"any\"\n[plugins.redis]\ndigest = \"GOOD\"\n")]
#[case::where_nothing_is_required("[plugins.redis]\ndigest = \"GOOD\"\n")]
fn what_is_pinned_runs(#[case] configuration: &str) {
    let scene = Set::default().redis();
    let rotation = scene.begin_before(Step::Set);
    let scene = deployed(scene, &pinned(configuration), vec![file("redis.wasm", redis())]);
    scene.function.succeed(&rotation.event(Step::Set));
    assert_eq!(trusted_by(&scene), ["digest"]);
}

#[rstest]
#[case::by_name("[trust]\nrequire = \"digest\"\n[plugins.redis]\ndigest = \"OTHER\"\n", &["but [plugins.redis] of the configuration pins OTHER"])]
#[case::by_the_rule("[[secrets]]\nsecret = \"prod/*\"\ndigest = [\"OTHER\"]\n", &["but the configuration's rule for this secret pins OTHER"])]
#[case::by_name_but_not_by_the_rule(
    "[plugins.redis]\ndigest = \"GOOD\"\n[[secrets]]\nsecret = \"prod/*\"\ndigest = \"OTHER\"\n",
    &["has the digest GOOD, but the configuration's rule"]
)]
#[case::another_plugin(
    "[trust]\nrequire = \"digest\"\n[plugins.rabbitmq]\ndigest = \"GOOD\"\n",
    &["plugin `redis` is not pinned", "add `digest = \"GOOD\"` to [plugins.redis]"]
)]
#[case::another_secret(
    "[trust]\nrequire = \"digest\"\n[[secrets]]\nsecret = \"test/*\"\ndigest = \"GOOD\"\n",
    &["plugin `redis` is not pinned", "trust.require = \"digest\""]
)]
#[case::where_either_would_do(
    "[trust]\nrequire = \"any\"\n[plugins.rabbitmq]\ndigest = \"GOOD\"\n",
    &["plugin `redis` is not pinned", "trust.require = \"any\""]
)]
fn what_is_not_pinned_as_it_is_never_meets_the_service(#[case] configuration: &str, #[case] words: &[&str]) {
    let scene = Set::default().redis();
    let rotation = scene.begin_before(Step::Set);
    let scene = deployed(scene, &pinned(configuration), vec![file("redis.wasm", redis())]);
    let words: Vec<_> = words.iter().map(|words| pinned(words)).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    scene.refused(&rotation.event(Step::Set), "Windlass.PluginUntrusted", &words);
}

/// A pin holds besides the signature, which is how an older version that was signed is ruled out.
#[test]
fn a_signed_plugin_that_is_not_the_pinned_one_is_refused() {
    let signer = Signer::new();
    let scene = Set::default().redis();
    let rotation = scene.begin_before(Step::Set);
    let configuration = signer.trust("signature") + &pinned("[plugins.redis]\ndigest = \"GOOD\"\n");
    let rolled_back = vec![file("redis.wasm", older()), file("redis.wasm.sig", signer.sign(&older()))];
    let scene = deployed(scene, &configuration, rolled_back);
    scene.refused(&rotation.event(Step::Set), "Windlass.PluginUntrusted", &["but [plugins.redis] of the configuration pins"]);
    for (name, content) in signer.signed() {
        scene.function.replace_plugin(&name, &content);
    }
    scene.function.succeed(&rotation.event(Step::Set));
    assert_eq!(trusted_by(&scene), ["signature release"]);
}

#[test]
fn with_two_digests_a_plugin_is_swapped_in_the_middle_of_a_rotation() {
    let (old, new) = (Digest::of(&older()), Digest::of(&redis()));
    let scene = Set::default().redis();
    let rotation = scene.begin_before(Step::Set);
    let configuration = format!(
        "[trust]\nrequire = \"digest\"\n[plugins.redis]\ndigest = [\"{old}\", \"{new}\"]\n\
         [defaults]\nswap_within_rotation = \"accept\"\n"
    );
    let scene = deployed(scene, &configuration, vec![file("redis.wasm", older())]);
    scene.function.succeed(&rotation.event(Step::Set));
    scene.function.replace_plugin("redis.wasm", &redis());
    scene.function.succeed(&rotation.event(Step::Test));
    scene.function.replace_plugin("redis.wasm", &edited("version = \"0.1.0\"", "version = \"0.2.0\""));
    let pins = format!("pins {old} or {new}");
    scene.refused(&rotation.event(Step::Finish), "Windlass.PluginUntrusted", &[&pins]);
    scene.function.replace_plugin("redis.wasm", &redis());
    scene.function.succeed(&rotation.event(Step::Finish));
    scene.finished(&rotation);
}

#[test]
fn without_a_table_the_function_says_once_that_nothing_is_verified() {
    let scene = Set::default().redis();
    let rotation = scene.begin();
    for step in Step::ALL {
        scene.function.succeed(&rotation.event(step));
    }
    assert_eq!(scene.function.output().matches("whoever can write the plugin folder chooses the code").count(), 1);
    assert_eq!(trusted_by(&scene), ["nothing: trust.require = insecure_nothing"; 4]);
}

#[rstest]
#[case::broken_key(
    "[trust]\nrequire = \"signature\"\nkeys = { release = \"ed25519:AAAA\" }",
    "`trust.keys.release` at line 3 is no public key"
)]
#[case::no_key("[trust]\nrequire = \"signature\"", "without a key trusts no plugin")]
#[case::unknown_word("[trust]\nrequire = \"nothing\"", "unknown variant `nothing`")]
#[case::broken_digest("[plugins.redis]\ndigest = \"sha256:12\"", "`sha256:12` is no digest")]
fn a_broken_policy_stops_the_start(#[case] text: &str, #[case] says: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("windlass.toml");
    fs::write(&file, text).unwrap();
    let finished = Program::bootstrap().env("WINDLASS_CONFIG", &file).run().failed_with(1);
    assert!(finished.stdout.contains("the function does not start") && finished.stdout.contains(says), "{finished:?}");
}

/// wasmtime would load it without a question, which is why nobody asks it to.
#[rstest]
#[case::as_a_plugin("redis.wasm", "PluginNotLoadable", "this is native code compiled beforehand, not a component")]
#[case::under_its_own_name("redis.cwasm", "PluginNotFound", "no installed plugin recognises it")]
fn native_code_is_no_plugin_even_where_nothing_is_required(#[case] name: &str, #[case] error_type: &str, #[case] words: &str) {
    let scene = Set::default().redis();
    let rotation = scene.begin_before(Step::Set);
    let native = Program::windlass_compile().input(redis()).run().succeeded().stdout_bytes;
    let scene = deployed(scene, "", vec![file(name, native)]);
    scene.refused(&rotation.event(Step::Set), &format!("Windlass.{error_type}"), &[words]);
}
