//! How often a service has refused a login in a step, and where that ends. Services lock accounts that are tried too often.
//!
//! Of one call the largest of three numbers counts, because they are about the same logins: what the plugin reports, the answers with
//! status 401, and one if the call ended with `unauthorized` or `not-yet-effective`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The refused logins of a step. Clones count together.
#[derive(Debug, Clone)]
pub struct RefusedLogins(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    most: u32,
    /// In the calls before this one.
    before: AtomicU32,
    /// As the plugin reports.
    reported: AtomicU32,
    /// As the host sees in HTTP.
    answered: AtomicU32,
}

impl RefusedLogins {
    /// None so far, and at most so many.
    pub fn at_most(most: u32) -> Self {
        let none = AtomicU32::default;
        Self(Arc::new(Counts { most, before: none(), reported: none(), answered: none() }))
    }

    /// How many there may be.
    pub fn most(&self) -> u32 {
        self.0.most
    }

    /// How many there were.
    pub fn count(&self) -> u32 {
        let Counts { before, reported, answered, .. } = &*self.0;
        let this_call = reported.load(Ordering::Relaxed).max(answered.load(Ordering::Relaxed));
        before.load(Ordering::Relaxed).saturating_add(this_call)
    }

    /// Whether there must not be another.
    pub fn used_up(&self) -> bool {
        self.count() >= self.most()
    }

    /// The plugin says that the service refused a login.
    pub(crate) fn report(&self) {
        self.0.reported.fetch_add(1, Ordering::Relaxed);
    }

    /// The service answered with status 401.
    pub(crate) fn answer(&self) {
        self.0.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// A call is over; whether its end says that a login was refused.
    pub(crate) fn end_call(&self, refused: bool) {
        let Counts { before, reported, answered, .. } = &*self.0;
        let counted = reported.swap(0, Ordering::Relaxed).max(answered.swap(0, Ordering::Relaxed));
        before.fetch_add(counted.max(u32::from(refused)), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_login_is_counted_once_however_it_is_seen() {
        let refused = RefusedLogins::at_most(3);
        refused.report();
        refused.answer();
        assert_eq!(refused.count(), 1);
        refused.end_call(true);
        assert_eq!(refused.count(), 1);
        refused.end_call(true);
        assert_eq!((refused.count(), refused.used_up()), (2, false));
        refused.answer();
        assert_eq!((refused.count(), refused.used_up()), (3, true));
        refused.end_call(false);
        assert_eq!((refused.count(), refused.most()), (3, 3));
    }
}
