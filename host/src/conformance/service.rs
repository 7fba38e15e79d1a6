//! The service of a case: started, asked and changed by the case's own commands, never by the plugin that is to be proved.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::case::{self, Case, CaseError, ServiceCommands, Variables};

/// A service that runs.
pub struct Service {
    commands: ServiceCommands,
    /// The case's folder, in which its commands run.
    folder: PathBuf,
    /// The service's own folder.
    own: TempDir,
    variables: Variables,
    process: Option<Child>,
    accounts: u32,
    created: Vec<String>,
    /// Accounts that a plugin has made, if it came to that.
    by_plugin: Vec<String>,
}

/// An account of the service, and how it is named in a secret.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its name.
    pub name: String,
}

/// Why the service does not do what the case says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// A command does not run.
    #[error("the case's command `{command}` does not run: {source}")]
    NotRun {
        /// The command.
        command: String,
        /// Why.
        source: std::io::Error,
    },
    /// A command takes too long.
    #[error("the case's command `{command}` did not end within {} s", within.as_secs())]
    Late {
        /// The command.
        command: String,
        /// How long it may take.
        within: Duration,
    },
    /// A command failed.
    #[error("the case's command `{command}` failed ({status}): {said}")]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
    /// A login neither succeeded nor was refused.
    #[error(
        "the case's command `{command}` does not say whether the service accepts the login ({status}): {said}\n`login` has to end with exit \
         code 0 if it accepts the password, with {REFUSED} (EX_NOPERM) if it refuses it, and with another one if it cannot tell"
    )]
    Unclear {
        /// The command.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
    /// The service did not say where it is.
    #[error(
        "the service that `{command}` starts did not become ready: {why}. It has to print one line of JSON such as {{\"port\": 6379}}\n{said}"
    )]
    NotReady {
        /// The command.
        command: String,
        /// What it did instead.
        why: String,
        /// What it wrote to standard error.
        said: String,
    },
    /// The case is wrong.
    #[error(transparent)]
    Case(#[from] CaseError),
}

/// The exit code of `login` for "the service refuses the password": EX_NOPERM of sysexits(3), Python's `os.EX_NOPERM`. Not 1, with which a
/// script that crashes ends, too.
pub const REFUSED: i32 = 77;

/// How long one command may take.
const COMMAND: Duration = Duration::from_secs(60);

/// How long the start may take.
const START: Duration = Duration::from_secs(120);

