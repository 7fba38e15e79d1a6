//! The plugins of a folder. A plugin's name is the name of its file: `redis` is `redis.wasm`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::manifest::PluginName;
use crate::plugin::component_file::{ComponentError, ComponentFile};
use crate::plugin::signature;

/// Where the plugin of a secret comes from.
#[derive(Debug, Clone)]
pub enum PluginSource {
    /// From a folder, chosen by name or by the secret's fields.
    Folder(Catalogue),
    /// Every secret has this one: a command was given a file.
    Only(Box<ComponentFile>),
}

/// A folder of plugins. Nothing is remembered: a file that is swapped counts from the next call on.
#[derive(Debug, Clone)]
pub struct Catalogue {
    folder: PathBuf,
}

/// Why the catalogue has no plugin to offer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// The folder cannot be listed.
    #[error("the plugin folder {} cannot be read", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No plugin has this name.
    #[error("no plugin `{name}` is installed in {}. Installed: {}", folder.display(), listed(installed))]
    Missing {
        /// The name that was asked for.
        name: PluginName,
        /// Where it was looked for.
        folder: PathBuf,
        /// What is there.
        installed: Vec<PluginName>,
    },
    /// No plugin recognises the secret.
    #[error(
        "the secret has no tag `windlass:plugin`, and no installed plugin recognises it by its fields. Tag it with the name of one of: {}",
        listed(installed)
    )]
    NoMatch {
        /// What is installed.
        installed: Vec<PluginName>,
    },
    /// Several plugins recognise the secret.
    #[error(
        "the secret has no tag `windlass:plugin`, and several plugins recognise it: {}. Tag it with the one to use",
        listed(matching)
    )]
    SeveralMatch {
        /// Those that do.
        matching: Vec<PluginName>,
    },
    /// The file is called something else than the plugin.
    #[error("the file {}.wasm holds the plugin `{manifest}`: rename the file, so that everybody means the same plugin", file.as_str())]
    OtherName {
        /// The file's name, without its extension.
        file: PluginName,
        /// The plugin's own name.
        manifest: PluginName,
    },
    /// A file that should be a plugin is none.
    #[error("the plugin `{name}` in {} cannot be used", folder.display())]
    Unusable {
        /// The plugin's name.
        name: PluginName,
        /// Where it is.
        folder: PathBuf,
        /// Why not.
        source: ComponentError,
    },
    /// A plugin's signature is there and cannot be read.
    #[error("the signature {name}.wasm.sig in {} cannot be read", folder.display())]
    Signature {
        /// The plugin's name.
        name: PluginName,
        /// Where it is.
        folder: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

fn listed(names: &[PluginName]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ") }
}

impl Catalogue {
    /// The plugins of this folder.
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where the plugins are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The plugin of this name.
    ///
    /// # Errors
    ///
    /// [`CatalogueError::Missing`] lists what is installed; [`CatalogueError::Unusable`] says what is wrong with the file.
    pub fn named(&self, name: &PluginName) -> Result<ComponentFile, CatalogueError> {
        // A name has no separators and no dots, so this stays in the folder.
        match ComponentFile::read(&self.folder.join(format!("{name}.wasm"))) {
            Ok(file) if file.manifest().name == *name => Ok(file),
            Ok(file) => Err(CatalogueError::OtherName { file: name.clone(), manifest: file.manifest().name.clone() }),
            Err(ComponentError::Unreadable { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Err(CatalogueError::Missing { name: name.clone(), folder: self.folder.clone(), installed: self.names()? })
            }
            Err(source) => Err(CatalogueError::Unusable { name: name.clone(), folder: self.folder.clone(), source }),
        }
    }

    /// What lies beside the plugin of this name as its signature, if anything does. It is not judged here.
    ///
    /// # Errors
    ///
    /// [`CatalogueError::Signature`] if it cannot be read.
    pub fn signature(&self, name: &PluginName) -> Result<Option<Vec<u8>>, CatalogueError> {
        signature::read(&self.folder.join(format!("{name}.wasm"))).map_err(|source| CatalogueError::Signature {
            name: name.clone(),
            folder: self.folder.clone(),
            source,
        })
    }

    /// The one plugin whose manifest recognises a secret by its fields (`secret.match`). A plugin without such a table recognises
    /// none.
    ///
    /// # Errors
    ///
    /// None or several recognise it. An unusable file in the folder is an error too: it might be the second match.
    pub fn matching(&self, field: &dyn Fn(&str) -> Option<String>) -> Result<ComponentFile, CatalogueError> {
        let installed = self.names()?;
        let mut matching = Vec::new();
        for name in &installed {
            let file = self.named(name)?;
            let wanted = &file.manifest().secret.matches;
            if !wanted.is_empty() && wanted.iter().all(|(name, value)| field(name).as_ref() == Some(value)) {
                matching.push(file);
            }
        }
        match matching.len() {
            1 => Ok(matching.remove(0)),
            0 => Err(CatalogueError::NoMatch { installed }),
            _ => Err(CatalogueError::SeveralMatch {
                matching: matching.into_iter().map(|file| file.manifest().name.clone()).collect(),
            }),
        }
    }

    /// The names of all `.wasm` files whose name can be a plugin's, in order. A folder that does not exist is empty.
    ///
    /// # Errors
    ///
    /// [`CatalogueError::Folder`].
    pub fn names(&self) -> Result<Vec<PluginName>, CatalogueError> {
        let unreadable = |source| CatalogueError::Folder { folder: self.folder.clone(), source };
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let mut names = BTreeSet::new();
        for entry in entries {
            let file = PathBuf::from(entry.map_err(unreadable)?.file_name());
            let stem = file.file_stem().and_then(|stem| stem.to_str()).filter(|_| file.extension().is_some_and(|of| of == "wasm"));
            names.extend(stem.and_then(|stem| PluginName::try_from(stem.to_owned()).ok()));
        }
        Ok(names.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::plugin::component_file::tests::plugin;

    /// A folder with these plugins, by the name of the file and the text of the manifest.
    fn folder(plugins: &[(&str, &str)]) -> (tempfile::TempDir, Catalogue) {
        let folder = tempfile::tempdir().unwrap();
        for (name, manifest) in plugins {
            std::fs::write(folder.path().join(name), plugin(manifest)).unwrap();
        }
        let catalogue = Catalogue::new(folder.path().to_owned());
        (folder, catalogue)
    }

    fn name(text: &str) -> PluginName {
        PluginName::try_from(text.to_owned()).unwrap()
    }

    const REDIS: (&str, &str) = ("redis.wasm", "name = \"redis\"\nversion = \"1\"\n[secret]\nmatch = { engine = \"redis\" }");
    const VALKEY: (&str, &str) = ("valkey.wasm", "name = \"valkey\"\nversion = \"1\"\n[secret]\nmatch = { engine = \"redis\" }");
    const ACME: (&str, &str) = ("acme.wasm", "name = \"acme\"\nversion = \"1\"");

    #[test]
    fn finds_a_plugin_by_its_name() {
        let (_folder, catalogue) =
            folder(&[REDIS, ACME, ("notes.txt", ""), ("Not A Name.wasm", ""), ("redis.wasm.sig", ""), ("native.cwasm", "")]);
        assert_eq!(catalogue.named(&name("redis")).unwrap().manifest().name, name("redis"));
        assert_eq!(catalogue.names().unwrap(), [name("acme"), name("redis")]);
    }

    #[test]
    fn a_missing_plugin_is_told_what_there_is() {
        let (_folder, catalogue) = folder(&[REDIS, ACME]);
        let error = catalogue.named(&name("kafka")).unwrap_err().to_string();
        assert!(
            error.starts_with("no plugin `kafka` is installed in ") && error.ends_with("Installed: `acme`, `redis`"),
            "{error}"
        );
        let error = Catalogue::new("/nowhere".into()).named(&name("kafka")).unwrap_err().to_string();
        assert!(error.ends_with("Installed: none"), "{error}");
    }

    #[test]
    fn a_file_under_another_name_is_not_the_plugin() {
        let (_folder, catalogue) = folder(&[("redis.wasm", ACME.1)]);
        let error = catalogue.named(&name("redis")).unwrap_err().to_string();
        assert!(error.starts_with("the file redis.wasm holds the plugin `acme`"), "{error}");
    }

    #[rstest]
    #[case::one(&[REDIS, ACME], "redis", "redis")]
    #[case::none(&[REDIS, ACME], "kafka", "no installed plugin recognises it by its fields. Tag it with the name of one of: `acme`, `redis`")]
    #[case::several(&[REDIS, VALKEY], "redis", "several plugins recognise it: `redis`, `valkey`. Tag it")]
    #[case::nothing_installed(&[], "redis", "Tag it with the name of one of: none")]
    #[case::one_is_broken(&[REDIS, ("broken.wasm", "")], "redis", "the plugin `broken` in ")]
    fn a_secret_without_a_tag_is_served_only_when_that_is_unambiguous(
        #[case] plugins: &[(&str, &str)],
        #[case] engine: &str,
        #[case] expected: &str,
    ) {
        let (_folder, catalogue) = folder(plugins);
        let field = |name: &str| (name == "engine").then(|| engine.to_owned());
        let found = match catalogue.matching(&field) {
            Ok(file) => file.manifest().name.to_string(),
            Err(error) => error.to_string(),
        };
        assert!(found.contains(expected), "{found}");
    }
}
