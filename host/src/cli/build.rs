//! `windlass build`: from a Rust plugin folder to a component that the host loads.
#![expect(clippy::disallowed_methods, reason = "these are cargo's variables, which count for the build that is started here")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use serde::{Deserialize, Serialize};
use wasm_encoder::{CustomSection, Encode, Section};
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

use crate::cli::toolchain::{Target, Toolchain, ToolchainError};
use crate::cli::{CommandResult, progress};
use crate::manifest::{self, Manifest, ManifestError};
use crate::plugin::component_file::{ComponentError, ComponentFile};

mod script;

/// Build a plugin folder into target/plugins/NAME.wasm.
///
/// The language is that of the folder: Rust (Cargo.toml), Python (plugin.py) or JavaScript (plugin.js).
///
/// If this machine cannot build Rust for WebAssembly, this installs what is missing: with rustup the target wasm32-unknown-unknown of
/// the active toolchain (wasm32-wasip2 with --wasi); else, or if that fails, on Debian as root or with a sudo that asks for no password, the packages rustc-web and
/// rust-web-src (`apt-get install`, after an `apt-get update` if need be). Each command is shown before it runs. --no-install
/// prevents all of this. For Python and JavaScript, componentize-py or componentize-qjs is installed into the target folder.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The plugin's folder: plugin.toml, and the source.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Build for wasm32-wasip2 instead of wasm32-unknown-unknown: for code, its own or a library's, that asks the standard library for
    /// the time or writes to standard output. The component is about twice as large and imports WASI's interfaces, which are inert.
    #[arg(long)]
    wasi: bool,
    /// Keep the names of functions, so that a trap says through which of them it came. For development: the component is about a third
    /// larger. Plugins in Python and JavaScript say so anyway.
    #[arg(long)]
    names: bool,
    /// Install nothing. If the toolchain for WebAssembly is missing, say what to run instead of running it.
    #[arg(long)]
    no_install: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Builds and says what came of it.
