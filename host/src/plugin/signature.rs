//! A plugin's detached signature: the file `NAME.wasm.sig` beside `NAME.wasm`. Ed25519, RFC 8032.
//!
//! What is signed is a text that is made anew from the bytes of the component each time and never read from the signature's file:
//!
//! ```text
//! windlass plugin signature 1
//! name redis
//! version 0.1.0
//! contract windlass:rotation@0.1.0
//! digest sha256:90f55e54a96fd08f93dfea2820ac45b7e12743aa8e4212f359fd4e6cf426b8ed
//! ```
//!
//! The first line keeps it apart from everything else that the same key may sign. The digest alone stands for every byte; name,
//! version and contract are there so that a later Windlass, if it ever reads the same bytes as another plugin, does not trust them as
//! that.
//!
//! The file says which key has signed, and its signature, in exactly three lines:
//!
//! ```text
//! windlass plugin signature 1
//! key ed25519:EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXA=
//! signature …
//! ```
//!
//! An older version that was signed stays signed. Whoever has to rule it out pins a digest as well, or changes the key.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};

use crate::plugin::component_file::ComponentFile;

/// The largest file that can be a signature, in bytes. A real one has 184.
pub const MAX_BYTES: usize = 1024;

/// The first line of what is signed and of the file. The number counts changes of either.
const FIRST_LINE: &str = "windlass plugin signature 1";

/// A key whose signatures can be trusted: `ed25519:` and 32 bytes in base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey([u8; 32]);

/// A text is no public key. The text is not repeated: it may be a private one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// It does not have the form of one.
    #[error(
        "is no public key: write `ed25519:` and 44 characters of base64, as `windlass keygen` prints them. A private key does not \
         belong here"
    )]
    Form,
    /// Everybody can sign for it.
    #[error(
        "is a key for which everybody can make signatures, such as one that has only zeros. Write the public key that `windlass \
         keygen` printed"
    )]
    Weak,
}

impl PublicKey {
    const PREFIX: &str = "ed25519:";

    /// The points of small order on the curve, in all their encodings less the sign bit. A signature for such a key is made without
    /// a private one, and one that has only zeros stands in many an example. ring does not refuse them.
    ///
    /// Source: `ge25519_has_small_order` of libsodium.
    const WEAK: [[u8; 32]; 7] = [
        [0; 32],
        ends(0x01, 0x00, 0x00),
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05,
            0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa,
            0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
        ends(0xec, 0xff, 0x7f),
        ends(0xed, 0xff, 0x7f),
        ends(0xee, 0xff, 0x7f),
    ];

    /// The key of these bytes. That they are a point of the curve is found out by the first signature, which is refused if not.
    ///
    /// # Errors
    ///
    /// [`PublicKeyError::Weak`].
    pub fn new(bytes: [u8; 32]) -> Result<Self, PublicKeyError> {
        let mut unsigned = bytes;
        unsigned[31] &= 0x7f;
        if Self::WEAK.contains(&unsigned) { Err(PublicKeyError::Weak) } else { Ok(Self(bytes)) }
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

/// Thirty bytes between these two.
const fn ends(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, BASE64_STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        let bytes = text.strip_prefix(Self::PREFIX).and_then(|text| BASE64_STANDARD.decode(text).ok());
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(PublicKeyError::Form)?;
        Self::new(bytes)
    }
}

/// What a signature's file says. It proves nothing until [`Signature::is_for`] has looked at a component, and the key is one that
/// the operator configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    key: PublicKey,
    signature: [u8; 64],
}

/// A file is no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// It is too large to be one.
    #[error("is no signature: it has more than {MAX_BYTES} bytes")]
    TooLarge,
    /// It begins with another line.
    #[error("is no signature that this Windlass knows: its first line is not `{FIRST_LINE}`")]
    FirstLine,
    /// It does not go on as it should, or does not end there.
    #[error("is a damaged signature: after its first line come `key ed25519:…` and `signature …`, and nothing else")]
    Damaged,
}

impl Signature {
    /// What this key made of [`message`].
    pub const fn new(key: PublicKey, signature: [u8; 64]) -> Self {
        Self { key, signature }
    }

    /// Reads a signature's file. Each signature has one text, and nothing else is read as it.
    ///
    /// # Errors
    ///
    /// [`SignatureError`].
    pub fn parse(file: &[u8]) -> Result<Self, SignatureError> {
        if file.len() > MAX_BYTES {
            return Err(SignatureError::TooLarge);
        }
        let rest = file.strip_prefix(FIRST_LINE.as_bytes()).and_then(|rest| rest.strip_prefix(b"\n"));
        let rest = rest.ok_or(SignatureError::FirstLine)?;
        let read = || {
            let (key, rest) = std::str::from_utf8(rest).ok()?.strip_prefix("key ")?.split_once('\n')?;
            let signature = BASE64_STANDARD.decode(rest.strip_prefix("signature ")?.strip_suffix('\n')?).ok()?;
            Some(Self { key: key.parse().ok()?, signature: signature.try_into().ok()? })
        };
        read().ok_or(SignatureError::Damaged)
    }

