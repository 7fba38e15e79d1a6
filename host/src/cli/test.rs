//! `windlass test`: proves a plugin against a real service.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use crate::conformance::case::Case;
use crate::conformance::checks::{CHECKS, Check};
use crate::conformance::verdict::Verdict;
use crate::conformance::{self, CheckReport, ConformanceError, Used};
use crate::plugin::component_file::{ComponentError, ComponentFile};
use crate::redact::legible;

/// Prove that a plugin does what every plugin has to, against a real service.
///
/// The case says how to start the service, make an account, check a login and change a password without the plugin, and what a secret for
/// it looks like. Each check gets an account of its own. The plugin runs in the sandbox of the function, with all its limits.
///
/// Exit code 1: a check failed; each flaw says what was seen and what to change.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The component.
    #[arg(value_name = "PLUGIN")]
    plugin: PathBuf,
    /// What the service is.
    #[arg(long, value_name = "FILE")]
    case: PathBuf,
    /// Only these checks. The last two look at what the others saw.
    #[arg(long, value_name = "CHECK", value_parser = clap::builder::PossibleValuesParser::new(CHECKS.map(|check| check.name)))]
    only: Vec<String>,
    /// Print one JSON object and nothing else on standard output.
    #[arg(long)]
    json: bool,
}

/// Why a plugin was not tested.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestError {
    /// The component cannot be used.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// Nothing could be proved.
    #[error(transparent)]
    Conformance(#[from] ConformanceError),
    /// The result cannot be shown.
    #[error("the result cannot be written: {0}")]
    Output(#[from] io::Error),
}

#[derive(Serialize)]
struct Report<'a> {
    plugin: &'a str,
    version: &'a str,
    digest: String,
    passed: bool,
    checks: &'a [CheckReport],
    used: Used,
}

/// Runs the checks and prints what came of them.
///
/// # Errors
///
/// [`TestError`] if nothing could be proved.
pub async fn run(args: Args, out: &mut impl Write) -> Result<ExitCode, TestError> {
    let component = ComponentFile::read(&args.plugin)?;
    let case = Case::read(&args.case).map_err(ConformanceError::from)?;
    let (manifest, digest) = (component.manifest().clone(), component.digest());
    let chosen = |check: &&Check| args.only.is_empty() || args.only.iter().any(|name| name == check.name);
    let checks: Vec<Check> = CHECKS.iter().filter(chosen).copied().collect();
    let mut nobody = io::sink();
    let people: &mut dyn Write = if args.json { &mut nobody } else { &mut *out };
    writeln!(people, "Testing {} {} ({digest})\n", manifest.name, manifest.version)?;
    let each = |report: &CheckReport| drop(write!(people, "{}", line(report)));
    let (reports, used) = conformance::run(component, &args.plugin, case, &checks, each).await?;
    let failed = reports.iter().filter(|report| matches!(report.verdict, Verdict::Failed { .. })).count();
    let unshown = reports.iter().filter(|report| matches!(report.verdict, Verdict::NotShown { .. })).count();
    writeln!(
        people,
        "\n{} passed, {failed} failed, {unshown} not shown. {} calls of the plugin: at most {} calls of the host, {} ms, {} KiB of memory.",
        reports.len() - failed - unshown,
        used.calls,
        used.most_host_calls,
        used.longest_ms,
        used.most_memory_bytes >> 10,
    )?;
    if args.json {
        let report = Report {
            plugin: manifest.name.as_str(),
            version: &manifest.version,
            digest: digest.to_string(),
            passed: failed == 0,
            checks: &reports,
            used,
        };
        writeln!(out, "{}", serde_json::to_string_pretty(&report).map_err(io::Error::from)?)?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A check and what came of it, for people. Words of the plugin and the service must not steer the terminal.
fn line(report: &CheckReport) -> String {
    let (mark, rest) = match &report.verdict {
        Verdict::Passed { note } if note.is_empty() => ("passed", String::new()),
        Verdict::Passed { note } => ("passed", format!(" ({note})")),
        Verdict::Failed { .. } => ("FAILED", String::new()),
        Verdict::NotShown { why } => ("not shown", format!(": {why}")),
    };
    let mut text = legible::line(&format!("{mark:<9} {:<20} {}{rest}", report.check, report.proves)) + "\n";
    if let Verdict::Failed { flaws } = &report.verdict {
        for flaw in flaws {
            text.push_str(&format!("          seen:   {}\n", legible::line(&flaw.seen)));
            text.push_str(&format!("          change: {}\n", flaw.change));
        }
    }
    text
}
