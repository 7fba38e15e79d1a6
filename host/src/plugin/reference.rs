//! How a rule or a tag says which plugin is meant.
//!
//! | reference | means |
//! |---|---|
//! | `redis` | the plugin of this name in a plugin folder; refused if there are several |
//! | `redis@0.1.0` | the one of this version |
//! | `redis@sha256:…` | the one with this digest |
//! | `s3://bucket/plugins/redis.wasm` | this object, as it is now |
//! | `s3://bucket/plugins/redis.wasm?versionId=…` | this version of the object. A tag cannot hold a `?` |
//! | either of them and `@sha256:…` | the same, if it has this digest |
//!
//! A tag's characters are those of
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Tag.html>: letters, digits, spaces and `_.:/=+-@`.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::manifest::PluginName;
use crate::plugin::digest::Digest;

/// Which plugin is meant.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Reference {
    /// Where to look.
    pub place: Place,
    /// The digest that it must have.
    pub digest: Option<Digest>,
}

/// Where a plugin is to be looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the plugin folders, by what it says of itself.
    Installed {
        /// Its name.
        name: PluginName,
        /// Its version, if only that one will do.
        version: Option<String>,
    },
    /// In S3.
    Object(ObjectUri),
}

/// An object in S3: `s3://BUCKET/KEY`, and `?versionId=ID` for one version of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectUri {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key, not empty.
    pub key: String,
    /// The id of one version of it.
    pub version: Option<String>,
}

/// A text refers to no plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` refers to no plugin: {why}. Write `redis`, `redis@0.1.0`, `redis@sha256:…` or `s3://bucket/key`, with `@sha256:…` if it \
     has to be a certain one"
)]
pub struct ReferenceError {
    text: String,
    why: String,
}

impl Reference {
    /// The name of the plugin, if the reference says it.
    pub const fn name(&self) -> Option<&PluginName> {
        match &self.place {
            Place::Installed { name, .. } => Some(name),
            Place::Object(_) => None,
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let wrong = |why: String| ReferenceError { text: text.escape_debug().to_string(), why };
        let (rest, digest) = match text.rsplit_once("@sha256:") {
            Some((rest, hex)) => {
                let digest = format!("sha256:{hex}").parse().map_err(|_| {
                    wrong("behind `@sha256:` come 64 lower-case hexadecimal digits, as `windlass inspect` prints them".to_owned())
                })?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        let place = if rest.starts_with(ObjectUri::SCHEME) {
            Place::Object(rest.parse().map_err(|error: ObjectUriError| wrong(error.to_string()))?)
        } else if let Some((scheme, _)) = rest.split_once("://") {
            return Err(wrong(format!("plugins do not come from `{}:`", scheme.escape_debug())));
        } else {
            let (name, version) = rest.split_once('@').map_or((rest, None), |(name, version)| (name, Some(version)));
            let name = PluginName::try_from(name.to_owned()).map_err(|error| wrong(error.to_string()))?;
            if version.is_some_and(|version| !is_version(version)) {
                return Err(wrong("a version has 1 to 64 letters, digits, dots, plus signs and hyphens".to_owned()));
            }
            Place::Installed { name, version: version.map(str::to_owned) }
        };
        Ok(Self { place, digest })
    }
}

/// Whether a text can be the version in a reference or in the name of a plugin's file.
pub(crate) fn is_version(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|of| of.is_ascii_alphanumeric() || ".+-".contains(of))
}

impl TryFrom<String> for Reference {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

/// As it is written.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Installed { name, version: None } => write!(f, "{name}")?,
            Place::Installed { name, version: Some(version) } => write!(f, "{name}@{version}")?,
            Place::Object(uri) => write!(f, "{uri}")?,
        }
        self.digest.map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

/// A text is no URI of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectUriError {
    /// It does not begin with `s3://`.
    #[error("an object's URI begins with `s3://`")]
    Scheme,
    /// What comes behind that is no bucket.
    #[error("a bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens")]
    Bucket,
    /// There is no key, or none that can be shown.
    #[error("behind the bucket comes `/` and the key, up to 1024 bytes without control characters, and no `.`, `..` or empty part")]
    Key,
    /// The version is none.
    #[error("`?versionId=` comes last, with the id of one version behind it")]
    Version,
}

impl ObjectUri {
    const SCHEME: &str = "s3://";

    /// What the text of an allowed prefix has to begin with, and the bucket in it: `s3://BUCKET/` at least.
    ///
    /// # Errors
    ///
    /// [`ObjectUriError`].
    pub fn check_prefix(text: &str) -> Result<(), ObjectUriError> {
        let rest = text.strip_prefix(Self::SCHEME).ok_or(ObjectUriError::Scheme)?;
        let (bucket, prefix) = rest.split_once('/').ok_or(ObjectUriError::Key)?;
        if !is_bucket(bucket) {
            return Err(ObjectUriError::Bucket);
        }
        // A prefix that ends within a name would allow that name's neighbours too.
        if prefix.is_empty() || prefix.strip_suffix('/').is_some_and(is_key) { Ok(()) } else { Err(ObjectUriError::Key) }
    }

    /// Whether it is under one of these prefixes, whichever version of it is meant.
    pub fn is_below(&self, prefixes: &[String]) -> bool {
        let text = self.latest().to_string();
        prefixes.iter().any(|prefix| text.starts_with(prefix))
    }

    /// This object and no version of it.
    #[must_use]
    pub fn latest(&self) -> Self {
        Self { version: None, ..self.clone() }
    }

