//! Code that is compiled ahead of time by the real command, and run, or not, by the real function; and what `windlass package` makes.

use std::fs;
use std::path::Path;

use rstest::rstest;
use serde_json::Value;
use windlass::event::Step;
use windlass::plugin::digest::Digest;
use windlass::plugin::engine::{CODE_VERSION, Target};

use crate::bad_plugins::{Files, edited, file, redis};
use crate::scene::{Scene, Set};
use crate::support::account::Deployment;
use crate::support::built;
use crate::support::process::{Finished, Program};

/// The machine of this test, and another.
fn machines() -> [&'static str; 2] {
    match Target::HOST {
        Some(Target::Aarch64) => ["aarch64", "x86_64"],
        _ => ["x86_64", "aarch64"],
    }
}

/// A folder with the plugin for Redis, and a key.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("plugins")).unwrap();
        fs::write(folder.path().join("plugins/redis.wasm"), redis()).unwrap();
        let desk = Self(folder);
        desk.windlass(&["keygen", "build.key"]).succeeded();
        desk
    }

    fn windlass(&self, arguments: &[&str]) -> Finished {
        Program::windlass().folder(self.0.path()).args(arguments).run()
    }

    /// What `windlass compile` says of the plugin, and the envelope's bytes.
    fn compiled(&self, target: &str, more: &[&str]) -> (Value, Vec<u8>) {
        let arguments = ["compile", "--json", "--target", target, "plugins/redis.wasm"];
        let said = self.windlass(&[&arguments, more].concat()).succeeded().json()[0].take();
        let bytes = fs::read(self.0.path().join(said["path"].as_str().unwrap())).unwrap();
        (said, bytes)
    }

    /// The table that trusts this desk's key.
    fn code(&self, compile: &str) -> String {
        let public = fs::read_to_string(self.0.path().join("build.key.pub")).unwrap();
        format!("[code]\ncompile = \"{compile}\"\nkeys = {{ build = \"{}\" }}\n", public.trim())
    }
}

/// Another deployment with this configuration and these plugins.
fn deployed(scene: Scene, configuration: &str, plugins: Files) -> Scene {
    let deployment = Deployment::new(format!("{}{configuration}", scene.configuration())).plugins(plugins);
    scene.with_function(deployment)
}

/// Where the code of the function's plugins came from, as its log says.
fn code_from(scene: &Scene) -> Vec<String> {
    let output = scene.function.output();
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| line["code_from"].as_str().map(str::to_owned)).collect()
}

fn rotates(scene: &Scene) {
    let rotation = scene.begin();
    for step in Step::ALL {
        scene.function.succeed(&rotation.event(step));
    }
    scene.finished(&rotation);
}

#[test]
fn code_that_is_signed_runs_where_nothing_is_compiled() {
    let desk = Desk::new();
    let (_, envelope) = desk.compiled(machines()[0], &["--key", "build.key"]);
    let plugins = vec![file("redis.wasm", redis()), file(&format!("redis.wasm.{}.aot", machines()[0]), envelope)];
    let scene = deployed(Set::default().redis(), &desk.code("never"), plugins);
    rotates(&scene);
    assert_eq!(code_from(&scene), ["envelope"]);
}

#[test]
fn code_that_is_pinned_runs_without_a_signature() {
    let desk = Desk::new();
    let (said, envelope) = desk.compiled(machines()[0], &[]);
    let plugins = vec![file("redis.wasm", redis()), file(&format!("redis.wasm.{}.aot", machines()[0]), envelope)];
    let code = format!("[code]\ncompile = \"never\"\ndigests = [{}]\n", said["envelope"]);
    let scene = deployed(Set::default().redis(), &code, plugins);
    rotates(&scene);
    assert_eq!(code_from(&scene), ["envelope"]);
}

/// What is done to the function's files.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Tampered,
    CutOff,
    OtherEngine,
    OtherTarget,
    OtherWasm,
    Unsigned,
    Unreadable,
    NoEnvelope,
}

