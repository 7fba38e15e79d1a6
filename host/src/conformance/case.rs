//! `CASE.toml`: a real service to prove a plugin against, and what a secret for it looks like.
//!
//! In `secret`, `admin` and `ca_files`, `{name}` stands for a variable: `username` and `password` of the account, and what `start` printed. `{{` and
//! `}}` stand for a brace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::secret::SecretValue;

/// What stands in the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The folder of the file, in which its commands run.
    #[serde(skip)]
    pub folder: PathBuf,
    /// How to have the service.
    pub service: ServiceCommands,
    /// Variables that hold for a service that is not started here, such as its port. What `start` prints comes on top.
    #[serde(default)]
    pub variables: BTreeMap<String, Value>,
    /// The secret's value: a table, or a text for a secret that is no JSON.
    pub secret: Value,
    /// The value of the admin secret that the operator binds, if there is one.
    pub admin: Option<Value>,
    /// What the operator sets.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// A value that the service refuses, if it refuses any.
    pub rejected: Option<Rejected>,
    /// What the service's user names cannot have.
    #[serde(default)]
    pub user_names: UserNames,
    /// What the service's passwords cannot have, whoever sets them.
    #[serde(default)]
    pub old_passwords: OldPasswords,
}

/// Commands about the service. Each is a program and its arguments, run in the case's folder with the variables in its environment.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceCommands {
    /// Runs the service in the foreground until it is told to end (SIGTERM). Prints one line of JSON, its variables, when it is ready.
    /// Without it the service is there already.
    pub start: Option<Vec<String>>,
    /// Makes the account USERNAME with PASSWORD, or gives the one that is there this password alone.
    pub create: Vec<String>,
    /// Logs in as USERNAME with PASSWORD. Exit code 0: the service accepts them; 77 ([`super::service::REFUSED`]): it refuses them; any other:
    /// the command cannot tell, which ends the tests.
    pub login: Vec<String>,
    /// Makes PASSWORD the only password of USERNAME, as somebody else would.
    pub change: Vec<String>,
    /// Removes the account USERNAME. Without it accounts stay; a service that `start` runs takes them with it.
    pub delete: Option<Vec<String>>,
    /// Certificate authorities of the service, as PEM files.
    #[serde(default)]
    pub ca_files: Vec<String>,
}

/// A value that the service refuses.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rejected {
    /// A new password that the service does not take.
    pub password: String,
}

/// What the service's user names cannot have.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserNames {
    /// Characters.
    #[serde(default)]
    pub exclude: String,
    /// The longest, in bytes. Default: no bound.
    pub longest: Option<usize>,
}

/// What the service's passwords cannot have. What its password policy refuses is no part of this.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OldPasswords {
    /// Characters.
    #[serde(default)]
    pub exclude: String,
}

/// Why a case cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// The file cannot be read.
    #[error("the case {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is wrong.
    #[error("the case {} is wrong: {why}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's words.
        why: String,
    },
    /// A command has no program.
    #[error("`service.{command}` names no program. Write a list: the program and its arguments")]
    NoProgram {
        /// Which command.
        command: &'static str,
    },
    /// A placeholder that nothing fills.
    #[error("nothing says what `{{{name}}}` is. There are: {}. Write `{{{{` and `}}}}` for braces", known.join(", "))]
    Unknown {
        /// Its name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
}

impl Case {
    /// Reads a case.
    ///
    /// # Errors
    ///
    /// [`CaseError`] says what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, CaseError> {
        let text = std::fs::read_to_string(path).map_err(|source| CaseError::Unreadable { path: path.to_owned(), source })?;
        let syntax = |why: String| CaseError::Syntax { path: path.to_owned(), why };
        let mut case: Self = toml::from_str(&text).map_err(|error| syntax(error.to_string().trim_end().to_owned()))?;
        case.folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new(".")).to_owned();
        let ServiceCommands { start, create, login, change, delete, ca_files: _ } = &case.service;
        let commands = [
            ("start", start.as_ref()),
            ("create", Some(create)),
            ("login", Some(login)),
            ("change", Some(change)),
            ("delete", delete.as_ref()),
        ];
        let empty = commands.into_iter().find(|(_, command)| command.is_some_and(Vec::is_empty)).map(|(command, _)| command);
        empty.map_or(Ok(case), |command| Err(CaseError::NoProgram { command }))
    }
}

