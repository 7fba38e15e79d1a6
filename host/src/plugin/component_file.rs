//! A component read from its bytes, without running or compiling anything.
//!
//! What can be known beforehand is judged here, in words a plugin's author understands: the linker would name the first missing
//! import only, and the manifest has to be readable before a plugin is trusted.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use wasmparser::component_types::ComponentEntityType;
use wasmparser::{Chunk, Encoding, Parser, Payload, ValidPayload, Validator, WasmFeatures};

use crate::manifest::{self, Manifest, ManifestError};
pub use crate::plugin::digest::Digest;
use crate::plugin::producers::Producers;

/// The largest component that is read, in bytes: Python and JavaScript bring their engine, up to 18 MB.
pub const MAX_BYTES: u64 = 64 << 20;

/// The version line of the contract that this host speaks. Every 0.1.x fits: later ones only add.
pub const CONTRACT: &str = "0.1";

/// The interface that makes a component a plugin.
const ROTATOR: &str = "windlass:rotation/rotator";

/// What a plugin imports from the contract.
const CONTRACT_INTERFACES: [&str; 6] = ["connection", "failures", "http", "log", "random", "secret"];

/// Basics of WASI 0.2 that ordinary toolchains import, used or not. The host offers them without any authority: no files, no
/// environment, no arguments; standard output and error are captured.
const INERT_WASI: [&str; 21] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/timezone",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// A component that fits this host: it exports the rotation steps, imports nothing that the host does not offer, and carries a valid
/// manifest. Its code has not been validated, compiled or run.
#[derive(Clone)]
pub struct ComponentFile {
    wasm: Vec<u8>,
    digest: Digest,
    manifest: Manifest,
    manifest_text: String,
    imports: Vec<String>,
    exports: Vec<String>,
}

impl fmt::Debug for ComponentFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComponentFile").field("name", &self.manifest.name).field("digest", &self.digest).finish_non_exhaustive()
    }
}

/// Why bytes are no plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentError {
    /// The file cannot be read.
    #[error("the plugin {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than any plugin.
    #[error("the component has more than {} MiB, which is the most that is read", MAX_BYTES >> 20)]
    TooLarge,
    /// The bytes are no WebAssembly.
    #[error("this is no WebAssembly component: it does not begin with `\\0asm`. Build one with `windlass build`")]
    NotWasm,
    /// The bytes are native code, as `wasmtime compile` makes it.
    #[error(
        "this is native code compiled beforehand, not a component. Native code is loaded only from an authenticated envelope; \
         offer the `.wasm` it was made from"
    )]
    Precompiled,
    /// The bytes are a core module.
    #[error(
        "this is a core WebAssembly module, not a component. `windlass build` makes components of Rust plugins; for other languages \
         use `wasm-tools component new`"
    )]
    CoreModule,
    /// The bytes begin like a component and do not go on like one. The text is the parser's, with the offset.
    #[error("the component is damaged or uses features that the host does not have: {0}")]
    Damaged(String),
    /// It does not export the rotation steps.
    #[error(
        "the component does not export the interface `windlass:rotation/rotator`, so it is no rotation plugin. It exports {}",
        listed(exports)
    )]
    NoRotator {
        /// What it exports.
        exports: Vec<String>,
    },
    /// It exports the interface without one of the steps.
    #[error("the component exports `{interface}` without the function `{function}`: a plugin provides both steps")]
    NoStep {
        /// The interface, with its version.
        interface: String,
        /// The missing function.
        function: &'static str,
    },
    /// It was built for an earlier contract.
    #[error(
        "the component was built for `{name}`, and this host speaks {CONTRACT}.x, which is newer. Rebuild the plugin with the SDK of \
         this release"
    )]
    OlderContract {
        /// The import or export that says so.
        name: String,
    },
    /// It was built for a later contract.
    #[error(
        "the component was built for `{name}`, and this host speaks {CONTRACT}.x, which is older. Update Windlass, or build the \
         plugin with the SDK of this release"
    )]
    NewerContract {
        /// The import or export that says so.
        name: String,
    },
    /// It imports what no plugin gets.
    #[error("the component imports `{import}`, which no plugin gets: {}", refusal(import))]
    ForeignImport {
        /// The import.
        import: String,
    },
    /// It says nothing of itself.
    #[error(
        "the component has no manifest (custom section `{}`). `windlass build` embeds the plugin.toml that stands beside the source",
        manifest::SECTION
    )]
    NoManifest,
    /// It says two things of itself.
    #[error(
        "the component has more than one manifest (custom section `{}`), and nobody could say which one counts",
        manifest::SECTION
    )]
    TwoManifests,
    /// The manifest is wrong.
    #[error("the component's manifest is wrong")]
    Manifest(#[from] ManifestError),
    /// The manifest is no text.
    #[error("the component's manifest (custom section `{}`) is not UTF-8 text", manifest::SECTION)]
    ManifestEncoding,
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }
}

