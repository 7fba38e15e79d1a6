//! Which of the ways to build Rust for WebAssembly this machine has, and how to get one.
//!
//! In order: the target of the active toolchain (`rustup target add`), else `std` built from Debian's packages `rustc-web` and
//! `rust-web-src` with the cargo and the linker that are there, which makes `wasm32-unknown-unknown` only.
#![expect(clippy::disallowed_methods, reason = "these are cargo's variables, which count for the build that is started here")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A wasm target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `wasm32-unknown-unknown`: enough, because the SDK needs no libc. The component imports the contract and nothing else, and has
    /// about half the size.
    Unknown,
    /// `wasm32-wasip2`: for code that asks the time or writes to standard output through the standard library, which traps or is lost
    /// without WASI.
    WasiP2,
}

impl Target {
    /// The triple.
    pub const fn triple(self) -> &'static str {
        match self {
            Self::WasiP2 => "wasm32-wasip2",
            Self::Unknown => "wasm32-unknown-unknown",
        }
    }
}

/// A way to build for WebAssembly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toolchain {
    /// The active toolchain has the target.
    Installed(Target),
    /// Debian's compiler builds `std` from Debian's sources.
    DebianSources {
        /// Debian's compiler.
        rustc: PathBuf,
        /// A linker for WebAssembly.
        linker: PathBuf,
    },
}

/// Debian's compiler, beside whatever rustup put in front of it.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// The packages that bring it with the sources of `std`.
const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// Why there is no way to build for WebAssembly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolchainError {
    /// No Rust at all.
    #[error("`rustc` cannot be run, and a plugin is built with Rust. Install it from https://rustup.rs and run this command again")]
    NoRust(#[source] std::io::Error),
    /// `rustc` runs and does not answer.
    #[error("`{command}` failed: {stderr}")]
    Compiler {
        /// What was run.
        command: &'static str,
        /// What it said.
        stderr: String,
    },
    /// Nothing can build for WebAssembly, and nothing may be installed.
    #[error("no Rust toolchain for WebAssembly is installed. Run `{run}`, then this command again{more}")]
    Missing {
        /// What installs it here.
        run: String,
        /// What else there is to say.
        more: String,
    },
    /// The installation did not help.
    #[error("the Rust toolchain for WebAssembly could not be installed: {tried}. Run `{run}` yourself, then this command again")]
    NotInstalled {
        /// What was tried.
        tried: String,
        /// What installs it here.
        run: String,
    },
}

impl Toolchain {
    /// The one to use in `folder`, where rustup may have another toolchain than elsewhere.
    ///
    /// With `install` a missing one is installed, and `say` is told before anything happens. Where there is no way to
    /// [`Target::Unknown`], a machine that has [`Target::WasiP2`] builds for that.
    ///
    /// # Errors
    ///
    /// [`ToolchainError`] names the command to run.
    pub fn find(folder: &Path, target: Target, install: bool, say: &mut dyn FnMut(&str)) -> Result<Self, ToolchainError> {
        if let Some(found) = Self::installed(folder, target)? {
            return Ok(found);
        }
        let missing = match Self::install(folder, target, install, say) {
            Ok(found) => return Ok(found),
            Err(missing) => missing,
        };
        match target {
            Target::Unknown => Self::installed(folder, Target::WasiP2)?.ok_or(missing),
            Target::WasiP2 => Err(missing),
        }
    }

    fn install(folder: &Path, target: Target, allowed: bool, say: &mut dyn FnMut(&str)) -> Result<Self, ToolchainError> {
        let offer = Offer::of_this_machine(target);
        if !allowed {
            return Err(ToolchainError::Missing { run: offer.advice(), more: String::new() });
        }
        if !offer.rustup && offer.apt.is_none() {
            return Err(ToolchainError::Missing {
                run: offer.advice(),
                more: " (this machine has neither rustup nor apt-get with root rights)".to_owned(),
            });
        }
        let mut tried = Vec::new();
        for command in offer.commands() {
            let line = shown(&command);
            say(&format!("installing what is missing to build for WebAssembly (--no-install prevents it): running `{line}`"));
            if !run(folder, &command) {
                tried.push(format!("`{line}` failed"));
            } else if let Some(found) = Self::installed(folder, target)? {
                return Ok(found);
            }
        }
        Err(ToolchainError::NotInstalled { tried: tried.join(", "), run: offer.advice() })
    }

    fn installed(folder: &Path, target: Target) -> Result<Option<Self>, ToolchainError> {
        let sysroot = PathBuf::from(ask(folder, "rustc --print sysroot", &["--print", "sysroot"])?);
        let library = sysroot.join("lib/rustlib").join(target.triple()).join("lib");
        if holds(&library, "libstd-") {
            return Ok(Some(Self::Installed(target)));
        }
        if target != Target::Unknown {
            return Ok(None);
        }
        let sources = Path::new("/usr/lib/rustlib/src/rust/library/std");
        if Path::new(DEBIAN_RUSTC).exists() && sources.exists() {
            let linker = linker(&sysroot);
            return Ok(linker.map(|linker| Self::DebianSources { rustc: PathBuf::from(DEBIAN_RUSTC), linker }));
        }
        Ok(None)
    }

    /// The target it builds for.
    pub const fn target(&self) -> Target {
        match self {
            Self::Installed(target) => *target,
            Self::DebianSources { .. } => Target::Unknown,
        }
    }

