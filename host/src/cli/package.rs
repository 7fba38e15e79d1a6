//! `windlass package`: the deployable zip. The same inputs make the same bytes.

mod program;

use std::collections::BTreeMap;
use std::io::{self, Cursor, Write};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use program::ProgramError;
use serde::Serialize;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::capability::network::{Network, NetworkError};
use crate::cli::build;
use crate::cli::compile::{Machine, ahead_of_time};
use crate::cli::{CommandResult, progress};
use crate::config::{Config, ConfigError, SecretRule};
use crate::package::{self, PackageManifest, PackagedFile, PackagedPlugin};
use crate::plugin::catalogue::{Catalogue, CatalogueError};
use crate::plugin::code::compiler::CompileError;
use crate::plugin::code::envelope;
use crate::plugin::component_file::{ComponentError, ComponentFile};
use crate::plugin::digest::Digest;
use crate::plugin::engine::{CODE_VERSION, Target};
use crate::plugin::reference::Place;
use crate::plugin::signature;
use crate::redact::legible;
use crate::trust::{TrustError, Trusted};

/// Build the zip to deploy: the function, its plugins with their code, and its configuration.
///
/// Every plugin is compiled ahead of time, the configuration is checked as the function does when it starts, and a plugin that the
/// configuration does not trust is refused. The zip names the digest of everything in it (windlass-package.json), by which the function
/// knows the code as its own. The same inputs make the same bytes, on every machine.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder that holds the plugins, and their signatures if they have any.
    #[arg(long, value_name = "DIR", default_value = "target/plugins")]
    plugins: PathBuf,
    /// The configuration, with the files that it names beside it or below.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The function, as `host/build-function` builds it. Default: what that has built for the machine in this folder's target/function,
    /// else `bootstrap` beside this program.
    #[arg(long, value_name = "FILE")]
    bootstrap: Option<PathBuf>,
    /// Add this `windlass-compile`, so that plugins without code can be used too. A hardened function does without.
    #[arg(long, value_name = "FILE")]
    compiler: Option<PathBuf>,
    /// The machine that the function runs on.
    #[arg(long, value_enum, default_value = "x86_64")]
    target: Machine,
    /// Where to write the zip.
    #[arg(long, value_name = "FILE", default_value = "windlass.zip")]
    out: PathBuf,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Why there is no zip. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// There is no function.
    #[error(
        "there is no {} here, and no bootstrap beside this program. Build it with `host/build-function {}`, or name it with --bootstrap",
        built(*target).display(),
        target.name()
    )]
    NoBootstrap {
        /// The function's machine.
        target: Target,
    },
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program would not run.
    #[error("{} {why}", path.display())]
    Program {
        /// The program.
        path: PathBuf,
        /// Why.
        why: ProgramError,
    },
    /// The plugins cannot be listed.
    #[error(transparent)]
    Plugins(#[from] CatalogueError),
    /// There are none.
    #[error("there is no plugin in {}. Build one with `windlass build`, or name the folder with --plugins", folder.display())]
    NoPlugins {
        /// The folder.
        folder: PathBuf,
    },
    /// A file in the folder is no plugin.
    #[error("{} is no plugin that a function loads", path.display())]
    Component {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ComponentError,
    },
    /// A plugin does not compile.
    #[error("{} does not compile", path.display())]
    Compile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: CompileError,
    },
    /// The function would not start.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file that the configuration names cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The function would not run a plugin.
    #[error("the function would refuse {}", path.display())]
    Untrusted {
        /// The plugin.
        path: PathBuf,
        /// Why.
        source: Box<TrustError>,
    },
    /// A file that the configuration names is not where the zip could hold it.
    #[error("the configuration names {}, which is not beside it or below. Move it there, so that the zip can hold it", path.display())]
    Outside {
        /// The file.
        path: PathBuf,
    },
    /// The zip cannot be made.
    #[error("the zip cannot be made")]
    Zip(#[from] zip::result::ZipError),
    /// The zip cannot be written.
    #[error("{} cannot be written", path.display())]
    Unwritable {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A file of the zip.
struct Entry {
    bytes: Vec<u8>,
    executable: bool,
}

/// The zip's files by their paths. Zips made in another order would have other bytes.
type Entries = BTreeMap<String, Entry>;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Packaged {
    path: String,
    bytes: usize,
    digest: Digest,
    manifest: PackageManifest,
}

/// Makes the zip.
///
/// # Errors
///
/// [`PackError`], or standard output cannot be written.
pub fn run(args: &Args, out: &mut impl Write) -> CommandResult {
    let target = Target::from(args.target);
    let mut entries = Entries::new();
    programs(args, target, &mut entries)?;
    let config = configuration(args, &mut entries)?;
    let plugins = plugins(args, target, &config, &mut entries)?;
    for note in config.rules.iter().filter_map(|rule| not_packed(rule, &plugins)) {
        progress(&format!("note: {}", legible::line(&note)));
    }
    let of_plugin = |path: &str| path.starts_with(PLUGINS) && !path.ends_with(signature::SUFFIX);
    let others = entries.iter().filter(|(path, _)| !of_plugin(path));
    let files = others.map(|(path, entry)| PackagedFile { path: path.clone(), digest: Digest::of(&entry.bytes) }).collect();
    let manifest = PackageManifest { engine: CODE_VERSION.to_owned(), target: target.triple().to_owned(), plugins, files };
    let mut json = serde_json::to_vec_pretty(&manifest)?;
    json.push(b'\n');
    add(&mut entries, package::FILE, json, false);

    let zip = zipped(&entries)?;
    build::write(&args.out, &zip).map_err(|source| PackError::Unwritable { path: args.out.clone(), source })?;
    let path = args.out.display().to_string();
    let packaged = Packaged { path, bytes: zip.len(), digest: Digest::of(&zip), manifest };
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&packaged)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    for (path, entry) in &entries {
        writeln!(out, "{:>12}  {}", entry.bytes.len(), legible::line(path))?;
    }
    writeln!(out, "{:>12}  {}  {}", packaged.bytes, legible::line(&packaged.path), packaged.digest)?;
    Ok(ExitCode::SUCCESS)
}

/// Where plugins lie in the zip, and so beside the function.
const PLUGINS: &str = "plugins/";

fn add(entries: &mut Entries, path: &str, bytes: Vec<u8>, executable: bool) {
    entries.insert(path.to_owned(), Entry { bytes, executable });
}

fn read(path: &Path) -> Result<Vec<u8>, PackError> {
    std::fs::read(path).map_err(|source| PackError::Unreadable { path: path.to_owned(), source })
}

/// The function, and the compiler if it is wanted.
fn programs(args: &Args, target: Target, entries: &mut Entries) -> Result<(), PackError> {
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join("bootstrap")));
    // What cargo builds together with this program holds a compiler and much else.
    let beside = beside.filter(|path| !path.components().any(|part| part.as_os_str() == "target"));
    let found = || [Some(built(target)), beside].into_iter().flatten().find(|path| path.is_file());
    let bootstrap = args.bootstrap.clone().or_else(found).ok_or(PackError::NoBootstrap { target })?;
    for (name, path) in [("bootstrap", Some(&bootstrap)), ("windlass-compile", args.compiler.as_ref())] {
        let Some(path) = path else { continue };
        let bytes = read(path)?;
        program::check(&bytes, target).map_err(|why| PackError::Program { path: path.clone(), why })?;
        add(entries, name, bytes, true);
    }
    Ok(())
}

