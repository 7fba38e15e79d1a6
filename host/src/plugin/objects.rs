//! Plugins in S3. An object is read again with every step, conditionally: as long as it is the same, S3 answers with a few bytes.
//!
//! Which objects may be used at all the operator says, as prefixes; whether the bytes may run is decided afterwards, as for every
//! other plugin. For development the same code reads a folder, in which `s3://BUCKET/KEY` is `BUCKET/KEY`.
//!
//! The function's role needs `s3:GetObject` on the prefixes, and `s3:GetObjectVersion` for references with `?versionId=`. Without
//! `s3:ListBucket` S3 calls a missing object forbidden, and so does the message here.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, timeout_at};

use self::s3::{Answer, S3};
use crate::aws::Aws;
use crate::plugin::component_file::{self, ComponentError, ComponentFile};
use crate::plugin::reference::ObjectUri;
use crate::time_account::{On, spend};

mod s3;

/// How many bytes of components are kept, so that an object that has not changed is not sent again.
const MAX_KEPT_BYTES: usize = 32 << 20;

/// Objects that plugins may come from.
#[derive(Debug)]
pub struct Objects {
    prefixes: Vec<String>,
    store: Store,
    /// The one used last stands last.
    kept: Mutex<Vec<Kept>>,
}

#[derive(Debug)]
enum Store {
    S3(Box<S3>),
    Mirror(PathBuf),
    /// No prefix is allowed, so nothing is ever read.
    None,
}

/// A component that S3 is asked about before it is sent again.
#[derive(Debug, Clone)]
struct Kept {
    uri: ObjectUri,
    tag: String,
    found: FoundObject,
}

/// A plugin that was found in S3.
#[derive(Debug, Clone)]
pub struct FoundObject {
    /// What the object holds.
    pub component: ComponentFile,
    /// When the object became what it is.
    pub changed: Option<SystemTime>,
}

/// Why an object is no plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// The operator does not allow it.
    #[error(
        "plugins may not come from {uri}. {}. Add its prefix to `prefixes` of [s3] in windlass.toml if it may be used",
        allowed(prefixes)
    )]
    NotAllowed {
        /// The object.
        uri: ObjectUri,
        /// What is allowed.
        prefixes: Vec<String>,
    },
    /// It is not there.
    #[error("there is no plugin at {uri}: {what}. Upload it with `aws s3 cp`, or correct the reference")]
    Missing {
        /// The object.
        uri: ObjectUri,
        /// What is missing.
        what: &'static str,
    },
    /// S3 refuses to show it.
    #[error(
        "S3 refuses to show {uri} ({code}): it is not there, or the function's role lacks s3:GetObject on it (s3:GetObjectVersion for a \
         version, kms:Decrypt if the bucket encrypts with a key of its own)"
    )]
    Denied {
        /// The object.
        uri: ObjectUri,
        /// S3's word for it.
        code: String,
    },
    /// S3 did not answer as it should.
    #[error(
        "{uri} was not read: {why}. If the function runs in a VPC, it needs a gateway endpoint for S3 or a route to the internet"
    )]
    Unreachable {
        /// The object.
        uri: ObjectUri,
        /// What happened.
        why: String,
    },
    /// The object is no plugin.
    #[error("the object {uri} cannot be used")]
    Unusable {
        /// The object.
        uri: ObjectUri,
        /// Why not.
        source: ComponentError,
    },
}

fn allowed(prefixes: &[String]) -> String {
    if prefixes.is_empty() { "None of S3 is allowed".to_owned() } else { format!("Allowed: {}", prefixes.join(", ")) }
}

impl Objects {
    /// The longest wait for one object. A component of 18 MB takes a second or two.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// No objects: nothing may come from S3.
    pub const fn none() -> Self {
        Self { prefixes: Vec::new(), store: Store::None, kept: Mutex::new(Vec::new()) }
    }

    /// Objects of S3 under these prefixes. The client is made when the first object is asked for.
    pub fn in_s3(prefixes: Vec<String>, aws: Aws) -> Self {
        Self { prefixes, store: Store::S3(Box::new(S3::new(aws))), kept: Mutex::new(Vec::new()) }
    }

    /// Files of a folder that stands for S3, under these prefixes.
    pub const fn in_mirror(prefixes: Vec<String>, folder: PathBuf) -> Self {
        Self { prefixes, store: Store::Mirror(folder), kept: Mutex::new(Vec::new()) }
    }

