//! What a generated value looks like: length, alphabet, required character classes.
//!
//! The option names are those of GetRandomPassword, which AWS's rotation templates take from the environment
//! (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetRandomPassword.html>). Values are made here, with the
//! operating system's randomness, which saves the function one permission and one call.

use rand::seq::{IndexedRandom, SliceRandom};
use rand::{TryRng, rngs::SysRng};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::secret::SecretText;

/// Options for generated values, each of which may be left open. Layers of them are merged by [`PasswordOptions::over`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordOptions {
    /// Number of characters, 1 to 4,096. Default 32.
    pub length: Option<u32>,
    /// Characters that must not occur. Default `/@"'\`, which is what most of AWS's templates exclude.
    pub exclude_characters: Option<String>,
    /// No digits. Default false.
    pub exclude_numbers: Option<bool>,
    /// No punctuation. Default false.
    pub exclude_punctuation: Option<bool>,
    /// No upper-case letters. Default false.
    pub exclude_uppercase: Option<bool>,
    /// No lower-case letters. Default false.
    pub exclude_lowercase: Option<bool>,
    /// Spaces may occur. Default false.
    pub include_space: Option<bool>,
    /// At least one character of every class that is not excluded. Default true.
    pub require_each_included_type: Option<bool>,
}

impl PasswordOptions {
    /// These options, with `lower` answering for what they leave open.
    pub fn over(self, lower: Self) -> Self {
        Self {
            length: self.length.or(lower.length),
            exclude_characters: self.exclude_characters.or(lower.exclude_characters),
            exclude_numbers: self.exclude_numbers.or(lower.exclude_numbers),
            exclude_punctuation: self.exclude_punctuation.or(lower.exclude_punctuation),
            exclude_uppercase: self.exclude_uppercase.or(lower.exclude_uppercase),
            exclude_lowercase: self.exclude_lowercase.or(lower.exclude_lowercase),
            include_space: self.include_space.or(lower.include_space),
            require_each_included_type: self.require_each_included_type.or(lower.require_each_included_type),
        }
    }

    /// Number of characters unless somebody says otherwise.
    pub const LENGTH: u32 = 32;

    /// Characters that do not occur unless somebody says otherwise.
    pub const EXCLUDED: &str = "/@\"'\\";

    /// What holds for an option that nobody sets, in the order of [`PasswordOptions::entries`].
    pub const BUILT_IN: [&str; 8] = ["32", Self::EXCLUDED, "false", "false", "false", "false", "false", "true"];