///
/// # Errors
///
/// [`BuildError`], or standard output cannot be written.
pub fn run(args: &Args, out: &mut impl Write) -> CommandResult {
    let target = if args.wasi { Target::WasiP2 } else { Target::Unknown };
    let names = if args.names { Names::Kept } else { Names::Stripped };
    let built = build(&args.dir, target, names, !args.no_install, &mut progress)?;
    if args.json {
        serde_json::to_writer(&mut *out, &built.summary())?;
        writeln!(out)?;
    } else {
        writeln!(out, "{}  {} bytes  {}", built.path.display(), built.component.wasm().len(), built.component.digest())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What becomes of the names of functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// They are in the component.
    Kept,
    /// What the plugin's Cargo.toml says, which is to strip them.
    Stripped,
}

/// A plugin that was built.
#[derive(Debug)]
pub struct Built {
    /// Where it was written: `target/plugins/NAME.wasm`.
    pub path: PathBuf,
    /// The component, as it was written.
    pub component: ComponentFile,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    name: &'a str,
    version: &'a str,
    path: &'a Path,
    size: usize,
    digest: String,
}

impl Built {
    fn summary(&self) -> Summary<'_> {
        let manifest = self.component.manifest();
        Summary {
            name: manifest.name.as_str(),
            version: &manifest.version,
            path: &self.path,
            size: self.component.wasm().len(),
            digest: self.component.digest().to_string(),
        }
    }
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A file of the plugin is missing.
    #[error("{} cannot be read. A plugin's folder holds plugin.toml, and Cargo.toml and src, plugin.py or plugin.js; name the folder as `windlass build DIR`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The plugins of Windlass are not here.
    #[error(
        "there is no folder plugins/{name} here or above. Run this in a checkout of Windlass, or name a component with --plugin WASM"
    )]
    NoSources {
        /// The plugin.
        name: &'static str,
    },
    /// The manifest is wrong.
    #[error("{} is wrong", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ManifestError,
    },
    /// The SDK of the plugin's language is not there.
    #[error(
        "{} holds {source_file}, but there is no {script} in its .windlass or above it. `windlass new --lang {}` makes a folder that brings the \
         SDK: copy its .windlass",
        folder.display(),
        if *source_file == "plugin.py" { "python" } else { "js" }
    )]
    NoSdk {
        /// The plugin's folder.
        folder: PathBuf,
        /// The file that says which language.
        source_file: &'static str,
        /// The script of the SDK.
        script: &'static str,
    },
    /// The script of an SDK made no component.
    #[error("{} made no component: {why}", script.display())]
    Script {
        /// The script.
        script: PathBuf,
        /// Why.
        why: String,
    },
    /// There is no way to build for WebAssembly.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// Cargo cannot be run.
    #[error("`cargo` cannot be run. Install Rust from https://rustup.rs and run this command again")]
    NoCargo(#[source] std::io::Error),
    /// Cargo said no, in its own words.
    #[error("cargo could not build the plugin in {}; what it said stands above", folder.display())]
    Cargo {
        /// The plugin's folder.
        folder: PathBuf,
    },
    /// The crate makes no WebAssembly file.
    #[error("the crate in {} makes no WebAssembly file: write `[lib]` and `crate-type = [\"cdylib\"]` in its Cargo.toml", folder.display())]
    NoLibrary {
        /// The plugin's folder.
        folder: PathBuf,
    },
    /// The core module cannot become a component.
    #[error(
        "the module that cargo built cannot become a component: {why}. Does the crate call `windlass_sdk::export!`, and does it use no \
         library that needs a browser?"
    )]
    Encode {
        /// What wit-component said.
        why: String,
    },
    /// The component is none that the host loads.
    #[error("the component that was built is no plugin")]
    Component(#[from] ComponentError),
    /// The result cannot be written.
    #[error("{} cannot be written", path.display())]
    Unwritable {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Builds the plugin in `folder`. A missing toolchain is installed if `install` says so. `say` is told what takes time; cargo's own
/// output goes to standard error.
///
/// # Errors
///
/// [`BuildError`] says what to do about each.
pub fn build(folder: &Path, target: Target, names: Names, install: bool, say: &mut dyn FnMut(&str)) -> Result<Built, BuildError> {
    let unreadable = |path: &Path, source| BuildError::Unreadable { path: path.to_owned(), source };
    let folder = &folder.canonicalize().map_err(|source| unreadable(folder, source))?;
    let toml = folder.join("plugin.toml");
    let text = std::fs::read_to_string(&toml).map_err(|source| unreadable(&toml, source))?;
    let manifest = Manifest::parse(&text).map_err(|source| BuildError::Manifest { path: toml, source })?;
    let built = target_folder(folder);
    let component = if let Some(script) = script::find(folder)? {
        say(&format!("building the plugin `{}` with {}", manifest.name, script.display()));
        ComponentFile::parse(script::run(&script, folder, &built)?)?
    } else {
        let crate_manifest = folder.join("Cargo.toml");
        std::fs::metadata(&crate_manifest).map_err(|source| unreadable(&crate_manifest, source))?;
        let toolchain = Toolchain::find(folder, target, install, say)?;
        say(&format!("building the plugin `{}` for {}", manifest.name, toolchain.target().triple()));
        let module = compile(folder, &toolchain, names, &built.join("wasm"))?;
        let module = std::fs::read(&module).map_err(|source| unreadable(&module, source))?;
        ComponentFile::parse(with_manifest(encode(module)?, &text))?
    };

    let path = built.join("plugins").join(format!("{}.wasm", manifest.name));
    write(&path, component.wasm()).map_err(|source| BuildError::Unwritable { path: path.clone(), source })?;
    Ok(Built { path, component })
}

/// Builds a plugin that comes with Windlass: the folder `plugins/NAME` of this folder or one above it.
///
/// # Errors
///
/// [`BuildError::NoSources`] outside a checkout, otherwise as [`build`].
pub fn shipped(name: &'static str, install: bool, say: &mut dyn FnMut(&str)) -> Result<Built, BuildError> {
    let here = std::env::current_dir().map_err(|source| BuildError::Unreadable { path: PathBuf::from("."), source })?;
    let mut folders = here.ancestors().map(|folder| folder.join("plugins").join(name));
    let folder = folders.find(|folder| folder.join("plugin.toml").exists()).ok_or(BuildError::NoSources { name })?;
    build(&folder, Target::Unknown, Names::Stripped, install, say)
}

/// `target` of the repository that holds the plugin, so that all its plugins lie side by side whatever workspace each belongs to.
/// `CARGO_TARGET_DIR` counts as it does for cargo.
pub fn target_folder(folder: &Path) -> PathBuf {
    if let Some(target) = std::env::var_os("CARGO_TARGET_DIR").filter(|target| !target.is_empty()) {
        return std::path::absolute(&target).unwrap_or_else(|_| PathBuf::from(target));
    }
    let holds = |name: &'static str| folder.ancestors().filter(move |above| above.join(name).exists()).last();
    // In a worktree `.git` is a file. Without a repository: the outermost cargo workspace or crate.
    let root = folder.ancestors().find(|above| above.join(".git").exists()).or_else(|| holds("Cargo.toml"));
    root.unwrap_or(folder).join("target")
}

/// Runs cargo and returns the WebAssembly file it made of the crate in `folder`.
fn compile(folder: &Path, toolchain: &Toolchain, names: Names, target: &Path) -> Result<PathBuf, BuildError> {
    let mut cargo = toolchain.cargo_build();
    cargo.arg("--manifest-path").arg(folder.join("Cargo.toml")).arg("--lib").arg("--message-format=json-render-diagnostics");
    cargo.arg("--target-dir").arg(target).current_dir(folder).stdin(Stdio::null()).stderr(Stdio::inherit());
    if names == Names::Kept {
        // Without those of the standard library's lines, which are larger than all plugins together.
        cargo.args(["--config", "profile.release.strip=\"debuginfo\""]);
    }
    // Panic messages name source files; without this they would name folders of the machine that built them. The flags are the same
    // for all plugins of a repository, so that they share what is compiled.
    let repository = folder.ancestors().find(|above| above.join(".git").exists()).unwrap_or(folder);
    for (from, to) in [(cargo_home().as_deref(), "cargo"), (Some(repository), "plugin")] {
        if let Some(from) = from {
            let flag = serde_json::Value::from(format!("--remap-path-prefix={}={to}", from.display()));
            cargo.arg("--config").arg(format!("target.{}.rustflags=[{flag}]", toolchain.target().triple()));
        }
    }
    let output = cargo.output().map_err(BuildError::NoCargo)?;
    if !output.status.success() {
        return Err(BuildError::Cargo { folder: folder.to_owned() });
    }
    let files = output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Message>(line).ok());
    let own = files.filter(|message| message.manifest_path == folder.join("Cargo.toml")).flat_map(|message| message.filenames);
    let mut wasm = own.filter(|file| file.extension().is_some_and(|extension| extension == "wasm"));
    wasm.next().ok_or_else(|| BuildError::NoLibrary { folder: folder.to_owned() })
}

/// A `compiler-artifact` message of cargo.
///
/// Source: <https://doc.rust-lang.org/cargo/reference/external-tools.html#artifact-messages>
#[derive(Deserialize)]
struct Message {
    manifest_path: PathBuf,
    filenames: Vec<PathBuf>,
}

fn cargo_home() -> Option<PathBuf> {
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cargo")))
}

/// Makes a component of a core module; a component (`wasm32-wasip2` links one) stays as it is.
fn encode(module: Vec<u8>) -> Result<Vec<u8>, BuildError> {
    if Parser::is_component(&module) {
        return Ok(module);
    }
    let encoded = || {
        let mut encoder = ComponentEncoder::default();
        encoder.validate(true);
        encoder.module(&module)?;
        encoder.encode()
    };
    let component = encoded().map_err(|error| BuildError::Encode { why: format!("{error:#}") })?;
    without_item_names(&component).map_err(|error| BuildError::Encode { why: error.to_string() })
}

/// Leaves out the names that the encoder gives to the parts of the component itself: two kilobytes that nothing reads. A trap is told by
/// the names of the core module.
fn without_item_names(component: &[u8]) -> Result<Vec<u8>, wasmparser::BinaryReaderError> {
    const ITEM_NAMES: &str = "component-name";
    let (mut kept, mut from, mut depth) = (Vec::with_capacity(component.len()), 0, 0_u32);
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        if matches!(payload, Payload::Version { .. }) {
            depth += 1;
        } else if matches!(payload, Payload::End(_)) {
            depth -= 1;
        } else if let Payload::CustomSection(section) = payload
            && section.name() == ITEM_NAMES
            // What is nested stands behind its own length.
            && depth == 1
        {
            // The range begins behind the section's id and length.
            let content = section.range();
            let mut header = vec![0];
            content.len().encode(&mut header);
            kept.extend_from_slice(&component[from..content.start - header.len()]);
            from = content.end;
        }
    }
    kept.extend_from_slice(&component[from..]);
    Ok(kept)
}

