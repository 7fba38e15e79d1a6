//! What a process remembers of the plugins it has used: which component a rotation has begun with, and which one has proven itself for
//! a secret.
//!
//! Nothing depends on it for safety: a step is right without any memory, in whatever process it runs. It decides what a swap of a
//! plugin does to a rotation that is under way. Another process, which has not seen its beginning, knows no more than when the object
//! in S3 was changed.

use std::sync::{Mutex, PoisonError};

use crate::event::{SecretArn, VersionId};
use crate::plugin::digest::Digest;

/// How many secrets are remembered. A function that rotates more of them forgets those that it has not rotated for longest.
const MAX_SECRETS: usize = 4_096;

/// What this process remembers.
#[derive(Debug, Default)]
pub struct Served {
    /// The one used last stands last.
    secrets: Mutex<Vec<Remembered>>,
}

/// What is remembered of one secret.
#[derive(Debug, Clone)]
struct Remembered {
    secret: SecretArn,
    rotation: Option<Rotation>,
    proven: Option<Digest>,
}

/// A rotation that has begun here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The version that it makes.
    pub version: VersionId,
    /// The component that serves it.
    pub digest: Digest,
    /// The component that was chosen for it and failed as a canary.
    pub failed_canary: Option<Digest>,
}

impl Served {
    /// The rotation of this version, if this process has seen its beginning.
    pub fn rotation(&self, secret: &SecretArn, version: &VersionId) -> Option<Rotation> {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = secrets.iter().find(|remembered| remembered.secret == *secret)?;
        remembered.rotation.clone().filter(|rotation| rotation.version == *version)
    }

    /// The component that has proven itself for this secret last.
    pub fn proven(&self, secret: &SecretArn) -> Option<Digest> {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.iter().find(|remembered| remembered.secret == *secret)?.proven
    }

    /// This rotation is served by that component from now on.
    pub fn begin(&self, secret: &SecretArn, rotation: Rotation) {
        self.change(secret, |remembered| remembered.rotation = Some(rotation));
    }

    /// This component has told a credential that works from others.
    pub fn prove(&self, secret: &SecretArn, digest: Digest) {
        self.change(secret, |remembered| remembered.proven = Some(digest));
    }

    /// The rotation that is under way has come to its end.
    pub fn end(&self, secret: &SecretArn) {
        self.change(secret, |remembered| remembered.rotation = None);
    }

    fn change(&self, secret: &SecretArn, change: impl FnOnce(&mut Remembered)) {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let place = secrets.iter().position(|remembered| remembered.secret == *secret);
        let mut remembered = match place {
            Some(place) => secrets.remove(place),
            None => Remembered { secret: secret.clone(), rotation: None, proven: None },
        };
        change(&mut remembered);
        secrets.push(remembered);
        if secrets.len() > MAX_SECRETS {
            secrets.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arn(name: &str) -> SecretArn {
        SecretArn::parse(&format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-a1B2c3")).unwrap()
    }

    fn rotation(version: u8, digest: u8) -> Rotation {
        let version = VersionId::parse(&format!("00000000-0000-0000-0000-0000000000{version:02}")).unwrap();
        Rotation { version, digest: Digest::of(&[digest]), failed_canary: None }
    }

    #[test]
    fn a_rotation_is_that_of_its_secret_and_its_version() {
        let served = Served::default();
        let (one, two) = (rotation(1, 1), rotation(2, 2));
        served.begin(&arn("a"), one.clone());
        assert_eq!(served.rotation(&arn("a"), &one.version), Some(one.clone()));
        assert_eq!(served.rotation(&arn("b"), &one.version), None);
        served.begin(&arn("a"), two.clone());
        assert_eq!(served.rotation(&arn("a"), &one.version), None);
        served.end(&arn("a"));
        assert_eq!(served.rotation(&arn("a"), &two.version), None);
    }

    #[test]
    fn what_is_proven_outlives_the_rotation() {
        let served = Served::default();
        served.begin(&arn("a"), rotation(1, 1));
        served.prove(&arn("a"), Digest::of(&[1]));
        served.end(&arn("a"));
        assert_eq!(served.proven(&arn("a")), Some(Digest::of(&[1])));
        assert_eq!(served.proven(&arn("b")), None);
    }

    #[test]
    fn the_secret_that_was_not_rotated_for_longest_is_forgotten() {
        let served = Served::default();
        for number in 0..MAX_SECRETS {
            served.prove(&arn(&number.to_string()), Digest::of(b""));
        }
        served.end(&arn("0"));
        served.prove(&arn("one-more"), Digest::of(b""));
        assert!(served.proven(&arn("0")).is_some() && served.proven(&arn("1")).is_none());
    }
}
