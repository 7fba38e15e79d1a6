//! Texts with the placeholders `{username}`, `{password}` and `{old_password}`, filled so that no value can end its place.

use windlass_sdk::text::joined;
use windlass_sdk::{Failure, Secret, http, json};

/// What stands around a placeholder, and so how its value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// A path with query: percent-encoded.
    Path,
    /// `application/json`: the content of a string inside quotes, a string with its quotes elsewhere.
    Json,
    /// `application/x-www-form-urlencoded`: percent-encoded.
    Form,
    /// `text/plain`: as it is, without control characters, which could begin another line.
    Text,
}

impl Language {
    /// The language of a body of this content type; nothing for one that is not known here.
    pub fn of(content_type: &str) -> Option<Self> {
        let media = content_type.split([';']).next()?.trim_ascii().to_ascii_lowercase();
        match media.as_str() {
            "application/json" => Some(Self::Json),
            "application/x-www-form-urlencoded" => Some(Self::Form),
            "text/plain" => Some(Self::Text),
            other if other.ends_with("+json") => Some(Self::Json),
            _ => None,
        }
    }
}

/// What the placeholders stand for.
pub struct Values<'a> {
    /// `{username}`: whose password is changed or tried.
    pub username: &'a Secret,
    /// `{password}`: the new one; nothing where there is none, in a login.
    pub password: Option<&'a Secret>,
    /// `{old_password}`: nothing where the acting credential belongs to somebody else.
    pub old_password: Option<&'a Secret>,
}

/// Whether the text has this placeholder.
pub fn mentions(template: &str, placeholder: &str) -> bool {
    pieces(template).any(|piece| piece == Piece::Placeholder(placeholder))
}

/// Fills the template of the setting of this name.
///
/// # Errors
///
/// `unsupported` if the template is not what its language wants or has another placeholder, `malformed-secret` if a value cannot
/// stand in it, `unauthorized` if it needs the old password and the acting credential does not have it.
pub fn fill(setting: &str, template: &str, language: Language, values: &Values) -> Result<String, Failure> {
    let wrong = |why: &str| Failure::unsupported(joined(&["the setting `", setting, "` ", why]));
    let mut filled = String::with_capacity(template.len() + 64);
    let mut position = Position::default();
    for piece in pieces(template) {
        let value = match piece {
            Piece::Literal(text) => {
                text.bytes().for_each(|byte| position.pass(byte));
                filled.push_str(text);
                continue;
            }
            Piece::Placeholder("username") => values.username,
            Piece::Placeholder("password") => values.password.ok_or_else(|| wrong("can have no placeholder but `{username}`"))?,
            Piece::Placeholder("old_password") if values.password.is_none() => {
                return Err(wrong("can have no placeholder but `{username}`"));
            }
            Piece::Placeholder("old_password") => values.old_password.ok_or_else(|| {
                Failure::unauthorized(joined(&[
                    "the setting `",
                    setting,
                    "` needs the account's old password, which this credential is not",
                ]))
            })?,
            Piece::Placeholder(_) => {
                return Err(wrong("has a placeholder other than `{username}`, `{password}`, `{old_password}`"));
            }
        };
        // Exposed: the request is about it.
        let value = value.expose();
        match language {
            Language::Path | Language::Form => filled.push_str(&http::segment(value)),
            Language::Text if value.contains(char::is_control) => {
                return Err(Failure::malformed_secret("a value has a control character, which cannot stand in `text/plain`"));
            }
            Language::Text => filled.push_str(value),
            Language::Json => {
                if position.after_backslash {
                    return Err(wrong("is no JSON: a placeholder follows a backslash"));
                }
                let quoted = quote(value);
                let unquoted = quoted.get(1..quoted.len() - 1).unwrap_or_default();
                filled.push_str(if position.in_string { unquoted } else { &quoted });
            }
        }
    }
    if language == Language::Json && position.in_string {
        return Err(wrong("is no JSON: a string does not end"));
    }
    Ok(filled)
}

/// The value as a JSON string, quotes included: what an object of it alone has between its braces, after `"":`.
fn quote(value: &str) -> String {
    let mut object = json::object([("", value)]);
    object.pop();
    object.split_off(4)
}

/// Where in a JSON text something stands.
#[derive(Default)]
struct Position {
    in_string: bool,
    after_backslash: bool,
}