/// Appends the manifest's text as a custom section.
fn with_manifest(mut component: Vec<u8>, text: &str) -> Vec<u8> {
    let section = CustomSection { name: manifest::SECTION.into(), data: text.as_bytes().into() };
    component.push(section.id());
    section.encode(&mut component);
    component
}

/// Writes the file in one step: whoever reads it sees the old one or the new one.
pub(super) fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".building-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    readable_by_all(file.as_file())?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Temporary files are private; a plugin is none.
fn readable_by_all(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the custom sections, nested ones too.
    fn custom_sections(component: &[u8]) -> Vec<String> {
        let payloads = Parser::new(0).parse_all(component).map(Result::unwrap);
        let names = payloads
            .map(|payload| if let Payload::CustomSection(section) = payload { Some(section.name().to_owned()) } else { None });
        names.flatten().collect()
    }

    #[test]
    fn the_names_of_a_components_own_parts_are_left_out_and_nothing_else() {
        let component = wat::parse_str(
            r#"(component $named
                (@custom "first" "kept")
                (core module $module (func $function))
                (component $nested (core module $inner))
                (core instance $instance (instantiate $module))
                (@custom "last" "kept"))"#,
        )
        .unwrap();
        assert_eq!(custom_sections(&component), ["first", "name", "name", "component-name", "last", "component-name"]);
        let stripped = without_item_names(&component).unwrap();
        assert_eq!(custom_sections(&stripped), ["first", "name", "name", "component-name", "last"]);
        wasmparser::validate(&stripped).unwrap();
        assert_eq!(without_item_names(&stripped).unwrap(), stripped);
    }
}
