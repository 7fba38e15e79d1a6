//! Faults that happen on purpose: what goes wrong, where, and at which occurrence.
//!
//! A fault is written `PLACE[#N]:TROUBLE[=ARGUMENT]`. The place is an operation of Secrets Manager (`PutSecretValue`), the invocation
//! of a step (`setSecret`), or a request of the plugin to its service (`service`). `#N` is its N-th occurrence since the start, from 1,
//! which is also the default; `#*` is every one.
//!
//! | trouble | where | what happens |
//! |---|---|---|
//! | `throttle` | operation | refused with ThrottlingException, without effect |
//! | `error` | operation, step | refused with InternalServiceError; a step is not invoked. Without effect |
//! | `unavailable` | operation | HTTP status 503 from something in front of Secrets Manager, without effect |
//! | `lost-request` | operation, `service` | the connection breaks before the request arrives |
//! | `lost-answer` | all | the effect is there, the answer is not |
//! | `latency=TIME` | all | it happens so much later |
//! | `late=TIME` | `service` | the connection breaks at once, and the request arrives so much later all the same |
//! | `stale=N`, `stale=TIME` | operations that read | so many reads, or those of so long a time, answer as if the last change had not been made |
//! | `kill`, `kill-after` | all | the function dies before, or after, the effect |
//! | `duplicate` | all | the step is invoked a second time, and that one runs to its end before the first goes on |
//! | `store-current` | all | before it, somebody else stores the current value again, as a new AWSCURRENT |
//! | `move-current` | all | before it, somebody else moves AWSCURRENT back to the version that is AWSPREVIOUS |
//! | `take-pending` | all | before it, somebody else takes AWSPENDING off its version |
//! | `cancel` | all | before it, somebody calls CancelRotateSecret |
//! | `delete` | all | before it, somebody schedules the secret's deletion |
//! | `swap-plugin` | all | before it, somebody replaces installed plugins: `NAME.wasm` by the `NAME.wasm.next` beside it |
//!
//! A TIME is a number with its unit: `250ms`, `2s`.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::protocol::Operation;
use crate::event::Step;

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it happens.
    pub place: Place,
    /// At which occurrence.
    pub occurrence: Occurrence,
    /// What happens.
    pub trouble: Trouble,
}

/// Where a fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A call of this operation, whoever makes it.
    Call(Operation),
    /// An invocation of this step.
    Step(Step),
    /// A request of a plugin to its service.
    Service,
}

/// At which of the occurrences of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occurrence {
    /// The n-th since the start, from 1.
    Nth(u32),
    /// Each.
    Every,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The caller is told to slow down.
    Throttle,
    /// Secrets Manager, or Lambda, fails.
    Error,
    /// Something in front of Secrets Manager answers with status 503.
    Unavailable,
    /// The request does not arrive.
    LostRequest,
    /// The answer does not arrive.
    LostAnswer,
    /// It takes longer.
    Latency(Duration),
    /// The request arrives later, when its sender has given up.
    Late(Duration),
    /// Reads do not see the last change.
    Stale(Staleness),
    /// The function dies before the effect.
    Kill,
    /// The function dies after the effect.
    KillAfter,
    /// The step runs a second time, now.
    Duplicate,
    /// Somebody else does something to the secret, now.
    Outsider(Outsider),
}

/// How long reads do not see the last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staleness {
    /// So many reads.
    Reads(u32),
    /// All reads from the first on, for so long.
    Time(Duration),
}

/// What somebody else does to a secret while it is being rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outsider {
    /// PutSecretValue of the value that is AWSCURRENT, under a version of its own.
    StoreCurrent,
    /// UpdateSecretVersionStage, of AWSCURRENT to the version that has AWSPREVIOUS. Nothing if there is none.
    MoveCurrent,
    /// UpdateSecretVersionStage, of AWSPENDING to no version.
    TakePending,
    /// CancelRotateSecret.
    Cancel,
    /// DeleteSecret, with the shortest recovery window.
    Delete,
    /// Other plugins are installed in place of those that are. What that means is up to [`super::backend::Backend::when_swapped`].
    SwapPlugin,
}

