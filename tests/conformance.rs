//! `windlass test` tells a right plugin from wrong ones: the right one passes every check, and for each mutant the check that is there
//! for it fails.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing test is meant to panic, in its helpers too; `pub` is for the other file of this test"
)]

mod support;

#[path = "conformance/mutants.rs"]
mod mutants;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mutants::{MUTANTS, Mutant};
use rstest::rstest;
use serde_json::{Value, json};
use support::built;
use support::process::{Finished, Program};
use windlass::conformance::checks::CHECKS;

/// Checks that look at what the others saw.
const SEEN_IN_OTHERS: [&str; 2] = ["granted-endpoints", "no-values-in-words"];

/// What is enough to see: a rotation, and a login that the service refuses.
const OTHERS: [&str; 2] = ["set-then-test", "test-before-set"];

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("tests/conformance").join(format!("{name}.toml"))
}

/// The command with the component of this guest.
fn test(guest: &str, case: &Path) -> Program {
    let program = Program::windlass().arg("test").arg(built::guest(guest)).arg("--case").arg(case).arg("--json");
    program.timeout(Duration::from_secs(300))
}

/// A case that was changed, and the folder that goes with it.
fn altered(name: &str, change: impl FnOnce(String) -> String) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("case.toml");
    let right = case(name);
    // The programs of a case lie beside it.
    let programs = format!("\"{}/", right.parent().unwrap().to_str().unwrap());
    let text = fs::read_to_string(&right).unwrap().replace("\"./", &programs);
    fs::write(&file, change(text)).unwrap();
    (folder, file)
}

#[rstest]
#[case::a_user_changes_its_own_password("mutant", "right")]
#[case::an_administrator_changes_it("mutant", "right-admin")]
#[case::two_users_take_turns("mutant-alternating", "right-admin")]
#[case::the_old_password_lives_on("mutant-overlap", "right")]
#[case::the_old_password_lives_on_beside_an_administrator("mutant-overlap", "right-admin")]
fn the_right_plugin_passes_every_check(#[case] guest: &str, #[case] name: &str) {
    let finished = test(guest, &case(name)).run().succeeded();
    assert_eq!(finished.stderr, "");
    let report = finished.json();
    let verdicts = report["checks"].as_array().unwrap().iter().map(|check| [&check["check"], &check["verdict"]]);
    let passed = CHECKS.map(|check| json!([check.name, "passed"]));
    assert_eq!(json!(verdicts.collect::<Vec<_>>()), json!(passed), "{finished:?}");
    assert_eq!(report["passed"], true);
}

/// All in one test: what matters is the list of those that nobody noticed.
#[test]
fn every_mutant_is_caught_by_the_check_that_is_there_for_it() {
    let (next, unnoticed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(mutant) = MUTANTS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = caught(mutant) {
                        unnoticed.lock().unwrap().push(format!("{} ({}): {why}", mutant.name, mutant.does));
                    }
                }
            });
        }
    });
    let unnoticed = unnoticed.into_inner().unwrap();
    assert!(unnoticed.is_empty(), "{}", unnoticed.join("\n\n"));
}

#[test]
fn every_check_catches_a_mutant() {
    let needed: BTreeSet<_> = MUTANTS.iter().map(|mutant| mutant.caught_by).collect();
    assert_eq!(needed, CHECKS.iter().map(|check| check.name).collect());
}

#[test]
fn what_is_published_counts_the_same_checks_and_mutants() {
    let page = include_str!("../plugins/CONFORMANCE.md");
    let row = |mutant: &Mutant| {
        let guest = mutant.guest.strip_prefix("mutant-").or_else(|| mutant.case.strip_prefix("right-"));
        let guest = guest.map_or_else(String::new, |guest| format!(" ({guest})"));
        format!("| `{}`{guest} | {} | `{}` |", mutant.name, mutant.does, mutant.caught_by)
    };
    let table = MUTANTS.iter().map(row).collect::<Vec<_>>().join("\n");
    let published = page.split_once("| mutant | what is wrong | caught by |\n|---|---|---|\n").unwrap().1;
    assert_eq!(published.trim_end(), table);
    assert!(page.contains(&format!("Of {} checks;", CHECKS.len())));
    let readme = include_str!("../README.md").split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [format!("{} checks in", CHECKS.len()), format!("{} wrong ones", MUTANTS.len())] {
        assert!(readme.contains(&said), "{said}");
    }
}

