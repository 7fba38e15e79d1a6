#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test is meant to panic, in its helpers too")]

use std::collections::BTreeSet;

use ring::signature::{Ed25519KeyPair, KeyPair};
use rstest::rstest;

use super::*;
use crate::plugin::call::tests::{setting, soon};
use crate::plugin::code::compiler::{compile, compile_for};
use crate::plugin::code::envelope::Label;
use crate::plugin::signature::PublicKey;

const HOST: Target = match Target::HOST {
    Some(target) => target,
    None => panic!("these tests are about a machine that envelopes are made for"),
};

/// The component of these tests, and its code.
fn made() -> (ComponentFile, Vec<u8>) {
    let file = setting("");
    let code = compile(file.wasm()).unwrap();
    (file, code)
}

fn key(number: u8) -> (PublicKey, Ed25519KeyPair) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[number; 32]).unwrap();
    (PublicKey::new(pair.public_key().as_ref().try_into().unwrap()).unwrap(), pair)
}

/// An envelope that this key has signed.
fn signed(by: u8, label: &Label, code: &[u8]) -> Vec<u8> {
    let (public, pair) = key(by);
    let signature = pair.sign(label.to_string().as_bytes()).as_ref().try_into().unwrap();
    Envelope::write(label, Some((public, signature)), code)
}

/// A policy that trusts key 1 and this envelope.
fn policy(compile: Compile, pinned: Option<&Label>) -> CodePolicy {
    let digests: BTreeSet<_> = pinned.map(Label::digest).into_iter().collect();
    CodePolicy { compile, keys: [("build".to_owned(), key(1).0)].into(), digests }
}

fn plugins(policy: CodePolicy) -> Plugins {
    Plugins::new(Compiler::InProcess).unwrap().with_policy(policy)
}

/// What is the matter with an envelope: what a function says that compiles nothing, and that one that compiles goes on.
async fn refused(file: &ComponentFile, envelope: Vec<u8>, pinned: Option<&Label>) -> String {
    let hardened = plugins(policy(Compile::Never, pinned)).load(file, Ok(Some(envelope.clone())), soon()).await;
    let Err(LoadError::NoCode { why: Some(why), .. }) = hardened else { panic!("it was loaded") };
    let other = plugins(policy(Compile::WhenNeeded, pinned)).load(file, Ok(Some(envelope)), soon()).await.unwrap();
    assert_eq!(other.code_from(), CodeFrom::Compiler);
    why.to_string()
}

#[rstest]
#[case::signed(true, false)]
#[case::pinned(false, true)]
#[case::both(true, true)]
#[tokio::test]
async fn an_envelope_that_is_proved_is_loaded(#[case] with_signature: bool, #[case] pin: bool) {
    let (file, code) = made();
    let label = Label::new(file.digest(), HOST, &code);
    let envelope = if with_signature { signed(1, &label, &code) } else { Envelope::write(&label, None, &code) };
    for compile in [Compile::Never, Compile::WhenNeeded] {
        let plugins = plugins(policy(compile, pin.then_some(&label)));
        let plugin = plugins.load(&file, Ok(Some(envelope.clone())), soon()).await.unwrap();
        assert_eq!(plugin.code_from(), CodeFrom::Envelope);
    }
}

