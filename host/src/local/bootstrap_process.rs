//! A real function executable, run as Lambda runs it: with a Runtime API, the environment of a function and nothing else.
//!
//! The process is started for the first event and again for the next one after it has died. It handles one event at a time. When
//! it exceeds the deadline of an event it is killed, with everything that it started.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::Instant;

use super::invoker::{Invocation, InvocationError};
use super::runtime_api::RuntimeApi;
use super::server::ListenError;
use super::store::FunctionArn;

/// What is run, and what it is told.
#[derive(Debug)]
pub struct FunctionSettings {
    /// The executable.
    pub executable: PathBuf,
    /// The function that it is.
    pub function: FunctionArn,
    /// The endpoint of the Secrets Manager to use.
    pub endpoint: String,
    /// `WINDLASS_PLUGINS`; the executable's default otherwise.
    pub plugins: Option<PathBuf>,
    /// `WINDLASS_CONFIG`; the executable's default otherwise.
    pub config: Option<PathBuf>,
    /// More variables.
    pub variables: Vec<(OsString, OsString)>,
    /// Where its output goes.
    pub output: Output,
}

/// Where the output of the function goes.
#[derive(Debug)]
pub enum Output {
    /// To this process's standard error.
    StandardError,
    /// Into a file.
    File(File),
}

/// Why the function cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// There is no executable file.
    #[error("{path} is not an executable file. Build it: cargo build --bin bootstrap")]
    NotExecutable {
        /// The path.
        path: PathBuf,
    },
    /// The Runtime API cannot listen.
    #[error(transparent)]
    RuntimeApi(#[from] ListenError),
}

/// A function process and its Runtime API. Dropping it kills the process.
pub struct BootstrapProcess {
    settings: FunctionSettings,
    api: RuntimeApi,
    /// One event at a time.
    turn: tokio::sync::Mutex<()>,
    process: Mutex<Option<Arc<Process>>>,
}

struct Process {
    pid: Option<Pid>,
    ended: watch::Receiver<Option<String>>,
}

impl BootstrapProcess {
    /// Prepares the Runtime API. The process starts with the first event.
    ///
    /// # Errors
    ///
    /// [`BootstrapError`] if the executable is not one or no port is free.
    pub async fn new(settings: FunctionSettings) -> Result<Self, BootstrapError> {
        use std::os::unix::fs::PermissionsExt;
        let path = settings.executable.clone();
        let executable = std::fs::metadata(&path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
        if !executable {
            return Err(BootstrapError::NotExecutable { path });
        }
        let api = RuntimeApi::start(settings.function.as_str()).await?;
        Ok(Self { settings, api, turn: tokio::sync::Mutex::default(), process: Mutex::default() })
    }

    /// Feeds the function one event and waits for what it says.
    ///
    /// # Errors
    ///
    /// What the function reported; `Runtime.ExitError` if it died; `Sandbox.Timedout` if it exceeded the deadline.
    pub async fn invoke(&self, event: Vec<u8>, deadline: Instant) -> Invocation {
        let Ok(_turn) = tokio::time::timeout_at(deadline, self.turn.lock()).await else {
            return Err(super::invoker::timed_out());
        };
        let process = self.running().map_err(|error| {
            InvocationError::new(
                "Runtime.InvalidEntrypoint",
                format!("{} cannot be started: {error}", self.settings.executable.display()),
            )
        })?;
        let mut ended = process.ended.clone();
        let answer = tokio::select! {
            biased;
            answer = self.api.invoke(event, deadline) => answer,
            end = ended.wait_for(Option::is_some) => {
                let how = end.map_or_else(|_| "it disappeared".to_owned(), |how| how.clone().unwrap_or_default());
                let why = self.api.take_init_error();
                self.api.forget_running();
                Err(why.unwrap_or_else(|| InvocationError::new("Runtime.ExitError", format!("Runtime exited with error: {how}"))))
            }
        };
        if Instant::now() >= deadline && answer.is_err() {
            self.kill();
        }
        answer
    }

    /// Kills the process and everything it started, as a crash of the machine would. The next event starts a new one.
    pub fn kill(&self) {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(process) = process {
            process.kill();
        }
        self.api.forget_running();
    }

    /// Where the Runtime API listens.
    pub const fn runtime_api(&self) -> SocketAddr {
        self.api.address()
    }

    /// The id of the process, if it runs.
    pub fn id(&self) -> Option<u32> {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let running = process.as_ref().filter(|process| process.ended.borrow().is_none())?;
        running.pid.and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
    }

    fn running(&self) -> io::Result<Arc<Process>> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(process) = process.as_ref().filter(|process| process.ended.borrow().is_none()) {
            return Ok(Arc::clone(process));
        }
        let started = Arc::new(start(&self.settings, &self.api)?);
        *process = Some(Arc::clone(&started));
        Ok(started)
    }
}

impl Drop for BootstrapProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Process {
    /// Only while the process has not been waited for: afterwards its id may be another's.
    fn kill(&self) {
        if self.ended.borrow().is_none()
            && let Some(pid) = self.pid
        {
            // It may have ended by itself in this moment.
            let _ended_already = kill_process_group(pid, Signal::KILL);
        }
    }
}

fn start(settings: &FunctionSettings, api: &RuntimeApi) -> io::Result<Process> {
    let output = || -> io::Result<Stdio> {
        Ok(match &settings.output {
            Output::StandardError => Stdio::from(io::stderr().as_fd().try_clone_to_owned()?),
            Output::File(file) => Stdio::from(file.try_clone()?),
        })
    };
    let executable = std::path::absolute(&settings.executable)?;
    let home = executable.parent().unwrap_or_else(|| Path::new("/")).to_owned();
    let name = settings.function.as_str().split(':').nth(6).unwrap_or("windlass");
    let region = settings.function.region();
    let mut command = Command::new(&executable);
    command
        .env_clear()
        .env("_HANDLER", "bootstrap")
        .env("AWS_LAMBDA_RUNTIME_API", api.address().to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}"))
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "local")
        .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", &settings.endpoint)
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .env("AWS_REGION", region)
        .env("AWS_DEFAULT_REGION", region)
        .env("LAMBDA_TASK_ROOT", &home)
        .env("TZ", ":UTC");
    if let Some(plugins) = &settings.plugins {
        command.env("WINDLASS_PLUGINS", std::path::absolute(plugins)?);
    }
    if let Some(config) = &settings.config {
        command.env("WINDLASS_CONFIG", std::path::absolute(config)?);
    }
    command.envs(settings.variables.iter().map(|(name, value)| (name, value)));
    // A group of its own: Ctrl-C on the terminal ends this process, which then ends the function and what the function started.
    command.current_dir(home).stdin(Stdio::null()).stdout(output()?).stderr(output()?).process_group(0).kill_on_drop(true);
    let mut child = command.spawn()?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let (ending, ended) = watch::channel(None);
    tokio::spawn(async move {
        let status = child.wait().await;
        // The group outlives its leader, and so would a compiler that the function had started.
        if let Some(pid) = pid {
            let _nobody_left = kill_process_group(pid, Signal::KILL);
        }
        let _nobody_asks = ending.send(Some(status.map_or_else(|error| error.to_string(), told)));
    });
    Ok(Process { pid, ended })
}

/// How a process ended, in Lambda's words.
fn told(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(9)) => "signal: killed".to_owned(),
        (None, Some(signal)) => format!("signal: {signal}"),
        (None, None) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests;
