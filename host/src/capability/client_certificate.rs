//! The certificate with which the host proves to services who it is, for the secrets of one rule of the operator.
//!
//! It is read and checked when the function starts. The key stays in this process: no error, log or plugin gets to see it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, InconsistentKeys};
use zeroize::Zeroizing;

use crate::config::ClientCertificateFiles;

/// A certificate, those that lead from it to its authority, and its key.
pub struct ClientCertificate {
    key: Arc<CertifiedKey>,
    /// Made when the first handshake needs it.
    client: OnceLock<Arc<ClientConfig>>,
}

/// Why a client certificate cannot be used. Stops the start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientCertificateError {
    /// A file cannot be read.
    #[error("the file {path} of `client_certificate.{key}` cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The key in the configuration.
        key: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate file holds none.
    #[error(
        "the file {path} of `client_certificate.certificate_file` holds no certificate. Use a PEM file: the certificate first, then \
         those between it and its authority"
    )]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The certificate file holds what is no certificate.
    #[error("the file {path} of `client_certificate.certificate_file` is wrong: certificate {number} does not parse")]
    BrokenCertificate {
        /// The file.
        path: PathBuf,
        /// Which certificate, from 1.
        number: usize,
    },
    /// The key file holds none.
    #[error(
        "the file {path} of `client_certificate.key_file` holds no private key. Use a PEM file with a PKCS#8, SEC1 or PKCS#1 key"
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is encrypted.
    #[error(
        "the private key in the file {path} of `client_certificate.key_file` is encrypted, and there is nobody to ask for its \
         passphrase. Decrypt it: openssl pkey -in ENCRYPTED -out KEY"
    )]
    EncryptedKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is of a kind that is not supported, or damaged. The reason never quotes it.
    #[error(
        "the private key in the file {path} of `client_certificate.key_file` cannot be used. It has to be an RSA key of 2048 to 8192 \
         bits, an ECDSA key on P-256 or P-384, or an Ed25519 key"
    )]
    UnusableKey {
        /// The file.
        path: PathBuf,
    },
    /// The key belongs to another certificate.
    #[error(
        "the private key in {key} does not belong to the certificate in {certificate}, which is the first one there. Correct \
         `client_certificate` in the configuration"
    )]
    OtherKey {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
}

impl ClientCertificate {
    /// Reads the files and checks that they belong together.
    ///
    /// # Errors
    ///
    /// [`ClientCertificateError`] names the file that cannot be used.
    pub fn read(files: &ClientCertificateFiles) -> Result<Self, ClientCertificateError> {
        let ClientCertificateFiles { certificate_file, key_file } = files;
        let chain = read_chain(certificate_file)?;
        let key = read_key(key_file)?;
        let certified = CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider());
        let key = certified.map_err(|error| {
            if error == InconsistentKeys::KeyMismatch.into() {
                ClientCertificateError::OtherKey { certificate: certificate_file.clone(), key: key_file.clone() }
            } else {
                // The certificates have been parsed, so it is the key.
                ClientCertificateError::UnusableKey { path: key_file.clone() }
            }
        })?;
        Ok(Self { key: Arc::new(key), client: OnceLock::new() })
    }

    /// How to connect with it. `make` gets what answers a service that asks for a certificate, and is called once.
    pub(crate) fn client(&self, make: impl FnOnce(Arc<SingleCertAndKey>) -> ClientConfig) -> &Arc<ClientConfig> {
        self.client.get_or_init(|| Arc::new(make(Arc::new(SingleCertAndKey::from(Arc::clone(&self.key))))))
    }
}