/// Why an import is not offered, and what to use instead.
fn refusal(import: &str) -> &'static str {
    let package = import.split(['/', '@']).next().unwrap_or(import);
    match package {
        "wasi:sockets" | "wasi:tls" => {
            "sockets are not offered; open the endpoints of the manifest through `windlass:rotation/connection`"
        }
        "wasi:http" => "it is not offered; send requests to the endpoints of the manifest through `windlass:rotation/http`",
        "windlass:rotation" => "this host has no such interface; a later Windlass may",
        _ => "only `windlass:rotation` and the basics of WASI 0.2 (clocks, random, streams, standard output) are offered",
    }
}

impl ComponentFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`ComponentError`] says what to do about each.
    pub fn read(path: &Path) -> Result<Self, ComponentError> {
        Self::parse(bytes(path)?)
    }

    /// Reads bytes.
    ///
    /// # Errors
    ///
    /// As [`ComponentFile::read`].
    pub fn parse(wasm: Vec<u8>) -> Result<Self, ComponentError> {
        if wasm.len() as u64 > MAX_BYTES {
            return Err(ComponentError::TooLarge);
        }
        if wasm.starts_with(b"\x7fELF") {
            return Err(ComponentError::Precompiled);
        }
        if Parser::is_core_wasm(&wasm) {
            return Err(ComponentError::CoreModule);
        }
        if !wasm.starts_with(b"\0asm") {
            return Err(ComponentError::NotWasm);
        }
        let outside = Outside::of(&wasm)?;
        outside.check_steps()?;
        for import in &outside.imports {
            check_import(import)?;
        }
        let [section] = outside.manifests.as_slice() else {
            return Err(if outside.manifests.is_empty() { ComponentError::NoManifest } else { ComponentError::TwoManifests });
        };
        let (manifest, manifest_text) = manifest_of(section)?;
        let manifest_text = manifest_text.to_owned();
        let Outside { imports, exports, .. } = outside;
        Ok(Self { digest: Digest::of(&wasm), wasm, manifest, manifest_text, imports, exports })
    }

    /// The component's bytes.
    pub fn wasm(&self) -> &[u8] {
        &self.wasm
    }

    /// The digest of its bytes.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// What it says of itself.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The text of its manifest, as the author wrote it.
    pub fn manifest_text(&self) -> &str {
        &self.manifest_text
    }

    /// The interfaces it imports, such as `windlass:rotation/http@0.1.0`, in the component's order.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// What it exports, in the component's order.
    pub fn exports(&self) -> &[String] {
        &self.exports
    }

    /// The version of the contract that its steps were built for, such as `0.1.0`.
    pub fn contract(&self) -> &str {
        let spoken = |name: &&String| interface(name) == ROTATOR && check_contract(name).is_ok();
        let rotator = self.exports.iter().find(spoken).expect("checked in parse");
        rotator.split_once('@').map_or("", |(_, version)| version)
    }

    /// What made it, as far as it says.
    pub fn producers(&self) -> Producers {
        Producers::of(&self.wasm)
    }
}

/// The bytes of a file, at most one more than a component may have.
///
/// # Errors
///
/// [`ComponentError::Unreadable`].
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, ComponentError> {
    let unreadable = |source| ComponentError::Unreadable { path: path.to_owned(), source };
    let mut wasm = Vec::new();
    // One byte more than allowed shows that there is more, whatever the file's size was said to be.
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut wasm).map_err(unreadable)?;
    Ok(wasm)
}

/// What the component in these bytes says of itself, if that can be told without looking at anything else in it. A tenth of the work of
/// [`ComponentFile::parse`], which alone says whether the bytes are a plugin.
#[expect(clippy::wildcard_enum_match_arm, reason = "all but three kinds of sections are stepped over")]
pub(crate) fn manifest_alone(wasm: &[u8]) -> Option<Manifest> {
    let mut parser = Parser::new(0);
    let (mut at, mut manifest) = (0, None);
    loop {
        let Chunk::Parsed { consumed, payload } = parser.parse(wasm.get(at..)?, true).ok()? else { return None };
        at += consumed;
        match payload {
            Payload::ModuleSection { unchecked_range, .. } | Payload::ComponentSection { unchecked_range, .. } => {
                at = unchecked_range.end;
            }
            Payload::CustomSection(section) if section.name() == manifest::SECTION => match &manifest {
                None => manifest = Some(manifest_of(section.data()).ok()?.0),
                Some(_) => return None,
            },
            Payload::End(_) => return manifest,
            _ => {}
        }
    }
}

