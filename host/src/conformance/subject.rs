//! The plugin that is to be proved, in the sandbox in which it runs in the function.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::layer::SubscriberExt;

use super::lines::Lines;
use crate::candidate::{self, Generated};
use crate::capability::host_calls::{HostCall, HostCalls};
use crate::capability::network::{Network, NetworkError};
use crate::capability::refused_logins::RefusedLogins;
use crate::choice::Choice;
use crate::config::{Config, Limit, Loopback, SecretRule};
use crate::error::StepError;
use crate::event::SecretArn;
use crate::failure::table::consequence;
use crate::failure::{Cause, Effect};
use crate::manifest::Manifest;
use crate::plugin::call::{Call, CallError, Handed, Outcome, Stop};
use crate::plugin::code::compiler::Compiler;
use crate::plugin::component_file::ComponentFile;
use crate::plugin::load::{LoadError, Plugin, Plugins};
use crate::plugin::source::PluginSource;
use crate::redact::MARK;
use crate::secret::{SecretText, SecretValue};
use crate::tags::Tags;

/// The shortest excerpt of a password that is looked for in what a plugin says, in characters.
const EXCERPT: usize = 8;

/// A plugin, ready to be called with any values.
pub struct Subject {
    plugin: Arc<Plugin>,
    config: Config,
    source: PluginSource,
    secret: SecretArn,
    /// Everything that was seen in all calls.
    seen: Mutex<Seen>,
}

/// What was seen in all calls of a run.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// How many calls of the plugin there were.
    pub calls: usize,
    /// The most calls of host functions in one call.
    pub most_host_calls: usize,
    /// The longest call.
    pub longest: Duration,
    /// The most memory of a guest, in bytes.
    pub most_memory: usize,
    /// What the plugin said that held a value, as the host showed it.
    pub values_in_words: Vec<String>,
    /// What the host denied.
    pub denied: Vec<String>,
}

/// Where the service is for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where the secret says.
    AsItIs,
    /// At this port of the same host instead, whatever the secret says.
    Port(u16),
}

/// What a call ended with.
#[derive(Debug, Clone)]
pub struct Ran<T> {
    /// The result; nothing if the call was cut off.
    pub result: Option<Result<T, CallError>>,
    /// The host functions that it called.
    pub host_calls: Vec<HostCall>,
    /// The refused logins that the host knows of.
    pub refused_logins: u32,
}

/// Why a plugin cannot be called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectError {
    /// It does not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The service's certificate authorities cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The case's secret is not one for this plugin.
    #[error("the case's secret does not fit the plugin: {0}")]
    Secret(#[from] Box<StepError>),
}

impl Subject {
    /// How long a call may take at most. Longer is not proved: nobody waits for it in a function either.
    const CALL: Duration = Duration::from_secs(60);

    /// How long compiling may take at most. A debug build of this program needs half a minute of a whole processor for a component in Python.
    const LOAD: Duration = Duration::from_secs(300);

    /// How often a call is repeated when the plugin asks for that.
    const REPEATED: u32 = 6;

    /// Loads the plugin. It may reach every loopback address, and trusts `ca_files` besides the system's authorities.
    ///
    /// # Errors
    ///
    /// [`SubjectError`] if it does not load.
    pub async fn load(
        component: ComponentFile,
        path: &Path,
        ca_files: Vec<std::path::PathBuf>,
        settings: BTreeMap<String, String>,
    ) -> Result<Self, SubjectError> {
        let plugins = Plugins::new(Compiler::InProcess)?;
        let plugin = plugins.load(&component, Ok(None), Instant::now() + Self::LOAD).await?;
        let mut config = Config::with_plugins(std::path::PathBuf::new());
        config.loopback = Loopback::Local;
        config.ca_files = ca_files;
        config.rules = vec![SecretRule { settings, ..SecretRule::default() }];
        // A wrong authority is told now and not as a failed handshake of the plugin's.
        drop(Network::new(&config)?);
        let secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:windlass-test-AbCdEf";
        let secret = SecretArn::parse(secret).expect("it is an ARN");
        let source = PluginSource::only(component, Some(path));
        Ok(Self { plugin, config, source, secret, seen: Mutex::default() })
    }