fn read(path: &Path, key: &'static str) -> Result<Zeroizing<Vec<u8>>, ClientCertificateError> {
    let read = std::fs::read(path).map(Zeroizing::new);
    read.map_err(|source| ClientCertificateError::Unreadable { path: path.to_owned(), key, source })
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientCertificateError> {
    let pem = read(path, "certificate_file")?;
    let mut chain = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let parsed = certificate.ok().filter(|certificate| ParsedCertificate::try_from(certificate).is_ok());
        let broken = || ClientCertificateError::BrokenCertificate { path: path.to_owned(), number: chain.len() + 1 };
        let certificate = parsed.ok_or_else(broken)?;
        chain.push(certificate);
    }
    if chain.is_empty() { Err(ClientCertificateError::NoCertificate { path: path.to_owned() }) } else { Ok(chain) }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, ClientCertificateError> {
    let pem = read(path, "key_file")?;
    let holds = |mark: &str| pem.windows(mark.len()).any(|window| window == mark.as_bytes());
    // The one of PKCS#8, and the one that OpenSSL put before other keys.
    if holds("-----BEGIN ENCRYPTED PRIVATE KEY-----") || holds("Proc-Type: 4,ENCRYPTED") {
        return Err(ClientCertificateError::EncryptedKey { path: path.to_owned() });
    }
    // What is there and does not parse is no key either; its text is not repeated.
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| ClientCertificateError::NoKey { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::capability::test_server::{Authority, ClientPem};

    /// What is said of these two files.
    fn said(certificate: &str, key: &str) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let files = ClientCertificateFiles { certificate_file: file("app.pem", certificate), key_file: file("app.key", key) };
        let read = ClientCertificate::read(&files).map(drop);
        read.map_err(|error| error.to_string().replace(folder.path().to_str().unwrap(), "/etc"))
    }

    fn pem() -> ClientPem {
        Authority::new().client_pem()
    }

    #[test]
    fn takes_a_certificate_with_its_chain_and_key() {
        let (authority, pem) = (Authority::new(), pem());
        assert_eq!(said(&pem.certificate, &pem.key), Ok(()));
        assert_eq!(said(&format!("{}{}", pem.certificate, authority.pem()), &pem.key), Ok(()));
        // A file may hold both, as some services' tools write it.
        let both = format!("{}{}", pem.key, pem.certificate);
        assert_eq!(said(&both, &both), Ok(()));
    }

    #[rstest]
    #[case::sec1("EC PRIVATE KEY", &["ecparam", "-name", "prime256v1", "-genkey", "-noout"])]
    #[case::pkcs1("RSA PRIVATE KEY", &["genrsa", "-traditional", "2048"])]
    #[case::pkcs8("PRIVATE KEY", &["genpkey", "-algorithm", "ed25519"])]
    fn takes_a_key_in_every_form_that_openssl_writes(#[case] form: &str, #[case] arguments: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let openssl = |arguments: &[&str]| {
            let output = std::process::Command::new("openssl").args(arguments).current_dir(folder.path()).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let key = openssl(arguments);
        assert!(key.starts_with(&format!("-----BEGIN {form}-----")), "{form}");
        std::fs::write(folder.path().join("app.key"), &key).unwrap();
        let certificate = openssl(&["req", "-x509", "-key", "app.key", "-subj", "/CN=app"]);
        assert_eq!(said(&certificate, &key), Ok(()));
    }

    const NO_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    const ENCRYPTED_AS_BEFORE: &str =
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    const NO_KEY: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

    #[rstest]
    #[case::empty("", "/etc/app.pem of `client_certificate.certificate_file` holds no certificate")]
    #[case::no_pem("hello", "/etc/app.pem of `client_certificate.certificate_file` holds no certificate")]
    #[case::key(NO_KEY, "/etc/app.pem of `client_certificate.certificate_file` holds no certificate")]
    #[case::no_certificate(NO_CERTIFICATE, "/etc/app.pem of `client_certificate.certificate_file` is wrong: certificate 1")]
    #[case::cut("-----BEGIN CERTIFICATE-----\nAAAA\n", "certificate 1 does not parse")]
    fn a_certificate_that_cannot_be_used_is_named(#[case] certificate: &str, #[case] why: &str) {
        let error = said(certificate, &pem().key).unwrap_err();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn the_broken_one_of_a_chain_is_numbered() {
        let pem = pem();
        let error = said(&format!("{}{NO_CERTIFICATE}", pem.certificate), &pem.key).unwrap_err();
        assert!(error.contains("certificate 2 does not parse"), "{error}");
    }

    #[rstest]
    #[case::empty("", "/etc/app.key of `client_certificate.key_file` holds no private key")]
    #[case::no_pem("hello", "holds no private key")]
    #[case::certificate(NO_CERTIFICATE, "holds no private key")]
    #[case::cut("-----BEGIN PRIVATE KEY-----\nAAAA\n", "holds no private key")]
    #[case::encrypted(ENCRYPTED, "/etc/app.key of `client_certificate.key_file` is encrypted")]
    #[case::encrypted_as_before(ENCRYPTED_AS_BEFORE, "is encrypted")]
    #[case::no_key(NO_KEY, "/etc/app.key of `client_certificate.key_file` cannot be used")]
    fn a_key_that_cannot_be_used_is_named(#[case] key: &str, #[case] why: &str) {
        let error = said(&pem().certificate, key).unwrap_err();
        assert!(error.contains(why) && !error.contains("AAAA"), "{error}");
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let error = said(&pem().certificate, &pem().key).unwrap_err();
        insta::assert_snapshot!(error, @"the private key in /etc/app.key does not belong to the certificate in /etc/app.pem, which is the first one there. Correct `client_certificate` in the configuration");
    }

    #[test]
    fn a_missing_file_is_named_with_its_key_in_the_configuration() {
        let nowhere = PathBuf::from("/nowhere/app");
        let files = ClientCertificateFiles { certificate_file: nowhere.clone(), key_file: nowhere };
        let error = ClientCertificate::read(&files).err().unwrap().to_string();
        assert!(error.starts_with("the file /nowhere/app of `client_certificate.certificate_file` cannot be read"), "{error}");
    }
}
