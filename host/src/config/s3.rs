//! Which objects of S3 may be plugins: `[s3]` of `windlass.toml`.
//!
//! ```toml
//! [s3]
//! # Plugins may come from these prefixes and from nowhere else in S3. Each ends with a slash.
//! prefixes = ["s3://acme-plugins/windlass/"]
//! # For development: a folder that is read instead, where s3://BUCKET/KEY is BUCKET/KEY.
//! mirror = "mirror"
//! ```
//!
//! Whoever may write there offers plugins; whether they run `[trust]` decides, without which no prefix is accepted.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::plugin::reference::{ObjectUri, ObjectUriError};

/// Which objects of S3 may be plugins. None, unless the file says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct S3Prefixes {
    /// `s3://BUCKET/` or `s3://BUCKET/PREFIX/`.
    pub prefixes: Vec<String>,
    /// A folder that is read in the place of S3.
    pub mirror: Option<PathBuf>,
}

/// The table `s3` as it was written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct S3Table {
    prefixes: Vec<String>,
    mirror: Option<PathBuf>,
}

/// Why the table `s3` cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum S3TableError {
    /// A prefix is none.
    #[error("`s3.prefixes` has `{text}`: {source}. Write `s3://BUCKET/` or `s3://BUCKET/PREFIX/`, with the slash at its end")]
    Prefix {
        /// What was written.
        text: String,
        /// What is wrong with it.
        source: ObjectUriError,
    },
    /// The table allows nothing.
    #[error("`s3.prefixes` is empty, which allows nothing. Name a prefix, or leave the table out")]
    Empty,
    /// Nothing is asked of plugins.
    #[error(
        "`s3.prefixes` without a table `trust` lets whoever can write there choose the code. Set `trust.require` to \"signature\" or \
         \"digest\", or, if that is what you want, to \"insecure_nothing\""
    )]
    NoTrust,
}

impl S3Prefixes {
    /// What the table means. Paths are relative to `folder`; `trust` says whether there is a table `trust`.
    pub(super) fn of(table: Option<S3Table>, folder: &Path, trust: bool) -> Result<Self, S3TableError> {
        let Some(S3Table { prefixes, mirror }) = table else { return Ok(Self::default()) };
        if prefixes.is_empty() {
            return Err(S3TableError::Empty);
        }
        for text in &prefixes {
            ObjectUri::check_prefix(text)
                .map_err(|source| S3TableError::Prefix { text: text.escape_debug().to_string(), source })?;
        }
        if !trust {
            return Err(S3TableError::NoTrust);
        }
        Ok(Self { prefixes, mirror: mirror.map(|mirror| folder.join(mirror)) })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::config::Config;

    fn read(text: &str) -> Result<S3Prefixes, String> {
        let mut config = Config::with_plugins("plugins".into());
        config.read_text(text, Path::new("conf/windlass.toml")).map_err(|error| error.to_string())?;
        Ok(config.s3)
    }

    #[test]
    fn the_documented_example_is_read() {
        let source = include_str!("s3.rs");
        let (_, example) = source.split_once("//! ```toml\n").unwrap();
        let (example, _) = example.split_once("//! ```").unwrap();
        let example: String = example.lines().map(|line| format!("{}\n", line.trim_start_matches("//!"))).collect();
        let s3 = read(&format!("[trust]\nrequire = \"insecure_nothing\"\n{example}")).unwrap();
        assert_eq!(s3.prefixes, ["s3://acme-plugins/windlass/"]);
        assert_eq!(s3.mirror, Some("conf/mirror".into()));
    }

    #[rstest]
    #[case::nobody_trusted("[s3]\nprefixes = [\"s3://acme-plugins/\"]", "`s3.prefixes` without a table `trust`")]
    #[case::nothing("[trust]\nrequire = \"insecure_nothing\"\n[s3]\nprefixes = []", "`s3.prefixes` is empty")]
    #[case::half_a_name(
        "[trust]\nrequire = \"insecure_nothing\"\n[s3]\nprefixes = [\"s3://acme-plugins/win\"]",
        "with the slash at its end"
    )]
    #[case::other_key("[trust]\nrequire = \"insecure_nothing\"\n[s3]\nprefix = \"s3://acme-plugins/\"", "unknown field `prefix`")]
    #[case::mirror_alone("[trust]\nrequire = \"insecure_nothing\"\n[s3]\nmirror = \"m\"", "missing field `prefixes`")]
    fn a_mistake_stops_the_start(#[case] text: &str, #[case] part: &str) {
        let error = read(text).unwrap_err();
        assert!(error.starts_with("the configuration file conf/windlass.toml is wrong: ") && error.contains(part), "{error}");
    }
}
