//! `windlass keygen`: a pair of keys for signing plugins.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use crate::cli::CommandResult;
use crate::cli::signing_key::SigningKey;
use crate::redact::legible;

/// Make a pair of keys for signing plugins.
///
/// The private key goes into FILE, which only you can read, the public one into FILE.pub. Neither is written over a file that is
/// there. The private key has no passphrase: keep it where plugins are signed, never in the function.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the private key is written.
    file: PathBuf,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeygenError {
    /// Something is there already.
    #[error(
        "{} exists and is not written over: what it signed would lose its key. Name another file, or move this one away",
        path.display()
    )]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("{} cannot be written", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Makes the keys and says what to do with them.
///
/// # Errors
///
/// [`KeygenError`], after which neither file is there that was not there before; no randomness; or standard output cannot be
/// written.
pub fn run(args: &Args, out: &mut impl Write) -> CommandResult {
    let (private, public) = SigningKey::generate()?;
    let mut public_file = args.file.clone().into_os_string();
    public_file.push(".pub");
    let public_file = PathBuf::from(public_file);
    write_both(&[(&args.file, 0o600, &*private), (&public_file, 0o644, &format!("{public}\n"))])?;
    let [private_file, public_file] = [&args.file, &public_file].map(|path| path.display().to_string());
    if args.json {
        let made = json!({ "private_key": private_file, "public_key_file": public_file, "public_key": public.to_string() });
        writeln!(out, "{made}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let [private_file, public_file] = [private_file, public_file].map(|path| legible::line(&path));
    writeln!(out, "private key  {private_file}  keep it where plugins are signed, never in the function")?;
    writeln!(out, "public key   {public_file}  {public}")?;
    writeln!(out, "\nSign plugins:\n\n  windlass sign --key {private_file} NAME.wasm")?;
    writeln!(out, "\nLet the function run only what this key has signed, in windlass.toml:\n")?;
    writeln!(out, "[trust]\nrequire = \"signature\"\nkeys = {{ {} = \"{public}\" }}", name(&args.file))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes all of these new files or none.
fn write_both(files: &[(&Path, u32, &str); 2]) -> Result<(), KeygenError> {
    let mut made = Vec::new();
    let mut write = |path: &Path, mode, text: &str| {
        // `create_new` follows no symbolic link and writes over nothing.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        made.push(path.to_owned());
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    for (path, mode, text) in files {
        if let Err(source) = write(path, *mode, text) {
            let path = path.to_path_buf();
            // Half a pair is of no use. Nothing can be done about a file that cannot be removed again.
            made.iter().for_each(|made| drop(fs::remove_file(made)));
            let exists = source.kind() == io::ErrorKind::AlreadyExists;
            return Err(if exists { KeygenError::Exists { path } } else { KeygenError::Unwritable { path, source } });
        }
    }
    Ok(())
}

/// The key's name in windlass.toml: that of its file, as far as TOML takes it without quotes.
fn name(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '-' };
    stem.chars().map(plain).collect()
}
