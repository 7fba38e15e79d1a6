//! `windlass compile`: code ahead of time, in an envelope beside the plugin.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use crate::cli::build;
use crate::cli::signing_key::SigningKey;
use crate::cli::{CommandResult, progress};
use crate::plugin::code::compiler::{self, CompileError};
use crate::plugin::code::envelope::{self, Envelope, Label};
use crate::plugin::component_file::{ComponentError, ComponentFile};
use crate::plugin::digest::Digest;
use crate::plugin::engine::{CODE_VERSION, Target};
use crate::redact::legible;

/// Compile plugins ahead of time, so that the function need not.
///
/// For each NAME.wasm the code is written to NAME.wasm.TARGET.aot beside it, in an envelope that says for which component, engine and
/// machine it is. The function runs it if the operator vouches for it: with --key and the public key in `code.keys` of
/// windlass.toml, with the digest that is printed here in `code.digests`, or in a zip that `windlass package` made. Otherwise it
/// says why not, and compiles the plugin itself or, with `compile = "never"`, refuses it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The plugins: components that `windlass build` made.
    #[arg(required = true, value_name = "WASM")]
    plugins: Vec<PathBuf>,
    /// The machine that the function runs on; may be given twice.
    #[arg(long = "target", value_enum, default_value = "x86_64")]
    targets: Vec<Machine>,
    /// Sign with this private key: a file that `windlass keygen` wrote. Not the key for plugins: code runs outside of the sandbox.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// A machine that a function runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Machine {
    /// Lambda's x86_64.
    #[value(name = "x86_64")]
    X86_64,
    /// Lambda's arm64.
    #[value(name = "aarch64", alias = "arm64")]
    Aarch64,
}

impl From<Machine> for Target {
    fn from(machine: Machine) -> Self {
        match machine {
            Machine::X86_64 => Self::X86_64,
            Machine::Aarch64 => Self::Aarch64,
        }
    }
}

/// Why nothing was compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AheadError {
    /// One of the files is no plugin.
    #[error("{} is not compiled: it is no plugin that a function loads", path.display())]
    Component {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ComponentError,
    },
    /// One of them does not compile.
    #[error("{} is not compiled", path.display())]
    Compile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: CompileError,
    },
    /// The result cannot be written.
    #[error("{} cannot be written", path.display())]
    Unwritable {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What `--json` prints for each envelope.
#[derive(Debug, Serialize)]
struct Compiled {
    name: String,
    version: String,
    digest: Digest,
    engine: &'static str,
    target: &'static str,
    envelope: Digest,
    bytes: usize,
    path: String,
}

/// Compiles a component for a machine: the envelope's label and its file.
///
/// # Errors
///
/// [`CompileError`].
pub(super) fn ahead_of_time(
    component: &ComponentFile,
    target: Target,
    key: Option<&SigningKey>,
) -> Result<(Label, Vec<u8>), CompileError> {
    let code = compiler::compile_for(target, component.wasm())?;
    let label = Label::new(component.digest(), target, &code);
    let signature = key.map(|key| (key.public(), key.sign_label(&label)));
    let file = Envelope::write(&label, signature, &code);
    Ok((label, file))
}

/// Compiles the plugins.
///
/// # Errors
///
/// [`AheadError`], [`crate::cli::signing_key::SigningKeyError`], or standard output cannot be written.
pub fn run(args: &Args, out: &mut impl Write) -> CommandResult {
    let mut say = |warning: &str| progress(&legible::line(warning));
    let key = args.key.as_deref().map(|path| SigningKey::read(path, &mut say)).transpose()?;
    let read = |path: &PathBuf| {
        let component = ComponentFile::read(path);
        component.map(|component| (path.clone(), component)).map_err(|source| AheadError::Component { path: path.clone(), source })
    };
    let components = args.plugins.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let mut compiled = Vec::new();
    for (plugin, component) in components {
        for target in args.targets.iter().map(|machine| Target::from(*machine)) {
            let (label, file) = ahead_of_time(&component, target, key.as_ref())
                .map_err(|source| AheadError::Compile { path: plugin.clone(), source })?;
            let path = envelope::path(&plugin, target);
            build::write(&path, &file).map_err(|source| AheadError::Unwritable { path: path.clone(), source })?;
            let (manifest, path) = (component.manifest(), path.display().to_string());
            if !args.json {
                writeln!(out, "{}  {} KiB  {}", legible::line(&path), file.len().div_ceil(1024), label.digest())?;
            }
            compiled.push(Compiled {
                name: manifest.name.to_string(),
                version: manifest.version.clone(),
                digest: component.digest(),
                engine: CODE_VERSION,
                target: target.triple(),
                envelope: label.digest(),
                bytes: file.len(),
                path,
            });
        }
    }
    match key {
        _ if args.json => writeln!(out, "{}", serde_json::to_string(&compiled)?)?,
        Some(key) => writeln!(out, "signed by {}", key.public())?,
        None => writeln!(out, "not signed: put the digests into `digests` of [code] in windlass.toml, or sign with --key")?,
    }
    Ok(ExitCode::SUCCESS)
}