/// The manifest in a custom section, and its text.
fn manifest_of(section: &[u8]) -> Result<(Manifest, &str), ComponentError> {
    if section.len() > manifest::MAX_BYTES {
        return Err(ManifestError::TooLarge(section.len()).into());
    }
    let text = std::str::from_utf8(section).map_err(|_| ComponentError::ManifestEncoding)?;
    Ok((Manifest::parse(text)?, text))
}

/// What can be seen of a component from outside.
struct Outside<'a> {
    imports: Vec<String>,
    exports: Vec<String>,
    /// For each exported interface, its functions.
    functions: Vec<(String, BTreeSet<String>)>,
    manifests: Vec<&'a [u8]>,
}

impl<'a> Outside<'a> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what a component consists of is for wasmparser to say; these parts matter here"
    )]
    fn of(wasm: &'a [u8]) -> Result<Self, ComponentError> {
        let damaged = |error: wasmparser::BinaryReaderError| ComponentError::Damaged(error.to_string());
        let mut outside = Self { imports: Vec::new(), exports: Vec::new(), functions: Vec::new(), manifests: Vec::new() };
        // Types are resolved and function bodies are not looked at: the compiler validates those.
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        let mut depth = 0u32;
        let mut types = None;
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload.map_err(damaged)?;
            match &payload {
                Payload::Version { encoding, .. } if depth == 0 && *encoding != Encoding::Component => {
                    return Err(ComponentError::CoreModule);
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::CustomSection(section) if depth == 0 && section.name() == manifest::SECTION => {
                    outside.manifests.push(section.data());
                }
                Payload::ComponentImportSection(imports) if depth == 0 => {
                    for import in imports.clone() {
                        outside.imports.push(import.map_err(damaged)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 0 => {
                    for export in exports.clone() {
                        outside.exports.push(export.map_err(damaged)?.name.name.to_owned());
                    }
                }
                _ => {}
            }
            if let ValidPayload::End(known) = validator.payload(&payload).map_err(damaged)? {
                types = Some(known);
            }
        }
        let types = types.ok_or_else(|| ComponentError::Damaged("it ends too early".to_owned()))?;
        for export in &outside.exports {
            let Some(ComponentEntityType::Instance(instance)) =
                types.as_ref().component_item_for_export(export).map(|item| item.ty)
            else {
                continue;
            };
            let items = types[instance].exports.iter();
            let functions = items.filter(|(_, item)| matches!(item.ty, ComponentEntityType::Func(_))).map(|(name, _)| name.clone());
            outside.functions.push((export.clone(), functions.collect()));
        }
        Ok(outside)
    }

    fn check_steps(&self) -> Result<(), ComponentError> {
        let rotators = self.functions.iter().filter(|(name, _)| interface(name) == ROTATOR);
        // Several versions side by side are fine as long as one is ours.
        let mut other = None;
        for (name, functions) in rotators {
            if let Err(error) = check_contract(name) {
                other = Some(error);
                continue;
            }
            let missing = ["set-secret", "test-secret"].into_iter().find(|function| !functions.contains(*function));
            return missing.map_or(Ok(()), |function| Err(ComponentError::NoStep { interface: name.clone(), function }));
        }
        Err(other.unwrap_or_else(|| ComponentError::NoRotator { exports: self.exports.clone() }))
    }
}

/// `windlass:rotation/http` of `windlass:rotation/http@0.1.0`.
pub fn interface(name: &str) -> &str {
    name.split('@').next().unwrap_or(name)
}

fn check_contract(name: &str) -> Result<(), ComponentError> {
    let (_, version) = name.split_once('@').unwrap_or((name, "0.0"));
    let line = |version: &str| {
        let mut numbers = version.split('.').map(|number| number.parse::<u64>().unwrap_or(u64::MAX));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    };
    match line(version).cmp(&line(CONTRACT)) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => Err(ComponentError::OlderContract { name: name.to_owned() }),
        std::cmp::Ordering::Greater => Err(ComponentError::NewerContract { name: name.to_owned() }),
    }
}

fn check_import(import: &str) -> Result<(), ComponentError> {
    if import.starts_with("windlass:rotation/") {
        check_contract(import)?;
    }
    let known = match interface(import).strip_prefix("windlass:rotation/") {
        Some(ours) => CONTRACT_INTERFACES.contains(&ours),
        None => INERT_WASI.contains(&interface(import)) && import.contains("@0.2."),
    };
    known.then_some(()).ok_or_else(|| ComponentError::ForeignImport { import: import.to_owned() })
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use wasm_encoder::{
        Component, ComponentExportKind, ComponentExportSection, ComponentImportSection, ComponentTypeRef, ComponentTypeSection,
        CustomSection, InstanceType,
    };

    use super::*;

    const MANIFEST: &str = "name = \"acme\"\nversion = \"1.0.0\"";
    const ROTATOR: &str = "windlass:rotation/rotator@0.1.0";
    const STEPS: [&str; 2] = ["set-secret", "test-secret"];

    /// A component without code: it exports the instance that it imports.
    fn component(import: &str, functions: &[&str], export: &str, manifests: &[&[u8]]) -> Vec<u8> {
        let mut instance = InstanceType::new();
        instance.ty().function().params::<_, wasm_encoder::ComponentValType>([]).result(None);
        for function in functions {
            instance.export(*function, ComponentTypeRef::Func(0));
        }
        let (mut types, mut imports, mut exports) =
            (ComponentTypeSection::new(), ComponentImportSection::new(), ComponentExportSection::new());
        types.instance(&instance);
        imports.import(import, ComponentTypeRef::Instance(0));
        exports.export(export, ComponentExportKind::Instance, 0, None);
        let mut component = Component::new();
        component.section(&types).section(&imports).section(&exports);
        for manifest in manifests {
            component.section(&CustomSection { name: manifest::SECTION.into(), data: (*manifest).into() });
        }
        component.finish()
    }

    /// A component with this manifest that does nothing.
    pub(crate) fn plugin(manifest: &str) -> Vec<u8> {
        component("windlass:rotation/log@0.1.0", &STEPS, ROTATOR, &[manifest.as_bytes()])
    }

    fn error(wasm: Vec<u8>) -> String {
        let error = ComponentFile::parse(wasm).unwrap_err();
        let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        format!("{error}{source}")
    }

    #[test]
    fn reads_what_can_be_known_without_running() {
        let wasm = component("windlass:rotation/http@0.1.3", &STEPS, ROTATOR, &[MANIFEST.as_bytes()]);
        let file = ComponentFile::parse(wasm.clone()).unwrap();
        assert_eq!(file.manifest().name.as_str(), "acme");
        assert_eq!((file.imports(), file.exports()), (&["windlass:rotation/http@0.1.3".to_owned()][..], &[ROTATOR.to_owned()][..]));
        assert_eq!((file.wasm(), file.digest()), (wasm.as_slice(), Digest::of(&wasm)));
        assert_eq!((file.contract(), file.producers()), ("0.1.0", Producers::default()));
    }

    #[rstest]
    #[case::empty(b"", "this is no WebAssembly component")]
    #[case::text(b"(component)", "this is no WebAssembly component")]
    #[case::core_module(b"\0asm\x01\0\0\0", "this is a core WebAssembly module")]
    #[case::native(b"\x7fELF\x02\x01\x01\0", "this is native code compiled beforehand")]
    #[case::unknown_layer(b"\0asm\x0d\0\x07\0", "the component is damaged")]
    #[case::cut_short(b"\0asm\x0d\0\x01\0\x07\x20", "the component is damaged")]
    #[case::empty_component(b"\0asm\x0d\0\x01\0", "the component does not export the interface")]
    fn refuses_what_is_no_plugin(#[case] wasm: &[u8], #[case] start: &str) {
        let error = error(wasm.to_vec());
        assert!(error.starts_with(start), "{error}");
    }

    #[rstest]
    #[case::other_world("wasi:cli/run@0.2.0", &STEPS, "the component does not export the interface `windlass:rotation/rotator`")]
    #[case::no_test(ROTATOR, &STEPS[..1], "the component exports `windlass:rotation/rotator@0.1.0` without the function `test-secret`")]
    #[case::no_set(ROTATOR, &STEPS[1..], "the component exports `windlass:rotation/rotator@0.1.0` without the function `set-secret`")]
    #[case::older("windlass:rotation/rotator@0.0.9", &STEPS, "the component was built for `windlass:rotation/rotator@0.0.9`, and this host speaks 0.1.x, which is newer")]
    #[case::newer("windlass:rotation/rotator@0.2.0", &STEPS, "the component was built for `windlass:rotation/rotator@0.2.0`, and this host speaks 0.1.x, which is older")]
    #[case::much_newer("windlass:rotation/rotator@1.1.0", &STEPS, "the component was built for `windlass:rotation/rotator@1.1.0`")]
    #[case::no_version("windlass:rotation/rotator", &STEPS, "the component was built for `windlass:rotation/rotator`")]
    fn refuses_other_exports(#[case] export: &str, #[case] functions: &[&str], #[case] start: &str) {
        let error = error(component("windlass:rotation/log@0.1.0", functions, export, &[MANIFEST.as_bytes()]));
        assert!(error.starts_with(start), "{error}");
    }

    #[rstest]
    #[case::contract("windlass:rotation/connection@0.1.0", None)]
    #[case::later_patch("windlass:rotation/connection@0.1.7", None)]
    #[case::inert("wasi:io/streams@0.2.6", None)]
    #[case::sockets("wasi:sockets/tcp@0.2.0", Some("which no plugin gets: sockets are not offered"))]
    #[case::http("wasi:http/outgoing-handler@0.2.0", Some("send requests to the endpoints of the manifest"))]
    #[case::newer("windlass:rotation/http@0.2.0", Some("which is older. Update Windlass"))]
    #[case::unknown_interface("windlass:rotation/files@0.1.0", Some("this host has no such interface"))]
    #[case::exported_one("windlass:rotation/rotator@0.1.0", Some("this host has no such interface"))]
    #[case::wasi_preview("wasi:io/streams@0.3.0", Some("only `windlass:rotation` and the basics of WASI 0.2"))]
    #[case::look_alike("windlass:rotations/http@0.1.0", Some("which no plugin gets"))]
    #[case::plain("env", Some("which no plugin gets"))]
    fn judges_imports(#[case] import: &str, #[case] part: Option<&str>) {
        let parsed = ComponentFile::parse(component(import, &STEPS, "windlass:rotation/rotator@0.1.2", &[MANIFEST.as_bytes()]));
        match (parsed, part) {
            (Ok(_), None) => {}
            (Err(error), Some(part)) => assert!(error.to_string().contains(part), "{error}"),
            (Ok(_), Some(part)) => panic!("{import} has to be refused: {part}"),
            (Err(error), None) => panic!("{error}"),
        }
    }

    #[rstest]
    #[case::none(vec![], "the component has no manifest")]
    #[case::two(vec![MANIFEST.into(), MANIFEST.into()], "the component has more than one manifest")]
    #[case::unknown_key(vec![format!("{MANIFEST}\nsandbox = false").into()], "the component's manifest is wrong: plugin.toml does not")]
    #[case::no_text(vec![vec![0xff]], "the component's manifest (custom section `windlass:manifest`) is not UTF-8 text")]
    #[case::too_large(vec![vec![b'#'; 65_537]], "the component's manifest is wrong: plugin.toml has 65537 bytes")]
    fn refuses_a_manifest_that_says_nothing_clear(#[case] manifests: Vec<Vec<u8>>, #[case] start: &str) {
        let manifests: Vec<_> = manifests.iter().map(Vec::as_slice).collect();
        let error = error(component("windlass:rotation/log@0.1.0", &STEPS, ROTATOR, &manifests));
        assert!(error.starts_with(start), "{error}");
    }

    #[rstest]
    #[case::one(vec![MANIFEST.into()], true)]
    #[case::none(vec![], false)]
    #[case::two(vec![MANIFEST.into(), MANIFEST.into()], false)]
    #[case::wrong(vec![b"name = 1".to_vec()], false)]
    #[case::no_text(vec![vec![0xff]], false)]
    #[case::too_large(vec![vec![b'#'; 65_537]], false)]
    fn the_manifest_alone_is_told_only_if_it_is_clear(#[case] manifests: Vec<Vec<u8>>, #[case] told: bool) {
        let manifests: Vec<_> = manifests.iter().map(Vec::as_slice).collect();
        let wasm = component("wasi:sockets/tcp@0.2.0", &[], "another", &manifests);
        assert_eq!(manifest_alone(&wasm).map(|manifest| manifest.name.to_string()), told.then(|| "acme".to_owned()));
    }

    proptest! {
        #[test]
        fn never_panics_on_a_damaged_component(at in 8usize..200, byte: u8, cut in 0usize..200) {
            let mut wasm = component("windlass:rotation/log@0.1.0", &STEPS, ROTATOR, &[MANIFEST.as_bytes()]);
            let (at, cut) = (at % wasm.len(), wasm.len().saturating_sub(cut));
            wasm[at] = byte;
            for wasm in [wasm.clone(), { wasm.truncate(cut); wasm }] {
                let alone = manifest_alone(&wasm);
                if let Ok(file) = ComponentFile::parse(wasm) {
                    prop_assert_eq!(format!("{:?}", Some(file.manifest())), format!("{alone:?}"));
                }
            }
        }
    }
}
