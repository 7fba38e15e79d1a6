//! One warm process that serves honest and hostile secrets by turns: the honest ones notice nothing, and nothing piles up.

use serde_json::{Value, json};
use windlass::event::Step;
use windlass::local::store::{CURRENT, PREVIOUS};
use windlass::secret::SecretValue;

use crate::corpus::rows;
use crate::forbidden::Forbidden;
use crate::stage::{Neighbours, Stage};
use crate::support::built;
use crate::support::canary::Canary;
use crate::support::redis::Redis;

const SECRETS: usize = 100;

/// After so many secrets everything has been loaded and every bomb has gone off.
const WARM: usize = 20;

/// How much more memory the process may have after all secrets than when it was warm: half of what one memory bomb gets.
const MORE_MEMORY: u64 = 32 << 20;

/// Every tenth honest rotation meets one of these, which take a second each.
const LOOPING: [&str; 3] = ["spins_in_a_step", "spins_in_its_start_function", "calls_host_functions_in_a_loop"];

/// The others meet one of these.
const BOMBING: [&str; 9] = [
    "eats_one_memory",
    "eats_many_memories",
    "eats_a_table",
    "hoards_handles",
    "hands_over_a_string_of_20_mb",
    "returns_a_failure_message_of_20_mb",
    "sends_40000_headers",
    "gets_a_response_without_end",
    "recurses",
];

#[test]
fn a_hundred_secrets_among_looping_and_bombing_plugins_are_rotated_and_memory_stays_flat() {
    let redis = Redis::start();
    let plugins = vec![("redis.wasm".to_owned(), std::fs::read(built::plugin("redis")).unwrap())];
    let stage = Stage::new(Forbidden::on_loopback(), Neighbours { ports: vec![redis.port], plugins });
    let (account, function) = (&stage.account, &stage.function);
    let corpus = rows();
    let mut rotated = Vec::new();
    let mut memory = Vec::new();
    let mut process = None;
    for nth in 0..SECRETS {
        let (user, first) = (format!("app-{nth}"), Canary::new());
        redis.add_user(&user, first.value());
        let value = json!({
            "engine": "redis", "username": user, "host": "localhost", "port": redis.port, "tls": false, "password": first.value(),
        });
        let tags = [("windlass:plugin", "redis")];
        let secret = account.secret(&format!("honest/{nth}"), &SecretValue::text(value.to_string()), &tags);
        let before = account.holder(&secret, CURRENT);
        let rotation = account.begin(&secret, &Value::Null);
        for step in Step::ALL {
            function.succeed(&rotation.event(step));
            if step == Step::Set {
                let name = if nth % 10 == 9 { LOOPING[nth / 10 % LOOPING.len()] } else { BOMBING[nth % BOMBING.len()] };
                let row = corpus.iter().find(|row| row.name == name).unwrap();
                let (end, message) = stage.rotate(row, nth).unwrap();
                assert_eq!(end, row.end(), "{message}");
            }
        }
        let labels = [CURRENT, PREVIOUS].map(|label| account.holder(&secret, label));
        assert_eq!(labels, [Some(rotation.version().to_owned()), before]);
        rotated.push((user, secret));
        assert_eq!(
            *process.get_or_insert_with(|| function.process_id().unwrap()),
            function.process_id().unwrap(),
            "the process was replaced"
        );
        memory.push(resident(function.process_id().unwrap()));
    }
    for (user, secret) in &rotated {
        assert!(redis.accepts(user, &account.password(secret, CURRENT).unwrap()), "{user} cannot log in");
    }
    let (warm, end) = (memory[WARM - 1], memory[SECRETS - 1]);
    let largest = memory.iter().max().unwrap();
    println!("resident: {warm} bytes after {WARM} secrets, {end} after {SECRETS}, {largest} at most after any");
    assert!(end < warm + MORE_MEMORY, "resident memory grew from {warm} to {end} bytes");
}

/// The memory of a process that is in the machine's memory, in bytes: <https://man7.org/linux/man-pages/man5/proc.5.html>.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}
