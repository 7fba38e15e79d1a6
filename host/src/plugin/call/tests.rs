//! Hostile guests, each with the answer it gets. They are written as core modules, so that each does exactly one thing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test is meant to panic, in its helpers too")]

use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use proptest::prelude::*;
use rstest::rstest;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::*;
use crate::config::Config;
use crate::manifest::SECTION;
use crate::plugin::code::compiler::Compiler;
use crate::plugin::component_file::ComponentFile;
use crate::plugin::load::{LoadError, Plugins};

const CANARY: &str = "canary-secret-value";

/// What guests of toolchains import of WASI, as far as these guests use it.
const WASI: [(&str, &str); 3] = [
    (
        "io",
        "package wasi:io@0.2.6;
        interface error { resource error; }
        interface poll { resource pollable; }
        interface streams {
            use error.{error};
            variant stream-error { last-operation-failed(error), closed }
            resource output-stream { blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>; }
        }",
    ),
    (
        "clocks",
        "package wasi:clocks@0.2.6;
        interface monotonic-clock {
            use wasi:io/poll@0.2.6.{pollable};
            subscribe-duration: func(when: u64) -> pollable;
        }",
    ),
    (
        "cli",
        "package wasi:cli@0.2.6;
        interface stderr { use wasi:io/streams@0.2.6.{output-stream}; get-stderr: func() -> output-stream; }
        interface exit { exit: func(status: result); }",
    ),
];

const WORLD: &str = "package test:guest;
    world guest {
        include windlass:rotation/plugin@0.1.0;
        import wasi:clocks/monotonic-clock@0.2.6;
        import wasi:cli/stderr@0.2.6;
        import wasi:cli/exit@0.2.6;
    }";

/// A component whose `set-secret` and `test-secret` are these instructions. They answer with what is at address 16, which is
/// `changed` or `accepted` while nothing is written there.
fn guest(items: &str, set_secret: &str, test_secret: &str) -> ComponentFile {
    let text = format!(
        r#"(module
            (import "windlass:rotation/log@0.1.0" "write" (func $log (param i32 i32 i32)))
            (import "windlass:rotation/secret@0.1.0" "text" (func $text (param i32 i32)))
            (import "windlass:rotation/random@0.1.0" "generate" (func $random (param i32 i32)))
            (import "wasi:clocks/monotonic-clock@0.2.6" "subscribe-duration" (func $subscribe (param i64) (result i32)))
            (import "wasi:cli/stderr@0.2.6" "get-stderr" (func $stderr (result i32)))
            (import "wasi:io/streams@0.2.6" "[method]output-stream.blocking-write-and-flush"
                (func $print (param i32 i32 i32 i32)))
            (import "wasi:cli/exit@0.2.6" "exit" (func $exit (param i32)))
            (memory (export "memory") 2)
            (global $free (mut i32) (i32.const 8192))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                (global.set $free (i32.add (local.get $at) (local.get 3)))
                (if (i32.gt_u (global.get $free) (i32.mul (memory.size) (i32.const 65536)))
                    (then (drop (memory.grow (i32.add (i32.div_u (local.get 3) (i32.const 65536)) (i32.const 1))))))
                (local.get $at))
            {items}
            (func (export "windlass:rotation/rotator@0.1.0#set-secret") (result i32) {set_secret} (i32.const 16))
            (func (export "windlass:rotation/rotator@0.1.0#test-secret") (result i32) {test_secret} (i32.const 16))
        )"#
    );
    let mut module = wat::parse_str(text).unwrap();
    let mut resolve = Resolve::default();
    resolve.push_dir(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit"))).unwrap();
    for (name, text) in WASI {
        resolve.push_str(name, text).unwrap();
    }
    let package = resolve.push_str("guest", WORLD).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true);
    encoder.module(&module).unwrap();
    let mut component = encoder.encode().unwrap();
    let manifest = wasm_encoder::CustomSection { name: SECTION.into(), data: b"name = \"guest\"\nversion = \"1\"\n".into() };
    component.push(0);
    wasm_encoder::Encode::encode(&manifest, &mut component);
    ComponentFile::parse(component).unwrap()
}

pub(crate) fn setting(set_secret: &str) -> ComponentFile {
    guest("", set_secret, "")
}

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

async fn loaded(file: ComponentFile) -> Arc<Plugin> {
    Plugins::new(Compiler::InProcess).unwrap().load(&file, Ok(None), soon()).await.unwrap()
}

