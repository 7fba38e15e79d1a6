//! What a rotation makes new in one secret: its generated part, by a password policy, and with alternating users the user.

use crate::alternating_users::AlternatingUsers;
use crate::candidate::{self, CandidateError, Generated};
use crate::manifest::Manifest;
use crate::password::PasswordPolicy;
use crate::secret::{MAX_SECRET_BYTES, SecretValue};

/// How the pending value of a secret comes from the current one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// What is generated.
    pub generated: Generated,
    /// How generated values look.
    pub policy: PasswordPolicy,
    /// The users that take turns, if the operator wants two.
    pub alternating: Option<AlternatingUsers>,
}

impl Renewal {
    /// The value that createSecret stores.
    ///
    /// # Errors
    ///
    /// As [`Generated::renew`] and [`AlternatingUsers::handed_over`].
    pub fn candidate(&self, current: &SecretValue) -> Result<SecretValue, CandidateError> {
        let renewed = self.generated.renew(current, &self.policy)?;
        let candidate = match &self.alternating {
            Some(users) => users.handed_over(&renewed)?,
            None => renewed,
        };
        let bytes = candidate.expose_bytes().len();
        if bytes > MAX_SECRET_BYTES { Err(CandidateError::TooLarge { bytes }) } else { Ok(candidate) }
    }

    /// Whether `pending` is for another user than `current`.
    pub fn hands_over(&self, current: &SecretValue, pending: &SecretValue) -> bool {
        self.alternating.is_some() && current != pending
    }

    /// A copy of `pending`, for the same user, that the service must refuse.
    ///
    /// # Errors
    ///
    /// As [`Generated::corrupt`].
    pub fn corrupt(&self, pending: &SecretValue) -> Result<SecretValue, CandidateError> {
        self.generated.corrupt(pending, &self.policy)
    }

    /// Checks that `pending` is `current` but for what is generated, and for the user whose turn it is. A pending value that equals
    /// the current one passes: with `RotateImmediately` false it is tested alone.
    ///
    /// # Errors
    ///
    /// As [`Generated::check`]; [`CandidateError::BegunForOneUser`] if only the users' taking turns is in the way.
    pub fn check(&self, manifest: &Manifest, current: &SecretValue, pending: &SecretValue) -> Result<(), CandidateError> {
        match &self.alternating {
            Some(users) if current != pending => {
                let checked = self.generated.check(manifest, &users.handed_over(current)?, pending);
                // For the same user: the operator has changed the rule since.
                let begun_for_one = checked.is_err() && self.generated.check(manifest, current, pending).is_ok();
                if begun_for_one { Err(CandidateError::BegunForOneUser) } else { checked }
            }
            Some(_) | None => self.generated.check(manifest, current, pending),
        }
    }

    /// Whether another version of the secret is for the same user and host, or for the other of two users that take turns.
    pub fn same_identity(&self, manifest: &Manifest, current: &SecretValue, other: &SecretValue) -> bool {
        let mut identity = manifest.identity_fields(self.generated.fields());
        let turns = self.alternating.as_ref().is_none_or(|users| {
            identity.remove(users.field());
            users.both_name(&manifest.secret, current, other)
        });
        turns && candidate::same_identity(&manifest.secret, identity, current, other)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::password::PasswordOptions;

    const MANIFEST: &str = r#"
        name = "a"
        version = "1"
        [secret]
        required = ["username", "password", "host"]
        generated = ["password"]
        alternating = "username"
        [endpoints.e]
        address = "{host}:1"
    "#;

    fn renewal(alternating: bool) -> (Manifest, Renewal) {
        let manifest = Manifest::parse(MANIFEST).unwrap();
        let generated = Generated::Fields(vec!["password".to_owned()]);
        let alternating = alternating.then(|| AlternatingUsers::of(&manifest, &generated).unwrap());
        (manifest, Renewal { generated, policy: PasswordPolicy::new(&PasswordOptions::default()).unwrap(), alternating })
    }

    fn value(user: &str, password: &str, host: &str) -> SecretValue {
        SecretValue::text(serde_json::json!({"username": user, "password": password, "host": host}).to_string())
    }

    #[rstest]
    #[case::one_user(false, "app")]
    #[case::two_users(true, "app_clone")]
    fn what_is_created_is_what_is_expected(#[case] alternating: bool, #[case] user: &str) {
        let (manifest, renewal) = renewal(alternating);
        let current = value("app", "now", "db");
        let pending = renewal.candidate(&current).unwrap();
        assert_eq!(candidate::field(&manifest.secret, &pending, "username").unwrap().expose(), user);
        assert_eq!(renewal.check(&manifest, &current, &pending), Ok(()));
        // The control is for the user that is tested.
        let corrupted = renewal.corrupt(&pending).unwrap();
        assert_eq!(candidate::field(&manifest.secret, &corrupted, "username").unwrap().expose(), user);
        assert_ne!(corrupted, pending);
    }

    #[rstest]
    #[case::their_turn(value("app_clone", "new", "db"), true)]
    #[case::copy_to_be_tested_alone(value("app", "now", "db"), true)]
    #[case::not_their_turn(value("app", "new", "db"), false)]
    #[case::somebody_else(value("root", "new", "db"), false)]
    #[case::elsewhere(value("app_clone", "new", "evil"), false)]
    fn only_the_other_user_is_taken_from_a_pending_value(#[case] pending: SecretValue, #[case] taken: bool) {
        let (manifest, renewal) = renewal(true);
        assert_eq!(renewal.check(&manifest, &value("app", "now", "db"), &pending).is_ok(), taken);
    }

    #[test]
    fn a_rotation_that_was_begun_for_one_user_is_not_taken_for_a_forgery() {
        let (manifest, renewal) = renewal(true);
        let checked = renewal.check(&manifest, &value("app", "now", "db"), &value("app", "new", "db"));
        assert_eq!(checked, Err(CandidateError::BegunForOneUser));
        let elsewhere = renewal.check(&manifest, &value("app", "now", "db"), &value("app", "new", "evil"));
        assert!(matches!(elsewhere, Err(CandidateError::Differs { .. })));
    }

    #[rstest]
    #[case::same("app", "db", true, true)]
    #[case::other("app_clone", "db", false, true)]
    #[case::somebody_else("root", "db", false, false)]
    #[case::elsewhere("app_clone", "evil", false, false)]
    fn the_previous_version_may_be_for_either_of_two_users(
        #[case] user: &str,
        #[case] host: &str,
        #[case] alone: bool,
        #[case] in_turn: bool,
    ) {
        for (alternating, expected) in [(false, alone), (true, in_turn)] {
            let (manifest, renewal) = renewal(alternating);
            let same = renewal.same_identity(&manifest, &value("app", "now", "db"), &value(user, "before", host));
            assert_eq!(same, expected, "{alternating}");
        }
    }
}
