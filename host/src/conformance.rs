//! The conformance kit: proves that a plugin does what every plugin has to, in the real sandbox and against a real service.
//!
//! `windlass test` is its command. A case ([`case`]) says how to have the service; what the plugin did is looked at with the case's own
//! commands, never through the plugin.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

pub mod case;
pub mod checks;
mod lines;
pub mod scene;
pub mod service;
pub mod subject;
pub mod verdict;

use self::case::{Case, CaseError};
use self::checks::Check;
use self::scene::Bench;
use self::service::{REFUSED, Service, ServiceError};
use self::subject::{Subject, SubjectError};
use self::verdict::Verdict;
use crate::password::PasswordError;
use crate::plugin::component_file::ComponentFile;

/// Why nothing could be proved. Says nothing about the plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConformanceError {
    /// The case is wrong.
    #[error(transparent)]
    Case(#[from] CaseError),
    /// The service does not do what the case says.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The plugin does not load, or the case's secret is not one for it.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// The case's commands contradict each other.
    #[error(
        "without the plugin, the case's `login` does not accept the password that `{command}` set and refuse another one. `login` has to \
         end with exit code 0 if the service accepts the password, with {REFUSED} (EX_NOPERM) if it refuses it, and with another one if \
         it cannot tell"
    )]
    Disagree {
        /// What came before.
        command: &'static str,
    },
    /// The service, or the case's commands, cannot do with an old password.
    #[error(
        "without the plugin, an account of the service cannot have a password such as {password:?}: {why}\nPasswords that somebody else has set \
         may look like this, and the plugin should be tried with them. If it is the service that cannot have them, say so in the case: \
         `[old_passwords]`, and below it `exclude`, the characters that its passwords cannot hold"
    )]
    OldPassword {
        /// The password, which is one of this kit.
        password: String,
        /// Why not.
        why: String,
    },
    /// No password can be made.
    #[error("the manifest's [password] makes no password: {0}")]
    Password(PasswordError),
    /// This machine has no free port, or does not say when somebody wants this to end.
    #[error("this machine refuses what the tests need: {0}")]
    Machine(#[from] std::io::Error),
    /// Somebody ended it.
    #[error("interrupted; the service was stopped")]
    Interrupted,
}

/// What came of one check.
#[derive(Debug, Clone, Serialize)]
pub struct CheckReport {
    /// Its name.
    pub check: &'static str,
    /// What it proves.
    pub proves: &'static str,
    /// What came of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// How long it took.
    #[serde(skip)]
    pub took: Duration,
}

/// What the plugin used in all of its calls.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Used {
    /// Calls of the plugin.
    pub calls: usize,
    /// The most calls of host functions in one of them.
    pub most_host_calls: usize,
    /// The longest call, in milliseconds.
    pub longest_ms: u64,
    /// The most memory of a guest, in bytes.
    pub most_memory_bytes: usize,
}

/// Runs these checks in this case and shows each as soon as it is done.
///
/// # Errors
///
/// [`ConformanceError`] if nothing could be proved.
pub async fn run(
    component: ComponentFile,
    path: &Path,
    case: Case,
    checks: &[Check],
    mut each: impl FnMut(&CheckReport),
) -> Result<(Vec<CheckReport>, Used), ConformanceError> {
    let service = Service::start(&case).await?;
    let subject = Subject::load(component, path, service.ca_files()?, case.settings.clone()).await?;
    let mut bench = Bench { subject, service, case };
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let reports = tokio::select! {
        reports = run_all(&mut bench, checks, &mut each) => reports,
        _ = interrupt.recv() => Err(ConformanceError::Interrupted),
        _ = terminate.recv() => Err(ConformanceError::Interrupted),
    };
    let seen = bench.subject.seen();
    // Whatever the checks ended with: neither the service nor accounts of a test outlive them.
    let stopped = bench.service.stop().await;
    let reports = reports?;
    stopped?;
    let used = Used {
        calls: seen.calls,
        most_host_calls: seen.most_host_calls,
        longest_ms: seen.longest.as_millis().try_into().unwrap_or(u64::MAX),
        most_memory_bytes: seen.most_memory,
    };
    Ok((reports, used))
}

async fn run_all(
    bench: &mut Bench,
    checks: &[Check],
    each: &mut impl FnMut(&CheckReport),
) -> Result<Vec<CheckReport>, ConformanceError> {
    commands_agree(bench).await?;
    let mut reports = Vec::new();
    for check in checks {
        let begun = Instant::now();
        let verdict = check.run(bench).await?;
        let report = CheckReport { check: check.name, proves: check.proves, verdict, took: begun.elapsed() };
        each(&report);
        reports.push(report);
    }
    Ok(reports)
}

/// The case's commands without the plugin: a `login` that accepts or refuses everything would prove wrong plugins right, and right ones
/// wrong.
async fn commands_agree(bench: &mut Bench) -> Result<(), ConformanceError> {
    let scene = bench.scene().await?;
    let (account, service) = (&scene.account, &bench.service);
    if !service.accepts(account, &scene.current).await? || service.accepts(account, &scene.pending).await? {
        return Err(ConformanceError::Disagree { command: "create" });
    }
    service.change(account, &scene.pending).await?;
    if !service.accepts(account, &scene.pending).await? || service.accepts(account, &scene.current).await? {
        return Err(ConformanceError::Disagree { command: "change" });
    }
    Ok(())
}