    /// The key that is said to have signed.
    pub const fn key(&self) -> PublicKey {
        self.key
    }

    /// Whether that key has signed these bytes as this plugin.
    pub fn is_for(&self, component: &ComponentFile) -> bool {
        self.key.verifies(message(component).as_bytes(), &self.signature)
    }
}

/// The file's text.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}\nkey {}\nsignature {}", self.key, BASE64_STANDARD.encode(self.signature))
    }
}

/// What is signed. None of its parts can hold a line break: the manifest's are checked where it is parsed, the contract's where the
/// component is.
pub fn message(component: &ComponentFile) -> String {
    let (manifest, contract, digest) = (component.manifest(), component.contract(), component.digest());
    let (name, version) = (&manifest.name, &manifest.version);
    format!("{FIRST_LINE}\nname {name}\nversion {version}\ncontract windlass:rotation@{contract}\ndigest {digest}\n")
}

/// What the name of a signature has behind that of its plugin.
pub const SUFFIX: &str = ".sig";

/// Where the signature of a plugin lies: its path and [`SUFFIX`].
pub fn path(plugin: &Path) -> PathBuf {
    let mut path = OsString::from(plugin);
    path.push(SUFFIX);
    path.into()
}

/// The file of a plugin's signature, if there is one, and one byte more than can be one at most.
///
/// # Errors
///
/// It is there and cannot be read.
pub fn read(plugin: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path(plugin)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use rstest::rstest;

    use super::*;
    use crate::plugin::component_file::tests::plugin;

    /// A signature of this component, by the key that is made of this number.
    pub(crate) fn signed(key: u8, component: &ComponentFile) -> Signature {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[key; 32]).unwrap();
        let public = PublicKey::new(pair.public_key().as_ref().try_into().unwrap()).unwrap();
        Signature::new(public, pair.sign(message(component).as_bytes()).as_ref().try_into().unwrap())
    }

    pub(crate) fn component(name: &str, version: &str) -> ComponentFile {
        ComponentFile::parse(plugin(&format!("name = \"{name}\"\nversion = \"{version}\""))).unwrap()
    }

    #[test]
    fn what_is_signed_names_the_plugin_and_stands_for_its_bytes() {
        let component = component("redis", "1.2.3+4");
        let message = message(&component).replace(&component.digest().to_string(), "[digest]");
        insta::assert_snapshot!(message, @r"
        windlass plugin signature 1
        name redis
        version 1.2.3+4
        contract windlass:rotation@0.1.0
        digest [digest]
        ");
    }

    #[test]
    fn a_signature_is_for_its_component_and_no_other() {
        let redis = component("redis", "1.0.0");
        let signature = signed(1, &redis);
        assert!(signature.is_for(&redis));
        assert!(!signature.is_for(&component("redis", "1.0.1")));
        assert!(!signature.is_for(&component("rabbitmq", "1.0.0")));
        let by_another_key = Signature { key: signed(2, &redis).key, ..signature };
        assert!(!by_another_key.is_for(&redis));
    }

    #[test]
    fn a_signature_reads_back_as_it_was_written() {
        let signature = signed(1, &component("redis", "1.0.0"));
        let text = signature.to_string();
        assert_eq!(text.len(), 184);
        assert_eq!(Signature::parse(text.as_bytes()), Ok(signature));
    }

    #[rstest]
    #[case::empty(|_: &str| String::new(), SignatureError::FirstLine)]
    #[case::later_version(|text: &str| text.replace("signature 1", "signature 2"), SignatureError::FirstLine)]
    #[case::longer_number(|text: &str| text.replace("signature 1", "signature 10"), SignatureError::FirstLine)]
    #[case::carriage_returns(|text: &str| text.replace('\n', "\r\n"), SignatureError::FirstLine)]
    #[case::white_space_before(|text: &str| format!(" {text}"), SignatureError::FirstLine)]
    #[case::one_line(|_: &str| format!("{FIRST_LINE}\n"), SignatureError::Damaged)]
    #[case::no_last_line_break(|text: &str| text.trim_end().to_owned(), SignatureError::Damaged)]
    #[case::trailing_line_break(|text: &str| format!("{text}\n"), SignatureError::Damaged)]
    #[case::trailing_text(|text: &str| format!("{text}key ed25519:"), SignatureError::Damaged)]
    #[case::two_keys(|text: &str| text.replace("\nsignature", "\nkey ed25519:\nsignature"), SignatureError::Damaged)]
    #[case::no_padding(|text: &str| text.replace('=', ""), SignatureError::Damaged)]
    #[case::other_algorithm(|text: &str| text.replace("ed25519:", "ed448:"), SignatureError::Damaged)]
    #[case::too_large(|text: &str| format!("{text}{}", "\n".repeat(MAX_BYTES)), SignatureError::TooLarge)]
    fn refuses_what_is_no_signature(#[case] change: fn(&str) -> String, #[case] error: SignatureError) {
        let text = change(&signed(1, &component("redis", "1.0.0")).to_string());
        assert_eq!(Signature::parse(text.as_bytes()), Err(error), "{text}");
    }

    #[rstest]
    #[case::empty("")]
    #[case::no_algorithm("EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXA=")]
    #[case::other_case("Ed25519:EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXA=")]
    #[case::short("ed25519:EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0")]
    #[case::white_space("ed25519:EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXA= ")]
    #[case::line_break("ed25519:EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXA=\n")]
    #[case::unused_bits("ed25519:EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXB=")]
    #[case::private_key("MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC")]
    fn refuses_what_is_no_key_without_repeating_it(#[case] text: &str) {
        let error = text.parse::<PublicKey>().unwrap_err();
        assert_eq!(error, PublicKeyError::Form);
        assert!(text.is_empty() || !error.to_string().contains(text));
    }

    /// The signature of `R` = the neutral element and `S` = 0 fits every message under the key of the neutral element.
    #[test]
    fn a_key_for_which_everybody_can_sign_is_refused() {
        let neutral = PublicKey(ends(1, 0, 0));
        let mut forged = [0; 64];
        forged[0] = 1;
        assert!(neutral.verifies(b"anything", &forged), "ring refuses it by itself now");
        for mut weak in PublicKey::WEAK {
            for sign in [0, 0x80] {
                weak[31] ^= sign;
                let text = PublicKey(weak).to_string();
                assert_eq!(text.parse::<PublicKey>(), Err(PublicKeyError::Weak), "{text}");
            }
        }
    }

    #[test]
    fn the_signature_lies_beside_the_plugin() {
        let folder = tempfile::tempdir().unwrap();
        let plugin = folder.path().join("redis.wasm");
        assert_eq!(read(&plugin).unwrap(), None);
        std::fs::write(folder.path().join("redis.wasm.sig"), vec![b'x'; 5000]).unwrap();
        assert_eq!(read(&plugin).unwrap().unwrap().len(), MAX_BYTES + 1);
        std::fs::create_dir(folder.path().join("other.wasm.sig")).unwrap();
        assert!(read(&folder.path().join("other.wasm")).is_err());
    }

    proptest! {
        #[test]
        fn a_flipped_bit_in_the_component_is_found(bit: prop::sample::Index) {
            let component = component("redis", "1.0.0");
            let signature = signed(1, &component);
            let mut wasm = component.wasm().to_vec();
            let bit = bit.index(wasm.len() * 8);
            wasm[bit / 8] ^= 1 << (bit % 8);
            if let Ok(changed) = ComponentFile::parse(wasm) {
                prop_assert!(!signature.is_for(&changed));
            }
        }

        #[test]
        fn a_flipped_bit_in_the_signature_is_found(bit in 0usize..64 * 8) {
            let component = component("redis", "1.0.0");
            let mut signature = signed(1, &component);
            signature.signature[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!signature.is_for(&component));
        }

        #[test]
        fn a_flipped_bit_in_the_key_is_found(bit in 0usize..32 * 8) {
            let component = component("redis", "1.0.0");
            let mut signature = signed(1, &component);
            signature.key.0[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!signature.is_for(&component));
        }

        #[test]
        fn a_changed_character_of_the_file_is_found(at: prop::sample::Index, byte: u8) {
            let component = component("redis", "1.0.0");
            let mut text = signed(1, &component).to_string().into_bytes();
            let at = at.index(text.len());
            prop_assume!(text[at] != byte);
            text[at] = byte;
            prop_assert!(!Signature::parse(&text).is_ok_and(|signature| signature.is_for(&component)));
        }

        #[test]
        fn reads_one_text_only_for_each_signature(
            key in proptest::collection::vec(any::<char>(), 0..60),
            signature in "[A-Za-z0-9+/]{80,90}={0,2}",
        ) {
            let key: String = key.into_iter().collect();
            for key in [key.as_str(), "ed25519:EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXA="] {
                let text = format!("{FIRST_LINE}\nkey {key}\nsignature {signature}\n");
                if let Ok(read) = Signature::parse(text.as_bytes()) {
                    prop_assert_eq!(read.to_string(), text);
                }
            }
        }

        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = Signature::parse(&bytes);
            let _ = Signature::parse(&[FIRST_LINE.as_bytes(), b"\n", &bytes].concat());
            let _ = String::from_utf8_lossy(&bytes).parse::<PublicKey>();
        }
    }
}
