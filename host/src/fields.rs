//! The fields of a secret's JSON object, by their place in its text.
//!
//! A secret's text belongs to its owner: key order, spacing, unknown keys, duplicate keys and numbers such as `1e400` or `0.10` have
//! to survive a rotation byte for byte. So nothing is parsed into values and written again; fields are spans of the text, and only
//! the spans of generated fields are replaced.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::secret::SecretText;

/// The top-level fields of a secret that is a JSON object.
#[derive(Clone)]
pub struct Fields<'a> {
    text: &'a str,
    members: Vec<Member>,
}

#[derive(Clone)]
struct Member {
    name: String,
    value: Range<usize>,
}

impl<'a> Fields<'a> {
    /// Finds the fields of `text`; nothing if it is not a JSON object.
    pub fn of(text: &'a str) -> Option<Self> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let members = deserializer.deserialize_map(Members { text }).ok()?;
        deserializer.end().ok()?;
        Some(Self { text, members })
    }

    /// The text of a field as a plugin sees it: the content of a JSON string, the JSON text of any other value, nothing for `null`
    /// or a field that is not there. If the name stands twice, the last one counts, as for every common JSON parser.
    pub fn get(&self, name: &str) -> Option<SecretText> {
        let json = self.json(name)?;
        if json == "null" {
            return None;
        }
        Some(serde_json::from_str::<String>(json).map_or_else(|_| SecretText::new(json), SecretText::new))
    }

    /// The names of all fields, in the text's order; a name that stands twice is listed twice.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.name.as_str())
    }

    /// The names of the fields whose JSON text is not the same in both, or that only one of them has.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut names: Vec<&str> = self.names().chain(other.names()).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().filter(|name| self.json(name) != other.json(name)).map(str::to_owned).collect()
    }

    /// The whole text with every occurrence of the named fields replaced by these strings, and every other byte kept.
    ///
    /// # Errors
    ///
    /// The name of a field that is not there, or whose value is not a string: a number or an object cannot be replaced by a
    /// generated string without breaking its readers.
    pub fn with(&self, replacements: &[(&str, SecretText)]) -> Result<SecretText, FieldError> {
        for (name, _) in replacements {
            let json = self.json(name).ok_or_else(|| FieldError::Missing { field: (*name).to_owned() })?;
            if !json.starts_with('"') {
                return Err(FieldError::NotAString { field: (*name).to_owned() });
            }
        }
        let mut text = Zeroizing::new(String::with_capacity(self.text.len() + 64 * replacements.len()));
        let mut kept = 0;
        for member in &self.members {
            if let Some((_, value)) = replacements.iter().find(|(name, _)| *name == member.name) {
                text.push_str(&self.text[kept..member.value.start]);
                // The new value enters the new secret text here; both are wiped when dropped.
                let json = Zeroizing::new(serde_json::to_string(value.expose()).expect("a string is always JSON"));
                text.push_str(&json);
                kept = member.value.end;
            }
        }
        text.push_str(&self.text[kept..]);
        Ok(SecretText::new(text.as_str()))
    }

    fn json(&self, name: &str) -> Option<&str> {
        self.members.iter().rev().find(|member| member.name == name).map(|member| &self.text[member.value.clone()])
    }
}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// Why a field cannot be replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldError {
    /// There is no such field.
    #[error("the secret has no field `{field}`, which a rotation replaces. Add it, or name other fields in `generated`")]
    Missing {
        /// Its name.
        field: String,
    },
    /// The field is a number, an object, a list, a boolean or null.
    #[error(
        "a rotation replaces the secret's field `{field}`, which is not a JSON string. Make it one, or name other fields in `generated`"
    )]
    NotAString {
        /// Its name.
        field: String,
    },
}

struct Members<'a> {
    text: &'a str,
}