/// Where `host/build-function` leaves the function for a machine, in the root of the repository.
fn built(target: Target) -> PathBuf {
    Path::new("target/function").join(target.name()).join("bootstrap")
}

/// The configuration and the files that it names.
fn configuration(args: &Args, entries: &mut Entries) -> Result<Config, PackError> {
    let mut config = Config::with_plugins(args.plugins.clone());
    let Some(path) = &args.config else { return Ok(config) };
    config.read_file(path)?;
    // Reads the files that it names.
    Network::new(&config)?;
    add(entries, "windlass.toml", read(path)?, false);
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let certificates = config.rules.iter().filter_map(|rule| rule.client_certificate.as_ref());
    let named = certificates.flat_map(|files| [&files.certificate_file, &files.key_file]).chain(&config.ca_files);
    for file in named {
        let inside = file
            .strip_prefix(folder)
            .ok()
            .filter(|inside| inside.is_relative() && inside.components().all(|part| matches!(part, Component::Normal(_))));
        let Some(inside) = inside.and_then(Path::to_str) else { return Err(PackError::Outside { path: file.clone() }) };
        add(entries, inside, read(file)?, false);
    }
    Ok(config)
}

/// The plugins with their code and their signatures.
fn plugins(args: &Args, target: Target, config: &Config, entries: &mut Entries) -> Result<Vec<PackagedPlugin>, PackError> {
    let mut packaged = Vec::new();
    for file in Catalogue::new(vec![args.plugins.clone()]).files()? {
        let path = file.path;
        let component = ComponentFile::read(&path).map_err(|source| PackError::Component { path: path.clone(), source })?;
        let signature = signature::read(&path).map_err(|source| PackError::Unreadable { path: signature::path(&path), source })?;
        // Any rule may pin it: which secret it will serve is not known here.
        let pins = config.rules.iter().filter_map(|rule| rule.pins()).find(|pins| pins.contains(component.digest()));
        Trusted::judge(component.clone(), &config.trust, pins.as_ref(), signature.as_deref())
            .map_err(|source| PackError::Untrusted { path: path.clone(), source: Box::new(source) })?;
        let (label, code) =
            ahead_of_time(&component, target, None).map_err(|source| PackError::Compile { path: path.clone(), source })?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        add(entries, &format!("{PLUGINS}{name}{}", envelope::suffix(target)), code, false);
        if let Some(signature) = signature {
            add(entries, &format!("{PLUGINS}{name}{}", signature::SUFFIX), signature, false);
        }
        add(entries, &format!("{PLUGINS}{name}"), component.wasm().to_vec(), false);
        let manifest = component.manifest();
        packaged.push(PackagedPlugin {
            name: manifest.name.to_string(),
            version: manifest.version.clone(),
            digest: component.digest(),
            envelope: label.digest(),
        });
    }
    if packaged.is_empty() {
        return Err(PackError::NoPlugins { folder: args.plugins.clone() });
    }
    Ok(packaged)
}