    /// The call of cargo that builds for the target; what to build is for the caller to add.
    pub fn cargo_build(&self) -> Command {
        // Set when this program runs under cargo: the same one then builds the plugin.
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
        cargo.args(["build", "--release", "--target", self.target().triple()]);
        // Flags for this machine's programs (a linker, a CPU) break a build for another.
        for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WRAPPER"] {
            cargo.env_remove(variable);
        }
        match self {
            Self::Installed(_) => {}
            Self::DebianSources { rustc, linker } => {
                // Naming one feature leaves out the default ones: backtraces, which no component can make.
                cargo.args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"]);
                // Building std is unstable in cargo; Debian's compiler is a release that has to be told.
                cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", rustc);
                cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
            }
        }
        cargo
    }
}

/// What could install a toolchain here.
struct Offer {
    target: Target,
    rustup: bool,
    /// If Debian's packages help: what has to stand before `apt-get`: nothing for root, or a sudo that asks for no password.
    apt: Option<Vec<&'static str>>,
}

impl Offer {
    fn of_this_machine(target: Target) -> Self {
        let quiet = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let apt = if target != Target::Unknown || !quiet("apt-get", &["--version"]) {
            None
        } else if rustix::process::geteuid().is_root() {
            Some(Vec::new())
        } else {
            quiet("sudo", &["-n", "true"]).then(|| vec!["sudo", "-n"])
        };
        Self { target, rustup: quiet("rustup", &["--version"]), apt }
    }

    /// What to try, in order. Every command asks nothing.
    fn commands(&self) -> Vec<Vec<&'static str>> {
        let mut commands = Vec::new();
        if self.rustup {
            commands.push(vec!["rustup", "target", "add", self.target.triple()]);
        }
        if let Some(before) = &self.apt {
            let apt = |arguments: &[&'static str]| {
                [before.as_slice(), &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"], arguments].concat()
            };
            let install = apt(&[&["install", "-y", "--no-install-recommends"], DEBIAN_PACKAGES.as_slice()].concat());
            // The lists of a fresh machine are empty or old; updating takes longer than most installations.
            commands.extend([install.clone(), apt(&["update"]), install]);
        }
        commands
    }

    fn advice(&self) -> String {
        let apt = format!("apt-get install -y --no-install-recommends {}", DEBIAN_PACKAGES.join(" "));
        let rustup = format!("rustup target add {}", self.target.triple());
        match (self.target, self.rustup) {
            (Target::WasiP2, _) => rustup,
            (Target::Unknown, true) => format!("{rustup}` or, on Debian without access to rustup's server, `{apt}"),
            (Target::Unknown, false) => apt,
        }
    }
}

fn shown(command: &[&str]) -> String {
    command.join(" ")
}

/// Runs a command with its output on standard error.
fn run(folder: &Path, command: &[&str]) -> bool {
    let Some((program, arguments)) = command.split_first() else { return false };
    let mut command = Command::new(program);
    // A rustup that does not reach its server gives up at the first try.
    command.args(arguments).current_dir(folder).env("RUSTUP_MAX_RETRIES", "0").stdin(Stdio::null()).stdout(std::io::stderr());
    command.status().is_ok_and(|status| status.success())
}

fn ask(folder: &Path, command: &'static str, arguments: &[&str]) -> Result<String, ToolchainError> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let output = Command::new(rustc).args(arguments).current_dir(folder).output().map_err(ToolchainError::NoRust)?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(ToolchainError::Compiler { command, stderr });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn holds(folder: &Path, start: &str) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(start))
}

/// rustup's own linker, else one of Debian's package `lld`.
fn linker(sysroot: &Path) -> Option<PathBuf> {
    let hosts = std::fs::read_dir(sysroot.join("lib/rustlib")).into_iter().flatten().flatten();
    let own = hosts.map(|host| host.path().join("bin/rust-lld"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let others = std::env::split_paths(&path).flat_map(|folder| ["rust-lld", "wasm-ld"].map(|name| folder.join(name)));
    own.chain(others.collect::<Vec<_>>()).find(|linker| linker.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_to_run_for_each_machine() {
        let both = Offer { target: Target::Unknown, rustup: true, apt: Some(vec!["sudo", "-n"]) };
        assert_eq!(
            both.commands().iter().map(|command| shown(command)).collect::<Vec<_>>(),
            [
                "rustup target add wasm32-unknown-unknown",
                "sudo -n env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends rustc-web rust-web-src",
                "sudo -n env DEBIAN_FRONTEND=noninteractive apt-get update",
                "sudo -n env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends rustc-web rust-web-src",
            ]
        );
        let neither = Offer { target: Target::Unknown, rustup: false, apt: None };
        assert!(neither.commands().is_empty());
        let missing = ToolchainError::Missing { run: neither.advice(), more: String::new() };
        insta::assert_snapshot!(missing, @"no Rust toolchain for WebAssembly is installed. Run `apt-get install -y --no-install-recommends rustc-web rust-web-src`, then this command again");
    }

    #[test]
    fn debian_has_no_wasi() {
        let wasi = Offer { target: Target::WasiP2, rustup: true, apt: None };
        assert_eq!(wasi.commands(), [["rustup", "target", "add", "wasm32-wasip2"]]);
        assert_eq!(wasi.advice(), "rustup target add wasm32-wasip2");
    }

    #[test]
    fn a_build_from_sources_names_compiler_and_linker() {
        let debian = Toolchain::DebianSources { rustc: DEBIAN_RUSTC.into(), linker: "/lld".into() };
        let cargo = debian.cargo_build();
        let arguments: Vec<_> = cargo.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
        let std = ["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"];
        assert_eq!(arguments, [["build", "--release", "--target", "wasm32-unknown-unknown"].as_slice(), &std].concat());
        assert!(cargo.get_envs().any(|(name, value)| name == "RUSTC" && value == Some(DEBIAN_RUSTC.as_ref())));
    }
}