#[rstest]
#[case::tampered(Harm::Tampered, "was changed or cut off")]
#[case::cut_off(Harm::CutOff, "was changed or cut off")]
#[case::foreign_engine(Harm::OtherEngine, "was compiled for the engine `windlass wasmtime-48.0.7 1`")]
#[case::foreign_target(Harm::OtherTarget, "and this machine is")]
#[case::other_wasm(Harm::OtherWasm, "run `windlass compile` again after a swap")]
#[case::unsigned(Harm::Unsigned, "it is neither signed nor pinned")]
#[case::unreadable(Harm::Unreadable, "cannot be read: Is a directory")]
#[case::no_envelope(Harm::NoEnvelope, "there is none beside the plugin")]
fn code_that_does_not_fit_is_compiled_again_or_refused(#[case] harm: Harm, #[case] why: &str) {
    let desk = Desk::new();
    let [here, elsewhere] = machines();
    let signed = ["--key", "build.key"];
    let (_, mut envelope) = match harm {
        Harm::OtherTarget => desk.compiled(elsewhere, &signed),
        Harm::Unsigned => desk.compiled(here, &[]),
        Harm::Tampered | Harm::CutOff | Harm::OtherEngine | Harm::OtherWasm | Harm::Unreadable | Harm::NoEnvelope => {
            desk.compiled(here, &signed)
        }
    };
    let mut plugin = redis();
    match harm {
        Harm::Tampered => *envelope.last_mut().unwrap() ^= 1,
        Harm::CutOff => envelope.truncate(envelope.len() / 2),
        Harm::OtherEngine => {
            let at = envelope.windows(CODE_VERSION.len()).position(|window| window == CODE_VERSION.as_bytes()).unwrap();
            envelope[at + CODE_VERSION.len() - 3] = b'7';
        }
        Harm::OtherWasm => plugin = edited("version = \"0.1.0\"", "version = \"0.2.0\""),
        Harm::OtherTarget | Harm::Unsigned | Harm::Unreadable | Harm::NoEnvelope => {}
    }
    let name = format!("redis.wasm.{here}.aot");
    let mut plugins = vec![file("redis.wasm", plugin)];
    if !matches!(harm, Harm::Unreadable | Harm::NoEnvelope) {
        plugins.push(file(&name, envelope));
    }
    let scene = deployed(Set::default().redis(), &desk.code("never"), plugins.clone());
    if matches!(harm, Harm::Unreadable) {
        scene.function.make_plugin_folder(&name);
    }
    let rotation = scene.begin();
    scene.refused(&rotation.event(Step::Create), "Windlass.PluginNotLoadable", &[why, "`compile = \"never\"`"]);
    assert_eq!(scene.pending(), None);

    let scene = deployed(scene, &desk.code("when_needed"), plugins);
    if matches!(harm, Harm::Unreadable) {
        scene.function.make_plugin_folder(&name);
    }
    for step in Step::ALL {
        scene.function.succeed(&rotation.event(step));
    }
    assert_eq!(code_from(&scene), ["compiler"]);
    let said = scene.function.output().contains("the code beside the plugin is not used");
    assert_eq!(said, !matches!(harm, Harm::NoEnvelope), "{}", scene.function.output());
}

/// Something that passes for the function: the real one is too large to be compressed in a test. It is put in its place afterwards.
fn stand_in(folder: &Path) {
    let machine = if machines()[0] == "x86_64" { 62 } else { 183 };
    let mut program = b"\x7fELF\x02\x01".to_vec();
    program.resize(18, 0);
    program.extend([machine, 0]);
    program.extend(CODE_VERSION.as_bytes());
    fs::write(folder.join("bootstrap"), program).unwrap();
}

impl Desk {
    fn packaged(&self, more: &[&str]) -> Finished {
        stand_in(self.0.path());
        let arguments = ["package", "--json", "--plugins", "plugins", "--bootstrap", "bootstrap", "--target", machines()[0]];
        self.windlass(&[&arguments, more].concat())
    }

