//! What was built once runs on every later host of the same version line: the components of each release, with the SDK, bindings and
//! manifests of their time, in the host of today. Today's own components are the first in that line.
//!
//! `tests/releases/run` builds them; `tests/releases/README.md` says how a release becomes one of them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test is meant to panic, in its helpers too")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rstest::rstest;
use serde_json::{Map, Value, json};
use support::built;
use support::canary::Canary;
use support::port;
use support::process::Program;
use support::redis::Redis;

/// Where components of one time lie: `plugins/NAME.wasm`, `guests/NAME.wasm`.
struct Generation {
    /// The version, or `today`.
    name: String,
    folder: PathBuf,
}

/// Today's, and that of each release.
fn generations() -> Vec<Generation> {
    let today = Generation { name: "today".to_owned(), folder: built::target_folder().to_owned() };
    std::iter::once(today).chain(released()).collect()
}

fn released() -> impl Iterator<Item = Generation> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let records = files(&root.join("tests/releases"), "sha256");
    records.into_iter().map(|record| {
        let version = record.file_stem().unwrap().to_str().unwrap().to_owned();
        let folder = built::target_folder().join("releases").join(&version);
        let listed = fs::read_to_string(&record).unwrap();
        for component in listed.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_whitespace().nth(1).unwrap()) {
            assert!(folder.join(component).is_file(), "{version}: {component} is not there; `tests/releases/run` builds it");
        }
        Generation { name: version, folder }
    })
}

#[test]
fn host_and_sdks_have_one_version() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    for (file, line) in [
        ("plugins/Cargo.toml", format!("version = \"{version}\"")),
        ("tests/guests/Cargo.toml", format!("version = \"{version}\"")),
        ("sdk/js/package.json", format!("\"version\": \"{version}\",")),
        ("sdk/python/windlass/__init__.py", format!("__version__ = \"{version}\"")),
    ] {
        let text = fs::read_to_string(root.join(file)).unwrap();
        assert!(text.lines().any(|found| found.trim() == line), "{file} has another version than {version}");
    }
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    files.sort();
    files
}

fn inspect(component: &Path) -> Value {
    Program::windlass().args(["inspect", "--json"]).arg(component).run().succeeded().json()
}

/// A secret with everything that the manifest needs, at a port on which nobody listens.
fn secret(about: &Value, password: &Canary) -> Value {
    let port = port::free();
    let addresses = about["endpoints"].as_object().unwrap().values().map(|endpoint| endpoint["address"].as_str().unwrap());
    let in_addresses = addresses.flat_map(|address| address.split('{').skip(1)).map(|after| after.split('}').next().unwrap());
    let required = about["required"].as_array().unwrap().iter().map(|field| field.as_str().unwrap());
    let value = |field: &str| match field {
        "password" => json!(password.value()),
        field if field.contains("host") => json!("localhost"),
        field if field.contains("port") => json!(port),
        field => json!(format!("a-{field}")),
    };
    let fields: Map<String, Value> = required.chain(in_addresses).map(|field| (field.to_owned(), value(field))).collect();
    fields.into()
}

/// What comes of a component that runs, where no service is: its own failure, with its cause; and of one that is content with anything, which
/// a guest is.
const UNDERSTOOD: [&str; 4] = ["Unreachable", "Unsupported", "MalformedSecret", "TestProvesNothing"];

/// Guests use what plugins seldom do: the bindings without the SDK, the steps themselves.
#[rstest]
#[case::plugins("plugins", 8)]
#[case::guests("guests", 4)]
fn a_component_of_every_time_is_loaded_called_and_understood(#[case] kind: &str, #[case] at_least: usize) {
    for Generation { name: time, folder } in generations() {
        let components = files(&folder.join(kind), "wasm");
        assert!(components.len() >= at_least, "{time}: {components:?}");
        for component in components {
            let about = inspect(&component);
            let name = about["name"].as_str().unwrap();
            assert_eq!(component.file_stem().unwrap(), name, "{time}");
            let (place, password) = (tempfile::tempdir().unwrap(), Canary::new());
            let file = place.path().join("secret.json");
            fs::write(&file, secret(&about, &password).to_string()).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            let rotate = Program::windlass().arg("rotate").arg("--plugin").arg(&component).arg("--secret").arg(&file);
            let finished = rotate.run().without(&password);
            let (_, said) = finished.stderr.split_once(" failed with Windlass.").unwrap_or_else(|| panic!("{time}: {finished:?}"));
            let cause = said.split(": ").next().unwrap();
            assert!(UNDERSTOOD.contains(&cause), "{time}: {finished:?}");
            assert!(said.contains(&format!("plugin `{name}`")), "{time}: {finished:?}");
        }
    }
}

/// Of a crate outside of the workspace cargo puts the place into the symbols, and the order of functions follows: then no digest holds in
/// another folder.
#[test]
fn what_plugins_are_built_of_lies_inside_of_their_workspace() {
    for manifest in [include_str!("../plugins/Cargo.toml"), include_str!("guests/Cargo.toml")] {
        let paths: Vec<_> = manifest.lines().filter(|line| line.contains("path = ")).collect();
        assert!(!paths.is_empty() && paths.iter().all(|line| !line.contains("..")), "{paths:?}");
    }
}

#[test]
fn a_plugin_of_every_time_rotates_a_password_of_redis() {
    let redis = Redis::start();
    for Generation { name: time, folder } in generations() {
        let (place, old) = (tempfile::tempdir().unwrap(), Canary::new());
        let (file, user) = (place.path().join("secret.json"), format!("app-{time}"));
        redis.add_user(&user, old.value());
        let value = json!({"username": user, "password": old.value(), "host": "127.0.0.1", "port": redis.port, "tls": false});
        fs::write(&file, value.to_string()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let rotate =
            Program::windlass().arg("rotate").arg("--plugin").arg(folder.join("plugins/redis.wasm")).arg("--secret").arg(&file);
        rotate.run().succeeded().without(&old);
        let rotated: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let new = rotated["password"].as_str().unwrap();
        assert!(new != old.value() && redis.accepts(&user, new), "{time}");
    }
}
