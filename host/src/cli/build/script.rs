//! Plugins in Python and JavaScript: their SDKs bring a script that makes a component of a folder.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::BuildError;

/// The file by which a language is recognised, and the script of its SDK.
const LANGUAGES: [(&str, &str); 2] = [("plugin.py", "sdk/python/build"), ("plugin.js", "sdk/js/build")];

/// The script that builds the plugin in `folder`, if it is in such a language: that of the plugin's own copy of the SDK, or of the checkout of
/// Windlass that it lies in.
pub(super) fn find(folder: &Path) -> Result<Option<PathBuf>, BuildError> {
    let Some((source, script)) = LANGUAGES.into_iter().find(|(source, _)| folder.join(source).is_file()) else { return Ok(None) };
    let own = folder.join(".windlass").join(script);
    let mut places = std::iter::once(own).chain(folder.ancestors().map(|above| above.join(script)));
    places.find(|place| place.is_file()).map(Some).ok_or_else(|| BuildError::NoSdk {
        folder: folder.to_owned(),
        source_file: source,
        script,
    })
}

/// Makes a component, with its manifest inside. What the tools say goes to standard error. They are kept in `target`.
pub(super) fn run(script: &Path, folder: &Path, target: &Path) -> Result<Vec<u8>, BuildError> {
    let failed = |source: io::Error| BuildError::Script { script: script.to_owned(), why: source.to_string() };
    let made = tempfile::Builder::new().prefix("windlass-build-").tempdir().map_err(failed)?;
    let component = made.path().join("component.wasm");
    let said = io::stderr().as_fd().try_clone_to_owned().map_err(failed)?;
    let mut command = Command::new(script);
    command.arg(folder).arg(&component).env("CARGO_TARGET_DIR", target).stdin(Stdio::null()).stdout(said);
    let status = command.status().map_err(failed)?;
    if !status.success() {
        return Err(BuildError::Script { script: script.to_owned(), why: "what it said stands above".to_owned() });
    }
    std::fs::read(&component).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn a_plugin_in_rust_has_no_script() {
        assert_eq!(find(folder(&["Cargo.toml", "src/lib.rs"]).path()).unwrap(), None);
    }

    #[test]
    fn the_plugins_own_sdk_comes_before_that_of_a_checkout() {
        let place = folder(&["sdk/js/build", "acme/plugin.js", "acme/.windlass/sdk/js/build", "other/plugin.js"]);
        let script = |name: &str| find(&place.path().join(name)).unwrap().unwrap();
        assert_eq!(script("acme"), place.path().join("acme/.windlass/sdk/js/build"));
        assert_eq!(script("other"), place.path().join("sdk/js/build"));
    }

    #[test]
    fn without_an_sdk_it_is_said_how_to_get_one() {
        let error = find(folder(&["plugin.py"]).path()).unwrap_err().to_string();
        assert!(error.contains("windlass new --lang python"), "{error}");
    }
}