/// Names and what they stand for: `{name}` in a case, `NAME` in the environment of its commands.
pub type Variables = BTreeMap<String, Value>;

/// A template with its placeholders filled. A text that is one placeholder becomes what that stands for, number or not.
///
/// # Errors
///
/// [`CaseError::Unknown`].
pub fn fill(template: &Value, variables: &Variables) -> Result<Value, CaseError> {
    match template {
        Value::String(text) => fill_text(text, variables),
        Value::Array(items) => items.iter().map(|item| fill(item, variables)).collect::<Result<_, _>>().map(Value::Array),
        Value::Object(fields) => {
            let filled = fields.iter().map(|(name, value)| Ok((name.clone(), fill(value, variables)?)));
            filled.collect::<Result<Map<_, _>, _>>().map(Value::Object)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(template.clone()),
    }
}

fn fill_text(text: &str, variables: &Variables) -> Result<Value, CaseError> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        let (brace, from) = from.split_at(1);
        if let Some(after) = from.strip_prefix(brace) {
            filled.push_str(brace);
            rest = after;
            continue;
        }
        let Some((name, after)) = from.split_once('}').filter(|_| brace == "{") else {
            filled.push_str(brace);
            rest = from;
            continue;
        };
        let Some(value) = variables.get(name) else {
            return Err(CaseError::Unknown { name: name.to_owned(), known: variables.keys().cloned().collect() });
        };
        if name.len() + "{}".len() == text.len() {
            return Ok(value.clone());
        }
        filled.push_str(&as_text(value));
        rest = after;
    }
    filled.push_str(rest);
    Ok(Value::String(filled))
}

/// A variable as text, without quotes.
pub fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The secret that a filled template is: JSON, or a plain text.
pub fn secret(filled: &Value) -> SecretValue {
    SecretValue::text(as_text(filled))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn variables() -> Variables {
        [("port".to_owned(), json!(6379)), ("username".to_owned(), json!("app"))].into()
    }

    #[rstest]
    #[case::whole(json!("{port}"), json!(6379))]
    #[case::part(json!("redis://{username}@localhost:{port}/"), json!("redis://app@localhost:6379/"))]
    #[case::deep(json!({"a": [{"b": "{username}"}], "tls": false}), json!({"a": [{"b": "app"}], "tls": false}))]
    #[case::no_placeholder(json!("plain { text"), json!("plain { text"))]
    #[case::a_closing_brace_alone(json!("plain } {port}"), json!("plain } 6379"))]
    #[case::braces(json!("{{port}}"), json!("{port}"))]
    #[case::a_placeholder_in_braces(json!("{{{port}}}"), json!("{6379}"))]
    #[case::json_in_a_text(json!(r#"{{"user": "{username}", "more": {{}}}}"#), json!(r#"{"user": "app", "more": {}}"#))]
    fn placeholders_are_filled(#[case] template: Value, #[case] filled: Value) {
        assert_eq!(fill(&template, &variables()).unwrap(), filled);
    }

    #[test]
    fn an_unknown_placeholder_is_named_with_those_that_there_are() {
        let error = fill(&json!("{prot}"), &variables()).unwrap_err();
        assert_eq!(error.to_string(), "nothing says what `{prot}` is. There are: port, username. Write `{{` and `}}` for braces");
    }

    #[rstest]
    #[case::no_such_key("[service]\ncreate = ['a']\nlogin = ['b']\nchange = ['c']\nstop = ['d']", "unknown field `stop`")]
    #[case::no_login("secret = ''\n[service]\ncreate = ['a']\nchange = ['c']", "missing field `login`")]
    #[case::no_program("secret = ''\n[service]\ncreate = []\nlogin = ['b']\nchange = ['c']", "`service.create` names no program")]
    fn a_wrong_case_is_refused(#[case] text: &str, #[case] why: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("case.toml");
        std::fs::write(&path, text).unwrap();
        let error = Case::read(&path).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
