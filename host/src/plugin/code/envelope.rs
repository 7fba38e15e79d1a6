//! Code made ahead of time: the file `NAME.wasm.x86_64.aot` beside `NAME.wasm`, which `windlass compile` writes.
//!
//! It begins with lines that say for what the code is:
//!
//! ```text
//! windlass code 1
//! wasm sha256:90f55e54a96fd08f93dfea2820ac45b7e12743aa8e4212f359fd4e6cf426b8ed
//! engine windlass wasmtime-48.0.8 1
//! target x86_64-unknown-linux-gnu
//! code sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
//! key ed25519:EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXA=
//! signature …
//!
//! ```
//!
//! and goes on, behind the empty line, with the code. The lines `key` and `signature` may be missing. What is signed, and what the
//! digest of an envelope is made of, are the first five lines: they name every byte of the code, and the component that it stands for,
//! so that the code of one plugin cannot be passed off as that of another.
//!
//! Nothing in the file is believed before the operator's configuration has proved it. The bytes that are hashed are the bytes that are
//! loaded: they are in memory, and nobody else writes there.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::Code;
use super::policy::CodePolicy;
use crate::plugin::code::compiler::MAX_CODE_BYTES;
use crate::plugin::digest::Digest;
use crate::plugin::engine::{CODE_VERSION, Target};
use crate::plugin::signature::PublicKey;

/// The first line of the file and of what is signed. The number counts changes of either.
const FIRST_LINE: &str = "windlass code 1";

/// The most that the lines before the code may have, in bytes. Real ones have 270, signed ones 440.
const MAX_LINES_BYTES: usize = 1024;

/// The largest file that can be an envelope, in bytes.
pub const MAX_BYTES: u64 = (MAX_CODE_BYTES + MAX_LINES_BYTES) as u64;

/// For what a piece of code is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The component that it was compiled from.
    pub wasm: Digest,
    /// The engine that it was compiled for: [`CODE_VERSION`].
    pub engine: String,
    /// The target triple.
    pub target: String,
    /// The code itself.
    pub code: Digest,
}

/// A file that has the form of an envelope. Nothing of it is proved.
#[derive(Debug)]
pub struct Envelope {
    label: Label,
    signature: Option<(PublicKey, [u8; 64])>,
    file: Vec<u8>,
    start: usize,
}

/// Why the code of an envelope is not run. The words begin behind "the code beside the plugin".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// It is there and cannot be read.
    #[error("cannot be read: {why}")]
    Unreadable {
        /// Why.
        why: String,
    },
    /// It is something else.
    #[error("is no envelope that this Windlass knows: its first line is not `{FIRST_LINE}`")]
    FirstLine,
    /// The lines before the code are not what they should be.
    #[error("is damaged: the lines before the code are not those that `windlass compile` writes")]
    Lines,
    /// It was made from another component.
    #[error("was compiled from {found}, and this plugin is {wanted}: run `windlass compile` again after a swap")]
    OtherWasm {
        /// The component that it is for.
        found: Digest,
        /// The plugin.
        wanted: Digest,
    },
    /// It was made for another engine.
    #[error(
        "was compiled for the engine `{found}`, and this one is `{CODE_VERSION}`: compile it with the `windlass` of this release"
    )]
    OtherEngine {
        /// That engine.
        found: String,
    },
    /// It was made for another machine.
    #[error("was compiled for {found}, and this machine is {wanted}: compile it with the right `--target`")]
    OtherTarget {
        /// That machine.
        found: String,
        /// This one.
        wanted: &'static str,
    },
    /// Nobody whom the operator trusts vouches for it.
    #[error(
        "is not one that the operator trusts: {why}. Sign it with `windlass compile --key`, or add its digest {digest} to `digests` of \
         [code] in windlass.toml, or deploy what `windlass package` makes"
    )]
    NotAuthentic {
        /// The envelope's digest.
        digest: Digest,
        /// What is the matter with it.
        why: NotAuthentic,
    },
    /// The code is not the one that the lines name.
    #[error("was changed or cut off: the code in it has not the digest that its lines say")]
    Tampered,
    /// wasmtime does not take it.
    #[error("does not load here: {why}")]
    Refused {
        /// wasmtime's words.
        why: String,
    },
}

/// Why nobody vouches for an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAuthentic {
    /// It is neither signed nor pinned.
    #[error("it is neither signed nor pinned")]
    Nothing,
    /// The key is not one of the operator's.
    #[error("it came with a signature by {key}, which is none of `code.keys`")]
    UnknownKey {
        /// The key.
        key: PublicKey,
    },
    /// The signature is for something else.
    #[error("it came with a signature that is not for it")]
    Signature,
}

impl Label {
    /// For code of this engine.
    pub fn new(wasm: Digest, target: Target, code: &[u8]) -> Self {
        let (engine, target) = (CODE_VERSION.to_owned(), target.triple().to_owned());
        Self { wasm, engine, target, code: Digest::of(code) }
    }