    /// The component in this object.
    ///
    /// # Errors
    ///
    /// [`ObjectError`] says what the operator can do.
    pub async fn component(&self, uri: &ObjectUri, deadline: Instant) -> Result<FoundObject, ObjectError> {
        self.check(uri)?;
        let kept = self.recall(uri);
        let known = kept.as_ref().map(|kept| kept.tag.as_str());
        let _spending = spend(On::S3, "GetObject");
        match self.read(uri, component_file::MAX_BYTES, known, deadline).await? {
            Answer::Object { bytes, changed, tag } => {
                let component = ComponentFile::parse(bytes).map_err(|source| ObjectError::Unusable { uri: uri.clone(), source })?;
                let found = FoundObject { component, changed };
                if let Some(tag) = tag {
                    self.keep(Kept { uri: uri.clone(), tag, found: found.clone() });
                }
                Ok(found)
            }
            Answer::NotModified => {
                let unasked = || ObjectError::Unreachable { uri: uri.clone(), why: "S3 did not send it".to_owned() };
                kept.map(|kept| kept.found).ok_or_else(unasked)
            }
        }
    }

    /// What lies beside an object under its key and `suffix`, up to `most` bytes and one more. Nothing if S3 does not show it.
    ///
    /// # Errors
    ///
    /// [`ObjectError::Unreachable`].
    pub async fn beside(
        &self,
        uri: &ObjectUri,
        suffix: &str,
        most: u64,
        deadline: Instant,
    ) -> Result<Option<Vec<u8>>, ObjectError> {
        let _spending = spend(On::S3, "GetObject");
        match self.read(&uri.beside(suffix), most, None, deadline).await {
            Ok(Answer::Object { bytes, .. }) => Ok(Some(bytes)),
            Ok(Answer::NotModified) | Err(ObjectError::Missing { .. } | ObjectError::Denied { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn check(&self, uri: &ObjectUri) -> Result<(), ObjectError> {
        if uri.is_below(&self.prefixes) {
            return Ok(());
        }
        Err(ObjectError::NotAllowed { uri: uri.clone(), prefixes: self.prefixes.clone() })
    }

    async fn read(&self, uri: &ObjectUri, most: u64, known: Option<&str>, deadline: Instant) -> Result<Answer, ObjectError> {
        let until = deadline.min(Instant::now() + Self::PATIENCE);
        let read = async {
            match &self.store {
                Store::S3(s3) => s3.get(uri, most, known).await,
                Store::Mirror(folder) => from_mirror(folder, uri, most),
                Store::None => Err(ObjectError::NotAllowed { uri: uri.clone(), prefixes: Vec::new() }),
            }
        };
        let late = |_| ObjectError::Unreachable { uri: uri.clone(), why: "it took longer than the time that was left".to_owned() };
        timeout_at(until, read).await.map_err(late)?
    }

    fn recall(&self, uri: &ObjectUri) -> Option<Kept> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|kept| kept.uri == *uri).cloned()
    }

    fn keep(&self, new: Kept) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|old| old.uri != new.uri);
        kept.push(new);
        let mut bytes: usize = kept.iter().map(|kept| kept.found.component.wasm().len()).sum();
        while bytes > MAX_KEPT_BYTES {
            bytes -= kept.remove(0).found.component.wasm().len();
        }
    }
}

/// Reads `FOLDER/BUCKET/KEY`. A folder knows no versions.
fn from_mirror(folder: &Path, uri: &ObjectUri, most: u64) -> Result<Answer, ObjectError> {
    use std::io::{ErrorKind, Read};

    if uri.version.is_some() {
        return Err(ObjectError::Missing { uri: uri.clone(), what: "a mirror has no versions of objects" });
    }
    let path = folder.join(&uri.bucket).join(&uri.key);
    let read = || {
        let file = std::fs::File::open(&path)?;
        let changed = file.metadata()?.modified().ok();
        let mut bytes = Vec::new();
        file.take(most + 1).read_to_end(&mut bytes)?;
        Ok(Answer::Object { bytes, changed, tag: None })
    };
    read().map_err(|error: std::io::Error| {
        if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) {
            return ObjectError::Missing { uri: uri.clone(), what: "the mirror has no such file" };
        }
        ObjectError::Unreachable { uri: uri.clone(), why: format!("{}: {error}", path.display()) }
    })
}

#[cfg(all(test, feature = "cli"))]
mod tests;