/// Nobody may take a sample for the whole.
#[test]
fn of_a_long_run_not_every_place_is_tried_and_the_report_says_so() {
    let (_folder, file) = altered("right", |text| format!("{text}\n[settings]\nmutant = \"talks-a-lot\"\n"));
    let finished = test("mutant", &file).args(["--only", "interrupted"]).run().succeeded();
    let note = finished.json()["checks"][0]["note"].as_str().unwrap().to_owned();
    insta::assert_snapshot!(note, @"the first 100 places, and 50 of the other 79 at even distances");
}

/// An old password that the service cannot have is neither the plugin's fault nor passed over.
#[test]
fn a_case_has_to_say_which_old_passwords_its_service_cannot_have() {
    let (_folder, file) = altered("right", |text| {
        let create = text.lines().find(|line| line.starts_with("create")).unwrap().to_owned();
        let account = create.split('"').nth(1).unwrap();
        text.replace(
            &create,
            &format!(
                "create = [\"/bin/sh\", \"-c\", \"case $PASSWORD in *ä*) echo ASCII only >&2; exit 1;; esac; {account} create\"]"
            ),
        )
    });
    let finished = test("mutant", &file).args(["--only", "old-passwords"]).run();
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(finished.stderr.contains("cannot have a password such as \"umlaut-äöü-漢字-1A\""), "{finished:?}");
    assert!(finished.stderr.contains("ASCII only"), "{finished:?}");
    fs::write(&file, fs::read_to_string(&file).unwrap() + "\n[old_passwords]\nexclude = \"ä\"\n").unwrap();
    let finished = test("mutant", &file).args(["--only", "old-passwords"]).run().succeeded();
    let note = finished.json()["checks"][0]["note"].as_str().unwrap().to_owned();
    insta::assert_snapshot!(note, @r#"5 replaced, 0 refused as such; the case says that the service has none such as "umlaut-äöü-漢字-1A""#);
}

/// Python ends a script that crashes with 1. Taken for a refusal, that would prove whatever a refusal proves.
#[test]
fn a_login_command_that_crashes_is_no_refused_login() {
    let (_folder, file) = altered("right", |text| {
        let login = text.lines().find(|line| line.starts_with("login")).unwrap().to_owned();
        let account = login.split('"').nth(1).unwrap();
        text.replace(&login, &format!("login = [\"/bin/sh\", \"-c\", \"{account} login || {{ echo boom >&2; exit 1; }}\"]"))
    });
    let finished = test("mutant", &file).arg("--only").arg("test-before-set").run();
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(finished.stderr.contains("does not say whether the service accepts the login (exit status: 1): boom"), "{finished:?}");
    assert!(finished.stderr.contains("with 77 (EX_NOPERM) if it refuses it"), "{finished:?}");
    assert_eq!(finished.stdout, "");
}

/// Runs the check that has to catch the mutant, and says what is missing from its report.
fn caught(mutant: &Mutant) -> Result<(), String> {
    let (_folder, file) = altered(mutant.case, |text| format!("{text}\n[settings]\nmutant = \"{}\"\n", mutant.name));
    let others: &[&str] = if SEEN_IN_OTHERS.contains(&mutant.caught_by) { &OTHERS } else { &[] };
    let checks = others.iter().chain([&mutant.caught_by]).flat_map(|check| ["--only", check]);
    let finished = test(mutant.guest, &file).args(checks).run();
    match missing(&finished, mutant.caught_by) {
        None => Ok(()),
        Some(missing) => Err(format!("{missing}. {finished:?}")),
    }
}

/// What a report lacks that has to say that this check failed, and what to do about it.
fn missing(finished: &Finished, check: &str) -> Option<String> {
    if finished.status.code() != Some(1) || !finished.stderr.is_empty() {
        return Some("the command has to print its report and end with exit code 1".to_owned());
    }
    let report = finished.json();
    let found = report["checks"].as_array().into_iter().flatten().find(|report| report["check"] == check);
    let Some(found) = found else { return Some(format!("`{check}` has to be reported")) };
    let flaws = found["flaws"].as_array().map_or(&[][..], Vec::as_slice);
    let said = |flaw: &Value, what: &str| flaw[what].as_str().is_some_and(|text| !text.is_empty());
    if report["passed"] != false || found["verdict"] != "failed" || flaws.is_empty() {
        return Some(format!("`{check}` has to fail"));
    }
    let with_advice = flaws.iter().all(|flaw| said(flaw, "seen") && said(flaw, "change"));
    (!with_advice).then(|| "each flaw has to say what was seen and what to change".to_owned())
}
