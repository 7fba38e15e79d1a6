//! A command of the AWS CLI, written so that it can be pasted into a shell.

use std::fmt;

use crate::event::{SecretArn, VersionId};
use crate::state::{AWSCURRENT, AWSPENDING};

/// What a person has to replace before running a command.
pub const FUNCTION_ARN: &str = "FUNCTION_ARN";

/// `aws secretsmanager OPERATION …`, complete with region and secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsCommand {
    words: Vec<String>,
}

/// The commands for one secret.
#[derive(Debug, Clone, Copy)]
pub struct AwsCommands<'a> {
    secret: &'a SecretArn,
    endpoint: Option<&'a str>,
}

impl<'a> AwsCommands<'a> {
    /// For the secret with this ARN, at an endpoint that the AWS CLI does not know by itself.
    pub const fn new(secret: &'a SecretArn, endpoint: Option<&'a str>) -> Self {
        Self { secret, endpoint }
    }

    fn command(&self, operation: &str, options: &[&str]) -> AwsCommand {
        let mut words = vec!["aws", "secretsmanager", operation];
        // The secret's own region, whatever the environment says.
        let region = self.secret.as_str().split(':').nth(3);
        words.extend(region.into_iter().flat_map(|region| ["--region", region]));
        words.extend(self.endpoint.into_iter().flat_map(|endpoint| ["--endpoint-url", endpoint]));
        words.extend(["--secret-id", self.secret.as_str()]);
        words.extend(options);
        AwsCommand { words: words.into_iter().map(str::to_owned).collect() }
    }

    /// Takes AWSPENDING away from its holder.
    pub fn remove_pending(&self, from: &VersionId) -> AwsCommand {
        let options = ["--version-stage", AWSPENDING, "--remove-from-version-id", from.as_str()];
        self.command("update-secret-version-stage", &options)
    }

    /// Moves AWSCURRENT from its holder to another version.
    pub fn move_current(&self, from: &VersionId, to: &VersionId) -> AwsCommand {
        let options =
            ["--version-stage", AWSCURRENT, "--move-to-version-id", to.as_str(), "--remove-from-version-id", from.as_str()];
        self.command("update-secret-version-stage", &options)
    }

    /// Starts a rotation as it is configured.
    pub fn rotate(&self) -> AwsCommand {
        self.command("rotate-secret", &[])
    }

    /// Configures a rotation and starts it. Without a function there is a placeholder.
    pub fn configure(&self, function: Option<&str>) -> AwsCommand {
        let function = function.unwrap_or(FUNCTION_ARN);
        let options = ["--rotation-lambda-arn", function, "--rotation-rules", "AutomaticallyAfterDays=30"];
        self.command("rotate-secret", &options)
    }

    /// Gives the secret another function, which tests the credential in use and rotates nothing.
    pub fn change_function(&self, function: &str) -> AwsCommand {
        self.command("rotate-secret", &["--rotation-lambda-arn", function, "--no-rotate-immediately"])
    }

    /// Brings a secret back that is marked for deletion.
    pub fn restore(&self) -> AwsCommand {
        self.command("restore-secret", &[])
    }

    /// Names the plugin; a placeholder stands for its name.
    pub fn tag_plugin(&self) -> AwsCommand {
        self.command("tag-resource", &["--tags", "Key=windlass:plugin,Value=PLUGIN"])
    }

    /// Stores a value from a file, so that it is in no list of processes and in no history.
    pub fn put_value(&self) -> AwsCommand {
        self.command("put-secret-value", &["--secret-string", "file://secret.json"])
    }
}

impl fmt::Display for AwsCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, word) in self.words.iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            write!(f, "{space}{}", quoted(word))?;
        }
        Ok(())
    }
}

/// A word as a POSIX shell reads it back.
///
/// Source: <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02_02>
fn quoted(word: &str) -> String {
    // Not `~`, `=` at the beginning or anything else that some shell expands.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_.:,+@-".contains(&byte);
    let assigns = |byte: u8| byte == b'=';
    let safe = word.bytes().enumerate().all(|(place, byte)| plain(byte) || (place > 0 && assigns(byte)));
    if safe && !word.is_empty() { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("update-secret-version-stage", "update-secret-version-stage")]
    #[case::arn(
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a/b+c=d.e@f-a1B2c3",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a/b+c=d.e@f-a1B2c3"
    )]
    #[case::leading_equals_sign("=ls", "'=ls'")]
    #[case::home("~root", "'~root'")]
    #[case::empty("", "''")]
    #[case::substitution("$(reboot)`reboot`", "'$(reboot)`reboot`'")]
    #[case::quotes("it's", r"'it'\''s'")]
    fn a_word_is_quoted_where_a_shell_would_read_something_else(#[case] word: &str, #[case] expected: &str) {
        assert_eq!(quoted(word), expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn a_real_shell_reads_back_what_was_meant(words in proptest::collection::vec("[^\0]{0,12}", 1..4)) {
            let command = AwsCommand { words: words.clone() };
            let script = format!("printf '%s\\0' {command}");
            let output = std::process::Command::new("/bin/sh").arg("-c").arg(script).output().unwrap();
            let read: Vec<_> = String::from_utf8(output.stdout).unwrap().split_terminator('\0').map(str::to_owned).collect();
            prop_assert_eq!(read, words);
        }
    }
}
