//! Running programs: captured, bounded in time, and killed with everything they started, whatever happens to the test.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::canary::Canary;

/// How long a program may run, or a server may take to get ready, unless the test says otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

/// Replaces itself by the program, and leaves a watcher behind that kills the process group once the pipe from the test closes.
/// The pipe closes when the test says so and also when the test process ends in any way, SIGKILL included.
///
/// The watcher does not hold the program's output open, and the program does not hold the pipe.
const GUARD: &str = "exec 3<&0; (read -r _ <&3; kill -s KILL 0) >/dev/null 2>&1 & input=$1; shift; exec \"$@\" <\"$input\" 3<&-";

/// A program to run: an environment of its own (only PATH is passed on), so that a developer's AWS_PROFILE changes nothing.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    folder: PathBuf,
    input: Option<Vec<u8>>,
    timeout: Duration,
}

impl Program {
    /// The command line.
    pub fn windlass() -> Self {
        Self::at(env!("CARGO_BIN_EXE_windlass"))
    }

    /// The Lambda function.
    pub fn bootstrap() -> Self {
        Self::at(env!("CARGO_BIN_EXE_bootstrap"))
    }

    /// The compiler that the Lambda function may start.
    pub fn windlass_compile() -> Self {
        Self::at(env!("CARGO_BIN_EXE_windlass-compile"))
    }

    /// The program of this name on the PATH, which `tests/run` installs.
    pub fn installed(name: &str) -> Self {
        let path = path_variable();
        let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
        Self::at(found.unwrap_or_else(|| panic!("`{name}` is not installed; `tests/run` installs what the tests need")))
    }

    /// The program in this file.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        assert!(path.is_file(), "{} does not exist; `tests/run` installs and builds what the tests need", path.display());
        Self {
            path,
            arguments: Vec::new(),
            environment: BTreeMap::from([("PATH".into(), path_variable()), ("LANG".into(), "C.UTF-8".into())]),
            folder: PathBuf::from("/"),
            input: None,
            timeout: PATIENCE,
        }
    }

    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub fn args<T: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// The working directory. Default `/`, so that nothing depends on where the tests run.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    /// What the program reads from standard input. Default nothing.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Longest run of [`Program::run`]. Default 60 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Starts the program and comes back at once.
    pub fn start(self) -> Process {
        let input = self.input.map(|bytes| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&bytes).unwrap();
            file.into_temp_path()
        });
        let input_path = input.as_ref().map_or_else(|| PathBuf::from("/dev/null"), |path| path.to_path_buf());
        let mut child = Command::new("/bin/sh")
            .args(["-c", GUARD, "sh"])
            .arg(input_path)
            .arg(&self.path)
            .args(&self.arguments)
            .env_clear()
            .envs(&self.environment)
            .current_dir(&self.folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let seen = Arc::new(Seen::default());
        let lifeline = Arc::new(Mutex::new(child.stdin.take()));
        let pid = child.id();
        let stdout = capture(child.stdout.take().unwrap(), Arc::clone(&seen), |state| &mut state.stdout);
        let stderr = capture(child.stderr.take().unwrap(), Arc::clone(&seen), |state| &mut state.stderr);
        let (waiting, after_exit) = (Arc::clone(&seen), Kill(Arc::clone(&lifeline)));
        std::thread::spawn(move || {
            let status = child.wait().unwrap();
            // What the program has left running would hold the output open.
            after_exit.now();
            stdout.join().unwrap();
            stderr.join().unwrap();
            waiting.update(|state| state.status = Some(status));
        });
        let name = self.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Process { name, pid, lifeline: Kill(lifeline), seen, timeout: self.timeout, _input: input }
    }

    /// Runs the program to its end.
    pub fn run(self) -> Finished {
        self.start().finish()
    }
}

/// A program that was started. Dropping it kills it and everything it started.
pub struct Process {
    name: String,
    pid: u32,
    lifeline: Kill,
    seen: Arc<Seen>,
    timeout: Duration,
    _input: Option<tempfile::TempPath>,
}

impl Process {
    /// The process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Kills with SIGKILL, for use from elsewhere, such as from a proxy at a chosen moment.
    pub fn killer(&self) -> Killer {
        Killer { kill: self.lifeline.clone(), seen: Arc::clone(&self.seen) }
    }

    /// Kills the program and everything it started with SIGKILL and waits until they are gone.
    pub fn kill(&self) {
        self.killer().kill();
    }

    /// Asks the program to end (SIGTERM), and only the program, not what it started.
    pub fn terminate(&self) {
        let pid = rustix::process::Pid::from_raw(self.pid.cast_signed()).unwrap();
        let state = self.seen.state.lock().unwrap();
        if state.status.is_none() {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        }
    }

    /// Whether the program still runs.
    pub fn is_running(&self) -> bool {
        self.seen.state.lock().unwrap().status.is_none()
    }

