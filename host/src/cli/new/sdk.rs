//! The SDKs and the contract as this program was built with them: a new plugin brings its own along, and needs nothing else of Windlass.

macro_rules! files {
    ($(#[$documentation:meta])* $name:ident: $($path:literal),* $(,)?) => {
        $(#[$documentation])*
        pub(super) const $name: &[(&str, &str)] = &[$(($path, include_str!(concat!("../../../../", $path)))),*];
    };
}

files![
    /// The contract. As everything here by the paths in the repository.
    CONTRACT:
    "wit/connection.wit",
    "wit/failures.wit",
    "wit/http.wit",
    "wit/log.wit",
    "wit/random.wit",
    "wit/rotator.wit",
    "wit/secret.wit",
    "wit/world.wit",
];

files![
    /// The SDK for Rust. Its Cargo.toml comes first.
    RUST:
    "sdk/rust/Cargo.toml",
    "sdk/rust/examples/minimal.rs",
    "sdk/rust/src/allocator.rs",
    "sdk/rust/src/bindings.rs",
    "sdk/rust/src/connection.rs",
    "sdk/rust/src/credential.rs",
    "sdk/rust/src/export.rs",
    "sdk/rust/src/failure.rs",
    "sdk/rust/src/host.rs",
    "sdk/rust/src/host/component.rs",
    "sdk/rust/src/http.rs",
    "sdk/rust/src/json.rs",
    "sdk/rust/src/ladder.rs",
    "sdk/rust/src/lib.rs",
    "sdk/rust/src/log.rs",
    "sdk/rust/src/random.rs",
    "sdk/rust/src/rotation.rs",
    "sdk/rust/src/testing.rs",
    "sdk/rust/src/text.rs",
];

files![
    /// The SDK for Python.
    PYTHON:
    "sdk/python/build",
    "sdk/python/windlass/__init__.py",
    "sdk/python/windlass/connection.py",
    "sdk/python/windlass/credential.py",
    "sdk/python/windlass/export.py",
    "sdk/python/windlass/failure.py",
    "sdk/python/windlass/host.py",
    "sdk/python/windlass/http.py",
    "sdk/python/windlass/ladder.py",
    "sdk/python/windlass/log.py",
    "sdk/python/windlass/py.typed",
    "sdk/python/windlass/random.py",
    "sdk/python/windlass/service.py",
    "sdk/python/windlass/stage.py",
    "sdk/python/windlass/streams.py",
    "sdk/python/windlass/testing.py",
];

files![
    /// The SDK for JavaScript.
    JS:
    "sdk/js/bindings.d.ts",
    "sdk/js/build",
    "sdk/js/connection.js",
    "sdk/js/credential.js",
    "sdk/js/export.js",
    "sdk/js/failure.js",
    "sdk/js/hidden.js",
    "sdk/js/host.js",
    "sdk/js/http.js",
    "sdk/js/ladder.js",
    "sdk/js/log.js",
    "sdk/js/package.json",
    "sdk/js/random.js",
    "sdk/js/register.js",
    "sdk/js/resolve.js",
    "sdk/js/service.js",
    "sdk/js/stage/connection.js",
    "sdk/js/stage/http.js",
    "sdk/js/stage/log.js",
    "sdk/js/stage/random.js",
    "sdk/js/stage/secret.js",
    "sdk/js/stage/state.js",
    "sdk/js/streams.js",
    "sdk/js/testing.js",
    "sdk/js/utf8.js",
    "sdk/js/windlass.js",
];

/// What the SDK's own dependencies are in the workspace of this repository.
pub(super) fn dependencies() -> String {
    let workspace = include_str!("../../../../Cargo.toml");
    let (_, sdk) = RUST[0].1.split_once("[dependencies]\n").expect("the SDK has dependencies");
    let names = sdk.lines().take_while(|line| !line.starts_with("[[")).filter_map(|line| line.strip_suffix(".workspace = true"));
    let line = |name: &str| {
        let begins = format!("{name} = ");
        let line = workspace.lines().find(|line| line.starts_with(&begins)).expect("the workspace says which version");
        format!("{line}\n")
    };
    names.map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::contract(CONTRACT, "wit", &["wit"])]
    #[case::rust(RUST, "sdk/rust/src", &["rs"])]
    #[case::python(PYTHON, "sdk/python/windlass", &["py"])]
    #[case::js(JS, "sdk/js", &["js", "json"])]
    #[case::js_stage(JS, "sdk/js/stage", &["js"])]
    fn no_file_is_left_out(#[case] files: &[(&str, &str)], #[case] folder: &str, #[case] kinds: &[&str]) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut there = Vec::new();
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap());
            let kind = Path::new(&path).extension().and_then(|kind| kind.to_str()).unwrap_or_default();
            if root.join(&path).is_file() && kinds.contains(&kind) {
                there.push(path);
            }
        }
        assert!(!there.is_empty());
        there.retain(|path| !files.iter().any(|(known, _)| known == path));
        assert_eq!(there, Vec::<String>::new());
    }

    #[test]
    fn the_dependencies_of_the_sdk_have_versions() {
        assert!(dependencies().contains("wit-bindgen = { version = "), "{}", dependencies());
    }
}