impl Position {
    /// Goes past one byte. Bytes of longer characters are never a quote or a backslash.
    const fn pass(&mut self, byte: u8) {
        if self.after_backslash {
            self.after_backslash = false;
        } else if byte == b'\\' {
            self.after_backslash = self.in_string;
        } else if byte == b'"' {
            self.in_string = !self.in_string;
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Literal(&'a str),
    /// Without its braces.
    Placeholder(&'a str),
}

/// The text in pieces. A placeholder is what looks like one, letters and underscores in braces, so that a misspelled one is found
/// instead of sent; no other brace means anything, and JSON has none that looks so.
fn pieces(template: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = match placeholder(rest) {
            Some(name) => (Piece::Placeholder(name), rest.get(name.len() + 2..)),
            None => {
                let next = rest.char_indices().skip(1).find(|(at, _)| rest.get(*at..).and_then(placeholder).is_some());
                let end = next.map_or(rest.len(), |(at, _)| at);
                (Piece::Literal(rest.get(..end)?), rest.get(end..))
            }
        };
        rest = after.unwrap_or_default();
        Some(piece)
    })
}

/// The name in the braces with which the text begins.
fn placeholder(text: &str) -> Option<&str> {
    let name = text.strip_prefix('{')?.split_once(['}'])?.0;
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    plain.then_some(name)
}

#[cfg(test)]
mod tests {
    use windlass_sdk::{Cause, Effect};

    use super::*;

    const HOSTILE: &str = "a\"b\\c%d:e@f g&h=i/j?k#l+é\u{1f512}{password}'";

    fn filled(template: &str, language: Language, password: &str) -> Result<String, Failure> {
        let (username, password, old) = (Secret::new("ap/p"), Secret::new(password), Secret::new("old"));
        fill(
            "change_body",
            template,
            language,
            &Values { username: &username, password: Some(&password), old_password: Some(&old) },
        )
    }

    #[test]
    fn every_language_writes_a_value_its_own_way() {
        let table = [
            (Language::Path, "/users/{username}/password?new={password}", "a b", "/users/ap%2Fp/password?new=a%20b"),
            (Language::Path, "/{password}", "..", "/%2E%2E"),
            (
                Language::Form,
                "name={username}&password={password}&old={old_password}",
                "a&b=c+d",
                "name=ap%2Fp&password=a%26b%3Dc%2Bd&old=old",
            ),
            (Language::Text, "{password}", HOSTILE, HOSTILE),
            (Language::Json, r#"{"user":"{username}","new":"{password}"}"#, "a\"\\\n", r#"{"user":"ap/p","new":"a\"\\\u000a"}"#),
            (Language::Json, r#"{"new":{password},"old":{old_password}}"#, "a\"", r#"{"new":"a\"","old":"old"}"#),
            (Language::Json, r#"{"say \"{username}\"":{"\\":"{password}"}}"#, "x", r#"{"say \"ap/p\"":{"\\":"x"}}"#),
            (Language::Json, "{}", "x", "{}"),
            // A value is not read again.
            (Language::Text, "{password}{username}", "{username}", "{username}ap/p"),
            (Language::Text, "{ {} {{username}} }{", "x", "{ {} {ap/p} }{"),
            (Language::Text, "", "x", ""),
        ];
        for (language, template, password, expected) in table {
            assert_eq!(filled(template, language, password).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn a_hostile_value_stays_one_json_string() {
        let body = filled(r#"{"a":"{password}","b":{password}}"#, Language::Json, HOSTILE).unwrap();
        let (a, b) = (json::member(&body, "a"), json::member(&body, "b"));
        assert_eq!((a, b.is_some()), (b, true));
        assert!(!body.contains('\n'));
    }

    #[test]
    fn a_template_that_is_wrong_is_refused() {
        let table = [
            (Language::Json, r#"{"a":"{passwrod}"}"#, Cause::Unsupported),
            (Language::Form, "a={PASSWORD}", Cause::Unsupported),
            (Language::Json, r#"{"a":"{password}}"#, Cause::Unsupported),
            (Language::Json, r#"{"a":"\{password}"}"#, Cause::Unsupported),
        ];
        for (language, template, cause) in table {
            let failure = filled(template, language, "canary").unwrap_err();
            assert_eq!((failure.cause(), failure.effect()), (cause, Effect::Unchanged), "{template}");
            assert!(failure.message().contains("`change_body`") && !failure.message().contains("canary"), "{failure}");
        }
        assert_eq!(filled("{password}", Language::Text, "a\nb").unwrap_err().cause(), Cause::MalformedSecret);
    }

    #[test]
    fn a_value_that_is_not_there_is_not_made_up() {
        let username = Secret::new("app");
        let values = Values { username: &username, password: None, old_password: None };
        let cause = |template| fill("login_path", template, Language::Path, &values).map_err(|failure| failure.cause());
        assert_eq!(cause("/{username}"), Ok("/app".to_owned()));
        assert_eq!(cause("/{password}"), Err(Cause::Unsupported));
        assert_eq!(cause("/{old_password}"), Err(Cause::Unsupported));
        let new = Secret::new("new");
        let values = Values { password: Some(&new), ..values };
        let failure = fill("change_body", "{old_password}", Language::Text, &values).unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (Cause::Unauthorized, Effect::Unchanged));
    }

    #[test]
    fn content_types_have_a_language_or_none() {
        let table = [
            ("application/json", Some(Language::Json)),
            ("Application/JSON; charset=utf-8", Some(Language::Json)),
            ("application/scim+json", Some(Language::Json)),
            ("application/x-www-form-urlencoded", Some(Language::Form)),
            ("text/plain;charset=utf-8", Some(Language::Text)),
            ("text/xml", None),
            ("", None),
        ];
        for (content_type, language) in table {
            assert_eq!(Language::of(content_type), language, "{content_type}");
        }
    }

    #[test]
    fn mentions_only_what_is_a_placeholder() {
        assert!(mentions(r#"{"a":"{password}"}"#, "password"));
        assert!(!mentions("{old_password} password {pass word}", "password"));
    }

    #[test]
    fn no_template_panics() {
        let alphabet = ["{", "}", "\"", "\\", "password", "{password}", "_", "é", "\u{0}", ":"];
        let mut templates = vec![String::new()];
        for _ in 0..4 {
            templates = templates.iter().flat_map(|start| alphabet.map(|end| format!("{start}{end}"))).collect();
            for template in &templates {
                for language in [Language::Path, Language::Json, Language::Form, Language::Text] {
                    let _ = filled(template, language, HOSTILE);
                }
                let whole: String = pieces(template)
                    .map(|piece| match piece {
                        Piece::Literal(text) => text.to_owned(),
                        Piece::Placeholder(name) => format!("{{{name}}}"),
                    })
                    .collect();
                assert_eq!(&whole, template);
            }
        }
    }
}