    /// Everything written to standard output so far.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.seen.state.lock().unwrap().stdout).into_owned()
    }

    /// Everything written to standard error so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.seen.state.lock().unwrap().stderr).into_owned()
    }

    /// Waits until a line of standard output or standard error satisfies `wanted`, and returns it. Fails at once when the program
    /// ends without it.
    pub fn line(&self, wanted: impl Fn(&str) -> bool) -> String {
        let find = |state: &State| {
            let text = [&state.stdout, &state.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            // A line counts once it is complete.
            let complete = text.iter().flat_map(|text| text.split_inclusive('\n')).filter(|line| line.ends_with('\n'));
            complete.map(str::trim_end).find(|line| wanted(line)).map(str::to_owned)
        };
        let found = self.seen.until(PATIENCE, |state| find(state).map(Some).or_else(|| state.status.map(|_| None)));
        found.flatten().unwrap_or_else(|| panic!("`{}` has not written the expected line.\n{self:?}", self.name))
    }

    /// Waits until `ready` says so, asking every 20 ms. Fails at once when the program ends before that.
    ///
    /// Asking repeatedly is the only way to learn that a server of somebody else's making accepts requests.
    pub fn until_ready(&self, ready: impl Fn() -> bool) {
        if let Err(why) = self.try_until_ready(ready) {
            panic!("`{}` {why}.\n{self:?}", self.name);
        }
    }

    /// As [`Process::until_ready`], for who can start the program again.
    pub fn try_until_ready(&self, ready: impl Fn() -> bool) -> Result<(), &'static str> {
        let patience = Instant::now() + PATIENCE;
        while !ready() {
            if Instant::now() > patience {
                return Err("does not get ready");
            }
            if self.seen.until(Duration::from_millis(20), |state| state.status).is_some() {
                return Err("ended before it was ready");
            }
        }
        Ok(())
    }

    /// Waits for the end of the program; kills it and fails the test if that takes too long.
    pub fn finish(self) -> Finished {
        let ended = self.seen.until(self.timeout, |state| state.status);
        let Some(status) = ended else {
            self.kill();
            panic!("`{}` still ran after {:?} and was killed.\n{self:?}", self.name, self.timeout);
        };
        let state = self.seen.state.lock().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Finished {
            name: self.name.clone(),
            status,
            stdout_bytes: state.stdout.clone(),
            stdout: text(&state.stdout),
            stderr: text(&state.stderr),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.seen.state.lock().unwrap().status;
        let status = status.map_or_else(|| "running".to_owned(), |status| status.to_string());
        write!(f, "{} ({status})\n--- stdout\n{}\n--- stderr\n{}\n---", self.name, self.stdout(), self.stderr())
    }
}

/// How a program ended.
pub struct Finished {
    name: String,
    /// Exit code or signal.
    pub status: ExitStatus,
    /// All of standard output.
    pub stdout: String,
    /// All of standard output, byte for byte.
    pub stdout_bytes: Vec<u8>,
    /// All of standard error.
    pub stderr: String,
}

impl Finished {
    /// Asserts exit code 0.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert!(self.status.success(), "expected success of {self:?}");
        self
    }

    /// Asserts this exit code.
    #[track_caller]
    pub fn failed_with(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "unexpected end of {self:?}");
        self
    }

    /// Asserts that neither output holds the secret in any form.
    #[track_caller]
    pub fn without(self, canary: &Canary) -> Self {
        canary.assert_absent("standard output", &self.stdout_bytes);
        canary.assert_absent("standard error", self.stderr.as_bytes());
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout_bytes).unwrap_or_else(|error| panic!("no JSON ({error}) from {self:?}"))
    }
}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({})\n--- stdout\n{}\n--- stderr\n{}\n---", self.name, self.status, self.stdout, self.stderr)
    }
}

/// Kills a [`Process`] from elsewhere.
#[derive(Clone)]
pub struct Killer {
    kill: Kill,
    seen: Arc<Seen>,
}

impl Killer {
    /// SIGKILL for the program and everything it started; returns when they are gone.
    pub fn kill(&self) {
        self.kill.now();
        let gone = self.seen.until(PATIENCE, |state| state.status);
        assert!(gone.is_some() || std::thread::panicking(), "the program survived SIGKILL");
    }
}

/// The pipe to the guard.
#[derive(Clone)]
struct Kill(Arc<Mutex<Option<ChildStdin>>>);

impl Kill {
    fn now(&self) {
        drop(self.0.lock().unwrap().take());
    }
}

/// What is known of a process, and who waits for more.
#[derive(Default)]
struct Seen {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    status: Option<ExitStatus>,
}

impl Seen {
    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn until<T>(&self, timeout: Duration, found: impl Fn(&State) -> Option<T>) -> Option<T> {
        let end = Instant::now() + timeout;
        let mut state = self.state.lock().unwrap();
        loop {
            if let Some(found) = found(&state) {
                return Some(found);
            }
            let left = end.checked_duration_since(Instant::now())?;
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
    }
}

fn capture(
    mut from: impl Read + Send + 'static,
    seen: Arc<Seen>,
    to: impl Fn(&mut State) -> &mut Vec<u8> + Send + 'static,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut chunk = [0; 8192];
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            seen.update(|state| to(state).extend_from_slice(&chunk[..count]));
        }
    })
}

/// The one variable that programs under test inherit.
fn path_variable() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}
