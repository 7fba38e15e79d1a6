//! From a component to code for this machine.
//!
//! Compiling reads bytes that somebody else made with a compiler of some 400,000 lines. In Lambda that happens in a second process
//! that has no environment, no files and no network, `windlass-compile`; on a developer's machine in this one.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout_at};
use wasmtime::Engine;

use super::Code;
#[cfg(feature = "compiler")]
use crate::plugin::engine::{self, Target};

/// The most code that is taken from a compiler, in bytes: about three times the largest component that makes sense in a Lambda.
pub const MAX_CODE_BYTES: usize = 256 << 20;

/// The longest a compiler may take. A component of 100 KB takes 60 ms, Python inside a component 8 s.
pub const LONGEST: Duration = Duration::from_secs(120);

/// How much of a compiler's complaint is kept, in bytes.
const MAX_COMPLAINT_BYTES: u64 = 2_048;

/// How a component becomes code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiler {
    /// In this process.
    #[cfg(feature = "compiler")]
    InProcess,
    /// By this executable, a `windlass-compile` of the same build.
    Executable(PathBuf),
}

/// Why a component did not become code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The compiler cannot be set up.
    #[cfg(feature = "compiler")]
    #[error("the compiler does not start: {why}")]
    Engine {
        /// wasmtime's own words.
        why: String,
    },
    /// The compiler did not start.
    #[error("the compiler {path} does not start. Deploy the `windlass-compile` of the same build, executable")]
    Start {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The component cannot be compiled.
    #[error("the plugin does not compile: {complaint}")]
    Refused {
        /// The compiler's words, without control characters.
        complaint: String,
    },
    /// The compiler was killed, most likely by one of its own limits.
    #[error(
        "the compiler died of signal {signal} (9 and 24 mean: too much processor time, 6 and 11: too much memory or a fault in it)"
    )]
    Killed {
        /// The signal's number.
        signal: i32,
    },
    /// There was not enough time.
    #[error(
        "compiling the plugin took longer than the time that was left. Compile it ahead of time, or give the function more memory"
    )]
    Deadline,
    /// The code is too large.
    #[error("the plugin compiles to more than {MAX_CODE_BYTES} bytes of code")]
    TooLarge,
    /// The pipe to the compiler broke.
    #[error("the exchange with the compiler broke off")]
    Pipe(#[source] std::io::Error),
}

impl Compiler {
    /// The `windlass-compile` in `folder`, if it is there: without it only code that was compiled ahead of time runs.
    pub fn beside(folder: &Path) -> Option<Self> {
        let executable = folder.join("windlass-compile");
        executable.exists().then_some(Self::Executable(executable))
    }

    /// Compiles a component, before `deadline`.
    ///
    /// # Errors
    ///
    /// [`CompileError`] says why there is no code.
    #[cfg_attr(not(feature = "compiler"), allow(unused_variables, reason = "the engine compiles only in process"))]
    pub(crate) async fn compile(&self, engine: &Engine, wasm: &[u8], deadline: Instant) -> Result<Code, CompileError> {
        let now = Instant::now();
        let until = (now + LONGEST).min(deadline);
        match self {
            #[cfg(feature = "compiler")]
            Self::InProcess => {
                let (engine, wasm) = (engine.clone(), wasm.to_vec());
                let compiling = tokio::task::spawn_blocking(move || precompile(&engine, &wasm));
                let compiled = timeout_at(until, compiling).await.map_err(|_| CompileError::Deadline)?;
                compiled.map_err(|panic| CompileError::Refused { complaint: panic.to_string() })?.map(Code::compiled)
            }
            Self::Executable(path) => {
                timeout_at(until, run(path, wasm)).await.map_err(|_| CompileError::Deadline)?.map(Code::compiled)
            }
        }
    }
}

/// Compiles a component in this process, for an engine like the one that will run it: what `windlass-compile` does.
///
/// # Errors
///
/// [`CompileError::Refused`] if the bytes are no valid component, [`CompileError::Engine`] if this machine cannot compile.
#[cfg(feature = "compiler")]
pub fn compile(wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
    let engine = engine::config().and_then(|config| Engine::new(&config));
    precompile(&engine.map_err(|error| CompileError::Engine { why: format!("{error:#}") })?, wasm)
}

/// Compiles a component in this process for another machine.
///
/// # Errors
///
/// As [`compile`].
#[cfg(feature = "compiler")]
pub fn compile_for(target: Target, wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
    let engine = engine::config_for(Some(target)).and_then(|config| Engine::new(&config));
    precompile(&engine.map_err(|error| CompileError::Engine { why: format!("{error:#}") })?, wasm)
}

#[cfg(feature = "compiler")]
fn precompile(engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
    engine.precompile_component(wasm).map_err(|error| CompileError::Refused { complaint: legible(&format!("{error:#}")) })
}

