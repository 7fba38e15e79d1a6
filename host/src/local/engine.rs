//! Carries rotations out: four separate invocations, in order, stopping at the first failure; then, after a pause, all of them
//! again with the same version, as long as attempts are left.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda.html>; how often and how soon AWS
//! repeats is not documented.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::backend::{Backend, Begun};
use super::error::ServiceError;
use super::fault::{Place, Trouble};
use super::invoker::{self, Invocation, InvocationError, Invoker, Invokers};
use super::store::{Rotation, RotationKind, Stopped};
use crate::event::Step;

/// How often, how soon, how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// How often a rotation is attempted before it is left for RotateSecret to take it up again. At least 1.
    pub attempts: u32,
    /// The pause after the first failed attempt; each further one is twice as long.
    pub pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// The function's timeout for one step.
    pub timeout: Duration,
}

impl Default for Pace {
    /// Five attempts, pauses of 1 s to 30 s, a minute for each step.
    fn default() -> Self {
        Self {
            attempts: 5,
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(30),
            timeout: Duration::from_secs(60),
        }
    }
}

impl Pace {
    /// The default pace, with time enough in each step for calls as long as this. testSecret makes two: one with the new
    /// value, one with a corrupted copy.
    pub fn for_calls(longest: Duration) -> Self {
        let default = Self::default();
        Self { timeout: default.timeout.max(longest * 2 + Duration::from_secs(10)), ..default }
    }
}

/// Something that happened to a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// When.
    pub at: SystemTime,
    /// The secret's full ARN.
    pub arn: String,
    /// The version that is being made.
    pub version: String,
    /// All four steps, or testSecret alone.
    pub kind: RotationKind,
    /// What.
    pub happened: Happened,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// An attempt began.
    Started {
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// A step succeeded.
    StepSucceeded {
        /// Which step.
        step: Step,
        /// How long the invocation took.
        took: Duration,
    },
    /// A step failed, and with it the attempt.
    StepFailed {
        /// Which step.
        step: Step,
        /// How long the invocation took.
        took: Duration,
        /// The function's error.
        error: InvocationError,
    },
    /// All steps succeeded, and the labels are where they belong.
    Succeeded,
    /// The attempt failed.
    Failed {
        /// Why, in one line.
        why: String,
        /// The pause before the next attempt; none, if this was the last.
        next: Option<Duration>,
    },
    /// Somebody else ended the rotation.
    Abandoned {
        /// How.
        why: Stopped,
    },
}

impl Happened {
    /// Whether nothing more happens to the rotation, unless somebody takes it up again.
    pub const fn is_last(&self) -> bool {
        match self {
            Self::Succeeded | Self::Failed { next: None, .. } | Self::Abandoned { .. } => true,
            Self::Started { .. } | Self::StepSucceeded { .. } | Self::StepFailed { .. } | Self::Failed { next: Some(_), .. } => {
                false
            }
        }
    }
}

/// Works on rotations until it is dropped.
pub struct Engine {
    task: AbortHandle,
}

