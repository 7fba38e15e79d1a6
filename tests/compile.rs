//! The compiler as `bootstrap` uses it: the real executable, confined, and what it makes, loaded and called.
#![allow(clippy::unwrap_used, reason = "a failing test is meant to panic, in its helpers too")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use windlass::capability::network::Network;
use windlass::config::{Config, Limits};
use windlass::manifest::SECTION;
use windlass::plugin::call::{Call, Handed, Outcome};
use windlass::plugin::code::compiler::{CompileError, Compiler};
use windlass::plugin::component_file::ComponentFile;
use windlass::plugin::load::{LoadError, Plugins};
use windlass::secret::SecretValue;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

const COMPILER: &str = env!("CARGO_BIN_EXE_windlass-compile");

/// A plugin that succeeds at once. `items` are more of its core module.
fn plugin(items: &str) -> ComponentFile {
    let step = |name: &str| format!(r#"(func (export "windlass:rotation/rotator@0.1.0#{name}") (result i32) (i32.const 16))"#);
    let text = format!(
        r#"(module (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
            {} {} {items})"#,
        step("set-secret"),
        step("test-secret")
    );
    let mut module = wat::parse_str(text).unwrap();
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit"))).unwrap();
    let world = resolve.select_world(&[package], Some("plugin")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default();
    encoder.module(&module).unwrap();
    let mut component = encoder.encode().unwrap();
    component.push(0);
    let manifest = wasm_encoder::CustomSection { name: SECTION.into(), data: b"name = \"guest\"\nversion = \"1\"\n".into() };
    wasm_encoder::Encode::encode(&manifest, &mut component);
    ComponentFile::parse(component).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(120)
}

#[tokio::test]
async fn code_of_the_confined_compiler_loads_and_runs() {
    let plugins = Plugins::new(Compiler::Executable(COMPILER.into())).unwrap();
    let plugin = plugins.load(&plugin(""), Ok(None), soon()).await.unwrap();
    let config = Config::from_vars([], Path::new("/nowhere")).unwrap();
    let handed = Handed { pending: SecretValue::text("new"), current: None, previous: None, admin: None };
    let call = Call {
        refused: windlass::capability::refused_logins::RefusedLogins::at_most(6),
        handed,
        endpoints: BTreeMap::new(),
        client_certificate: None,
        settings: BTreeMap::new(),
        network: Arc::new(Network::new(&config).unwrap()),
        limits: Limits::default(),
        deadline: soon(),
    };
    assert_eq!(plugin.set_secret(call).await, Ok(Outcome::Changed));
}

#[tokio::test]
async fn a_component_that_is_not_valid_is_refused_in_one_line() {
    // Well-formed from the outside, where `ComponentFile` looks; the body of its function is of the wrong type.
    let plugins = Plugins::new(Compiler::Executable(COMPILER.into())).unwrap();
    let loaded = plugins.load(&plugin("(func (result i32) (i64.const 1))"), Ok(None), soon()).await;
    let Err(LoadError::Compile(CompileError::Refused { complaint })) = loaded else { panic!("{:?}", loaded.err()) };
    assert!(complaint.contains("type mismatch") && !complaint.contains('\n'), "{complaint}");
}

#[test]
fn what_is_no_component_yields_a_sentence_and_no_code() {
    for junk in [&b""[..], b"\0asm\x01\0\0\0", b"#!/bin/sh\n", &[0xff; 4096]] {
        let mut child = Command::new(COMPILER).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(junk).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        assert!(output.stderr.starts_with(b"the plugin does not compile: "), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