fn call() -> Call {
    let secret = |which: &str| SecretValue::text(format!(r#"{{"password":"{CANARY}-{which}"}}"#));
    Call {
        refused: RefusedLogins::at_most(6),
        handed: Handed {
            pending: secret("pending"),
            current: Some(secret("current")),
            previous: Some(secret("previous")),
            admin: Some(secret("admin")),
        },
        endpoints: BTreeMap::new(),
        client_certificate: None,
        settings: BTreeMap::new(),
        network: Arc::new(Network::new(&Config::from_vars([], Path::new("/nowhere")).unwrap()).unwrap()),
        limits: Limits::default(),
        deadline: soon(),
    }
}

/// The error with which a guest's `set-secret` ends.
async fn stopped(file: ComponentFile) -> Stop {
    match loaded(file).await.set_secret(call()).await {
        Err(CallError::Stopped(stop)) => stop,
        other => panic!("{other:?}"),
    }
}

/// Runs `set-secret` and returns what is logged meanwhile, besides its result.
async fn logged(file: ComponentFile) -> (String, Result<Outcome, CallError>) {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().without_time().with_ansi(false).with_writer(move || writer.clone()).finish();
    let plugin = loaded(file).await;
    let guard = tracing::subscriber::set_default(subscriber);
    let result = plugin.set_secret(call()).await;
    drop(guard);
    let lines = lines.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (String::from_utf8(lines).unwrap(), result)
}

#[tokio::test]
async fn a_guest_that_does_nothing_succeeds() {
    let plugin = loaded(setting("")).await;
    assert_eq!(plugin.set_secret(call()).await, Ok(Outcome::Changed));
    assert_eq!(plugin.test_secret(call()).await, Ok(()));
}

#[tokio::test]
async fn unchanged_is_another_outcome() {
    let plugin = loaded(setting("(i32.store8 (i32.const 20) (i32.const 1))")).await;
    assert_eq!(plugin.set_secret(call()).await, Ok(Outcome::Unchanged));
}

#[tokio::test]
async fn a_plugin_is_compiled_once() {
    let plugins = Plugins::new(Compiler::InProcess).unwrap();
    let first = plugins.load(&setting(""), Ok(None), soon()).await.unwrap();
    let again = plugins.load(&setting(""), Ok(None), soon()).await.unwrap();
    let other = plugins.load(&setting("(nop)"), Ok(None), soon()).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again) && !Arc::ptr_eq(&first, &other));
}

/// Writes a failure of this cause and effect, whose message is the `length` bytes at address 1,024.
fn failing(cause: usize, effect: usize, length: usize) -> String {
    format!(
        "(i32.store8 (i32.const 16) (i32.const 1)) (i32.store8 (i32.const 20) (i32.const {cause})) \
         (i32.store8 (i32.const 21) (i32.const {effect})) (i32.store (i32.const 24) (i32.const 1024)) \
         (i32.store (i32.const 28) (i32.const {length}))"
    )
}

#[tokio::test]
async fn every_failure_arrives_as_what_it_is() {
    for (number, cause) in Cause::ALL.into_iter().enumerate() {
        let effect = number % 3;
        let file = guest("(data (i32.const 1024) \"no\\0ahope\")", &failing(number, effect, 7), "");
        let failed = loaded(file).await.set_secret(call()).await.unwrap_err();
        assert_eq!(failed, CallError::Failure { cause, effect: Effect::ALL[effect], message: "no hope".to_owned() });
    }
}

#[tokio::test]
async fn a_message_is_redacted_and_cut() {
    let text = format!("{CANARY}-admin {}", "é".repeat(2_000));
    let file = guest(&format!("(data (i32.const 1024) \"{text}\")"), &failing(0, 0, text.len()), "");
    let Err(CallError::Failure { message, .. }) = loaded(file).await.set_secret(call()).await else { panic!() };
    assert!(message.starts_with("[redacted] é") && (2_046..=2_048).contains(&message.len()), "{message}");
}

/// Copies the text of a version to the message of a failure, or succeeds if there is none.
fn telling(version: usize) -> String {
    format!(
        "(call $text (i32.const {version}) (i32.const 64)) (if (i32.load8_u (i32.const 64)) (then \
         (i32.store8 (i32.const 16) (i32.const 1)) (i32.store8 (i32.const 20) (i32.const 9)) \
         (i32.store (i32.const 24) (i32.load (i32.const 68))) (i32.store (i32.const 28) (i32.load (i32.const 72)))))"
    )
}

#[rstest]
#[case::pending(0, true)]
#[case::current(1, false)]
#[case::previous(2, false)]
#[case::admin(3, false)]
#[tokio::test]
async fn a_test_sees_the_pending_version_only(#[case] version: usize, #[case] seen_in_test: bool) {
    let plugin = loaded(guest("", &telling(version), &telling(version))).await;
    let set = plugin.set_secret(call()).await.unwrap_err();
    let tested = plugin.test_secret(call()).await;
    assert_eq!(tested.is_err(), seen_in_test);
    let shown = format!("{set} {set:?} {tested:?}");
    assert!(!shown.contains(CANARY) && shown.contains("[redacted]"), "{shown}");
}