#[tokio::test]
async fn an_envelope_that_nobody_vouches_for_is_not_run() {
    let (file, code) = made();
    let label = Label::new(file.digest(), HOST, &code);
    let hidden = |text: String| {
        let text = text.replace(&label.digest().to_string(), "[envelope]");
        text.replace(&key(2).0.to_string(), "[other key]")
    };
    let mut texts = vec![refused(&file, Envelope::write(&label, None, &code), None).await];
    texts.push(refused(&file, signed(2, &label, &code), None).await);
    // The right key, and what it has signed is another label.
    let (public, pair) = key(1);
    let elsewhere = pair.sign(b"something else").as_ref().try_into().unwrap();
    texts.push(refused(&file, Envelope::write(&label, Some((public, elsewhere)), &code), None).await);
    // A pin of the code alone is none: it has to say of which component it is the code.
    let pinned_code = CodePolicy { digests: [label.code].into(), compile: Compile::Never, ..CodePolicy::default() };
    assert!(plugins(pinned_code).load(&file, Ok(Some(Envelope::write(&label, None, &code))), soon()).await.is_err());
    insta::assert_snapshot!(texts.into_iter().map(hidden).collect::<Vec<_>>().join("\n"), @r"
        is not one that the operator trusts: it is neither signed nor pinned. Sign it with `windlass compile --key`, or add its digest [envelope] to `digests` of [code] in windlass.toml, or deploy what `windlass package` makes
        is not one that the operator trusts: it came with a signature by [other key], which is none of `code.keys`. Sign it with `windlass compile --key`, or add its digest [envelope] to `digests` of [code] in windlass.toml, or deploy what `windlass package` makes
        is not one that the operator trusts: it came with a signature that is not for it. Sign it with `windlass compile --key`, or add its digest [envelope] to `digests` of [code] in windlass.toml, or deploy what `windlass package` makes
        ");
}

#[tokio::test]
async fn an_envelope_for_something_else_says_for_what() {
    let (file, code) = made();
    let right = Label::new(file.digest(), HOST, &code);
    let other = if HOST == Target::X86_64 { Target::Aarch64 } else { Target::X86_64 };
    let foreign_code = compile_for(other, file.wasm()).unwrap();
    let foreign = Label::new(file.digest(), other, &foreign_code);
    let labels = [
        ("another component", Label { wasm: Digest::of(b""), ..right.clone() }, &code),
        ("another engine", Label { engine: "windlass wasmtime-48.0.7 1".to_owned(), ..right.clone() }, &code),
        ("another target", foreign.clone(), &foreign_code),
        // Signed, and yet wrong: wasmtime has the last word.
        ("another target under this one's name", Label { target: right.target.clone(), ..foreign }, &foreign_code),
        ("no code at all", Label::new(file.digest(), HOST, b"not code"), &b"not code".to_vec()),
    ];
    let machine = |target| if target == Target::X86_64 { "x86_64" } else { "aarch64" };
    let mut texts = Vec::new();
    for (what, label, code) in labels {
        let text = refused(&file, signed(1, &label, code), None).await;
        let text = text.replace(&file.digest().to_string(), "[this component]");
        texts.push(format!("{what}: {}", text.replace(machine(other), "[other]").replace(machine(HOST), "[this]")));
    }
    insta::assert_snapshot!(texts.join("\n"), @r"
        another component: was compiled from sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855, and this plugin is [this component]: run `windlass compile` again after a swap
        another engine: was compiled for the engine `windlass wasmtime-48.0.7 1`, and this one is `windlass wasmtime-48.0.8 1`: compile it with the `windlass` of this release
        another target: was compiled for [other]-unknown-linux-gnu, and this machine is [this]-unknown-linux-gnu: compile it with the right `--target`
        another target under this one's name: does not load here: the plugin's code does not load: Module was compiled for architecture '[other]'. Use the `windlass-compile` of the same build as `bootstrap`
        no code at all: does not load here: the plugin's code does not load: failed to parse precompiled artifact as an ELF: Invalid ELF header size or alignment. Use the `windlass-compile` of the same build as `bootstrap`
        ");
}

#[tokio::test]
async fn an_envelope_that_was_changed_or_cut_off_is_not_run() {
    let (file, code) = made();
    let label = Label::new(file.digest(), HOST, &code);
    let envelope = signed(1, &label, &code);
    let lines = envelope.len() - code.len();
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut changed = envelope.clone();
        change(&mut changed);
        changed
    };
    let cases = [
        ("one bit of the code", changed(&|bytes| bytes[lines + 1000] ^= 1), "was changed or cut off"),
        ("the last bit", changed(&|bytes| *bytes.last_mut().unwrap() ^= 1), "was changed or cut off"),
        ("a byte too few", changed(&|bytes| bytes.truncate(bytes.len() - 1)), "was changed or cut off"),
        ("a byte too many", changed(&|bytes| bytes.push(0)), "was changed or cut off"),
        ("half", changed(&|bytes| bytes.truncate(bytes.len() / 2)), "was changed or cut off"),
        ("no code", changed(&|bytes| bytes.truncate(lines)), "was changed or cut off"),
        ("lines cut off", changed(&|bytes| bytes.truncate(lines - 1)), "is damaged"),
        ("nothing", Vec::new(), "is no envelope"),
        ("bare code", code.clone(), "is no envelope"),
        ("the component", file.wasm().to_vec(), "is no envelope"),
        ("a line more", changed(&|bytes| drop(bytes.splice(lines - 1..lines - 1, *b"more yes\n"))), "is damaged"),
        ("the digest of other code", changed(&|bytes| bytes[lines - 200] ^= 1), "is "),
    ];
    for (what, envelope, expected) in cases {
        let text = refused(&file, envelope, None).await;
        assert!(text.starts_with(expected), "{what}: {text}");
    }
    // Whoever changes code and digest alike has changed what was signed and pinned.
    let forged = Label { code: Digest::of(b"forged"), ..label.clone() };
    let (public, pair) = key(1);
    let signature = pair.sign(label.to_string().as_bytes()).as_ref().try_into().unwrap();
    let envelope = Envelope::write(&forged, Some((public, signature)), b"forged");
    let text = refused(&file, envelope, Some(&label)).await;
    assert!(text.contains("a signature that is not for it"), "{text}");
}

#[tokio::test]
async fn without_an_envelope_a_hardened_function_says_what_to_do() {
    let (file, _) = made();
    let text = plugins(policy(Compile::Never, None)).load(&file, Ok(None), soon()).await.err().unwrap().to_string();
    insta::assert_snapshot!(text.replace(HOST.name(), "[target]"), @r#"there is no code for it that may run here, and none is compiled (`compile = "never"` in windlass.toml): there is none beside the plugin. Put NAME.wasm.[target].aot there, which `windlass compile --target [target]` makes"#);
}

#[tokio::test]
async fn code_that_memory_has_no_room_for_comes_from_the_scratch_space() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = Plugins::new(Compiler::InProcess).unwrap().with_scratch(folder.path().to_owned());
    let (file, _) = made();
    assert_eq!(plugins.load(&file, Ok(None), soon()).await.unwrap().code_from(), CodeFrom::Compiler);
    plugins.loaded.lock().unwrap().clear();
    assert_eq!(plugins.load(&file, Ok(None), soon()).await.unwrap().code_from(), CodeFrom::Scratch);
}

#[tokio::test]
async fn memory_keeps_what_fits_and_at_least_what_is_used() {
    let plugins = plugins(CodePolicy::default());
    let (first, second) = (setting(""), setting("(nop)"));
    let large = |plugin: &Arc<Plugin>| {
        Arc::new(Plugin {
            code_bytes: MAX_LOADED_BYTES,
            digest: plugin.digest,
            code_from: plugin.code_from,
            manifest: Arc::clone(&plugin.manifest),
            linked: plugin.linked.clone(),
            set_secret: plugin.set_secret,
            test_secret: plugin.test_secret,
        })
    };
    let small = plugins.load(&first, Ok(None), soon()).await.unwrap();
    let other = plugins.load(&second, Ok(None), soon()).await.unwrap();
    assert!(plugins.loaded(small.digest()).is_some() && plugins.loaded(other.digest()).is_some());
    plugins.remember(&large(&other));
    assert!(plugins.loaded(small.digest()).is_none() && plugins.loaded(other.digest()).is_some());
}