impl Service {
    /// Starts what the case starts.
    ///
    /// # Errors
    ///
    /// [`ServiceError`] if it does not become ready.
    pub async fn start(case: &Case) -> Result<Self, ServiceError> {
        let own = tempfile::Builder::new().prefix("windlass-test-").tempdir();
        let own = own.map_err(|source| ServiceError::NotRun { command: "mktemp".to_owned(), source })?;
        let mut service = Self {
            commands: case.service.clone(),
            folder: case.folder.clone(),
            own,
            variables: case.variables.clone(),
            process: None,
            accounts: 0,
            created: Vec::new(),
            by_plugin: Vec::new(),
        };
        if let Some(start) = case.service.start.clone() {
            let mut command = service.command(&start)?;
            let log = service.own.path().join("service.log");
            let stderr = std::fs::File::create(&log).map_err(|source| not_run(&start, source))?;
            let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr).process_group(0).spawn();
            let process = service.process.insert(started.map_err(|source| not_run(&start, source))?);
            let mut out = BufReader::new(process.stdout.take().expect("it was asked for above"));
            let mut line = String::new();
            let not_ready = |why: String| {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                ServiceError::NotReady { command: shown(&start), why, said: said.trim_end().to_owned() }
            };
            match timeout(START, out.read_line(&mut line)).await {
                Err(_) => return Err(not_ready(format!("it said nothing within {} s", START.as_secs()))),
                Ok(Err(error)) => return Err(not_ready(error.to_string())),
                Ok(Ok(0)) => return Err(not_ready("it ended".to_owned())),
                Ok(Ok(_)) => {}
            }
            let variables: Variables =
                serde_json::from_str(&line).map_err(|error| not_ready(format!("its first line is no JSON object ({error})")))?;
            service.variables.extend(variables);
            // Read on, so that a service that says more is not stopped by a full pipe.
            tokio::spawn(async move { tokio::io::copy(&mut out, &mut tokio::io::sink()).await });
        }
        Ok(service)
    }

    /// The variables of the service, and those of an account.
    pub fn variables(&self, account: &Account, password: &str) -> Variables {
        let mut variables = self.variables.clone();
        variables.insert("username".to_owned(), Value::String(account.name.clone()));
        variables.insert("password".to_owned(), Value::String(password.to_owned()));
        variables
    }

    /// The files of the service's certificate authorities.
    ///
    /// # Errors
    ///
    /// [`CaseError::Unknown`] for a placeholder that nothing fills.
    pub fn ca_files(&self) -> Result<Vec<PathBuf>, CaseError> {
        let fill = |path: &String| {
            let filled = case::fill(&Value::String(path.clone()), &self.variables)?;
            Ok(self.folder.join(case::as_text(&filled)))
        };
        self.commands.ca_files.iter().map(fill).collect()
    }

    /// A new account with a name of its own.
    ///
    /// # Errors
    ///
    /// [`ServiceError`] if the service does not make it.
    pub async fn account(&mut self, password: &str) -> Result<Account, ServiceError> {
        self.accounts += 1;
        let account = Account { name: format!("windlass-{}", self.accounts) };
        self.create(&account, password).await?;
        Ok(account)
    }

    /// The account with this name and this password alone.
    ///
    /// # Errors
    ///
    /// [`ServiceError`] if the service does not make it.
    pub async fn create(&mut self, account: &Account, password: &str) -> Result<(), ServiceError> {
        self.created.push(account.name.clone());
        self.done(&self.commands.create, account, password).await
    }

    /// Remembers an account that the plugin may make, so that it is removed with the others.
    pub fn may_be_made(&mut self, account: &Account) {
        if !self.by_plugin.contains(&account.name) {
            self.by_plugin.push(account.name.clone());
        }
    }

    /// Makes this the only password of the account, as an outsider would.
    ///
    /// # Errors
    ///
    /// [`ServiceError`] if the service does not do it.
    pub async fn change(&self, account: &Account, password: &str) -> Result<(), ServiceError> {
        self.done(&self.commands.change, account, password).await
    }

    /// Whether the service lets the account in with this password.
    ///
    /// # Errors
    ///
    /// [`ServiceError`] if that cannot be told.
    pub async fn accepts(&self, account: &Account, password: &str) -> Result<bool, ServiceError> {
        let (status, said) = self.run(&self.commands.login, account, password).await?;
        match status.code() {
            Some(0) => Ok(true),
            Some(REFUSED) => Ok(false),
            Some(_) | None => Err(ServiceError::Unclear { command: shown(&self.commands.login), status, said }),
        }
    }

    /// Removes the accounts, where the case says how, and ends the service.
    ///
    /// # Errors
    ///
    /// [`ServiceError`] if an account cannot be removed. The service is ended nevertheless.
    pub async fn stop(mut self) -> Result<(), ServiceError> {
        let mut stopped = Ok(());
        if let Some(delete) = self.commands.delete.clone() {
            let created = std::mem::take(&mut self.created);
            for name in std::mem::take(&mut self.by_plugin).into_iter().filter(|name| !created.contains(name)) {
                // The plugin was killed before it made the account, or failed: then there is nothing to remove.
                let _ = self.done(&delete, &Account { name }, "").await;
            }
            for name in created {
                let deleted = self.done(&delete, &Account { name }, "").await;
                stopped = stopped.and(deleted);
            }
        }
        if let Some(mut process) = self.process.take() {
            signal(&process, rustix::process::Signal::TERM);
            if timeout(Duration::from_secs(20), process.wait()).await.is_err() {
                signal(&process, rustix::process::Signal::KILL);
            }
        }
        stopped
    }

    async fn done(&self, command: &[String], account: &Account, password: &str) -> Result<(), ServiceError> {
        let (status, said) = self.run(command, account, password).await?;
        if status.success() { Ok(()) } else { Err(ServiceError::Failed { command: shown(command), status, said }) }
    }

    async fn run(&self, command: &[String], account: &Account, password: &str) -> Result<(ExitStatus, String), ServiceError> {
        let mut process = self.command(command)?;
        process.env("USERNAME", &account.name).env("PASSWORD", password).stdin(Stdio::null()).kill_on_drop(true);
        let ended = timeout(COMMAND, process.output()).await;
        let ended = ended.map_err(|_| ServiceError::Late { command: shown(command), within: COMMAND })?;
        let ended = ended.map_err(|source| not_run(command, source))?;
        let said = String::from_utf8_lossy(&ended.stderr).trim_end().to_owned();
        Ok((ended.status, said))
    }

    /// A command of the case. A program with a slash is one of the case's folder.
    fn command(&self, command: &[String]) -> Result<Command, ServiceError> {
        let folder = std::path::absolute(&self.folder).map_err(|source| not_run(command, source))?;
        let program = if command[0].contains('/') { folder.join(&command[0]) } else { PathBuf::from(&command[0]) };
        let mut process = Command::new(program);
        process.args(&command[1..]).current_dir(folder).env("FOLDER", self.own.path());
        for (name, value) in &self.variables {
            process.env(name.to_uppercase(), case::as_text(value));
        }
        Ok(process)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(process) = &self.process {
            signal(process, rustix::process::Signal::KILL);
        }
    }
}

/// To the process and its children, which are a group of their own.
fn signal(process: &Child, signal: rustix::process::Signal) {
    let id = process.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(id) = id {
        // If it has ended by itself there is nobody to tell.
        let _ = rustix::process::kill_process_group(id, signal);
    }
}

fn not_run(command: &[String], source: std::io::Error) -> ServiceError {
    ServiceError::NotRun { command: shown(command), source }
}

fn shown(command: &[String]) -> String {
    command.join(" ")
}
