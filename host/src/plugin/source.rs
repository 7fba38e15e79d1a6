//! Where the plugin of a secret comes from: a plugin folder, S3, or the file that a command was given.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use crate::aws::Aws;
use crate::config::Config;
use crate::config::s3::S3Prefixes;
use crate::plugin::catalogue::{Catalogue, CatalogueError, Found};
use crate::plugin::code::envelope::{self, EnvelopeError};
use crate::plugin::component_file::ComponentFile;
use crate::plugin::digest::Digest;
use crate::plugin::engine::Target;
use crate::plugin::objects::{ObjectError, Objects};
use crate::plugin::reference::{ObjectUri, Place, Reference};
use crate::plugin::signature;

/// Where the plugins of this process come from.
#[derive(Debug, Clone)]
pub enum PluginSource {
    /// Each secret has its own, by a reference or by its fields.
    PerSecret {
        /// The plugin folders.
        catalogue: Catalogue,
        /// S3.
        objects: Arc<Objects>,
    },
    /// Every secret has this one: a command was given a file.
    Only {
        /// What is in the file.
        component: Box<ComponentFile>,
        /// The file, if it is one.
        path: Option<PathBuf>,
    },
}

/// A plugin that serves a secret. Whether it may run is another question.
#[derive(Debug, Clone)]
pub struct FoundPlugin {
    /// The component.
    pub component: ComponentFile,
    /// Where it was found.
    pub origin: Origin,
    /// When what is there became what it is, where that is known. A file's time is not: those of a deployed zip are made up.
    pub changed: Option<SystemTime>,
}

/// Where a plugin was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In a file.
    File(PathBuf),
    /// In an object of S3.
    Object(ObjectUri),
    /// Inside this program.
    Program,
}

/// Why there is no plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The plugin folders do not have it.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// S3 does not have it.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The object has another digest than the reference.
    #[error("{uri} has the digest {found}, but `{wanted}` was referred to. Put the component back, or refer to the new one")]
    OtherDigest {
        /// The object.
        uri: ObjectUri,
        /// What it has.
        found: Digest,
        /// The reference.
        wanted: Reference,
    },
    /// The signature beside the plugin cannot be read.
    #[error("the signature {} cannot be read", path.display())]
    Signature {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl PluginSource {
    /// The plugins of these folders, and nothing from S3.
    pub fn folders(folders: Vec<PathBuf>) -> Self {
        Self::PerSecret { catalogue: Catalogue::new(folders), objects: Arc::new(Objects::none()) }
    }

    /// The plugins that the configuration allows: those of the folders and, if it names any, the objects of S3.
    pub fn configured(config: &Config, aws: &Aws) -> Self {
        let S3Prefixes { prefixes, mirror } = config.s3.clone();
        let objects = match mirror {
            _ if prefixes.is_empty() => Objects::none(),
            Some(mirror) => Objects::in_mirror(prefixes, mirror),
            None => Objects::in_s3(prefixes, aws.clone()),
        };
        Self::PerSecret { catalogue: Catalogue::new(config.plugins.clone()), objects: Arc::new(objects) }
    }

    /// This component for every secret.
    pub fn only(component: ComponentFile, path: Option<&Path>) -> Self {
        Self::Only { component: Box::new(component), path: path.map(Path::to_owned) }
    }

    /// The plugin that is referred to; without a reference the one that recognises a secret by its fields.
    ///
    /// # Errors
    ///
    /// [`SourceError`] lists what there is.
    pub async fn find(
        &self,
        reference: Option<&Reference>,
        field: &(dyn Fn(&str) -> Option<String> + Sync),
        deadline: Instant,
    ) -> Result<FoundPlugin, SourceError> {
        let (catalogue, objects) = match self {
            Self::PerSecret { catalogue, objects } => (catalogue, objects),
            Self::Only { component, path } => {
                let origin = path.clone().map_or(Origin::Program, Origin::File);
                return Ok(FoundPlugin { component: (**component).clone(), origin, changed: None });
            }
        };
        let Some(reference) = reference else { return Ok(catalogue.matching(field)?.into()) };
        match &reference.place {
            Place::Installed { name, version } => Ok(catalogue.find(name, version.as_deref(), reference.digest)?.into()),
            Place::Object(uri) => {
                let found = objects.component(uri, deadline).await?;
                let digest = found.component.digest();
                if reference.digest.is_some_and(|wanted| wanted != digest) {
                    return Err(SourceError::OtherDigest { uri: uri.clone(), found: digest, wanted: reference.clone() });
                }
                Ok(FoundPlugin { component: found.component, origin: Origin::Object(uri.clone()), changed: found.changed })
            }
        }
    }

    /// What lies beside a plugin as its signature, if anything does. It is not judged here.
    ///
    /// # Errors
    ///
    /// It is there and cannot be read.
    pub async fn signature(&self, origin: &Origin, deadline: Instant) -> Result<Option<Vec<u8>>, SourceError> {
        match (self, origin) {
            (_, Origin::File(path)) => {
                signature::read(path).map_err(|source| SourceError::Signature { path: signature::path(path), source })
            }
            (Self::PerSecret { objects, .. }, Origin::Object(uri)) => {
                Ok(objects.beside(uri, signature::SUFFIX, signature::MAX_BYTES as u64, deadline).await?)
            }
            (Self::Only { .. }, Origin::Object(_)) | (_, Origin::Program) => Ok(None),
        }
    }

    /// What lies beside a plugin as its code for `target`, if anything does. It is not judged here.
    ///
    /// # Errors
    ///
    /// It is there and cannot be read.
    pub async fn envelope(&self, origin: &Origin, target: Target, deadline: Instant) -> Result<Option<Vec<u8>>, EnvelopeError> {
        let unreadable = |why: String| EnvelopeError::Unreadable { why };
        match (self, origin) {
            (_, Origin::File(plugin)) => {
                envelope::read(&envelope::path(plugin, target)).map_err(|error| unreadable(error.to_string()))
            }
            (Self::PerSecret { objects, .. }, Origin::Object(uri)) => {
                let read = objects.beside(uri, &envelope::suffix(target), envelope::MAX_BYTES, deadline).await;
                read.map_err(|error| unreadable(error.to_string()))
            }
            (Self::Only { .. }, Origin::Object(_)) | (_, Origin::Program) => Ok(None),
        }
    }
}

impl From<Found> for FoundPlugin {
    fn from(found: Found) -> Self {
        Self { component: found.component, origin: Origin::File(found.path), changed: None }
    }
}
