//! The statements, and their quoting.
//!
//! Source: <https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS>

use windlass_sdk::text::joined;

/// Replaces the password of a role that exists. The verifier has no character that needs quoting.
pub fn alter_role(name: &str, verifier: &str) -> String {
    joined(&["ALTER ROLE ", &identifier(name), " PASSWORD '", verifier, "'"])
}

/// Makes a role that may log in.
pub fn create_role(name: &str, verifier: &str) -> String {
    joined(&["CREATE ROLE ", &identifier(name), " LOGIN PASSWORD '", verifier, "'"])
}

/// Lets `second` do what `first` may, and makes its sessions act as `first`: what either creates belongs to `first`.
///
/// Sources: <https://www.postgresql.org/docs/current/role-membership.html>, <https://www.postgresql.org/docs/current/sql-set-role.html>
pub fn equal_rights(first: &str, second: &str) -> [String; 2] {
    let (first, second) = (identifier(first), identifier(second));
    [joined(&["GRANT ", &first, " TO ", &second]), joined(&["ALTER ROLE ", &second, " SET role = ", &first])]
}

/// A quoted identifier: only the quote itself is special in it. The connection speaks UTF-8, where no byte of another character is
/// one. A name too long is cut by the server as in a login.
fn identifier(name: &str) -> String {
    joined(&["\"", &name.replace('"', "\"\""), "\""])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_is_syntax() {
        let table = [
            ("app", r#""app""#),
            (r#"a"b"#, r#""a""b""#),
            (r#"";DROP ROLE x;--"#, r#"""";DROP ROLE x;--""#),
            (r"a\", r#""a\""#),
            ("a'$$b", r#""a'$$b""#),
            ("SELECT", r#""SELECT""#),
            ("ü\n", "\"ü\n\""),
        ];
        for (name, quoted) in table {
            assert_eq!(identifier(name), quoted);
        }
        assert_eq!(alter_role("a\"b", "SCRAM"), r#"ALTER ROLE "a""b" PASSWORD 'SCRAM'"#);
        assert_eq!(create_role("a\"b", "SCRAM"), r#"CREATE ROLE "a""b" LOGIN PASSWORD 'SCRAM'"#);
        let [member, acts] = equal_rights("a\"b", "a\"b_clone");
        assert_eq!(member, r#"GRANT "a""b" TO "a""b_clone""#);
        assert_eq!(acts, r#"ALTER ROLE "a""b_clone" SET role = "a""b""#);
    }
}