    /// The options by name, as text.
    pub fn entries(&self) -> [(&'static str, Option<String>); 8] {
        let flag = |flag: Option<bool>| flag.map(|flag| flag.to_string());
        [
            ("length", self.length.map(|length| length.to_string())),
            ("exclude_characters", self.exclude_characters.clone()),
            ("exclude_numbers", flag(self.exclude_numbers)),
            ("exclude_punctuation", flag(self.exclude_punctuation)),
            ("exclude_uppercase", flag(self.exclude_uppercase)),
            ("exclude_lowercase", flag(self.exclude_lowercase)),
            ("include_space", flag(self.include_space)),
            ("require_each_included_type", flag(self.require_each_included_type)),
        ]
    }

    /// Sets one option from text: the names of AWS's templates, in lower case with underscores (`exclude_numbers`), or
    /// `password_length` for the length.
    ///
    /// # Errors
    ///
    /// [`PasswordError`] if the value does not fit; `Ok(false)` if there is no such option.
    pub fn set(&mut self, name: &str, value: &str) -> Result<bool, PasswordError> {
        let flag = |name: &'static str| match value.to_ascii_lowercase().as_str() {
            // The spellings that AWS's templates take for true; for false they take anything else, we do not.
            "true" | "1" | "y" | "yes" => Ok(Some(true)),
            "false" | "0" | "n" | "no" => Ok(Some(false)),
            _ => Err(PasswordError::NotABoolean { name }),
        };
        match name {
            "password_length" => {
                self.length = Some(value.parse().map_err(|_| PasswordError::Length)?);
            }
            "exclude_characters" => self.exclude_characters = Some(value.to_owned()),
            "exclude_numbers" => self.exclude_numbers = flag("exclude_numbers")?,
            "exclude_punctuation" => self.exclude_punctuation = flag("exclude_punctuation")?,
            "exclude_uppercase" => self.exclude_uppercase = flag("exclude_uppercase")?,
            "exclude_lowercase" => self.exclude_lowercase = flag("exclude_lowercase")?,
            "include_space" => self.include_space = flag("include_space")?,
            "require_each_included_type" => self.require_each_included_type = flag("require_each_included_type")?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Why generated values cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// The length is out of range.
    #[error("the length of generated values must be a number from 1 to 4096")]
    Length,
    /// Every character is excluded.
    #[error("the password options exclude every character. Exclude fewer classes or characters")]
    NoCharacters,
    /// There are more required classes than characters.
    #[error("a value of {length} characters cannot hold one of each of {classes} required classes. Raise the length")]
    TooShort {
        /// The length asked for.
        length: u32,
        /// How many classes are required.
        classes: usize,
    },
    /// A boolean option has another value.
    #[error("the password option `{name}` must be true or false")]
    NotABoolean {
        /// The option.
        name: &'static str,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness; no value was made")]
    NoRandomness,
}

/// A complete and possible policy for generated values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordPolicy {
    length: u32,
    /// The classes that are left after exclusions; none is empty.
    classes: Vec<Vec<char>>,
    require_each: bool,
}

impl PasswordPolicy {
    const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

    /// Fills in the defaults and checks that a value can be made.
    ///
    /// # Errors
    ///
    /// [`PasswordError`] if the length is out of range or too short for the required classes, or nothing is left to choose from.
    pub fn new(options: &PasswordOptions) -> Result<Self, PasswordError> {
        let length = options.length.unwrap_or(PasswordOptions::LENGTH);
        if !(1..=4096).contains(&length) {
            return Err(PasswordError::Length);
        }
        let excluded = options.exclude_characters.as_deref().unwrap_or(PasswordOptions::EXCLUDED);
        let class = |off: Option<bool>, characters: &mut dyn Iterator<Item = char>| -> Vec<char> {
            if off.unwrap_or(false) { Vec::new() } else { characters.filter(|c| !excluded.contains(*c)).collect() }
        };
        let no_space = !options.include_space.unwrap_or(false);
        let classes: Vec<Vec<char>> = [
            class(options.exclude_lowercase, &mut ('a'..='z')),
            class(options.exclude_uppercase, &mut ('A'..='Z')),
            class(options.exclude_numbers, &mut ('0'..='9')),
            class(options.exclude_punctuation, &mut Self::PUNCTUATION.chars()),
            class(Some(no_space), &mut std::iter::once(' ')),
        ]
        .into_iter()
        .filter(|class| !class.is_empty())
        .collect();
        if classes.is_empty() {
            return Err(PasswordError::NoCharacters);
        }
        let require_each = options.require_each_included_type.unwrap_or(true);
        if require_each && (length as usize) < classes.len() {
            return Err(PasswordError::TooShort { length, classes: classes.len() });
        }
        Ok(Self { length, classes, require_each })
    }

    /// Whether a value could have these characters. Its length is not looked at.
    pub fn can_make(&self, value: &str) -> bool {
        value.chars().all(|of| self.classes.iter().any(|class| class.contains(&of)))
    }

    /// Makes a value, every character chosen with equal probability and independently except for the required classes.
    ///
    /// # Errors
    ///
    /// [`PasswordError::NoRandomness`] if the operating system gives none.
    pub fn generate(&self) -> Result<SecretText, PasswordError> {
        // `SysRng` is fallible and `rand`'s distributions are not, so it is asked once before it is trusted to answer.
        SysRng.try_next_u64().map_err(|_| PasswordError::NoRandomness)?;
        let mut random = rand::rand_core::UnwrapErr(SysRng);
        let alphabet: Vec<char> = self.classes.iter().flatten().copied().collect();
        let mut characters = Zeroizing::new(Vec::<char>::with_capacity(self.length as usize));
        if self.require_each {
            characters.extend(self.classes.iter().filter_map(|class| class.choose(&mut random)));
        }
        while characters.len() < self.length as usize {
            characters.extend(alphabet.choose(&mut random));
        }
        characters.shuffle(&mut random);
        Ok(SecretText::new(characters.iter().collect::<String>()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[test]
    fn what_is_said_to_be_built_in_is() {
        let mut options = PasswordOptions::default();
        for ((name, unset), value) in PasswordOptions::default().entries().into_iter().zip(PasswordOptions::BUILT_IN) {
            assert_eq!(unset, None);
            let name = if name == "length" { "password_length" } else { name };
            assert_eq!(options.set(name, value), Ok(true), "{name}");
        }
        assert!(options.entries().into_iter().all(|(_, value)| value.is_some()));
        assert_eq!(PasswordPolicy::new(&options), PasswordPolicy::new(&PasswordOptions::default()));
    }

    fn generate(options: &PasswordOptions) -> String {
        PasswordPolicy::new(options).unwrap().generate().unwrap().expose().to_owned()
    }

    #[test]
    fn defaults_are_those_of_the_aws_templates() {
        let value = generate(&PasswordOptions::default());
        assert_eq!(value.chars().count(), 32);
        assert!(!value.contains(['/', '@', '"', '\'', '\\', ' ']));
        for class in [char::is_lowercase, char::is_uppercase, char::is_numeric] {
            assert!(value.chars().any(class));
        }
    }

    #[rstest]
    #[case::zero(PasswordOptions { length: Some(0), ..Default::default() }, PasswordError::Length)]
    #[case::long(PasswordOptions { length: Some(4097), ..Default::default() }, PasswordError::Length)]
    #[case::short(PasswordOptions { length: Some(3), ..Default::default() }, PasswordError::TooShort { length: 3, classes: 4 })]
    #[case::nothing_left(
        PasswordOptions {
            exclude_characters: Some("0123456789".into()),
            exclude_lowercase: Some(true),
            exclude_uppercase: Some(true),
            exclude_punctuation: Some(true),
            ..Default::default()
        },
        PasswordError::NoCharacters
    )]
    fn refuses_an_impossible_policy(#[case] options: PasswordOptions, #[case] error: PasswordError) {
        assert_eq!(PasswordPolicy::new(&options).unwrap_err(), error);
    }

    #[rstest]
    #[case("password_length", "20", PasswordOptions { length: Some(20), ..Default::default() })]
    #[case("exclude_characters", "abc", PasswordOptions { exclude_characters: Some("abc".into()), ..Default::default() })]
    #[case("exclude_numbers", "true", PasswordOptions { exclude_numbers: Some(true), ..Default::default() })]
    #[case("exclude_punctuation", "1", PasswordOptions { exclude_punctuation: Some(true), ..Default::default() })]
    #[case("exclude_uppercase", "YES", PasswordOptions { exclude_uppercase: Some(true), ..Default::default() })]
    #[case("exclude_lowercase", "n", PasswordOptions { exclude_lowercase: Some(false), ..Default::default() })]
    #[case("require_each_included_type", "false", PasswordOptions { require_each_included_type: Some(false), ..Default::default() })]
    fn takes_the_names_of_the_aws_templates(#[case] name: &str, #[case] value: &str, #[case] expected: PasswordOptions) {
        let mut options = PasswordOptions::default();
        assert!(options.set(name, value).unwrap());
        assert_eq!(options, expected);
    }

    #[test]
    fn refuses_a_boolean_that_is_none() {
        let error = PasswordOptions::default().set("exclude_numbers", "maybe").unwrap_err();
        assert_eq!(error, PasswordError::NotABoolean { name: "exclude_numbers" });
    }

    proptest! {
        #[test]
        fn every_value_keeps_its_policy(
            length in 5u32..200,
            exclude in "[ -~]{0,40}",
            numbers: bool, punctuation: bool, upper: bool, lower: bool, space: bool, each: bool,
        ) {
            let options = PasswordOptions {
                length: Some(length),
                exclude_characters: Some(exclude.clone()),
                exclude_numbers: Some(numbers),
                exclude_punctuation: Some(punctuation),
                exclude_uppercase: Some(upper),
                exclude_lowercase: Some(lower),
                include_space: Some(space),
                require_each_included_type: Some(each),
            };
            if let Ok(policy) = PasswordPolicy::new(&options) {
                let value = policy.generate().unwrap();
                let value = value.expose();
                prop_assert_eq!(value.chars().count(), length as usize);
                prop_assert!(!value.chars().any(|c| exclude.contains(c)));
                prop_assert!(!(numbers && value.contains(|c: char| c.is_ascii_digit())));
                prop_assert!(!(punctuation && value.contains(|c: char| c.is_ascii_punctuation())));
                prop_assert!(!(upper && value.contains(|c: char| c.is_ascii_uppercase())));
                prop_assert!(!(lower && value.contains(|c: char| c.is_ascii_lowercase())));
                prop_assert!(space || !value.contains(' '));
                if each {
                    prop_assert!(policy.classes.iter().all(|class| value.chars().any(|c| class.contains(&c))));
                }
            }
        }
    }
}