async fn run(path: &Path, wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
    let mut child = Command::new(path)
        // The function's environment holds its AWS credentials.
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| CompileError::Start { path: path.to_owned(), source })?;
    let (code, complaint, status) = converse(&mut child, wasm).await.map_err(CompileError::Pipe)?;
    if code.len() > MAX_CODE_BYTES {
        return Err(CompileError::TooLarge);
    }
    if status.success() {
        return Ok(code);
    }
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Err(CompileError::Killed { signal });
    }
    Err(CompileError::Refused { complaint: legible(&String::from_utf8_lossy(&complaint)) })
}

/// Writes, reads and waits at the same time: each side of a pipe waits for the other one as soon as 64 KiB are under way.
async fn converse(child: &mut Child, wasm: &[u8]) -> std::io::Result<(Vec<u8>, Vec<u8>, ExitStatus)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A compiler that has seen enough closes its end; its exit status and complaint say more than a broken pipe.
            let _ = stdin.write_all(wasm).await;
        }
    };
    let code = async {
        let mut code = Vec::new();
        if let Some(stdout) = stdout {
            // One byte more than allowed tells a large result from a truncated one. Dropping the pipe then stops the compiler.
            stdout.take(MAX_CODE_BYTES as u64 + 1).read_to_end(&mut code).await?;
        }
        Ok::<_, std::io::Error>(code)
    };
    let complaint = async {
        let mut complaint = Vec::new();
        if let Some(mut stderr) = stderr {
            (&mut stderr).take(MAX_COMPLAINT_BYTES).read_to_end(&mut complaint).await?;
            tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await?;
        }
        Ok::<_, std::io::Error>(complaint)
    };
    let ((), code, complaint) = tokio::join!(write, code, complaint);
    Ok((code?, complaint?, child.wait().await?))
}

/// A complaint as one line: it may quote names from the component.
fn legible(complaint: &str) -> String {
    let mut line = crate::redact::legible::line(complaint.trim());
    line.truncate(line.floor_char_boundary(512));
    line
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test is meant to panic, in its helpers too")]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Runs a shell script in the compiler's place.
    async fn compiled_by(script: &str, wasm: &[u8], time: Duration) -> Result<Vec<u8>, CompileError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("compiler");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        let engine = Engine::new(&engine::config().unwrap()).unwrap();
        let compiler = Compiler::Executable(path);
        loop {
            let compiled = compiler.compile(&engine, wasm, Instant::now() + time).await;
            // Another test's child may hold the script open for writing until it has become its own program.
            let busy = matches!(&compiled, Err(CompileError::Start { source, .. }) if source.kind() == std::io::ErrorKind::ExecutableFileBusy);
            if !busy {
                return compiled.map(|code| code.bytes().to_vec());
            }
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn takes_what_the_compiler_writes_while_it_still_reads() {
        let wasm = vec![7; 1 << 20];
        assert_eq!(compiled_by("exec cat", &wasm, LONG).await.unwrap(), wasm);
    }

    #[tokio::test]
    async fn hands_over_no_environment_and_no_argument() {
        #[expect(clippy::disallowed_methods, reason = "asks only whether there is something to inherit")]
        std::env::var("CARGO_MANIFEST_DIR").expect("set by cargo");
        let seen = compiled_by("echo \"$#\"; exec tr '\\0' '\\n' < /proc/$$/environ", b"", LONG).await.unwrap();
        assert_eq!(String::from_utf8(seen).unwrap(), "0\n");
    }

    #[tokio::test]
    async fn a_complaint_becomes_one_line() {
        let refused = compiled_by("printf 'no\\nway\\033[31m' >&2; exit 1", b"", LONG).await;
        let Err(CompileError::Refused { complaint }) = refused else { panic!("{refused:?}") };
        assert_eq!(complaint, "no way\u{fffd}[31m");
    }

    #[tokio::test]
    async fn a_compiler_that_does_not_read_is_no_broken_pipe() {
        let refused = compiled_by("echo no >&2; exit 1", &[7; 1 << 20], LONG).await;
        assert!(matches!(refused, Err(CompileError::Refused { .. })), "{refused:?}");
    }

    #[tokio::test]
    async fn a_slow_compiler_is_stopped_at_the_deadline() {
        let started = Instant::now();
        let late = compiled_by("exec sleep 600", b"", Duration::from_millis(100)).await;
        assert!(matches!(late, Err(CompileError::Deadline)), "{late:?}");
        assert!(started.elapsed() < LONG);
    }

    #[tokio::test]
    async fn a_compiler_that_dies_is_told_from_one_that_refuses() {
        let killed = compiled_by("kill -9 $$", b"", LONG).await;
        assert!(matches!(killed, Err(CompileError::Killed { signal: 9 })), "{killed:?}");
    }

    #[tokio::test]
    async fn a_compiler_that_is_not_there_does_not_start() {
        let engine = Engine::new(&engine::config().unwrap()).unwrap();
        let compiler = Compiler::Executable("/nowhere/windlass-compile".into());
        let failed = compiler.compile(&engine, b"", Instant::now() + LONG).await.map(|_| ());
        assert!(matches!(failed, Err(CompileError::Start { .. })), "{failed:?}");
    }
}