    /// Unpacks the zip with another program than the one that made it.
    fn unpack(&self) -> tempfile::TempDir {
        let folder = built::server_folder();
        Program::installed("python3")
            .args(["-m", "zipfile", "-e"])
            .arg(self.0.path().join("windlass.zip"))
            .arg(folder.path())
            .run()
            .succeeded();
        fs::remove_file(folder.path().join("bootstrap")).unwrap();
        folder
    }
}

#[test]
fn a_package_is_deployed_as_it_is_and_runs_its_own_code() {
    let scene = Set::default().redis();
    let desk = Desk::new();
    let configuration = scene.configuration() + "[code]\ncompile = \"never\"\n";
    fs::write(desk.0.path().join("windlass.toml"), configuration).unwrap();
    let packaged = desk.packaged(&["--config", "windlass.toml"]).succeeded().json();
    assert_eq!(packaged["manifest"]["plugins"][0]["digest"], Digest::of(&redis()).to_string());
    let folder = desk.unpack();
    let scene = scene.with_function(Deployment { package: Some(folder.path().to_owned()), ..Deployment::new("") });
    rotates(&scene);
    assert_eq!(code_from(&scene), ["envelope"]);

    // The manifest vouches for the code as it was packed and for nothing else.
    let folder = desk.unpack();
    let aot = folder.path().join(format!("plugins/redis.wasm.{}.aot", machines()[0]));
    let mut code = fs::read(&aot).unwrap();
    *code.last_mut().unwrap() ^= 1;
    fs::write(&aot, code).unwrap();
    let scene = scene.with_function(Deployment { package: Some(folder.path().to_owned()), ..Deployment::new("") });
    let rotation = scene.begin();
    scene.refused(&rotation.event(Step::Create), "Windlass.PluginNotLoadable", &["was changed or cut off"]);
}

#[test]
fn the_same_inputs_make_the_same_zip() {
    let zips: Vec<Vec<u8>> = (0..2)
        .map(|_| {
            let desk = Desk::new();
            desk.packaged(&[]).succeeded();
            fs::read(desk.0.path().join("windlass.zip")).unwrap()
        })
        .collect();
    assert!(zips[0] == zips[1]);
}

#[test]
fn a_package_holds_what_the_function_needs_with_the_rights_it_needs() {
    let desk = Desk::new();
    fs::write(desk.0.path().join("windlass.toml"), "[tls]\nca_files = [\"tls/ca.pem\"]\n").unwrap();
    fs::create_dir(desk.0.path().join("tls")).unwrap();
    fs::copy(Set::default().redis().authority(), desk.0.path().join("tls/ca.pem")).unwrap();
    desk.packaged(&["--config", "windlass.toml", "--compiler", "bootstrap"]).succeeded();
    let list = "import sys, zipfile\nfor i in zipfile.ZipFile(sys.argv[1]).infolist(): print(i.filename, oct(i.external_attr >> 16), i.date_time)";
    let listed = Program::installed("python3").args(["-c", list]).arg(desk.0.path().join("windlass.zip")).run().succeeded().stdout;
    let here = machines()[0];
    let expected = format!(
        "bootstrap 0o100755 (1980, 1, 1, 0, 0, 0)\n\
         plugins/redis.wasm 0o100644 (1980, 1, 1, 0, 0, 0)\n\
         plugins/redis.wasm.{here}.aot 0o100644 (1980, 1, 1, 0, 0, 0)\n\
         tls/ca.pem 0o100644 (1980, 1, 1, 0, 0, 0)\n\
         windlass-compile 0o100755 (1980, 1, 1, 0, 0, 0)\n\
         windlass-package.json 0o100644 (1980, 1, 1, 0, 0, 0)\n\
         windlass.toml 0o100644 (1980, 1, 1, 0, 0, 0)\n"
    );
    assert_eq!(listed, expected);
}