    /// The digest of an envelope with this label, by which it is pinned.
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_string().as_bytes())
    }

    fn parse(lines: &str) -> Option<(Self, &str)> {
        let (wasm, rest) = field(lines, "wasm ")?;
        let (engine, rest) = field(rest, "engine ")?;
        let (target, rest) = field(rest, "target ")?;
        let (code, rest) = field(rest, "code ")?;
        let (engine, target) = (engine.to_owned(), target.to_owned());
        Some((Self { wasm: wasm.parse().ok()?, engine, target, code: code.parse().ok()? }, rest))
    }
}

/// What is signed.
impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wasm, engine, target, code } = self;
        writeln!(f, "{FIRST_LINE}\nwasm {wasm}\nengine {engine}\ntarget {target}\ncode {code}")
    }
}

/// The rest of a line that begins like this, and what comes behind that line.
fn field<'a>(lines: &'a str, begins: &str) -> Option<(&'a str, &'a str)> {
    lines.strip_prefix(begins)?.split_once('\n')
}

impl Envelope {
    /// The bytes of an envelope's file.
    pub fn write(label: &Label, signature: Option<(PublicKey, [u8; 64])>, code: &[u8]) -> Vec<u8> {
        let signed = signature.map(|(key, signature)| format!("key {key}\nsignature {}\n", BASE64_STANDARD.encode(signature)));
        let mut file = format!("{label}{}\n", signed.unwrap_or_default()).into_bytes();
        file.extend_from_slice(code);
        file
    }

    /// Reads the lines of an envelope.
    ///
    /// # Errors
    ///
    /// [`EnvelopeError::FirstLine`] and [`EnvelopeError::Lines`].
    pub fn parse(file: Vec<u8>) -> Result<Self, EnvelopeError> {
        let begins = format!("{FIRST_LINE}\n");
        if !file.starts_with(begins.as_bytes()) {
            return Err(EnvelopeError::FirstLine);
        }
        let head = &file[..file.len().min(MAX_LINES_BYTES)];
        let end = head.windows(2).position(|two| two == b"\n\n").ok_or(EnvelopeError::Lines)?;
        let read = || {
            let lines = std::str::from_utf8(&head[begins.len()..=end]).ok()?;
            let (label, rest) = Label::parse(lines)?;
            if rest.is_empty() {
                return Some((label, None));
            }
            let (key, rest) = field(rest, "key ")?;
            let (signature, rest) = field(rest, "signature ")?;
            let signature = BASE64_STANDARD.decode(signature).ok()?.try_into().ok()?;
            rest.is_empty().then_some((label, Some((key.parse().ok()?, signature))))
        };
        let (label, signature) = read().ok_or(EnvelopeError::Lines)?;
        Ok(Self { label, signature, start: end + 2, file })
    }

    /// For what the code is said to be.
    pub const fn label(&self) -> &Label {
        &self.label
    }

    /// The code, if it is that of this component for this machine and the operator's configuration proves it.
    ///
    /// # Errors
    ///
    /// [`EnvelopeError`] says what does not fit.
    pub(crate) fn open(self, wasm: Digest, target: Target, policy: &CodePolicy) -> Result<Code, EnvelopeError> {
        let label = &self.label;
        if label.wasm != wasm {
            return Err(EnvelopeError::OtherWasm { found: label.wasm, wanted: wasm });
        }
        if label.engine != CODE_VERSION {
            return Err(EnvelopeError::OtherEngine { found: crate::redact::legible::line(&label.engine) });
        }
        if label.target != target.triple() {
            let found = crate::redact::legible::line(&label.target);
            return Err(EnvelopeError::OtherTarget { found, wanted: target.triple() });
        }
        self.prove(policy).map_err(|why| EnvelopeError::NotAuthentic { digest: label.digest(), why })?;
        if Digest::of(&self.file[self.start..]) != label.code {
            return Err(EnvelopeError::Tampered);
        }
        // What was hashed is what is handed over.
        Ok(Code { bytes: self.file, start: self.start })
    }

    fn prove(&self, policy: &CodePolicy) -> Result<(), NotAuthentic> {
        if policy.digests.contains(&self.label.digest()) {
            return Ok(());
        }
        let Some((key, signature)) = &self.signature else { return Err(NotAuthentic::Nothing) };
        if !policy.keys.values().any(|trusted| trusted == key) {
            return Err(NotAuthentic::UnknownKey { key: *key });
        }
        if key.verifies(self.label.to_string().as_bytes(), signature) { Ok(()) } else { Err(NotAuthentic::Signature) }
    }
}

/// What the name of an envelope has behind that of its plugin.
pub fn suffix(target: Target) -> String {
    format!(".{}.aot", target.name())
}

/// Where the code of a plugin lies: its path and [`suffix`].
pub fn path(plugin: &Path, target: Target) -> PathBuf {
    let mut path = OsString::from(plugin);
    path.push(suffix(target));
    path.into()
}

/// The file of an envelope, if there is one.
///
/// # Errors
///
/// It is there and cannot be read.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let size = file.metadata()?.len().min(MAX_BYTES);
    // One byte more than there is, so that the end is seen without growing.
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}
