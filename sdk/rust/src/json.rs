//! As much JSON as a rotation needs: write a small object, pick a member out of an answer. Plugins that need more bring a JSON crate.

/// A JSON object of text values.
pub fn object<const N: usize>(members: [(&str, &str); N]) -> String {
    let mut object = Object::new();
    for (name, value) in members {
        object = object.text(name, value);
    }
    object.finish()
}

/// A JSON object that is being written.
#[derive(Default)]
pub struct Object(String);

impl Object {
    /// An empty one.
    pub const fn new() -> Self {
        Self(String::new())
    }

    /// Adds a member whose value is a JSON string of this text.
    #[must_use]
    pub fn text(mut self, name: &str, value: &str) -> Self {
        self.key(name);
        quote(value, &mut self.0);
        self
    }

    /// Adds a member whose value is this JSON text, as it stands: a number, or what [`member`] found.
    #[must_use]
    pub fn raw(mut self, name: &str, value: &str) -> Self {
        self.key(name);
        self.0.push_str(value);
        self
    }

    /// The object's JSON text.
    pub fn finish(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        self.0
    }

    fn key(&mut self, name: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        quote(name, &mut self.0);
        self.0.push(':');
    }
}

/// The JSON text of a member of the object that `json` is, as it stands there. The last one counts if the name stands twice, and
/// names are compared as they are written, without undoing escapes. Nothing if `json` is no object, is cut short, or lacks the name.
pub fn member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = json.trim_ascii().strip_prefix('{')?.trim_ascii_start();
    let mut found = None;
    if rest == "}" {
        return None;
    }
    loop {
        let (key, after) = rest.split_at_checked(string_length(rest)?)?;
        let value_on = after.trim_ascii_start().strip_prefix(':')?.trim_ascii_start();
        let (value, after) = value_on.split_at_checked(value_length(value_on)?)?;
        if key.get(1..key.len() - 1)? == name {
            found = Some(value);
        }
        let after = after.trim_ascii_start();
        match after.strip_prefix(',') {
            Some(more) => rest = more.trim_ascii_start(),
            None if after == "}" => return found,
            None => return None,
        }
    }
}

/// Bytes of the string that `json` begins with, quotes included.
fn string_length(json: &str) -> Option<usize> {
    let bytes = json.as_bytes();
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Bytes of the value that `json` begins with.
fn value_length(json: &str) -> Option<usize> {
    let bytes = json.as_bytes();
    let (mut at, mut depth) = (0, 0usize);
    loop {
        match bytes.get(at)? {
            b'"' => at += string_length(json.get(at..)?)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            b',' | b'}' | b']' if depth == 0 => {}
            _ => at += 1,
        }
        let ends = depth == 0 && matches!(bytes.get(at), None | Some(b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'));
        if ends {
            return (at > 0).then_some(at);
        }
    }
}

/// Source: <https://www.rfc-editor.org/rfc/rfc8259#section-7>
fn quote(text: &str, into: &mut String) {
    into.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                into.push('\\');
                into.push(character);
            }
            '\0'..='\x1f' => {
                into.push_str("\\u00");
                let code = character as u8;
                into.push(char::from(b'0' + (code >> 4)));
                into.push(char::from(b"0123456789abcdef"[usize::from(code & 15)]));
            }
            _ => into.push(character),
        }
    }
    into.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_a_service_can_read() {
        assert_eq!(object([]), "{}");
        assert_eq!(object([("a", "\"\\\n\x1f é")]), r#"{"a":"\"\\\u000a\u001f é"}"#);
        assert_eq!(Object::new().text("a", "b").raw("c", "[1]").finish(), r#"{"a":"b","c":[1]}"#);
    }

    #[test]
    fn finds_a_member_as_it_stands() {
        let json = r#" { "a" : "x\",}", "b":[{"a":1},"]"] , "c":{"tags":[]},"d":-1.0e5,"tags":[ "x" ], "e":null } "#;
        let found = ["a", "b", "c", "d", "tags", "e", "f"].map(|name| member(json, name));
        let expected = [
            Some(r#""x\",}""#),
            Some(r#"[{"a":1},"]"]"#),
            Some(r#"{"tags":[]}"#),
            Some("-1.0e5"),
            Some(r#"[ "x" ]"#),
            Some("null"),
            None,
        ];
        assert_eq!(found, expected);
        assert_eq!(member(r#"{"a":1,"a":2}"#, "a"), Some("2"));
    }

    #[test]
    fn takes_nothing_from_what_is_no_object() {
        for json in [
            "",
            "[]",
            "{",
            "{}",
            r#"{"a""#,
            r#"{"a":"#,
            r#"{"a":}"#,
            r#"{"a":"x}"#,
            r#"{"a":[1}"#,
            r#"{"a":1,}"#,
            r#"{"a":1} x"#,
            "{\"a\\",
        ] {
            assert_eq!(member(json, "a"), None, "{json}");
        }
    }
}
