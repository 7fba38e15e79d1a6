//! Every plugin of the catalogue, proved by `windlass test` against the real service that its cases start.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test is meant to panic, in its helpers too")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rstest::rstest;
use serde_json::Value;
use support::built;
use support::process::{Finished, Program};
use windlass::manifest::Manifest;

fn plugins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("plugins")
}

fn test(plugin: &str, case: &Path) -> Finished {
    Program::windlass()
        .arg("test")
        .arg(built::plugin(plugin))
        .arg("--case")
        .arg(case)
        .arg("--json")
        // Debian's programs: a developer's wrapper around Python costs more than the two hundred commands of a case themselves.
        .env("PATH", "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin")
        .timeout(Duration::from_secs(600))
        .run()
}

/// The case that most operators have. The others are run by `tests/run --conformance`. What takes longest begins first.
#[rstest]
fn a_plugin_passes_its_usual_case(
    #[values("rabbitmq", "postgresql", "mariadb", "openldap", "mosquitto", "etcd", "redis", "http-basic")] plugin: &str,
) {
    test(plugin, &plugins().join(plugin).join("conformance/case.toml")).succeeded();
}

#[test]
fn no_plugin_of_the_catalogue_is_left_out() {
    let source = include_str!("catalogue.rs");
    for folder in cases().keys() {
        assert!(source.contains(&format!("\"{folder}\"")), "{folder}");
    }
}

/// A manifest counts more than `[defaults]` and PASSWORD_LENGTH, which have to work for every service that does not mind.
#[test]
fn the_length_of_passwords_is_left_to_the_operator() {
    for plugin in cases().into_keys() {
        let manifest = std::fs::read_to_string(plugins().join(&plugin).join("plugin.toml")).unwrap();
        assert_eq!(Manifest::parse(&manifest).unwrap().password.length, None, "{plugin}");
    }
}

/// The largest component of a plugin, in bytes: a byte protocol or HTTP, unless it stands here.
const LARGEST: u64 = 40_000;

/// The same with cryptography for its login.
const LARGEST_WITH_CRYPTOGRAPHY: [(&str, u64); 2] = [("mariadb", 100_000), ("postgresql", 100_000)];

/// A component is read, hashed and compiled in the cold start of a function, and an operator wants to know what is in it.
#[test]
fn every_plugin_is_as_small_as_it_can_be_expected_to_be() {
    let budget =
        |plugin: &str| LARGEST_WITH_CRYPTOGRAPHY.iter().find(|(name, _)| *name == plugin).map_or(LARGEST, |(_, largest)| *largest);
    let sizes = cases().into_keys().map(|plugin| (std::fs::metadata(built::plugin(&plugin)).unwrap().len(), plugin));
    let too_large: Vec<_> = sizes.filter(|(size, plugin)| *size > budget(plugin)).collect();
    assert!(too_large.is_empty(), "{too_large:?}");
    let unknown: Vec<_> = LARGEST_WITH_CRYPTOGRAPHY.iter().filter(|(plugin, _)| !cases().contains_key(*plugin)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// The cases of each plugin, in the order of their names.
fn cases() -> BTreeMap<String, Vec<PathBuf>> {
    let mut cases = BTreeMap::new();
    for folder in
        std::fs::read_dir(plugins()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.join("plugin.toml").is_file())
    {
        let files = std::fs::read_dir(folder.join("conformance")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
        files.sort();
        cases.insert(folder.file_name().unwrap().to_str().unwrap().to_owned(), files);
    }
    cases
}

#[test]
#[ignore = "takes many minutes: tests/run --conformance"]
fn table() {
    println!(
        "| plugin | case | checks passed | not shown | calls of the host, at most | longest call | memory |\n|---|---|---|---|---|---|---|"
    );
    let mut failed = Vec::new();
    for (plugin, cases) in cases() {
        for case in cases {
            let name = case.file_stem().unwrap().to_str().unwrap().to_owned();
            let finished = test(&plugin, &case);
            let report: Value = serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{plugin} {name}: {finished:?}"));
            let with = |verdict: &str| {
                let checks = report["checks"].as_array().unwrap().iter().filter(|check| check["verdict"] == verdict);
                checks.map(|check| check["check"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
            };
            let used = &report["used"];
            println!(
                "| {plugin} | {name} | {} | {} | {} | {} ms | {} KiB |",
                with("passed").len(),
                with("not-shown").join(", "),
                used["most_host_calls"],
                used["longest_ms"],
                used["most_memory_bytes"].as_u64().unwrap() >> 10,
            );
            failed.extend(with("failed").into_iter().map(|check| format!("{plugin} {name}: {check}")));
        }
    }
    assert_eq!(failed, Vec::<String>::new());
}