#[rstest]
#[case::broken_configuration("[limits]\ncall_seconds = 0\n", "expected `call_seconds` from 1 to 890 s")]
#[case::untrusted(
    "[trust]\nrequire = \"digest\"\n[plugins.other]\ndigest = \"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\n",
    "the function would refuse plugins/redis.wasm"
)]
#[case::missing_file("[tls]\nca_files = [\"ca.pem\"]\n", "ca.pem")]
fn what_would_not_run_is_not_packed(#[case] configuration: &str, #[case] words: &str) {
    let desk = Desk::new();
    fs::write(desk.0.path().join("windlass.toml"), configuration).unwrap();
    let finished = desk.packaged(&["--config", "windlass.toml"]).failed_with(1);
    assert!(finished.stderr.contains(words), "{finished:?}");
    assert!(!desk.0.path().join("windlass.zip").exists());
}

#[test]
fn what_rules_want_and_the_zip_does_not_hold_is_noted() {
    let desk = Desk::new();
    let (other, own) = (Digest::of(b"other"), Digest::of(&redis()));
    let configuration: String = [
        // What is noted: each is one of a kind.
        "plugin = \"kafka\"".to_owned(),
        "plugin = \"redis@9.9.9\"".to_owned(),
        format!("plugin = \"redis@{other}\""),
        format!("plugin = \"redis\"\ndigest = \"{other}\""),
        format!("digest = \"{other}\""),
        // What the zip holds, and what no zip holds.
        "plugin = \"redis\"".to_owned(),
        format!("plugin = \"redis@{own}\"\ndigest = [\"{own}\", \"{other}\"]"),
        format!("digest = \"{own}\""),
        format!("plugin = \"s3://acme-plugins/windlass/redis.wasm@{other}\""),
    ]
    .iter()
    .enumerate()
    .map(|(number, rule)| format!("[[secrets]]\nsecret = \"{number}\"\n{rule}\n"))
    .collect();
    let configuration =
        format!("[trust]\nrequire = \"insecure_nothing\"\n[s3]\nprefixes = [\"s3://acme-plugins/windlass/\"]\n{configuration}");
    fs::write(desk.0.path().join("windlass.toml"), configuration).unwrap();
    let finished = desk.packaged(&["--config", "windlass.toml"]).succeeded();
    let expected = [
        "the rule for `0` at line 5 names the plugin kafka, which is not in the zip: it has to come from a layer".to_owned(),
        "the rule for `1` at line 8 wants redis@9.9.9, which is not what the zip holds: unless it comes from a layer, createSecret will fail with Windlass.PluginMismatch".to_owned(),
        format!("the rule for `2` at line 11 wants redis@{other}, which is not what the zip holds: unless it comes from a layer, createSecret will fail with Windlass.PluginMismatch"),
        format!("the rule for `3` at line 14 pins the plugin redis to {other}, which is not what the zip holds: unless it comes from a layer, createSecret will fail with Windlass.PluginUntrusted"),
        format!("the rule for `4` at line 18 pins its plugin to {other}, which is not what the zip holds: unless it comes from a layer, createSecret will fail with Windlass.PluginUntrusted"),
    ];
    let notes: Vec<_> = finished.stderr.lines().map(|line| line.strip_prefix("note: ").unwrap()).collect();
    assert_eq!(notes, expected);
}

#[test]
fn a_function_that_is_not_built_is_asked_for_by_the_command_that_builds_it() {
    let desk = Desk::new();
    let finished = desk.windlass(&["package", "--plugins", "plugins", "--target", "aarch64"]).failed_with(1);
    let said = "there is no target/function/aarch64/bootstrap here, and no bootstrap beside this program. Build it with `host/build-function aarch64`";
    assert!(finished.stderr.contains(said), "{finished:?}");
}

#[test]
fn a_folder_without_plugins_is_not_packed() {
    let desk = Desk::new();
    fs::remove_file(desk.0.path().join("plugins/redis.wasm")).unwrap();
    let finished = desk.packaged(&[]).failed_with(1);
    assert!(finished.stderr.contains("there is no plugin in plugins. Build one with `windlass build`"), "{finished:?}");
}