/// What a rule wants of a plugin folder that the zip does not hold, if it wants such a thing. It may come from a layer.
fn not_packed(rule: &SecretRule, plugins: &[PackagedPlugin]) -> Option<String> {
    const FAILS: &str = "unless it comes from a layer, createSecret will fail with";
    let (mut candidates, wanted): (Vec<_>, _) = match &rule.plugin {
        None => (plugins.iter().collect(), None),
        Some(reference) => {
            let Place::Installed { name, version } = &reference.place else { return None };
            let named: Vec<_> = plugins.iter().filter(|plugin| plugin.name == name.as_str()).collect();
            if named.is_empty() {
                return Some(format!("{rule} names the plugin {name}, which is not in the zip: it has to come from a layer"));
            }
            let fits = |plugin: &&PackagedPlugin| version.as_ref().is_none_or(|version| plugin.version == *version);
            (named.into_iter().filter(fits).collect(), Some(reference))
        }
    };
    if let Some(wanted) = wanted {
        candidates.retain(|plugin| wanted.digest.is_none_or(|digest| plugin.digest == digest));
        if candidates.is_empty() {
            return Some(format!("{rule} wants {wanted}, which is not what the zip holds: {FAILS} Windlass.PluginMismatch"));
        }
    }
    let pins = rule.digest.as_ref()?;
    if candidates.iter().any(|plugin| pins.contains(plugin.digest)) {
        return None;
    }
    let whose = wanted.map_or_else(|| "its plugin".to_owned(), |wanted| format!("the plugin {wanted}"));
    Some(format!("{rule} pins {whose} to {pins}, which is not what the zip holds: {FAILS} Windlass.PluginUntrusted"))
}

/// The zip's bytes. Times are those of its epoch, the order is that of names.
fn zipped(entries: &Entries) -> Result<Vec<u8>, PackError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, Entry { bytes, executable }) in entries {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(9))
            .last_modified_time(DateTime::default())
            // Lambda runs the function as a user of its own, who has to be able to read it.
            .unix_permissions(if *executable { 0o755 } else { 0o644 });
        zip.start_file(path.as_str(), options)?;
        zip.write_all(bytes).map_err(zip::result::ZipError::from)?;
    }
    Ok(zip.finish()?.into_inner())
}