    /// The object beside this one whose key is longer by this. Versions of the two do not belong together, so it is the latest one.
    #[must_use]
    pub fn beside(&self, suffix: &str) -> Self {
        Self { bucket: self.bucket.clone(), key: format!("{}{suffix}", self.key), version: None }
    }
}

impl FromStr for ObjectUri {
    type Err = ObjectUriError;

    fn from_str(text: &str) -> Result<Self, ObjectUriError> {
        let rest = text.strip_prefix(Self::SCHEME).ok_or(ObjectUriError::Scheme)?;
        let (rest, version) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let version = match version.map(|query| query.strip_prefix("versionId=").unwrap_or_default()) {
            Some("") => return Err(ObjectUriError::Version),
            Some(id) if id.len() > 1024 || !id.bytes().all(|of| of.is_ascii_graphic()) => return Err(ObjectUriError::Version),
            version => version.map(str::to_owned),
        };
        let (bucket, key) = rest.split_once('/').ok_or(ObjectUriError::Key)?;
        if !is_bucket(bucket) {
            return Err(ObjectUriError::Bucket);
        }
        if !is_key(key) {
            return Err(ObjectUriError::Key);
        }
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned(), version })
    }
}

impl fmt::Display for ObjectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/{}", Self::SCHEME, self.bucket, self.key)?;
        self.version.as_ref().map_or(Ok(()), |version| write!(f, "?versionId={version}"))
    }
}

/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
fn is_bucket(text: &str) -> bool {
    let inside = |of: u8| of.is_ascii_lowercase() || of.is_ascii_digit();
    let ends = |of: Option<&u8>| of.is_some_and(|of| inside(*of));
    let bytes = text.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|of| inside(*of) || b".-".contains(of))
        && ends(bytes.first())
        && ends(bytes.last())
}

/// Without the parts that mean something else in a path: a mirror is a folder, and some of S3's own tools normalise them away.
fn is_key(text: &str) -> bool {
    (1..=1024).contains(&text.len())
        && !text.chars().any(char::is_control)
        && text.split('/').all(|part| !["", ".", ".."].contains(&part))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[rstest]
    #[case("redis")]
    #[case("redis@0.1.0")]
    #[case("redis@0.1.0-rc.1+build.2")]
    #[case("redis@DIGEST")]
    #[case("redis@0.1.0@DIGEST")]
    #[case("s3://acme-plugins/redis.wasm")]
    #[case("s3://acme-plugins/teams/a/redis.wasm@DIGEST")]
    #[case("s3://acme-plugins/redis@home.wasm")]
    #[case("s3://acme-plugins/redis.wasm?versionId=3HL4kqtJvjVBH40Nrjfkd@DIGEST")]
    fn a_reference_reads_back_as_it_was_written(#[case] text: &str) {
        let text = text.replace("DIGEST", DIGEST);
        assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
    }

    #[rstest]
    #[case::nothing("", "a plugin's name has")]
    #[case::path("../redis", "a plugin's name has")]
    #[case::capital("Redis", "a plugin's name has")]
    #[case::no_version("redis@", "a version has")]
    #[case::path_as_version("redis@../1", "a version has")]
    #[case::short_digest("redis@sha256:12", "64 lower-case hexadecimal digits")]
    #[case::other_scheme("https://acme.example/redis.wasm", "plugins do not come from `https:`")]
    #[case::file("file:///redis.wasm", "plugins do not come from `file:`")]
    #[case::no_key("s3://acme-plugins", "behind the bucket comes `/`")]
    #[case::empty_key("s3://acme-plugins/", "behind the bucket comes `/`")]
    #[case::up("s3://acme-plugins/a/../b", "behind the bucket comes `/`")]
    #[case::twice_the_slash("s3://acme-plugins//b", "behind the bucket comes `/`")]
    #[case::bucket("s3://Acme/redis.wasm", "a bucket's name has")]
    #[case::bucket_with_user("s3://a@b.example/redis.wasm", "a bucket's name has")]
    #[case::other_query("s3://acme-plugins/redis.wasm?version=1", "`?versionId=` comes last")]
    #[case::no_version_id("s3://acme-plugins/redis.wasm?versionId=", "`?versionId=` comes last")]
    fn a_text_that_means_no_plugin_is_told_why(#[case] text: &str, #[case] why: &str) {
        let error = text.parse::<Reference>().unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("Write `redis`"), "{error}");
    }

    #[rstest]
    #[case("s3://acme-plugins/", Ok(()))]
    #[case("s3://acme-plugins/teams/a/", Ok(()))]
    #[case::within_a_name("s3://acme-plugins/teams/a", Err(ObjectUriError::Key))]
    #[case::within_a_bucket("s3://acme-plugins", Err(ObjectUriError::Key))]
    #[case::every_bucket("s3:///", Err(ObjectUriError::Bucket))]
    #[case::up("s3://acme-plugins/a/../", Err(ObjectUriError::Key))]
    #[case::scheme("https://acme-plugins/", Err(ObjectUriError::Scheme))]
    fn a_prefix_ends_where_a_name_ends(#[case] text: &str, #[case] expected: Result<(), ObjectUriError>) {
        assert_eq!(ObjectUri::check_prefix(text), expected);
    }

    #[test]
    fn what_lies_beside_an_object_has_no_version_of_it() {
        let uri: ObjectUri = "s3://acme-plugins/redis.wasm?versionId=1".parse().unwrap();
        assert_eq!(uri.beside(".sig").to_string(), "s3://acme-plugins/redis.wasm.sig");
        assert_eq!(uri.latest().to_string(), "s3://acme-plugins/redis.wasm");
    }
}
