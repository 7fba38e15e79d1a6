//! A component's bytes, up to the decision that they are a plugin. Nothing is compiled; that is `load`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass::manifest::Manifest;
use windlass::plugin::component_file::ComponentFile;
use windlass::plugin::digest::Digest;

fuzz_target!(|wasm: &[u8]| {
    let Ok(file) = ComponentFile::parse(wasm.to_vec()) else { return };
    assert_eq!((file.wasm(), file.digest()), (wasm, Digest::of(wasm)), "another component than was given");
    assert_eq!(Manifest::parse(file.manifest_text()).as_ref(), Ok(file.manifest()), "another manifest than was shown");
    let name = file.manifest().name.as_str();
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    assert!(plain && (1..=64).contains(&name.len()) && name.as_bytes()[0].is_ascii_lowercase(), "{name:?} is no file name");
    for import in file.imports() {
        let inert = ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/"];
        assert!(import.starts_with("windlass:rotation/") || inert.iter().any(|of| import.starts_with(of)), "{import:?} is offered");
    }
    assert!(file.exports().iter().any(|export| export.starts_with("windlass:rotation/rotator@0.1.")), "no steps");
});
