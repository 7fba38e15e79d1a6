//! A thousand secrets at once, through one warm function, twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use windlass::capability::network::Network;
use windlass::config::{Config, Loopback};
use windlass::local::api::{RotateSecret, Tag};
use windlass::local::backend::Backend;
use windlass::local::client::http_client;
use windlass::local::engine::{Engine, Happened, Pace};
use windlass::local::ids;
use windlass::local::invoker::Invoker;
use windlass::local::protocol::Operation;
use windlass::local::store::FunctionArn;
use windlass::plugin::code::compiler::Compiler;
use windlass::plugin::load::Plugins;
use windlass::plugin::source::PluginSource;
use windlass::rotation::Rotator;
use windlass::secret::SecretValue;
use windlass::secrets::SecretsManager;

use crate::support::built;
use crate::support::redis::Redis;

const SECRETS: usize = 1_000;

/// How much more memory the second thousand rotations may leave behind than the first: less than one plugin may have.
const MORE_MEMORY: u64 = 32 << 20;

#[test]
fn two_rotations_of_a_thousand_secrets_at_once_do_not_mix_them_up_and_memory_stays_flat() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let [first, second] = runtime.block_on(rotate_all());
    println!("resident: {first} bytes after {SECRETS} rotations at once, {second} after twice as many");
    assert!(second < first + MORE_MEMORY, "resident memory grew from {first} to {second} bytes");
}

/// The resident memory after each thousand, in bytes.
async fn rotate_all() -> [u64; 2] {
    let redis = Redis::start();
    let (backend, begun) = Backend::new(FunctionArn::default());
    let mut arns = Vec::new();
    for nth in 0..SECRETS {
        let (user, password) = (user(nth), format!("the-first-password-of-{nth}"));
        redis.add_user(&user, &password);
        let value = json!({ "username": user, "password": password, "host": "127.0.0.1", "port": redis.port, "tls": false });
        let tag = Tag { key: "windlass:plugin".to_owned(), value: "redis".to_owned() };
        arns.push(backend.create(&user, &SecretValue::text(value.to_string()), vec![tag]).unwrap());
    }
    let mut config = Config::with_plugins(built::plugin("redis").parent().unwrap().to_owned());
    // All calls share one thread here, so each of them takes as long as all.
    let limits = "[limits]\ncall_seconds = 800\nio_milliseconds = 60000\nconnect_milliseconds = 60000\n";
    config.read_text(limits, "windlass.toml".as_ref()).unwrap();
    config.loopback = Loopback::Local;
    let network = Network::new(&config).unwrap();
    let asked = Arc::clone(&backend);
    let secrets = SecretsManager::in_process(http_client(move |operation, body| {
        let backend = Arc::clone(&asked);
        async move { backend.exchange(operation, &body).await }
    }));
    let source = PluginSource::folders(config.plugins.clone());
    let rotator = Rotator::new(config, source, secrets, Plugins::new(Compiler::InProcess).unwrap(), network);
    let (sender, mut reports) = mpsc::unbounded_channel();
    let pace = Pace { timeout: Duration::from_secs(890), ..Pace::default() };
    let _engine = Engine::start(Arc::clone(&backend), begun, Invoker::rotator(Arc::new(rotator), |_| ()), pace, sender);
    let mut memory = Vec::new();
    for _ in 0..2 {
        for arn in &arns {
            let request = RotateSecret {
                secret_id: Some(arn.clone()),
                client_request_token: Some(ids::uuid().unwrap()),
                rotation_lambda_arn: Some(FunctionArn::DEFAULT.to_owned()),
                ..RotateSecret::default()
            };
            backend.rotate(&request).unwrap();
        }
        let mut finished = 0;
        while finished < SECRETS {
            let report = reports.recv().await.unwrap();
            match &report.happened {
                Happened::Succeeded => finished += 1,
                Happened::Started { .. } | Happened::StepSucceeded { .. } => {}
                Happened::StepFailed { .. } | Happened::Failed { .. } | Happened::Abandoned { .. } => {
                    panic!("{}: {:?}", report.arn, report.happened)
                }
            }
        }
        memory.push(resident());
        each_account_has_its_own_password(&backend, &redis);
    }
    [memory[0], memory[1]]
}

fn user(nth: usize) -> String {
    format!("app-{nth}")
}

/// The new password of each secret is the newest of its own account and of no other.
#[track_caller]
fn each_account_has_its_own_password(backend: &Backend, redis: &Redis) {
    let accounts: BTreeMap<String, String> = redis
        .command(&["ACL", "LIST"])
        .lines()
        .filter_map(|line| {
            line.trim_matches(|c: char| !c.is_ascii_alphanumeric()).split_once("user ").map(|(_, rest)| rest.to_owned())
        })
        .filter_map(|rest| rest.split_once(' ').map(|(user, rest)| (user.to_owned(), rest.to_owned())))
        .collect();
    let mut owners = BTreeMap::new();
    for nth in 0..SECRETS {
        let user = user(nth);
        let read = json!({ "SecretId": user }).to_string();
        let value = backend.call(Operation::GetSecretValue, read.as_bytes()).unwrap();
        let value: Value = serde_json::from_str(value["SecretString"].as_str().unwrap()).unwrap();
        assert_eq!(value["username"], user);
        let hash: String = Sha256::digest(value["password"].as_str().unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(accounts[&user].contains(&format!("#{hash}")), "{user} does not have its new password");
        assert_eq!(owners.insert(hash, user.clone()), None, "{user} shares its password");
    }
}

/// The memory of this process that is in the machine's memory, in bytes: <https://man7.org/linux/man-pages/man5/proc.5.html>.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}
