//! Where the build puts things.

use std::path::{Path, PathBuf};

/// Cargo's target folder, wherever it is: the parent of the folder that Cargo gives to integration tests.
pub fn target_folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}

/// A folder for a server's files. It goes with its value; one that a killed test leaves behind is removed by a later `tests/run`.
pub fn server_folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("server-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The component that `windlass build plugins/NAME` has made.
#[track_caller]
pub fn plugin(name: &str) -> PathBuf {
    component("plugins", name)
}

/// The component of a guest crate in tests/guests.
#[track_caller]
pub fn guest(name: &str) -> PathBuf {
    component("guests", name)
}

#[track_caller]
fn component(kind: &str, name: &str) -> PathBuf {
    let file = target_folder().join(kind).join(format!("{name}.wasm"));
    assert!(file.is_file(), "{} does not exist; `tests/run` builds it", file.display());
    file
}
