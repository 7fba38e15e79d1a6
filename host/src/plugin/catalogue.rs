//! The plugins of the plugin folders: the function's own, and those that Lambda layers bring.
//!
//! A plugin's file is called `NAME.wasm`, or `NAME@VERSION.wasm` where several versions lie side by side. No folder takes precedence
//! over another: of two different plugins with the same name none is used until somebody says which. The same bytes twice are one.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use crate::manifest::{Manifest, PluginName};
use crate::plugin::component_file::{self, ComponentError, ComponentFile};
use crate::plugin::digest::Digest;
use crate::plugin::reference;

/// The plugin folders. Nothing is remembered: a file that is swapped counts from the next call on.
#[derive(Debug, Clone)]
pub struct Catalogue {
    folders: Vec<PathBuf>,
}

/// A plugin's file, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InstalledFile {
    /// The name of the plugin, as the file's name says.
    pub name: PluginName,
    /// Its version, if the file's name says one.
    pub version: Option<String>,
    /// The file.
    pub path: PathBuf,
}

/// A plugin that was found in a folder.
#[derive(Debug, Clone)]
pub struct Found {
    /// What is in the file.
    pub component: ComponentFile,
    /// The file.
    pub path: PathBuf,
}

/// A plugin that there is, for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its name.
    pub name: PluginName,
    /// Its version.
    pub version: String,
    /// Its digest.
    pub digest: Digest,
    /// Its file.
    pub path: PathBuf,
}

impl From<&Found> for Offer {
    fn from(found: &Found) -> Self {
        let manifest = found.component.manifest();
        let (name, version) = (manifest.name.clone(), manifest.version.clone());
        Self { name, version, digest: found.component.digest(), path: found.path.clone() }
    }
}

