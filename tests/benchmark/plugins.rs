//! Plugins to install: the one for Redis under many names, and its code.

use std::path::Path;

use crate::component::{Contract, of_module};
use crate::support::built;
use crate::support::process::Program;

/// Files of a plugin folder, and the digests of the envelopes among them.
#[derive(Default)]
pub struct Installed {
    pub files: Vec<(String, Vec<u8>)>,
    pub envelopes: Vec<String>,
}

impl Installed {
    /// The table that lets this code run.
    pub fn code(&self) -> String {
        let digests: Vec<String> = self.envelopes.iter().map(|digest| format!("\"{digest}\"")).collect();
        format!("[code]\ndigests = [{}]\n", digests.join(", "))
    }
}

/// The plugin for Redis.
pub fn redis() -> Vec<u8> {
    std::fs::read(built::plugin("redis")).unwrap()
}

/// The plugin for Redis, under another name of five letters, which recognises no secret by its fields.
pub fn named(name: &str) -> Vec<u8> {
    let mut plugin = redis();
    for (from, to) in [("name = \"redis\"", format!("name = \"{name}\"")), ("engine = \"redis\"", format!("engine = \"{name}\""))] {
        let at = plugin.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        plugin[at..at + from.len()].copy_from_slice(to.as_bytes());
    }
    plugin
}

/// The name of five letters with this number.
pub fn name(number: usize) -> String {
    format!("r{number:04}")
}

/// A plugin that does nothing: what a call costs when the plugin does not cost anything.
pub fn nothing() -> Vec<u8> {
    of_module("does-nothing", "nothing", Contract::True)
}

/// These plugins, each with its code. Compiled by the real command.
pub fn with_code(plugins: impl IntoIterator<Item = (String, Vec<u8>)>) -> Installed {
    let folder = tempfile::tempdir().unwrap();
    let mut installed = Installed::default();
    let mut paths = Vec::new();
    for (name, wasm) in plugins {
        let path = folder.path().join(format!("{name}.wasm"));
        std::fs::write(&path, &wasm).unwrap();
        installed.files.push((format!("{name}.wasm"), wasm));
        paths.push(path);
    }
    for some in paths.chunks(100) {
        let said = Program::windlass().args(["compile", "--json"]).args(some).timeout(std::time::Duration::from_secs(600)).run();
        for envelope in said.succeeded().json().as_array().unwrap() {
            let path = Path::new(envelope["path"].as_str().unwrap());
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            installed.files.push((file, std::fs::read(path).unwrap()));
            installed.envelopes.push(envelope["envelope"].as_str().unwrap().to_owned());
        }
    }
    installed
}

/// This many plugins with their code, the one for Redis among them.
pub fn beside_redis(count: usize) -> Installed {
    let others = (1..count).map(|number| (name(number), named(&name(number))));
    with_code(std::iter::once(("redis".to_owned(), redis())).chain(others))
}
