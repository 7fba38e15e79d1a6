//! A component's bytes, compiled and linked: whatever passes `ComponentFile::parse` ends as a plugin or as an error.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::{Corpus, fuzz_target};
use tokio::runtime::Runtime;
use tokio::time::Instant;
use windlass::plugin::code::compiler::{Compiler, LONGEST};
use windlass::plugin::component_file::ComponentFile;
use windlass::plugin::load::Plugins;

static HOST: LazyLock<(Runtime, Plugins)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("this machine has threads");
    (runtime, Plugins::new(Compiler::InProcess).expect("this machine runs WebAssembly"))
});

fuzz_target!(|wasm: &[u8]| -> Corpus {
    // What is refused without compiling is the business of the target `component`.
    let Ok(file) = ComponentFile::parse(wasm.to_vec()) else { return Corpus::Reject };
    let (name, digest) = (file.manifest().name.clone(), file.digest());
    let (runtime, plugins) = &*HOST;
    match runtime.block_on(async { plugins.load(&file, Ok(None), Instant::now() + LONGEST + Duration::from_secs(1)).await }) {
        Ok(plugin) => assert_eq!((&plugin.manifest().name, plugin.digest()), (&name, digest), "another plugin was loaded"),
        Err(error) => {
            let said = error.to_string();
            assert!(said.len() <= 4_096 && !said.contains(char::is_control), "a stranger's words reach the log: {said:?}");
        }
    }
    Corpus::Keep
});