impl<'a> Visitor<'a> for Members<'a> {
    type Value = Vec<Member>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Vec<Member>, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let value: &'a RawValue = map.next_value()?;
            // A borrowed raw value is a part of the text it was parsed from, so the distance of the two is its place.
            let start = value.get().as_ptr() as usize - self.text.as_ptr() as usize;
            members.push(Member { name, value: start..start + value.get().len() });
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn replaced(text: &str, name: &str, value: &str) -> Result<String, FieldError> {
        let fields = Fields::of(text).unwrap();
        fields.with(&[(name, SecretText::new(value))]).map(|text| text.expose().to_owned())
    }

    #[rstest]
    #[case::spacing("{ \"password\" :\t\"old\" ,\n \"a\":1 }\n", "{ \"password\" :\t\"new\" ,\n \"a\":1 }\n")]
    #[case::big_number(r#"{"n":1e400,"password":"old"}"#, r#"{"n":1e400,"password":"new"}"#)]
    #[case::decimal_places(r#"{"password":"old","n":0.10,"m":-0}"#, r#"{"password":"new","n":0.10,"m":-0}"#)]
    #[case::duplicate_other(r#"{"a":1,"password":"old","a":2}"#, r#"{"a":1,"password":"new","a":2}"#)]
    #[case::duplicate_itself(r#"{"password":"x","password":"old"}"#, r#"{"password":"new","password":"new"}"#)]
    #[case::escaped_key(r#"{"pass\u0077ord":"old"}"#, r#"{"pass\u0077ord":"new"}"#)]
    #[case::nested_namesake(r#"{"in":{"password":"kept"},"password":"old"}"#, r#"{"in":{"password":"kept"},"password":"new"}"#)]
    #[case::escaped_value(r#"{"password":"o\"l\\d","b":"}"}"#, r#"{"password":"new","b":"}"}"#)]
    #[case::unicode("{\"schlüssel\":\"ä\",\"password\":\"é\"}", "{\"schlüssel\":\"ä\",\"password\":\"new\"}")]
    fn keeps_every_other_byte(#[case] before: &str, #[case] after: &str) {
        assert_eq!(replaced(before, "password", "new").unwrap(), after);
    }

    #[test]
    fn escapes_what_it_inserts() {
        assert_eq!(replaced(r#"{"password":"old"}"#, "password", "a\"b\\c\n").unwrap(), r#"{"password":"a\"b\\c\n"}"#);
    }

    #[rstest]
    #[case::missing(r#"{"a":1}"#, FieldError::Missing { field: "password".into() })]
    #[case::number(r#"{"password":1}"#, FieldError::NotAString { field: "password".into() })]
    #[case::object(r#"{"password":{}}"#, FieldError::NotAString { field: "password".into() })]
    fn refuses_what_it_cannot_replace(#[case] text: &str, #[case] error: FieldError) {
        assert_eq!(replaced(text, "password", "new").unwrap_err(), error);
    }

    #[rstest]
    #[case("")]
    #[case("plain")]
    #[case("[1]")]
    #[case("{")]
    #[case(r#"{"a":1} x"#)]
    #[case(r#"{"a":1}{"b":2}"#)]
    #[case(r#""{}""#)]
    fn takes_only_one_whole_object(#[case] text: &str) {
        assert!(Fields::of(text).is_none());
    }

    #[rstest]
    #[case("text", Some("x\"y"))]
    #[case("number", Some("5432"))]
    #[case("big", Some("1e400"))]
    #[case("flag", Some("true"))]
    #[case("list", Some("[1, 2]"))]
    #[case("twice", Some("last"))]
    #[case("nothing", None)]
    #[case("absent", None)]
    fn shows_a_field_as_plugins_see_it(#[case] name: &str, #[case] expected: Option<&str>) {
        let text = r#"{"text":"x\"y","number":5432,"big":1e400,"flag":true,"list":[1, 2],"twice":1,"twice":"last","nothing":null}"#;
        let fields = Fields::of(text).unwrap();
        assert_eq!(fields.get(name).as_ref().map(SecretText::expose), expected);
    }

    #[test]
    fn names_the_fields_that_differ() {
        let (one, other) = (Fields::of(r#"{"a":1,"b":"x","c":true}"#).unwrap(), Fields::of(r#"{"c":true,"b":"y","d":0}"#).unwrap());
        assert_eq!(one.differences(&other), ["a", "b", "d"]);
    }

    proptest! {
        #[test]
        fn any_new_value_comes_back_and_the_rest_is_kept(
            before in "[ -~]{0,20}", after in any::<String>(), key in "[a-z]{1,8}", old in "[a-z]{0,8}", new in any::<String>(),
        ) {
            prop_assume!(key != "password");
            let json = |text: &str| serde_json::to_string(text).unwrap();
            let (head, tail) = (format!("{{{}:{},\"password\":", json(&key), json(&before)), format!(",\"{key}2\":{}}}", json(&after)));
            let text = replaced(&format!("{head}{}{tail}", json(&old)), "password", &new).unwrap();
            prop_assert!(text.starts_with(&head) && text.ends_with(&tail));
            let fields = Fields::of(&text).unwrap();
            let password = fields.get("password").unwrap();
            prop_assert_eq!(password.expose(), &new);
        }

        #[test]
        fn never_panics(text in any::<String>(), name in any::<String>()) {
            if let Some(fields) = Fields::of(&text) {
                let _ = (fields.get(&name), fields.with(&[(&name, SecretText::new("x"))]));
            }
        }
    }
}