#[rstest]
#[case::in_a_step(setting("(loop $l (br $l))"))]
#[case::in_the_start_function(guest("(func $spin (loop $l (br $l))) (start $spin)", "", ""))]
#[tokio::test]
async fn a_guest_that_spins_is_stopped_at_its_deadline(#[case] file: ComponentFile) {
    let plugin = loaded(file).await;
    for (limit, remaining, least) in [(1, 60_000, 1_000), (60, 650, 650)] {
        let mut call = call();
        call.limits = call.limits.with(Limit::Call, limit);
        let started = Instant::now();
        call.deadline = started + Duration::from_millis(remaining);
        assert_eq!(plugin.set_secret(call).await, Err(CallError::Stopped(Stop::Deadline)));
        assert!(started.elapsed() >= Duration::from_millis(least), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn nothing_starts_when_there_is_no_time() {
    let plugin = loaded(setting("unreachable")).await;
    let mut call = call();
    call.deadline = Instant::now();
    assert_eq!(plugin.set_secret(call).await, Err(CallError::Stopped(Stop::Deadline)));
}

#[rstest]
#[case::one_memory("", "(loop $l (drop (memory.grow (i32.const 16))) (br $l))")]
#[case::many_memories(
    "(memory $b 1) (memory $c 1)",
    "(loop $l (drop (memory.grow $b (i32.const 16))) (drop (memory.grow $c (i32.const 16))) (br $l))"
)]
#[case::at_once("", "(drop (memory.grow (i32.const 60000)))")]
#[case::declared("(memory $b 2000)", "")]
#[case::a_table("(table $t 1 funcref)", "(loop $l (drop (table.grow $t (ref.null func) (i32.const 100000))) (br $l))")]
#[case::a_declared_table("(table $t 100000000 funcref)", "")]
#[tokio::test]
async fn memory_and_tables_together_have_one_limit(#[case] items: &str, #[case] set_secret: &str) {
    assert_eq!(stopped(guest(items, set_secret, "")).await, Stop::Memory { limit: Limits::default().memory() });
}

#[tokio::test]
async fn endless_recursion_is_a_stack_overflow() {
    assert_eq!(
        stopped(guest("(func $f (result i32) (i32.add (call $f) (i32.const 1)))", "(drop (call $f))", "")).await,
        Stop::StackOverflow
    );
}

#[rstest]
#[case::unreachable("", "unreachable", "unreachable")]
#[case::in_the_start_function("(func $bad unreachable) (start $bad)", "", "unreachable")]
#[case::outside_its_memory("", "(drop (i32.load (i32.const -4)))", "out of bounds memory access")]
#[case::an_answer_outside_its_memory("", "(return (i32.const -16))", "")]
#[case::an_outcome_that_does_not_exist("", "(i32.store8 (i32.const 20) (i32.const 7))", "")]
#[tokio::test]
async fn a_trap_says_what_it_was(#[case] items: &str, #[case] set_secret: &str, #[case] what: &str) {
    let stop = stopped(guest(items, set_secret, "")).await;
    let (Stop::Trapped { what: words } | Stop::Broken { why: words }) = stop else { panic!("{stop:?}") };
    assert!(words.contains(what), "{words}");
}

#[tokio::test]
async fn a_panic_is_reported_in_its_own_words() {
    let text = format!("panicked at src/lib.rs:7:5: no {CANARY}-pending");
    let items = format!("(data (i32.const 1024) \"{text}\")");
    let body = format!("(call $log (i32.const 3) (i32.const 1024) (i32.const {})) unreachable", text.len());
    let report = "panicked at src/lib.rs:7:5: no [redacted]".to_owned();
    assert_eq!(stopped(guest(&items, &body, "")).await, Stop::Panicked { report });
}

#[tokio::test]
async fn a_panic_is_found_in_standard_error() {
    let text = format!(
        "\\0athread 'main' (1) panicked at src/lib.rs:7:5:\\0ano {CANARY}-pending\\0anote: run with `RUST_BACKTRACE=1`\\0a"
    );
    let items = format!("(data (i32.const 1024) \"{text}\")");
    let length = text.len() - 4 * 2;
    let body = format!("(call $print (call $stderr) (i32.const 1024) (i32.const {length}) (i32.const 64)) unreachable");
    let (lines, result) = logged(guest(&items, &body, "")).await;
    let report = "panicked at src/lib.rs:7:5: no [redacted]".to_owned();
    assert_eq!(result, Err(CallError::Stopped(Stop::Panicked { report })));
    insta::assert_snapshot!(lines, @r#"
     WARN plugin: thread 'main' (1) panicked at src/lib.rs:7:5: plugin="guest"
     WARN plugin: no [redacted] plugin="guest"
     WARN plugin: note: run with `RUST_BACKTRACE=1` plugin="guest"
    "#);
}

#[tokio::test]
async fn exit_is_no_way_to_succeed() {
    assert_eq!(stopped(setting("(call $exit (i32.const 0))")).await, Stop::Exited { status: 0 });
}

#[rstest]
#[case::a_huge_string(
    "(call $log (i32.const 1) (i32.const 0) (i32.mul (memory.grow (i32.const 320)) (i32.const 10000000)))",
    "argument_kib"
)]
#[case::many_resources("(loop $l (drop (call $subscribe (i64.const 1))) (br $l))", "resources")]
#[tokio::test]
async fn other_limits_have_a_name(#[case] set_secret: &str, #[case] limit: &str) {
    let stop = stopped(setting(set_secret)).await;
    let Stop::Limit { key, .. } = stop else { panic!("{stop:?}") };
    assert_eq!(key, limit);
}