    /// What the plugin says of itself.
    pub fn manifest(&self) -> &Manifest {
        self.plugin.manifest()
    }

    /// What the configuration, the manifest and this value say about the secret.
    pub fn choice(&self) -> Choice<'_> {
        Choice::new(&self.config, &self.source, &self.secret, &BTreeMap::new())
    }

    /// The tags of the secret, which has none.
    pub fn tags() -> Tags {
        Tags::read(&BTreeMap::new()).expect("there is none that could be wrong")
    }

    /// `set-secret`, repeated as the function repeats it if the plugin's answer asks for that.
    ///
    /// # Errors
    ///
    /// [`SubjectError::Secret`] if the host itself refuses the secret.
    pub async fn set(&self, handed: &Handed, place: Place) -> Result<Ran<Outcome>, SubjectError> {
        self.repeated(handed, place, async |plugin, call| plugin.set_secret(call).await).await
    }

    /// `set-secret`, not repeated whatever the plugin answers.
    ///
    /// # Errors
    ///
    /// As [`Subject::set`].
    pub async fn set_once(&self, handed: &Handed) -> Result<Ran<Outcome>, SubjectError> {
        self.set_seen_by(handed, Arc::new(HostCalls::default())).await
    }

    /// `set-secret`, overtaken by another one with the same values: when this answer of the service, counted from one, is on its way to the
    /// first, the second begins and comes to its end. If there are fewer answers, the second follows the first.
    ///
    /// # Errors
    ///
    /// As [`Subject::set`].
    pub async fn set_overtaken(&self, handed: &Handed, answer: usize) -> Result<[Ran<Outcome>; 2], SubjectError> {
        let host_calls = Arc::new(HostCalls::holding_answer(answer));
        let mut first = pin!(self.set_seen_by(handed, Arc::clone(&host_calls)));
        let ended = tokio::select! {
            first = &mut first => Some(first?),
            () = host_calls.held() => None,
        };
        let second = self.set_once(handed).await?;
        host_calls.go_on();
        let first = match ended {
            Some(first) => first,
            None => first.await?,
        };
        Ok([first, second])
    }

    /// `test-secret`, repeated as [`Subject::set`] is.
    ///
    /// # Errors
    ///
    /// As [`Subject::set`].
    pub async fn test(&self, handed: &Handed, place: Place) -> Result<Ran<()>, SubjectError> {
        self.repeated(handed, place, async |plugin, call| plugin.test_secret(call).await).await
    }

    /// `set-secret`, killed after this many calls of host functions. Nothing if it makes fewer: then it came to its end.
    ///
    /// # Errors
    ///
    /// As [`Subject::set`].
    pub async fn set_cut_off(&self, handed: &Handed, after: usize) -> Result<Ran<Outcome>, SubjectError> {
        self.set_seen_by(handed, Arc::new(HostCalls::cut_after(after))).await
    }

    /// `set-secret`, to which this answer of the service, counted from one, does not come through: the connection breaks instead. Nothing
    /// if there are fewer answers.
    ///
    /// # Errors
    ///
    /// As [`Subject::set`].
    pub async fn set_losing_answer(&self, handed: &Handed, answer: usize) -> Result<Option<Ran<Outcome>>, SubjectError> {
        let ran = self.set_seen_by(handed, Arc::new(HostCalls::losing_answer(answer))).await?;
        let answers = ran.host_calls.iter().filter(|call| call.is_answer()).count();
        Ok((answers >= answer).then_some(ran))
    }

    /// `set-secret` with a pending value that the host would have refused before it came to a call; `whole` is the same with everything
    /// in it, and says where the service is.
    ///
    /// # Errors
    ///
    /// As [`Subject::set`].
    pub async fn set_incomplete(&self, handed: &Handed, whole: &Handed) -> Result<Ran<Outcome>, SubjectError> {
        let host_calls = Arc::new(HostCalls::default());
        self.call(handed, whole, Place::AsItIs, host_calls, async |plugin, call| plugin.set_secret(call).await).await
    }

    /// `test-secret`, likewise.
    ///
    /// # Errors
    ///
    /// As [`Subject::set`].
    pub async fn test_incomplete(&self, handed: &Handed, whole: &Handed) -> Result<Ran<()>, SubjectError> {
        let host_calls = Arc::new(HostCalls::default());
        self.call(handed, whole, Place::AsItIs, host_calls, async |plugin, call| plugin.test_secret(call).await).await
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The generated part of these versions.
    fn passwords(&self, handed: &Handed) -> Vec<String> {
        let shape = &self.manifest().secret;
        let versions = [Some(&handed.pending), handed.current.as_ref(), handed.previous.as_ref()];
        let generated = |value: &SecretValue| -> Vec<SecretText> {
            match Generated::of(value, &shape.generated) {
                Ok(Generated::Fields(fields)) => fields.iter().filter_map(|field| candidate::field(shape, value, field)).collect(),
                Ok(Generated::Whole) => value.as_text().cloned().into_iter().collect(),
                Ok(Generated::Nothing) | Err(_) => Vec::new(),
            }
        };
        // To be looked for in what the plugin says.
        versions.into_iter().flatten().flat_map(generated).map(|password| password.expose().to_owned()).collect()
    }

    async fn set_seen_by(&self, handed: &Handed, host_calls: Arc<HostCalls>) -> Result<Ran<Outcome>, SubjectError> {
        self.call(handed, handed, Place::AsItIs, host_calls, async |plugin, call| plugin.set_secret(call).await).await
    }

    async fn repeated<T>(
        &self,
        handed: &Handed,
        place: Place,
        run: impl AsyncFn(&Plugin, Call) -> Result<T, CallError>,
    ) -> Result<Ran<T>, SubjectError> {
        let mut pause = Duration::from_millis(250);
        for _ in 1..Self::REPEATED {
            let ran = self.call(handed, handed, place, Arc::new(HostCalls::default()), &run).await?;
            match ran.failure() {
                // Without a service, waiting for it proves nothing.
                Some((cause, effect)) if place == Place::AsItIs && consequence(cause, effect).repeated => {}
                Some(_) | None => return Ok(ran),
            }
            // The plugin asked to come back later, and the function would.
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.call(handed, handed, place, Arc::new(HostCalls::default()), &run).await
    }

    async fn call<T>(
        &self,
        handed: &Handed,
        whole: &Handed,
        place: Place,
        host_calls: Arc<HostCalls>,
        run: impl AsyncFn(&Plugin, Call) -> Result<T, CallError>,
    ) -> Result<Ran<T>, SubjectError> {
        let network = Arc::new(Network::new(&self.config)?.seen_by(Arc::clone(&host_calls)));
        let refused = RefusedLogins::at_most(self.config.limits(None).refused_logins());
        let deadline = Instant::now() + Self::CALL;
        let call = self.choice().call(self.manifest(), whole.clone(), &network, refused.clone(), deadline).map_err(Box::new)?;
        let mut call = Call { handed: handed.clone(), ..call };
        if let Place::Port(port) = place {
            call.endpoints.values_mut().for_each(|endpoint| endpoint.port = port);
            // Nobody is there to wait for.
            call.limits = call.limits.with(Limit::Io, 500).with(Limit::Connect, 2_000);
        }
        let lines = Lines::default();
        let begun = Instant::now();
        let running = run(&self.plugin, call).with_subscriber(tracing_subscriber::registry().with(lines.clone()));
        let result = tokio::select! {
            result = running => Some(result),
            () = host_calls.cut() => None,
        };
        let ran = Ran { result, host_calls: host_calls.take(), refused_logins: refused.count() };
        self.remember(&ran, handed, lines.take(), begun.elapsed(), host_calls.memory());
        Ok(ran)
    }

    fn remember<T>(&self, ran: &Ran<T>, handed: &Handed, mut said: Vec<String>, took: Duration, memory: usize) {
        if let Some(Err(error)) = &ran.result {
            said.push(error.to_string());
        }
        let passwords = self.passwords(handed);
        said.iter_mut().for_each(|line| hide_excerpts(line, &passwords));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.calls += 1;
        seen.most_host_calls = seen.most_host_calls.max(ran.host_calls.len());
        seen.longest = seen.longest.max(took);
        seen.most_memory = seen.most_memory.max(memory);
        seen.values_in_words.extend(said.into_iter().filter(|line| line.contains(MARK)));
        seen.denied.extend(ran.host_calls.iter().filter(|call| call.denied).map(|call| call.with.clone()));
    }
}

/// Replaces what a plugin said of these values that is too short for the host to know it for sure.
///
/// An excerpt of plain words can stand in any message; a generated value hardly has one.
fn hide_excerpts(line: &mut String, passwords: &[String]) {
    for password in passwords {
        let ends: Vec<usize> = password.char_indices().map(|(at, _)| at).chain([password.len()]).collect();
        for window in ends.windows(EXCERPT + 1) {
            let excerpt = &password[window[0]..window[EXCERPT]];
            let words = excerpt.chars().all(|of| of.is_lowercase() || of == ' ');
            if !words && line.contains(excerpt) {
                *line = line.replace(excerpt, MARK);
            }
        }
    }
}

impl<T> Ran<T> {
    /// The cause and effect that the plugin reported, if it reported a failure.
    pub fn failure(&self) -> Option<(Cause, Effect)> {
        match &self.result {
            Some(Err(CallError::Failure { cause, effect, .. })) => Some((*cause, *effect)),
            Some(Ok(_) | Err(CallError::Stopped(_))) | None => None,
        }
    }

    /// What the author should change: `usual`, unless the plugin was stopped, which has to be mended before anything else counts.
    pub const fn advice(&self, usual: &'static str) -> &'static str {
        let Some(Err(CallError::Stopped(stop))) = &self.result else { return usual };
        match stop {
            Stop::Deadline => "bound how long the plugin goes on by itself: nothing that the service sends may keep it busy",
            Stop::Memory { .. } | Stop::Limit { .. } => {
                "bound what the plugin takes in and holds, above all every length that the service sends"
            }
            Stop::Panicked { .. } | Stop::Trapped { .. } | Stop::StackOverflow | Stop::Exited { .. } | Stop::Broken { .. } => {
                "return a failure instead: what stops a plugin tells the operator nothing. `windlass build --names` keeps the names of the \
                 functions that a trap came through"
            }
        }
    }

    /// What it ended with, in words.
    pub fn in_words(&self) -> String {
        match &self.result {
            Some(Ok(_)) => "success".to_owned(),
            Some(Err(error)) => format!("`{error}`"),
            None => "nothing, because it was cut off".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_password_is_noticed_and_plain_words_are_not() {
        let passwords = ["Zx9!kQ2#mmPw7$La".to_owned(), " with a space 1A ".to_owned()];
        let said = |line: &str| {
            let mut line = line.to_owned();
            hide_excerpts(&mut line, &passwords);
            line
        };
        assert_eq!(said("it begins with Zx9!kQ2#"), format!("it begins with {MARK}"));
        assert_eq!(said("a name with a space is refused"), "a name with a space is refused");
        assert_eq!(said("it begins with Zx9!"), "it begins with Zx9!");
    }
}
