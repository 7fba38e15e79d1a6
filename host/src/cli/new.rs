//! `windlass new`: a plugin to begin with, which works as it is.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::CommandResult;
use crate::manifest::{ManifestError, PluginName};

mod sdk;

/// Make a folder with a plugin to begin with.
///
/// It builds, passes its tests and is proved by `windlass test` as it is: it comes with a small service to talk to, and with the SDK of its
/// language. The README in it says how to make it work for a service of yours.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The plugin's name: lower-case letters, digits and hyphens. The folder gets this name.
    #[arg(value_name = "NAME")]
    name: String,
    /// What it is written in. Components in Rust are smallest and fastest by far.
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    lang: Language,
    /// How the service is spoken to.
    #[arg(long, value_enum, default_value_t = Protocol::Http)]
    protocol: Protocol,
    /// Where the folder is made.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// What a plugin is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Language {
    /// Rust.
    Rust,
    /// Python 3.
    Python,
    /// JavaScript.
    Js,
}

impl Language {
    /// How the plugin's own tests are run.
    const fn test_command(self) -> &'static str {
        match self {
            Self::Rust => "cargo test",
            Self::Python => "PYTHONPATH=.windlass/sdk/python python3 -m unittest",
            Self::Js => "node --import ./.windlass/sdk/js/register.js --test plugin.test.js",
        }
    }

    /// The file with the two methods.
    const fn source(self) -> &'static str {
        match self {
            Self::Rust => "src/lib.rs",
            Self::Python => "plugin.py",
            Self::Js => "plugin.js",
        }
    }
}

/// How a service is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Protocol {
    /// Requests over HTTP.
    Http,
    /// A protocol of its own over a stream of bytes.
    Tcp,
}

/// Why there is no new plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewError {
    /// The name cannot be one.
    #[error("`{name}` is no name for a plugin: {source}")]
    Name {
        /// The name.
        name: String,
        /// Why not.
        source: ManifestError,
    },
    /// There is something already.
    #[error("{} is there already. Choose another name, or remove it", folder.display())]
    Exists {
        /// The folder.
        folder: PathBuf,
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

/// Makes the folder and says what to do next.
///
/// # Errors
///
/// [`NewError`]. What was written before stays.
pub fn run(args: &Args, out: &mut impl Write) -> CommandResult {
    let name = PluginName::try_from(args.name.clone()).map_err(|source| NewError::Name { name: args.name.clone(), source })?;
    let folder = args.dir.join(name.as_str());
    if folder.exists() {
        return Err(NewError::Exists { folder }.into());
    }
    for file in files(name.as_str(), args.lang, args.protocol) {
        file.write(&folder)?;
    }
    writeln!(
        out,
        "{} holds a plugin for a small service that comes with it. Next:\n\n  cd {}\n  windlass build .\n  {}\n  windlass test \
         target/plugins/{name}.wasm --case conformance/case.toml\n\nREADME.md says how to go on.",
        folder.display(),
        folder.display(),
        args.lang.test_command()
    )?;
    Ok(ExitCode::SUCCESS)
}

/// A file of a new plugin.
struct NewFile {
    path: String,
    text: String,
    executable: bool,
}

impl NewFile {
    fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into(), executable: false }
    }

    fn executable(self) -> Self {
        Self { executable: true, ..self }
    }

    fn write(&self, folder: &Path) -> Result<(), NewError> {
        let path = folder.join(&self.path);
        let written =
            fs::create_dir_all(path.parent().unwrap_or(folder)).and_then(|()| fs::write(&path, &self.text)).and_then(|()| {
                let mode = if self.executable { 0o755 } else { 0o644 };
                fs::set_permissions(&path, fs::Permissions::from_mode(mode))
            });
        written.map_err(|source| NewError::Unwritable { path, source })
    }
}