/// A text is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a fault: {why}. Write PLACE[#N]:TROUBLE[=ARGUMENT], for example `PutSecretValue:lost-answer` or `setSecret#2:kill`"
)]
pub struct FaultError {
    text: String,
    why: String,
}

impl Trouble {
    /// The troubles without an argument, by name.
    const PLAIN: [(&str, Self); 14] = [
        ("throttle", Self::Throttle),
        ("error", Self::Error),
        ("unavailable", Self::Unavailable),
        ("lost-request", Self::LostRequest),
        ("lost-answer", Self::LostAnswer),
        ("kill", Self::Kill),
        ("kill-after", Self::KillAfter),
        ("duplicate", Self::Duplicate),
        ("store-current", Self::Outsider(Outsider::StoreCurrent)),
        ("move-current", Self::Outsider(Outsider::MoveCurrent)),
        ("take-pending", Self::Outsider(Outsider::TakePending)),
        ("cancel", Self::Outsider(Outsider::Cancel)),
        ("delete", Self::Outsider(Outsider::Delete)),
        ("swap-plugin", Self::Outsider(Outsider::SwapPlugin)),
    ];

    fn parse(text: &str) -> Result<Self, String> {
        let (name, argument) = text.split_once('=').map_or((text, None), |(name, argument)| (name, Some(argument)));
        if let Some((_, trouble)) = Self::PLAIN.iter().find(|(known, _)| *known == name) {
            return if argument.is_none() { Ok(*trouble) } else { Err(format!("`{name}` takes no argument")) };
        }
        let argument = argument.unwrap_or_default();
        match name {
            "latency" => time(argument).map(Self::Latency),
            "late" => time(argument).map(Self::Late),
            "stale" => match argument.parse() {
                Ok(reads @ 1..) => Ok(Self::Stale(Staleness::Reads(reads))),
                Ok(0) => Err("`stale` wants at least one read".to_owned()),
                Err(_) => time(argument).map(|time| Self::Stale(Staleness::Time(time))),
            },
            _ => {
                let plain = Self::PLAIN.map(|(name, _)| name).join(", ");
                Err(format!("there is no trouble `{name}`; there are {plain}, latency=TIME, late=TIME, stale=N and stale=TIME"))
            }
        }
    }

    /// Whether the trouble can happen there.
    pub const fn fits(self, place: Place) -> bool {
        match (self, place) {
            (Self::Throttle | Self::Unavailable, Place::Call(_)) => true,
            (Self::Throttle | Self::Unavailable, Place::Step(_) | Place::Service) => false,
            (Self::Error, Place::Call(_) | Place::Step(_)) => true,
            (Self::Error, Place::Service) => false,
            (Self::LostRequest, Place::Call(_) | Place::Service) => true,
            (Self::LostRequest, Place::Step(_)) => false,
            (Self::Late(_), Place::Service) => true,
            (Self::Late(_), Place::Call(_) | Place::Step(_)) => false,
            (Self::Stale(_), Place::Call(operation)) => operation.reads(),
            (Self::Stale(_), Place::Step(_) | Place::Service) => false,
            (
                Self::LostAnswer | Self::Latency(_) | Self::Kill | Self::KillAfter | Self::Duplicate | Self::Outsider(_),
                Place::Call(_) | Place::Step(_) | Place::Service,
            ) => true,
        }
    }
}

