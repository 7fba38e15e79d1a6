//! What a secret's tags say to Windlass: every tag whose key begins with `windlass:`.
//!
//! A tag is less trusted than the operator's configuration: it chooses among installed plugins and says what generated values look
//! like, and can neither bind an admin credential nor widen where a plugin may connect.

use std::collections::BTreeMap;

use crate::error::StepError;
use crate::password::PasswordOptions;
use crate::plugin::reference::{Reference, ReferenceError};

const PREFIX: &str = "windlass:";

/// The tags of a secret that are meant for Windlass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags {
    /// `windlass:plugin`: the plugin that serves the secret ([`crate::plugin::reference`] has the forms).
    pub plugin: Option<Reference>,
    /// `windlass:generated`: names of the fields to generate, separated by spaces; `*` for the whole value.
    pub generated: Option<Vec<String>>,
    /// `windlass:password_length`, `windlass:exclude_characters` and the other password options, spelt as in the configuration.
    pub password: PasswordOptions,
}

impl Tags {
    /// Reads the tags of a secret. Tags of others are ignored.
    ///
    /// # Errors
    ///
    /// [`StepError::Tag`] for an unknown `windlass:` tag or a value that does not fit: a misspelt restriction must not be a missing one.
    pub fn read(tags: &BTreeMap<String, String>) -> Result<Self, StepError> {
        let mut read = Self::default();
        for (key, value) in tags {
            let Some(name) = key.strip_prefix(PREFIX) else { continue };
            let wrong = |why: String| StepError::Tag { tag: key.clone(), why };
            match name {
                "plugin" => read.plugin = Some(value.parse().map_err(|error: ReferenceError| wrong(error.to_string()))?),
                "generated" => {
                    let names: Vec<String> = value.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect();
                    if names.is_empty() {
                        return Err(wrong("it names no field".to_owned()));
                    }
                    read.generated = Some(names);
                }
                option => match read.password.set(option, value) {
                    Ok(true) => {}
                    Ok(false) => {
                        return Err(wrong(
                            "there is no such tag. Known: windlass:plugin, windlass:generated, windlass:password_length, \
                             windlass:exclude_characters and the other password options"
                                .to_owned(),
                        ));
                    }
                    Err(error) => return Err(wrong(error.to_string())),
                },
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(tags: &[(&str, &str)]) -> Result<Tags, StepError> {
        Tags::read(&tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn reads_its_own_tags_and_ignores_others() {
        let tags = read(&[
            ("team", "payments"),
            ("windlass:plugin", "redis"),
            ("windlass:generated", "password api_key"),
            ("windlass:password_length", "24"),
        ])
        .unwrap();
        assert_eq!(tags.plugin.unwrap().to_string(), "redis");
        assert_eq!(tags.generated.unwrap(), ["password", "api_key"]);
        assert_eq!(tags.password.length, Some(24));
    }

    #[rstest]
    #[case::path("windlass:plugin", "../redis")]
    #[case::misspelt("windlass:plugins", "redis")]
    #[case::no_number("windlass:password_length", "long")]
    #[case::empty("windlass:generated", " ")]
    fn refuses_a_tag_that_is_wrong(#[case] key: &str, #[case] value: &str) {
        assert!(matches!(read(&[(key, value)]), Err(StepError::Tag { .. })));
    }
}
