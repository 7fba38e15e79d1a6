//! The private key that signs plugins: a PKCS#8 file in PEM, as `windlass keygen` and `openssl genpkey -algorithm ed25519` write.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::plugin::code::envelope::Label;
use crate::plugin::component_file::ComponentFile;
use crate::plugin::signature::{self, PublicKey, Signature};

/// The largest key file that is read, in bytes. A real one has about 120.
const MAX_BYTES: u64 = 16_384;

/// What stands before the 32 secret bytes in an unencrypted PKCS#8 key without its public part.
///
/// Source: RFC 8410, section 7
const PKCS8: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A private key. It has no `Debug` and no way out but [`SigningKey::generate`].
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningKeyError {
    /// The file cannot be read.
    #[error("the private key {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is the other half.
    #[error("{} is a public key. Name the private one, which `windlass keygen` wrote beside it", path.display())]
    Public {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error(
        "{} is no private key that signs plugins: it has to hold one Ed25519 key without a passphrase, in PKCS#8 and PEM (`BEGIN \
         PRIVATE KEY`). Make one with `windlass keygen FILE`",
        path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The operating system has no randomness.
    #[error("the operating system gives no random bytes, of which a key is made")]
    NoRandomness,
}

impl SigningKey {
    /// Makes a new key: the text of its file, and its public part.
    ///
    /// # Errors
    ///
    /// [`SigningKeyError::NoRandomness`].
    pub fn generate() -> Result<(Zeroizing<String>, PublicKey), SigningKeyError> {
        let mut der = Zeroizing::new([0; 48]);
        let (head, seed) = der.split_at_mut(PKCS8.len());
        head.copy_from_slice(&PKCS8);
        SystemRandom::new().fill(seed).map_err(|_| SigningKeyError::NoRandomness)?;
        let text = Zeroizing::new(BASE64_STANDARD.encode(der.as_slice()));
        let pem = Zeroizing::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", *text));
        let key = Self::parse(pem.as_bytes()).expect("this is the form that is read");
        Ok((pem, key.public))
    }

    /// Reads a key's file. `say` is told if others can read it too.
    ///
    /// # Errors
    ///
    /// [`SigningKeyError`] says what is wrong with the file, and nothing of what is in it.
    pub fn read(path: &Path, say: &mut dyn FnMut(&str)) -> Result<Self, SigningKeyError> {
        let unreadable = |source| SigningKeyError::Unreadable { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let about = file.metadata().map_err(unreadable)?;
        let mut text = Zeroizing::new(Vec::new());
        file.take(MAX_BYTES).read_to_end(&mut text).map_err(unreadable)?;
        let Some(key) = Self::parse(&text) else {
            let public = std::str::from_utf8(&text).is_ok_and(|text| text.trim().parse::<PublicKey>().is_ok());
            let path = path.to_owned();
            return Err(if public { SigningKeyError::Public { path } } else { SigningKeyError::NoKey { path } });
        };
        // A pipe or a terminal has no others.
        let mode = about.permissions().mode() & 0o777;
        if about.is_file() && mode & 0o077 != 0 {
            say(&format!(
                "warning: other users of this machine may use the private key {} (mode {mode:04o}). Run `chmod 600` on it; if one \
                 of them may have read it, make a new key",
                path.display()
            ));
        }
        Ok(key)
    }

    fn parse(pem: &[u8]) -> Option<Self> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).ok()?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).ok()?;
        let public = PublicKey::new(pair.public_key().as_ref().try_into().ok()?).ok()?;
        Some(Self { pair, public })
    }

    /// The part that an operator configures.
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs this component.
    pub fn sign(&self, component: &ComponentFile) -> Signature {
        let signature = self.pair.sign(signature::message(component).as_bytes());
        Signature::new(self.public, signature.as_ref().try_into().expect("a signature of Ed25519 has 64 bytes"))
    }

    /// Signs code for what this label says.
    pub fn sign_label(&self, label: &Label) -> [u8; 64] {
        let signature = self.pair.sign(label.to_string().as_bytes());
        signature.as_ref().try_into().expect("a signature of Ed25519 has 64 bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::signature::tests::component;

    /// The example of RFC 8410, section 10.3, as OpenSSL writes it too.
    const EXAMPLE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";

    #[test]
    fn the_public_part_is_that_of_the_standard() {
        let key = SigningKey::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(key.public().to_string(), "ed25519:Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=");
    }

    #[test]
    fn a_new_key_is_another_one_each_time_and_signs() {
        let [(pem, public), (_, other)] = [(); 2].map(|()| SigningKey::generate().unwrap());
        assert_ne!(public, other);
        let key = SigningKey::parse(pem.as_bytes()).unwrap();
        assert_eq!(key.public(), public);
        let (redis, rabbitmq) = (component("redis", "1.0.0"), component("rabbitmq", "1.0.0"));
        assert!(key.sign(&redis).is_for(&redis) && !key.sign(&redis).is_for(&rabbitmq));
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let encrypted = EXAMPLE.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let cut = EXAMPLE.replace("MC4C", "");
        for text in ["", "hello", &encrypted, &cut] {
            std::fs::write(&path, text).unwrap();
            let Err(error) = SigningKey::read(&path, &mut |_| ()) else { panic!("{text} is no key") };
            assert!(matches!(error, SigningKeyError::NoKey { .. }) && !error.to_string().contains("EINTuct"), "{error}");
        }
    }
}
