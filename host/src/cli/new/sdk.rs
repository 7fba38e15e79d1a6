//! The SDK and the contract as this program was built with them: a new plugin brings them along, and needs nothing else of Windlass.

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        /// The files, by their paths in the repository.
        pub(super) const FILES: &[(&str, &str)] = &[$(($path, include_str!(concat!("../../../../", $path)))),*];
    };
}

files![
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
    "wit/connection.wit",
    "wit/failures.wit",
    "wit/http.wit",
    "wit/log.wit",
    "wit/random.wit",
    "wit/rotator.wit",
    "wit/secret.wit",
    "wit/world.wit",
];

/// What the SDK's own dependencies are in the workspace of this repository.
pub(super) fn dependencies() -> String {
    let workspace = include_str!("../../../../Cargo.toml");
    let (_, sdk) = FILES[0].1.split_once("[dependencies]\n").expect("the SDK has dependencies");
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

    use super::*;

    #[test]
    fn no_file_of_the_sdk_and_the_contract_is_left_out() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut there = Vec::new();
        let mut folders = vec!["sdk/rust/src".to_owned(), "wit".to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(root.join(&folder)).unwrap() {
                let path = format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap());
                if root.join(&path).is_dir() {
                    folders.push(path);
                } else if path.ends_with(".rs") || path.ends_with(".wit") {
                    there.push(path);
                }
            }
        }
        there.retain(|path| !FILES.iter().any(|(known, _)| known == path));
        assert_eq!(there, Vec::<String>::new());
    }

    #[test]
    fn the_dependencies_of_the_sdk_have_versions() {
        assert!(dependencies().contains("wit-bindgen = { version = "), "{}", dependencies());
    }
}