/// Everything that a reference can say of it.
impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}@{}@{}` ({})", self.name, self.version, self.digest, self.path.display())
    }
}

/// Why the catalogue has no plugin to offer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// A folder cannot be listed.
    #[error("the plugin folder {} cannot be read", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No plugin has this name.
    #[error("no plugin `{name}` is installed in {}. Installed: {}", paths(folders), listed(installed))]
    Missing {
        /// The name that was asked for.
        name: PluginName,
        /// Where it was looked for.
        folders: Vec<PathBuf>,
        /// What is there.
        installed: Vec<PluginName>,
    },
    /// The plugin is there, but not the version or digest that was asked for.
    #[error("no `{wanted}` is installed, only {}. Install that one, or refer to one of these", offers(installed))]
    Mismatch {
        /// What was asked for: name, and version or digest.
        wanted: String,
        /// What there is of that name.
        installed: Vec<Offer>,
    },
    /// Several plugins are what was asked for.
    #[error(
        "`{wanted}` is installed more than once: {}. Remove all but one, or refer to one by version or digest",
        offers(installed)
    )]
    Several {
        /// What was asked for.
        wanted: String,
        /// What there is.
        installed: Vec<Offer>,
    },
    /// No plugin recognises the secret.
    #[error(
        "the secret has no tag `windlass:plugin`, and no installed plugin recognises it by its fields. {}",
        to_tag_with(installed)
    )]
    NoMatch {
        /// What is installed.
        installed: Vec<PluginName>,
    },
    /// Several plugins recognise the secret.
    #[error(
        "the secret has no tag `windlass:plugin`, and several plugins recognise it: {}. Tag it with the one to use",
        offers(matching)
    )]
    SeveralMatch {
        /// Those that do.
        matching: Vec<Offer>,
    },
    /// The file is called something else than the plugin.
    #[error("the file {} holds the plugin `{manifest}`: rename the file, so that everybody means the same plugin", path.display())]
    OtherName {
        /// The file.
        path: PathBuf,
        /// The plugin's own name, and its version if the file's name says one.
        manifest: String,
    },
    /// A file that should be a plugin is none.
    #[error("the plugin {} cannot be used", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: ComponentError,
    },
}

fn listed(names: &[PluginName]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ") }
}

fn to_tag_with(installed: &[PluginName]) -> String {
    if installed.is_empty() {
        "None is installed: put a component into the plugin folder, or name one in S3 in the tag".to_owned()
    } else {
        format!("Tag it with the name of one of: {}", listed(installed))
    }
}

fn offers(offers: &[Offer]) -> String {
    offers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn paths(folders: &[PathBuf]) -> String {
    folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(" or ")
}

impl Catalogue {
    /// The plugins of these folders.
    pub const fn new(folders: Vec<PathBuf>) -> Self {
        Self { folders }
    }

    /// The plugin of this name, version and digest, as far as they are asked for.
    ///
    /// # Errors
    ///
    /// None or several are there, or a file of that name cannot be used: it might be the one that is meant.
    pub fn find(&self, name: &PluginName, version: Option<&str>, digest: Option<Digest>) -> Result<Found, CatalogueError> {
        let files = self.files()?;
        let mut found = Vec::new();
        for file in files.iter().filter(|file| file.name == *name) {
            found.push(file.read()?);
        }
        if found.is_empty() {
            let mut installed: Vec<_> = files.into_iter().map(|file| file.name).collect();
            installed.dedup();
            return Err(CatalogueError::Missing { name: name.clone(), folders: self.folders.clone(), installed });
        }
        let wanted = || {
            let version = version.map(|version| format!("@{version}")).unwrap_or_default();
            format!("{name}{version}{}", digest.map(|digest| format!("@{digest}")).unwrap_or_default())
        };
        let meant = |found: &Found| {
            version.is_none_or(|version| found.component.manifest().version == version)
                && digest.is_none_or(|digest| found.component.digest() == digest)
        };
        let (mut meant, others): (Vec<_>, Vec<_>) = found.into_iter().partition(meant);
        same_once(&mut meant);
        match meant.len() {
            1 => Ok(meant.remove(0)),
            0 => Err(CatalogueError::Mismatch { wanted: wanted(), installed: others.iter().map(Offer::from).collect() }),
            _ => Err(CatalogueError::Several { wanted: wanted(), installed: meant.iter().map(Offer::from).collect() }),
        }
    }

    /// The one plugin whose manifest recognises a secret by its fields (`secret.match`). A plugin without such a table recognises
    /// none.
    ///
    /// # Errors
    ///
    /// None or several recognise it. A file that cannot be used is an error too unless it says that it is for other secrets: it might
    /// be the second match.
    pub fn matching(&self, field: &dyn Fn(&str) -> Option<String>) -> Result<Found, CatalogueError> {
        let recognises = |manifest: &Manifest| {
            let wanted = &manifest.secret.matches;
            !wanted.is_empty() && wanted.iter().all(|(name, value)| field(name).as_ref() == Some(value))
        };
        let mut matching = Vec::new();
        let files = self.files()?;
        for file in &files {
            let wasm = file.bytes()?;
            // Of a hundred plugins ninety-nine are not worth more than this look.
            if component_file::manifest_alone(&wasm).is_some_and(|manifest| !recognises(&manifest)) {
                continue;
            }
            let found = file.holding(wasm)?;
            if recognises(found.component.manifest()) {
                matching.push(found);
            }
        }
        same_once(&mut matching);
        match matching.len() {
            1 => Ok(matching.remove(0)),
            0 => {
                let mut installed: Vec<_> = files.into_iter().map(|file| file.name).collect();
                installed.dedup();
                Err(CatalogueError::NoMatch { installed })
            }
            _ => Err(CatalogueError::SeveralMatch { matching: matching.iter().map(Offer::from).collect() }),
        }
    }

    /// All `.wasm` files whose name can be a plugin's, in the order of names. A folder that does not exist is empty: not every
    /// function has layers.
    ///
    /// # Errors
    ///
    /// [`CatalogueError::Folder`].
    pub fn files(&self) -> Result<Vec<InstalledFile>, CatalogueError> {
        let mut files = Vec::new();
        for folder in &self.folders {
            let unreadable = |source| CatalogueError::Folder { folder: folder.clone(), source };
            let entries = match std::fs::read_dir(folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(unreadable(error)),
            };
            for entry in entries {
                files.extend(InstalledFile::of(folder.join(entry.map_err(unreadable)?.file_name())));
            }
        }
        files.sort();
        Ok(files)
    }
}

impl InstalledFile {
    /// What a file's name says, if it can be that of a plugin.
    pub fn of(path: PathBuf) -> Option<Self> {
        // Not `file_stem`: a version has dots.
        let stem = path.file_name()?.to_str()?.strip_suffix(".wasm")?;
        let (name, version) = stem.split_once('@').map_or((stem, None), |(name, version)| (name, Some(version)));
        if version.is_some_and(|version| !reference::is_version(version)) {
            return None;
        }
        let (name, version) = (PluginName::try_from(name.to_owned()).ok()?, version.map(str::to_owned));
        Some(Self { name, version, path })
    }

    /// Reads the file, which has to hold what its name says.
    fn read(&self) -> Result<Found, CatalogueError> {
        self.holding(self.bytes()?)
    }

    fn bytes(&self) -> Result<Vec<u8>, CatalogueError> {
        component_file::bytes(&self.path).map_err(|source| self.unusable(source))
    }

    fn unusable(&self, source: ComponentError) -> CatalogueError {
        CatalogueError::Unusable { path: self.path.clone(), source }
    }

    /// What the file is with these bytes in it.
    fn holding(&self, wasm: Vec<u8>) -> Result<Found, CatalogueError> {
        let path = self.path.clone();
        let component = ComponentFile::parse(wasm).map_err(|source| self.unusable(source))?;
        let manifest = component.manifest();
        let other = match &self.version {
            _ if manifest.name != self.name => Some(manifest.name.to_string()),
            Some(version) if manifest.version != *version => Some(format!("{}@{}", manifest.name, manifest.version)),
            Some(_) | None => None,
        };
        match other {
            Some(manifest) => Err(CatalogueError::OtherName { path, manifest }),
            None => Ok(Found { component, path }),
        }
    }
}

/// Keeps one of those that hold the same bytes.
fn same_once(found: &mut Vec<Found>) {
    let mut seen = BTreeSet::new();
    found.retain(|found| seen.insert(found.component.digest()));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rstest::rstest;

    use super::*;
    use crate::plugin::component_file::tests::plugin;

    /// A folder with these plugins, by the name of the file and the text of the manifest.
    fn folder(plugins: &[(&str, &str)]) -> (tempfile::TempDir, Catalogue) {
        let folder = tempfile::tempdir().unwrap();
        for (name, manifest) in plugins {
            std::fs::write(folder.path().join(name), plugin(manifest)).unwrap();
        }
        let catalogue = Catalogue::new(vec![folder.path().to_owned()]);
        (folder, catalogue)
    }

    fn name(text: &str) -> PluginName {
        PluginName::try_from(text.to_owned()).unwrap()
    }

    const REDIS: (&str, &str) = ("redis.wasm", "name = \"redis\"\nversion = \"1\"\n[secret]\nmatch = { engine = \"redis\" }");
    const VALKEY: (&str, &str) = ("valkey.wasm", "name = \"valkey\"\nversion = \"1\"\n[secret]\nmatch = { engine = \"redis\" }");
    const ACME: (&str, &str) = ("acme.wasm", "name = \"acme\"\nversion = \"1\"");

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn found(catalogue: &Catalogue, wanted: &str) -> String {
        let wanted: reference::Reference = wanted.parse().unwrap();
        let reference::Place::Installed { name, version } = &wanted.place else { unreachable!() };
        match catalogue.find(name, version.as_deref(), wanted.digest) {
            Ok(found) => found.path.file_name().unwrap().to_str().unwrap().to_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// A text without what differs from one machine to another.
    fn shown(text: &str, folder: &Path) -> String {
        let text = text.replace(&folder.display().to_string(), "[folder]");
        let mut pieces = text.split("sha256:");
        let first = pieces.next().unwrap().to_owned();
        pieces.fold(first, |text, piece| text + "sha256:…" + piece.trim_start_matches(|of: char| of.is_ascii_hexdigit()))
    }

    #[test]
    fn only_what_can_be_a_plugin_is_one() {
        let (_folder, catalogue) = folder(&[
            REDIS,
            ACME,
            ("notes.txt", ""),
            ("Not A Name.wasm", ""),
            ("redis@1 2.wasm", ""),
            ("redis@.wasm", ""),
            ("redis.wasm.sig", ""),
            ("native.cwasm", ""),
        ]);
        let names: Vec<_> = catalogue.files().unwrap().into_iter().map(|file| file.name).collect();
        assert_eq!(names, [name("acme"), name("redis")]);
    }

    /// Two versions side by side, and a third under the plain name.
    const SIDE_BY_SIDE: [(&str, &str); 3] = [
        ("redis.wasm", "name = \"redis\"\nversion = \"3\""),
        ("redis@1.wasm", "name = \"redis\"\nversion = \"1\""),
        ("redis@2.0.1.wasm", "name = \"redis\"\nversion = \"2.0.1\""),
    ];

    #[rstest]
    #[case::by_name(&[REDIS, ACME], "redis", "redis.wasm")]
    #[case::by_version(&SIDE_BY_SIDE, "redis@1", "redis@1.wasm")]
    #[case::a_version_has_dots(&SIDE_BY_SIDE, "redis@2.0.1", "redis@2.0.1.wasm")]
    #[case::the_version_of_the_plain_name(&SIDE_BY_SIDE, "redis@3", "redis.wasm")]
    #[case::the_same_bytes_twice(&[("acme.wasm", ACME.1), ("acme@1.wasm", ACME.1)], "acme", "acme.wasm")]
    fn finds_the_plugin_that_is_meant(#[case] plugins: &[(&str, &str)], #[case] wanted: &str, #[case] file: &str) {
        let (_folder, catalogue) = folder(plugins);
        assert_eq!(found(&catalogue, wanted), file);
        let digest = Digest::of(&std::fs::read(_folder.path().join(file)).unwrap());
        assert_eq!(found(&catalogue, &format!("{wanted}@{digest}")), file);
    }

    #[test]
    fn who_is_not_found_is_told_what_there_is() {
        let (first, mut catalogue) = folder(&SIDE_BY_SIDE[1..]);
        let say = |catalogue: &Catalogue, wanted: &str| shown(&found(catalogue, wanted), first.path());
        let mut texts = vec![
            say(&catalogue, "kafka"),
            say(&catalogue, "redis"),
            say(&catalogue, "redis@3"),
            say(&catalogue, &format!("redis@1@{DIGEST}")),
        ];
        catalogue.folders = vec!["/nowhere".into(), "/opt/nowhere".into()];
        texts.push(say(&catalogue, "kafka"));
        insta::assert_snapshot!(texts.join("\n"), @r"
            no plugin `kafka` is installed in [folder]. Installed: `redis`
            `redis` is installed more than once: `redis@1@sha256:…` ([folder]/redis@1.wasm), `redis@2.0.1@sha256:…` ([folder]/redis@2.0.1.wasm). Remove all but one, or refer to one by version or digest
            no `redis@3` is installed, only `redis@1@sha256:…` ([folder]/redis@1.wasm), `redis@2.0.1@sha256:…` ([folder]/redis@2.0.1.wasm). Install that one, or refer to one of these
            no `redis@1@sha256:…` is installed, only `redis@1@sha256:…` ([folder]/redis@1.wasm), `redis@2.0.1@sha256:…` ([folder]/redis@2.0.1.wasm). Install that one, or refer to one of these
            no plugin `kafka` is installed in /nowhere or /opt/nowhere. Installed: none
            ");
    }

    #[rstest]
    #[case::other_name("redis.wasm", "holds the plugin `acme`: rename the file")]
    #[case::other_version("acme@2.wasm", "holds the plugin `acme@1`: rename the file")]
    fn a_file_under_another_name_is_not_the_plugin(#[case] file: &str, #[case] part: &str) {
        let (_folder, catalogue) = folder(&[(file, ACME.1)]);
        let text = found(&catalogue, file.split(['.', '@']).next().unwrap());
        assert!(text.contains(part), "{text}");
    }

    #[test]
    fn no_folder_takes_precedence() {
        let (own, _) = folder(&[REDIS]);
        let (layer, _) = folder(&[("redis.wasm", "name = \"redis\"\nversion = \"2\"")]);
        let both = Catalogue::new(vec![own.path().to_owned(), layer.path().to_owned()]);
        assert!(found(&both, "redis").starts_with("`redis` is installed more than once: "));
        assert_eq!(found(&both, "redis@2"), "redis.wasm");
    }

    #[rstest]
    #[case::one(&[REDIS, ACME], "redis", "redis")]
    #[case::none(&[REDIS, ACME], "kafka", "no installed plugin recognises it by its fields. Tag it with the name of one of: `acme`, `redis`")]
    #[case::several(&[REDIS, VALKEY], "redis", "several plugins recognise it: `redis@1@sha256:")]
    #[case::nothing_installed(&[], "redis", "None is installed: put a component into the plugin folder")]
    #[case::one_is_broken(&[REDIS, ("broken.wasm", "")], "redis", "broken.wasm cannot be used")]
    fn a_secret_without_a_tag_is_served_only_when_that_is_unambiguous(
        #[case] plugins: &[(&str, &str)],
        #[case] engine: &str,
        #[case] expected: &str,
    ) {
        let (_folder, catalogue) = folder(plugins);
        let field = |name: &str| (name == "engine").then(|| engine.to_owned());
        let found = match catalogue.matching(&field) {
            Ok(found) => found.component.manifest().name.to_string(),
            Err(error) => error.to_string(),
        };
        assert!(found.contains(expected), "{found}");
    }
}