/// Reads a TIME.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    match (number.parse::<u32>(), unit) {
        (Ok(number), "ms") => Ok(Duration::from_millis(number.into())),
        (Ok(number), "s") => Ok(Duration::from_secs(number.into())),
        _ => Err(format!("`{text}` is not a time such as 250ms or 2s")),
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let wrong = |why: String| FaultError { text: text.escape_debug().to_string(), why };
        let (at, trouble) = text.split_once(':').ok_or_else(|| wrong("it has no colon".to_owned()))?;
        let (name, occurrence) = match at.split_once('#') {
            None => (at, Occurrence::Nth(1)),
            Some((name, "*")) => (name, Occurrence::Every),
            Some((name, number)) => match number.parse() {
                Ok(number @ 1..) => (name, Occurrence::Nth(number)),
                Ok(0) | Err(_) => return Err(wrong(format!("`#{number}` is not `#` and a number from 1 on, or `#*`"))),
            },
        };
        let step = Step::ALL.into_iter().find(|step| step.name() == name);
        let place = match (Operation::named(name), step) {
            (Some(operation), _) => Place::Call(operation),
            (None, Some(step)) => Place::Step(step),
            (None, None) if name == "service" => Place::Service,
            (None, None) => return Err(wrong(format!("`{name}` is no operation of Secrets Manager, no step and not `service`"))),
        };
        let trouble = Trouble::parse(trouble).map_err(wrong)?;
        if !trouble.fits(place) {
            return Err(wrong(format!("`{trouble}` cannot happen at `{place}`")));
        }
        Ok(Self { place, occurrence, trouble })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, occurrence, trouble } = self;
        match occurrence {
            Occurrence::Nth(number) => write!(f, "{place}#{number}:{trouble}"),
            Occurrence::Every => write!(f, "{place}#*:{trouble}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(operation) => f.write_str(operation.name()),
            Self::Step(step) => f.write_str(step.name()),
            Self::Service => f.write_str("service"),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(time) => write!(f, "latency={}ms", time.as_millis()),
            Self::Late(time) => write!(f, "late={}ms", time.as_millis()),
            Self::Stale(Staleness::Reads(reads)) => write!(f, "stale={reads}"),
            Self::Stale(Staleness::Time(time)) => write!(f, "stale={}ms", time.as_millis()),
            Self::Throttle
            | Self::Error
            | Self::Unavailable
            | Self::LostRequest
            | Self::LostAnswer
            | Self::Kill
            | Self::KillAfter
            | Self::Duplicate
            | Self::Outsider(_) => {
                let named = Self::PLAIN.iter().find(|(_, trouble)| trouble == self);
                f.write_str(named.map_or("", |(name, _)| name))
            }
        }
    }
}

/// Faults that are waiting for their moment.
#[derive(Default)]
pub struct Faults(Mutex<Vec<Armed>>);

struct Armed {
    fault: Fault,
    /// How often its place has occurred since it was armed.
    seen: u32,
    /// When it began, if it goes on.
    began: Option<Instant>,
}

impl Faults {
    /// Waits for the moment of one more fault. Its occurrences are counted from now on.
    pub fn arm(&self, fault: Fault) {
        self.lock().push(Armed { fault, seen: 0, began: None });
    }

    /// Forgets all faults.
    pub fn disarm(&self) {
        self.lock().clear();
    }

