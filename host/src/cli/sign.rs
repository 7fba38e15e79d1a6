//! `windlass sign`: a signature beside a plugin, and what `windlass inspect` says of one.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use crate::cli::build;
use crate::cli::signing_key::SigningKey;
use crate::cli::{CommandResult, progress};
use crate::plugin::component_file::{ComponentError, ComponentFile};
use crate::plugin::signature::{self, Signature};
use crate::redact::legible;

/// Sign plugins, so that a function that trusts the key runs them.
///
/// For each NAME.wasm the signature is written to NAME.wasm.sig beside it. It covers every byte of the component, its name, its
/// version and its contract; a later build has to be signed again. Install both files together.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The private key: a file that `windlass keygen` wrote.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The plugins: components that `windlass build` made.
    #[arg(required = true, value_name = "WASM")]
    plugins: Vec<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// One of the files is no plugin.
    #[error("{} is not signed, and nothing else is: it is no plugin that a function loads", path.display())]
    Component {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ComponentError,
    },
    /// A signature cannot be written.
    #[error("{} cannot be written", path.display())]
    Unwritable {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What `--json` prints for each plugin.
#[derive(Debug, Serialize)]
struct Signed {
    name: String,
    version: String,
    digest: String,
    key: String,
    path: String,
}

/// Signs all plugins, or none if one of them cannot be.
///
/// # Errors
///
/// [`SignError`], [`crate::cli::signing_key::SigningKeyError`], or standard output cannot be written.
pub fn run(args: &Args, out: &mut impl Write) -> CommandResult {
    let key = SigningKey::read(&args.key, &mut |warning| progress(&legible::line(warning)))?;
    let read = |path: &PathBuf| {
        let component = ComponentFile::read(path).map_err(|source| SignError::Component { path: path.clone(), source })?;
        Ok((signature::path(path), component))
    };
    let components = args.plugins.iter().map(read).collect::<Result<Vec<_>, SignError>>()?;
    let mut signed = Vec::new();
    for (path, component) in components {
        let signature = key.sign(&component).to_string();
        build::write(&path, signature.as_bytes()).map_err(|source| SignError::Unwritable { path: path.clone(), source })?;
        let (manifest, digest) = (component.manifest(), component.digest().to_string());
        let (name, version, path) = (manifest.name.to_string(), manifest.version.clone(), path.display().to_string());
        if !args.json {
            writeln!(out, "{}  {name} {version}  {digest}", legible::line(&path))?;
        }
        signed.push(Signed { name, version, digest, key: key.public().to_string(), path });
    }
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&signed)?)?;
    } else {
        writeln!(out, "signed by {}", key.public())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The key whose signature of this component lies beside it, if one does.
pub fn signed_by(plugin: &Path, component: &ComponentFile) -> Option<String> {
    let signature = Signature::parse(&signature::read(plugin).ok()??).ok()?;
    signature.is_for(component).then(|| signature.key().to_string())
}

/// What can be said of the signature beside a plugin without knowing whom an operator trusts.
pub fn seen(plugin: &Path, component: &ComponentFile) -> String {
    let file = signature::path(plugin);
    let file = legible::line(&file.file_name().unwrap_or_default().to_string_lossy());
    match signature::read(plugin) {
        Ok(None) => format!("not signed: there is no {file} beside it"),
        Err(error) => format!("{file} cannot be read: {error}"),
        Ok(Some(bytes)) => match Signature::parse(&bytes) {
            Ok(signature) if signature.is_for(component) => {
                format!("signed by {} ({file}); whether that counts is for an operator's `trust.keys` to say", signature.key())
            }
            Ok(signature) => format!("{file} is not for this component: no signature of it by {}", signature.key()),
            Err(error) => format!("{file} {error}"),
        },
    }
}