fn files(name: &str, language: Language, protocol: Protocol) -> Vec<NewFile> {
    let (manifest, service, port, excluded) = match protocol {
        Protocol::Http => (
            include_str!("new/http/plugin.toml"),
            include_str!("new/http/service"),
            "443",
            "\n# Basic authentication cannot carry a colon in a name (RFC 7617).\n[user_names]\nexclude = \":\"",
        ),
        Protocol::Tcp => (include_str!("new/tcp/plugin.toml"), include_str!("new/tcp/service"), "7000", ""),
    };
    let filled = |text: &str| {
        text.replace("NAME", name)
            .replace("TEST_COMMAND", language.test_command())
            .replace("SOURCE", language.source())
            .replace("TYPE", &type_name(name))
            .replace("PORT |", &format!("{port} |"))
            .replace("EXCLUDED", excluded.trim_start())
            .replace("VERSION", env!("CARGO_PKG_VERSION"))
            .replace("DEPENDENCIES", &sdk::dependencies())
            .trim_end()
            .to_owned()
            + "\n"
    };
    let mut files = vec![
        NewFile::new("plugin.toml", filled(manifest)),
        NewFile::new("README.md", filled(include_str!("new/README.md"))),
        NewFile::new(".gitignore", include_str!("new/gitignore")),
        NewFile::new(".github/workflows/plugin.yml", filled(include_str!("new/workflow.yml"))),
        NewFile::new("conformance/case.toml", filled(include_str!("new/case.toml"))),
        // As it is: the names of its variables are not ours to fill.
        NewFile::new("conformance/service", service).executable(),
    ];
    files.extend(sources(language, protocol).into_iter().map(|(path, text)| NewFile::new(path, filled(text))));
    // Hidden where a language takes every folder beside the plugin for a part of it.
    let (folder, sdk) = match language {
        Language::Rust => ("windlass", sdk::RUST),
        Language::Python => (".windlass", sdk::PYTHON),
        Language::Js => (".windlass", sdk::JS),
    };
    for (path, text) in sdk.iter().chain(sdk::CONTRACT) {
        let file = NewFile::new(format!("{folder}/{path}"), *text);
        files.push(if path.ends_with("/build") { file.executable() } else { file });
    }
    files
}

/// What is written in the plugin's own language.
fn sources(language: Language, protocol: Protocol) -> Vec<(&'static str, &'static str)> {
    match (language, protocol) {
        (Language::Rust, Protocol::Http) => {
            vec![("Cargo.toml", include_str!("new/rust/Cargo.toml")), ("src/lib.rs", include_str!("new/http/lib.rs"))]
        }
        (Language::Rust, Protocol::Tcp) => {
            vec![("Cargo.toml", include_str!("new/rust/Cargo.toml")), ("src/lib.rs", include_str!("new/tcp/lib.rs"))]
        }
        (Language::Python, Protocol::Http) => {
            vec![("plugin.py", include_str!("new/python/http.py")), ("test_plugin.py", include_str!("new/python/test_http.py"))]
        }
        (Language::Python, Protocol::Tcp) => {
            vec![("plugin.py", include_str!("new/python/tcp.py")), ("test_plugin.py", include_str!("new/python/test_tcp.py"))]
        }
        (Language::Js, Protocol::Http) => vec![
            ("plugin.js", include_str!("new/js/http.js")),
            ("plugin.test.js", include_str!("new/js/test_http.js")),
            ("package.json", "{ \"type\": \"module\", \"private\": true }"),
        ],
        (Language::Js, Protocol::Tcp) => vec![
            ("plugin.js", include_str!("new/js/tcp.js")),
            ("plugin.test.js", include_str!("new/js/test_tcp.js")),
            ("package.json", "{ \"type\": \"module\", \"private\": true }"),
        ],
    }
}

/// `acme-cloud` as the name of a type, `AcmeCloud`.
fn type_name(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    };
    name.split('-').map(word).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::manifest::Manifest;

    #[rstest]
    #[case("acme", "Acme")]
    #[case("acme-cloud-2", "AcmeCloud2")]
    #[case("a--b", "AB")]
    fn a_name_becomes_a_type(#[case] name: &str, #[case] of_type: &str) {
        assert_eq!(type_name(name), of_type);
    }

    #[rstest]
    fn every_placeholder_is_filled_and_the_manifest_is_right(
        #[values(Language::Rust, Language::Python, Language::Js)] language: Language,
        #[values(Protocol::Http, Protocol::Tcp)] protocol: Protocol,
    ) {
        let files = files("acme-cloud", language, protocol);
        let manifest = files.iter().find(|file| file.path == "plugin.toml").unwrap();
        assert_eq!(Manifest::parse(&manifest.text).unwrap().name.as_str(), "acme-cloud");
        assert!(files.iter().any(|file| file.path == language.source()));
        for file in files.iter().filter(|file| !file.path.contains("windlass/") && !file.path.ends_with("/service")) {
            let text = file.text.replace("USERNAME", "");
            for placeholder in ["NAME", "TYPE", "SOURCE", "PORT |", "TEST_COMMAND", "EXCLUDED", "VERSION", "DEPENDENCIES"] {
                assert!(!text.contains(placeholder), "{placeholder} in {}", file.path);
            }
        }
    }

    #[test]
    fn a_folder_that_is_there_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("acme")).unwrap();
        let args = Args { name: "acme".to_owned(), lang: Language::Rust, protocol: Protocol::Http, dir: folder.path().to_owned() };
        let error = run(&args, &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("is there already"), "{error}");
        assert_eq!(fs::read_dir(folder.path().join("acme")).unwrap().count(), 0);
    }
}