impl Engine {
    /// Starts to work on the rotations that `backend` begins. Everything that happens is sent to `reports`.
    pub fn start(
        backend: Arc<Backend>,
        begun: Begun,
        invokers: impl Into<Invokers>,
        pace: Pace,
        reports: mpsc::UnboundedSender<Report>,
    ) -> Self {
        let Begun(mut begun) = begun;
        let worker = Arc::new(Worker { backend, invokers: invokers.into(), pace, reports });
        let task = tokio::spawn(async move {
            let mut rotations = JoinSet::new();
            loop {
                tokio::select! {
                    rotation = begun.recv() => match rotation {
                        Some(rotation) => {
                            let worker = Arc::clone(&worker);
                            rotations.spawn(async move { worker.rotate(&rotation).await });
                        }
                        None => break,
                    },
                    Some(_ended) = rotations.join_next() => {}
                }
            }
        });
        Self { task: task.abort_handle() }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Worker {
    backend: Arc<Backend>,
    invokers: Invokers,
    pace: Pace,
    reports: mpsc::UnboundedSender<Report>,
}

/// How an attempt did not succeed.
enum Ended {
    Failed(String),
    Stopped(Stopped),
}

impl Worker {
    async fn rotate(&self, rotation: &Rotation) {
        let mut pause = self.pace.pause.min(self.pace.longest_pause);
        let mut attempt = 1;
        loop {
            self.report(rotation, Happened::Started { attempt });
            let ended = match self.attempt(rotation).await {
                Ok(()) => return self.report(rotation, Happened::Succeeded),
                Err(ended) => ended,
            };
            let why = match ended {
                Ended::Failed(why) => why,
                Ended::Stopped(why) => {
                    // Nothing is left to do for it, so whether RotateSecret asked again is not.
                    let _nothing_left = self.backend.apply(|store, _| Ok(store.fail(rotation, false)));
                    return self.report(rotation, Happened::Abandoned { why });
                }
            };
            let left = attempt < self.pace.attempts;
            let again = self.backend.apply(|store, _| Ok(store.fail(rotation, left))).unwrap_or(false);
            if !again {
                return self.report(rotation, Happened::Failed { why, next: None });
            }
            self.report(rotation, Happened::Failed { why, next: Some(pause) });
            self.pause(rotation, pause).await;
            pause = (pause * 2).min(self.pace.longest_pause);
            attempt += 1;
        }
    }

    async fn attempt(&self, rotation: &Rotation) -> Result<(), Ended> {
        let steps: &[Step] = match rotation.kind {
            RotationKind::Rotation => &Step::ALL,
            RotationKind::Test => &[Step::Test],
        };
        for step in steps.iter().copied() {
            self.check(|store, _| store.may_continue(rotation))?;
            let began = Instant::now();
            // Exposed because the function needs the token to write the pending version.
            let event = json!({
                "Step": step.name(),
                "SecretId": rotation.arn,
                "ClientRequestToken": rotation.version,
                "RotationToken": rotation.expose_token(),
            });
            let answer = self.invoke(rotation, step, &Zeroizing::new(event.to_string())).await;
            let took = began.elapsed();
            match answer {
                Ok(_ignored) => self.report(rotation, Happened::StepSucceeded { step, took }),
                Err(error) => {
                    let why = format!("{step} failed: {error}");
                    self.report(rotation, Happened::StepFailed { step, took, error });
                    return Err(Ended::Failed(why));
                }
            }
        }
        match self.check(|store, now| store.succeed(rotation, now)) {
            Err(Ended::Stopped(why @ Stopped::NotMoved { .. })) => Err(Ended::Failed(why.to_string())),
            other => other,
        }
    }

    /// Invokes a step, with the faults that were armed for it.
    async fn invoke(&self, rotation: &Rotation, step: Step, event: &str) -> Invocation {
        let invoker = self.invoker(&rotation.function)?;
        let (mut lost, mut killed, mut twice) = (false, false, false);
        for trouble in self.backend.faults().at(Place::Step(step)) {
            match trouble {
                Trouble::Latency(time) => tokio::time::sleep(time).await,
                Trouble::Kill => {
                    invoker.kill();
                    return Err(invoker::killed());
                }
                Trouble::KillAfter => killed = true,
                Trouble::LostAnswer => lost = true,
                Trouble::Duplicate => twice = true,
                Trouble::Outsider(outsider) => self.backend.outsider(outsider, Some(&rotation.arn)),
                Trouble::Error
                | Trouble::Throttle
                | Trouble::Unavailable
                | Trouble::LostRequest
                | Trouble::Late(_)
                | Trouble::Stale(_) => {
                    return Err(InvocationError::new("ServiceException", "Lambda failed before it invoked the function"));
                }
            }
        }
        let deadline = Instant::now() + self.pace.timeout;
        let once = || invoker.invoke(event.as_bytes(), deadline, self.backend.interferences());
        let answer = if twice { tokio::join!(once(), once()).0 } else { once().await };
        if killed {
            invoker.kill();
            return Err(invoker::killed());
        }
        if lost { Err(InvocationError::new("ServiceException", "Lambda lost the function's answer")) } else { answer }
    }

    /// What runs the function with this ARN.
    fn invoker(&self, function: &str) -> Result<&Invoker, InvocationError> {
        let usual = || (function == self.backend.function().as_str()).then_some(&self.invokers.usual);
        self.invokers.others.get(function).or_else(usual).ok_or_else(|| {
            let why = format!("{function} cannot be invoked here: it is neither --function-arn nor an --other-function");
            InvocationError::new("AccessDeniedException", why)
        })
    }

    fn check(&self, step: impl FnOnce(&mut super::store::Store, SystemTime) -> Result<(), Stopped>) -> Result<(), Ended> {
        match self.backend.apply(|store, now| Ok::<_, ServiceError>(step(store, now))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(Ended::Stopped(why)),
            Err(error) => Err(Ended::Failed(error.to_string())),
        }
    }

    /// Waits for the next attempt, or until RotateSecret asks for it.
    async fn pause(&self, rotation: &Rotation, pause: Duration) {
        let until = Instant::now() + pause;
        loop {
            // Registered before it is asked, so that a request in between is not missed.
            let mut woken = std::pin::pin!(self.backend.again.notified());
            woken.as_mut().enable();
            if self.backend.apply(|store, _| Ok(store.take_again(rotation))).unwrap_or(false) {
                return;
            }
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep_until(until) => return,
            }
        }
    }

    fn report(&self, rotation: &Rotation, happened: Happened) {
        let (arn, version) = (rotation.arn.clone(), rotation.version.clone());
        // Nobody has to listen.
        let _unheard = self.reports.send(Report { at: SystemTime::now(), arn, version, kind: rotation.kind, happened });
    }
}

#[cfg(test)]
mod tests;
