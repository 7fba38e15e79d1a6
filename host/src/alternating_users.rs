//! Two users that take turns: each rotation gives a new password to the one that AWSCURRENT does not name, so that the old credential
//! stays valid until the next rotation.
//!
//! The strategy and the names are those of AWS's multi-user templates, whose secrets therefore can be taken over as they are:
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotation-strategy.html#rotating-secrets-two-users>, and `get_alt_username` of
//! <https://github.com/aws-samples/aws-secrets-manager-rotation-lambdas/blob/master/SecretsManagerRDSPostgreSQLRotationMultiUser/lambda_function.py>.

use crate::candidate::{CandidateError, Generated, field};
use crate::fields::Fields;
use crate::manifest::{Manifest, SecretShape};
use crate::secret::{SecretText, SecretValue};

/// What the name of the second user ends with.
pub const CLONE: &str = "_clone";

/// The field that names one of two users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlternatingUsers {
    field: String,
}

impl AlternatingUsers {
    /// The users of a plugin that can do it, as its manifest says in `secret.alternating`.
    ///
    /// # Errors
    ///
    /// [`CandidateError::NoAlternatingUsers`] if it cannot, [`CandidateError::GeneratesIdentity`] if the user is to be generated, too.
    pub fn of(manifest: &Manifest, generated: &Generated) -> Result<Self, CandidateError> {
        let field = manifest.secret.alternating.clone();
        let field = field.ok_or_else(|| CandidateError::NoAlternatingUsers { plugin: manifest.name.to_string() })?;
        if generated.fields().contains(&field) { Err(CandidateError::GeneratesIdentity { field }) } else { Ok(Self { field }) }
    }

    /// `value` for the other user, and everything else byte for byte as it was.
    ///
    /// # Errors
    ///
    /// [`CandidateError::NoFields`] if the value is no JSON object, [`CandidateError::Field`] if the field is missing or no string,
    /// [`CandidateError::NoOtherUser`] if its name is the suffix alone.
    pub fn handed_over(&self, value: &SecretValue) -> Result<SecretValue, CandidateError> {
        let no_fields = || CandidateError::NoFields { fields: format!("`{}`", self.field) };
        // The text of the value is the template of the other one.
        let text = value.as_text().map(SecretText::expose).ok_or_else(no_fields)?;
        let fields = Fields::of(text).ok_or_else(no_fields)?;
        // A field that is not there is what `with` complains about.
        let user = fields.get(&self.field).unwrap_or_else(|| SecretText::new(CLONE.repeat(2)));
        let other = other(&user).ok_or_else(|| CandidateError::NoOtherUser { field: self.field.clone() })?;
        Ok(SecretValue::Text(fields.with(&[(&self.field, other)])?))
    }

    /// Whether a value names one of the two users of which `value` names one.
    pub fn both_name(&self, shape: &SecretShape, value: &SecretValue, with: &SecretValue) -> bool {
        let user = |value| field(shape, value, &self.field);
        let one = user(value);
        user(with) == one || one.is_some_and(|one| user(with) == other(&one))
    }

    /// The name of the field.
    pub fn field(&self) -> &str {
        &self.field
    }
}

/// The name of the user whose turn is next; none if there is nothing but the suffix.
fn other(user: &SecretText) -> Option<SecretText> {
    // The name becomes another name.
    let user = user.expose();
    let other = user.strip_suffix(CLONE).map_or_else(|| format!("{user}{CLONE}"), str::to_owned);
    (!other.is_empty()).then(|| SecretText::new(other))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn users() -> AlternatingUsers {
        AlternatingUsers { field: "username".to_owned() }
    }

    #[rstest]
    #[case::first("app", "app_clone")]
    #[case::second("app_clone", "app")]
    #[case::suffix_inside("app_clone_2", "app_clone_2_clone")]
    #[case::quoted("a\"b", "a\"b_clone")]
    fn users_take_turns(#[case] user: &str, #[case] next: &str) {
        let value = |user: &str| SecretValue::text(format!(r#"{{"port": 5432,"username": {user:?}, "password":"x", "n":1e400}}"#));
        assert_eq!(users().handed_over(&value(user)).unwrap(), value(next));
        assert_eq!(users().handed_over(&value(next)).unwrap(), value(user));
        let shape = SecretShape::default();
        for (one, two) in [(user, user), (user, next), (next, user)] {
            assert!(users().both_name(&shape, &value(one), &value(two)), "{one} {two}");
        }
        assert!(!users().both_name(&shape, &value(user), &value("root")));
    }

    #[rstest]
    #[case::nothing_left(r#"{"username":"_clone"}"#, "nothing is left")]
    #[case::missing(r#"{"user":"app"}"#, "no field `username`")]
    #[case::no_text(r#"{"username":5}"#, "not a JSON string")]
    #[case::no_object("app", "not a JSON object")]
    fn a_value_without_a_user_is_for_nobody_else(#[case] value: &str, #[case] why: &str) {
        let error = users().handed_over(&SecretValue::text(value)).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn a_plugin_says_whether_it_can() {
        let manifest = |alternating: &str| {
            let shape = "[secret]\nrequired = [\"username\"]\ngenerated = [\"password\"]\n";
            Manifest::parse(&format!("name = \"a\"\nversion = \"1\"\n{shape}{alternating}")).unwrap()
        };
        let generated = |name: &str| Generated::Fields(vec![name.to_owned()]);
        let can = manifest("alternating = \"username\"");
        assert_eq!(AlternatingUsers::of(&can, &generated("password")), Ok(users()));
        assert_eq!(
            AlternatingUsers::of(&can, &generated("username")),
            Err(CandidateError::GeneratesIdentity { field: "username".to_owned() })
        );
        let cannot = AlternatingUsers::of(&manifest(""), &generated("password"));
        assert_eq!(cannot, Err(CandidateError::NoAlternatingUsers { plugin: "a".to_owned() }));
    }
}
