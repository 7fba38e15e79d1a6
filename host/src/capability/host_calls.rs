//! What a plugin asks of the network during a call, seen from beside: to show it, to count it, and to cut a call off in its middle.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Sees the host functions that plugins call through one [`super::network::Network`].
#[derive(Debug, Default)]
pub struct HostCalls {
    seen: Mutex<Vec<HostCall>>,
    /// After how many calls of host functions nothing goes on.
    cut_after: Option<usize>,
    /// Which answer of a service does not reach the plugin, counted from one.
    lost_answer: Option<usize>,
    /// Which answer of a service is kept from the plugin until it may go on, counted from one.
    held_answer: Option<usize>,
    cut: Notify,
    held: Notify,
    go_on: Notify,
    memory: Mutex<usize>,
}

/// One call of a host function that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCall {
    /// The function, such as `connection.read`.
    pub function: &'static str,
    /// What it was called with, without values of the secret.
    pub with: String,
    /// What came of it, without values of the secret.
    pub outcome: String,
    /// Whether the host refused it: an endpoint that is not granted, a limit.
    pub denied: bool,
    /// How long it took.
    pub took: Duration,
}

impl HostCall {
    /// Whether it brought the plugin something that the service said.
    pub fn is_answer(&self) -> bool {
        matches!(self.function, "connection.read" | "http.send")
    }
}

impl fmt::Display for HostCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<20} {} -> {} ({:.1} ms)", self.function, self.with, self.outcome, self.took.as_secs_f64() * 1e3)
    }
}

impl HostCalls {
    /// Sees calls and lets this many of them come to their end. What the last one did is done; the plugin never hears of it.
    pub fn cut_after(calls: usize) -> Self {
        Self { cut_after: Some(calls), ..Self::default() }
    }

    /// Sees calls and loses this answer of a service, counted from one: the service has done what it was asked, and to the plugin the
    /// connection breaks.
    pub fn losing_answer(answer: usize) -> Self {
        Self { lost_answer: Some(answer), ..Self::default() }
    }

    /// Sees calls and keeps this answer of a service, counted from one, from the plugin until [`HostCalls::go_on`]: what it does next, it does with
    /// what it knew before.
    pub fn holding_answer(answer: usize) -> Self {
        Self { held_answer: Some(answer), ..Self::default() }
    }

    /// Ends when the plugin waits for the answer that is kept from it.
    pub async fn held(&self) {
        self.held.notified().await;
    }

    /// Gives the plugin the answer that is kept from it.
    pub fn go_on(&self) {
        self.go_on.notify_one();
    }

    /// Ends when the plugin has made the last call that it may. Whoever drops the plugin's call then has killed it at that point.
    pub async fn cut(&self) {
        self.cut.notified().await;
    }

    /// What was seen since this was asked last.
    pub fn take(&self) -> Vec<HostCall> {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The most memory that the guest of the last call that came to its end had, in bytes.
    pub fn memory(&self) -> usize {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn used_memory(&self, bytes: usize) {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
    }

    /// A call that began at `begun` has ended. Does not return if it is the last one. Whether the plugin must not hear what came of it.
    pub(crate) async fn ended(&self, begun: Instant, function: &'static str, with: String, outcome: String, denied: bool) -> bool {
        let (count, lost, held) = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let call = HostCall { function, with, outcome, denied, took: begun.elapsed() };
            let is_answer = call.is_answer();
            seen.push(call);
            let answers = seen.iter().filter(|call| call.is_answer()).count();
            let this = |answer: Option<usize>| is_answer && answer == Some(answers);
            (seen.len(), this(self.lost_answer), this(self.held_answer))
        };
        if held {
            self.held.notify_one();
            self.go_on.notified().await;
        }
        if self.cut_after == Some(count) {
            self.cut.notify_one();
            std::future::pending::<()>().await;
        }
        lost
    }
}