    /// A place occurs: what goes wrong now, in the order in which the faults were armed.
    pub fn at(&self, place: Place) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        for armed in self.lock().iter_mut().filter(|armed| armed.fault.place == place) {
            armed.seen += 1;
            if armed.strikes() {
                troubles.push(armed.fault.trouble);
            }
        }
        troubles
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Armed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Armed {
    fn strikes(&mut self) -> bool {
        let Occurrence::Nth(first) = self.fault.occurrence else { return true };
        match self.fault.trouble {
            Trouble::Stale(Staleness::Reads(reads)) => self.seen >= first && self.seen - first < reads,
            Trouble::Stale(Staleness::Time(time)) => {
                self.seen >= first && self.began.get_or_insert_with(Instant::now).elapsed() < time
            }
            Trouble::Throttle
            | Trouble::Error
            | Trouble::Unavailable
            | Trouble::LostRequest
            | Trouble::LostAnswer
            | Trouble::Latency(_)
            | Trouble::Late(_)
            | Trouble::Kill
            | Trouble::KillAfter
            | Trouble::Duplicate
            | Trouble::Outsider(_) => self.seen == first,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn fault(text: &str) -> Fault {
        text.parse().unwrap()
    }

    #[rstest]
    #[case::first_is_the_default("PutSecretValue:lost-answer", "PutSecretValue#1:lost-answer")]
    #[case::step("setSecret#2:kill", "setSecret#2:kill")]
    #[case::service("service#3:late=2s", "service#3:late=2000ms")]
    #[case::reads("GetSecretValue#*:stale=3", "GetSecretValue#*:stale=3")]
    #[case::time("DescribeSecret:stale=500ms", "DescribeSecret#1:stale=500ms")]
    #[case::outsider("finishSecret:store-current", "finishSecret#1:store-current")]
    fn a_fault_is_read_and_written(#[case] text: &str, #[case] written: &str) {
        assert_eq!(fault(text).to_string(), written);
        assert_eq!(fault(written), fault(text));
    }

    #[rstest]
    #[case::no_trouble("PutSecretValue", "it has no colon")]
    #[case::no_place("putSecret:kill", "`putSecret` is no operation")]
    #[case::zeroth("PutSecretValue#0:kill", "`#0` is not")]
    #[case::unknown_trouble("PutSecretValue:explode", "there is no trouble `explode`; there are throttle, ")]
    #[case::argument_too_many("PutSecretValue:kill=1", "`kill` takes no argument")]
    #[case::argument_missing("PutSecretValue:latency", "`` is not a time")]
    #[case::no_unit("PutSecretValue:latency=3", "`3` is not a time such as 250ms or 2s")]
    #[case::never_stale("GetSecretValue:stale=0", "at least one read")]
    #[case::stale_write("PutSecretValue:stale=1", "cannot happen at `PutSecretValue`")]
    #[case::throttled_service("service:throttle", "cannot happen at `service`")]
    #[case::late_call("PutSecretValue:late=1s", "cannot happen at `PutSecretValue`")]
    fn what_is_no_fault_is_refused(#[case] text: &str, #[case] why: &str) {
        let error = text.parse::<Fault>().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    const READ: Place = Place::Call(Operation::GetSecretValue);

    fn strikes(fault: &str, occurrences: u32) -> Vec<u32> {
        let faults = Faults::default();
        faults.arm(fault.parse().unwrap());
        (1..=occurrences).filter(|_| !faults.at(READ).is_empty()).collect()
    }

    #[rstest]
    #[case::first("GetSecretValue:error", &[1])]
    #[case::third("GetSecretValue#3:error", &[3])]
    #[case::each("GetSecretValue#*:error", &[1, 2, 3, 4])]
    #[case::two_stale_reads("GetSecretValue#2:stale=2", &[2, 3])]
    #[case::elsewhere("DescribeSecret:error", &[])]
    fn a_fault_strikes_at_its_occurrences(#[case] fault: &str, #[case] expected: &[u32]) {
        assert_eq!(strikes(fault, 4), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stale_time_begins_with_the_first_stale_read() {
        let faults = Faults::default();
        faults.arm(fault("GetSecretValue#2:stale=500ms"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(faults.at(READ).is_empty());
        assert_eq!(faults.at(READ).len(), 1);
        tokio::time::advance(Duration::from_millis(499)).await;
        assert_eq!(faults.at(READ).len(), 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(faults.at(READ).is_empty());
    }

    #[test]
    fn disarmed_faults_do_not_strike() {
        let faults = Faults::default();
        faults.arm(fault("GetSecretValue#*:error"));
        faults.disarm();
        assert!(faults.at(READ).is_empty());
    }
}