#[rstest]
#[case::memories("(memory 0)", Limits::default().memories(), "core_memories")]
#[case::tables("(table 0 funcref)", Limits::default().tables() + 1, "core_tables")]
#[tokio::test]
async fn too_much_of_what_a_component_declares_is_a_limit(#[case] item: &str, #[case] count: usize, #[case] limit: &str) {
    let stop = stopped(guest(&item.repeat(count), "", "")).await;
    let Stop::Limit { key, .. } = stop else { panic!("{stop:?}") };
    assert_eq!(key, limit);
}

#[rstest]
#[case::many_lines(20, 1_000, 200)]
#[case::long_lines(3_000, 1_000, 32)]
#[tokio::test]
async fn a_talkative_guest_is_cut_short(#[case] length: usize, #[case] times: usize, #[case] shown: usize) {
    let items = "(func $say (param i32) (memory.fill (i32.const 1024) (i32.const 97) (local.get 0)) \
                 (call $log (i32.const 1) (i32.const 1024) (local.get 0))) (global $n (mut i32) (i32.const 0))";
    let body = format!(
        "(loop $l (call $say (i32.const {length})) (global.set $n (i32.add (global.get $n) (i32.const 1))) \
         (br_if $l (i32.lt_u (global.get $n) (i32.const {times}))))"
    );
    let (lines, result) = logged(guest(items, &body, "")).await;
    assert_eq!(result, Ok(Outcome::Changed));
    assert_eq!(lines.lines().count(), shown + 1);
    assert!(lines.contains(&format!("dropped={}", times - shown)), "{}", lines.lines().last().unwrap());
    assert!(lines.lines().all(|line| line.len() < 2_200));
}

#[tokio::test]
async fn randomness_comes_in_bounded_pieces() {
    // Succeeds only if the list has 65,536 bytes.
    let body =
        "(call $random (i32.const -1) (i32.const 64)) (if (i32.ne (i32.load (i32.const 68)) (i32.const 65536)) (then unreachable))";
    assert_eq!(loaded(setting(body)).await.set_secret(call()).await, Ok(Outcome::Changed));
}

#[tokio::test]
async fn without_a_compiler_a_component_does_not_load() {
    let loaded = Plugins::new(None).unwrap().load(&setting(""), Ok(None), soon()).await;
    assert!(matches!(loaded.err(), Some(LoadError::NoCode { why: None, .. })));
}

#[test]
fn an_error_names_nothing_but_what_was_redacted() {
    let failure = CallError::Failure { cause: Cause::RateLimited, effect: Effect::Unknown, message: "later".to_owned() };
    insta::assert_snapshot!(failure, @"rate-limited (unknown): later");
}

proptest! {
    #[test]
    fn memory_never_exceeds_its_limit(steps in proptest::collection::vec((0_usize..1 << 20, 0_usize..1 << 20, any::<bool>()), 0..60)) {
        let mut memory = MemoryLimit { used: 0, limits: Limits::default().with(Limit::Memory, 4) };
        let mut held = 0;
        for (current, more, table) in steps {
            let grown = if table { memory.table_growing(current, current + more, None) } else { memory.memory_growing(current, current + more, None) };
            if grown.is_ok() {
                held += if table { more * size_of::<usize>() } else { more };
            }
            prop_assert!(held <= 4 << 20 && memory.used == held);
        }
    }
}
