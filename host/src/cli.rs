//! The command line: one file per command, each with its `Args` and a `run`.
//!
//! | exit code | means |
//! |---|---|
//! | 0 | done |
//! | 1 | not done; standard error says what, why and what to do |
//! | 2 | the command line is wrong |
//! | 3 | `diff`: the new plugin asks for more than the old one |
//! | 4 | `doctor`: something is wrong with the secret |
//!
//! Results go to standard output and nothing else does; progress goes to standard error.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::redact::legible;

pub mod build;
pub mod compile;
pub mod config;
pub mod demo;
pub mod diff;
pub mod doctor;
pub mod inspect;
pub mod keygen;
pub mod local;
pub mod new;
pub mod package;
pub mod rotate;
pub mod sign;
pub mod test;
pub mod toolchain;

pub mod ability;
pub mod difference;
pub mod one_rotation;
pub mod signing_key;
mod timeline;

/// Rotates AWS Secrets Manager secrets with sandboxed WebAssembly plugins.
#[derive(Debug, Parser)]
#[command(name = "windlass", version, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    // What each does stands above its arguments: a text here would hide all but its first paragraph from `--help`.
    Demo(demo::Args),
    Rotate(rotate::Args),
    Local(local::LocalArgs),
    New(new::Args),
    Build(build::Args),
    Test(test::Args),
    Inspect(inspect::Args),
    Diff(diff::Args),
    Doctor(doctor::Args),
    Config(config::Args),
    Keygen(keygen::Args),
    Sign(sign::Args),
    Compile(compile::Args),
    Package(package::Args),
}

/// What a command ends with.
pub type CommandResult = Result<ExitCode, Box<dyn Error + Send + Sync>>;

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    let command = CommandLine::parse().command;
    crate::log::start_for_people();
    let out = &mut io::stdout().lock();
    let result = match command {
        Command::Demo(args) => wait(async { Ok(demo::run(args, out).await?) }),
        Command::Rotate(args) => wait(async { Ok(rotate::run(args, out).await?) }),
        Command::Local(args) => wait(async { Ok(local::run(args, out).await?) }),
        Command::New(args) => new::run(&args, out),
        Command::Build(args) => build::run(&args, out),
        Command::Test(args) => wait_for(async { Ok(test::run(args, out).await?) }),
        Command::Inspect(args) => inspect::run(&args, out),
        Command::Diff(args) => diff::run(&args, out),
        Command::Doctor(args) => wait_for(async { Ok(doctor::run(args, out).await?) }),
        Command::Config(args) => config::run(&args, out),
        Command::Compile(args) => compile::run(&args, out),
        Command::Package(args) => package::run(&args, out),
        Command::Keygen(args) => keygen::run(&args, out),
        Command::Sign(args) => sign::run(&args, out),
    };
    result.unwrap_or_else(|error| {
        report(&*error);
        ExitCode::FAILURE
    })
}

/// Runs a command that waits for the network.
fn wait(command: impl Future<Output = Result<(), Box<dyn Error + Send + Sync>>>) -> CommandResult {
    wait_for(async {
        command.await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// As [`wait`], for a command that ends with a code of its own.
fn wait_for(command: impl Future<Output = CommandResult>) -> CommandResult {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(command)
}

/// Writes an error and its causes to standard error, unless the reader of standard output has gone away.
fn report(error: &(dyn Error + Send + Sync + 'static)) {
    if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return;
    }
    progress(&described(error));
}

/// An error and its causes. They quote plugins, services and file names, which must not steer the terminal; some have several lines.
fn described(error: &(dyn Error + 'static)) -> String {
    let mut said = error.to_string();
    let mut text = format!("error: {}", legible::paragraph(&said, "  "));
    let mut cause = error.source();
    while let Some(error) = cause {
        let because = error.to_string();
        // Many errors say their cause themselves.
        if !said.contains(&because) {
            text.push_str(&format!("\n  because: {}", legible::paragraph(&because, "    ")));
            said.push_str(&because);
        }
        cause = error.source();
    }
    text
}

/// Writes a line for the person who waits. Nothing is done about an error: there is nobody left to tell.
fn progress(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the plugin says \u{1b}[2Jdone\nerror: \u{202e}none")]
    struct Quoting(#[source] io::Error);

    #[test]
    fn an_error_cannot_steer_the_terminal_and_no_line_of_it_passes_for_another() {
        let text = described(&Quoting(io::Error::other("\u{9b}31m\nerror: nothing")));
        assert_eq!(
            text,
            "error: the plugin says \u{fffd}[2Jdone\n  error: \u{fffd}none\n  because: \u{fffd}31m\n    error: nothing"
        );
    }
}
