//! TLS towards services: whom to trust, and what a failed handshake means in words an operator can act on.
//!
//! Verification cannot be switched off. An operator who runs a certificate authority of their own names its file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::{Resumption, WantsClientCert};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, ConfigBuilder, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::capability::client_certificate::ClientCertificate;

/// Certificate authorities: the system's and the operator's.
pub struct Trust {
    operator: RootCertStore,
    // Reading the system's hundred-odd certificates takes longer than starting the function, and plain endpoints never need them.
    roots: OnceLock<Arc<RootCertStore>>,
    /// Without a certificate of our own.
    client: OnceLock<Arc<ClientConfig>>,
}

/// Why a file of certificate authorities cannot be used. Stops the start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// It cannot be read.
    #[error("the file {path} of `tls.ca_files` cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not PEM, or holds what is no certificate.
    #[error("the file {path} of `tls.ca_files` is wrong: certificate {number} does not parse. Use a PEM file of CA certificates")]
    Broken {
        /// The file.
        path: PathBuf,
        /// Which certificate, from 1.
        number: usize,
    },
    /// It holds no certificate.
    #[error("the file {path} of `tls.ca_files` holds no certificate. Use a PEM file of CA certificates")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl Trust {
    /// Reads the operator's files. The system's authorities are read when the first handshake needs them.
    ///
    /// # Errors
    ///
    /// [`TlsError`] names the first file that cannot be used.
    pub fn new(ca_files: &[PathBuf]) -> Result<Self, TlsError> {
        let mut operator = RootCertStore::empty();
        for path in ca_files {
            read_authorities(path, &mut operator)?;
        }
        Ok(Self { operator, roots: OnceLock::new(), client: OnceLock::new() })
    }

    /// Does the handshake as the client of `host`, which has to be what the service's certificate names. `certificate` is ours, for
    /// a service that asks for one.
    ///
    /// # Errors
    ///
    /// Why it failed, as the end of a sentence. Under TLS 1.3 a service refuses our certificate only later, at the first read.
    pub async fn handshake(
        &self,
        host: &str,
        stream: TcpStream,
        certificate: Option<&ClientCertificate>,
    ) -> Result<TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| "its host cannot stand in a certificate".to_owned())?;
        let client = match certificate {
            None => self.client.get_or_init(|| Arc::new(self.configured(|builder| builder.with_no_client_auth()))),
            Some(own) => own.client(|resolver| self.configured(|builder| builder.with_client_cert_resolver(resolver))),
        };
        TlsConnector::from(Arc::clone(client)).connect(name, stream).await.map_err(|error| in_words(&error))
    }

    fn configured(
        &self,
        own_certificate: impl FnOnce(ConfigBuilder<ClientConfig, WantsClientCert>) -> ClientConfig,
    ) -> ClientConfig {
        let roots = self.roots.get_or_init(|| {
            let mut roots = self.operator.clone();
            // A system certificate that does not parse is the system's matter; what it would have vouched for is refused.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Arc::new(roots)
        });
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has suites for TLS 1.2 and 1.3")
            .with_root_certificates(Arc::clone(roots));
        let mut client = own_certificate(builder);
        // A resumed session skips the certificates, and one plugin's call must not live on in the next.
        client.resumption = Resumption::disabled();
        client
    }
}

fn read_authorities(path: &Path, roots: &mut RootCertStore) -> Result<(), TlsError> {
    let pem = std::fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })?;
    let mut number = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        number += 1;
        let added = certificate.is_ok_and(|certificate| roots.add(certificate).is_ok());
        if !added {
            return Err(TlsError::Broken { path: path.to_owned(), number });
        }
    }
    if number == 0 { Err(TlsError::Empty { path: path.to_owned() }) } else { Ok(()) }
}

/// What an error that TLS is the reason of means; nothing for others.
pub(crate) fn refusal(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let error = error.downcast_ref::<std::io::Error>()?;
    error.get_ref()?.is::<rustls::Error>().then(|| in_words(error))
}

/// What a failed handshake, or a broken stream, means.
#[expect(clippy::wildcard_enum_match_arm, reason = "rustls adds errors; those without words of ours keep its own")]
pub(crate) fn in_words(error: &std::io::Error) -> String {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return if error.kind() == std::io::ErrorKind::UnexpectedEof {
            "the service closed the connection; does it speak TLS on this port?".to_owned()
        } else {
            error.to_string()
        };
    };
    match error {
        rustls::Error::InvalidCertificate(why) => certificate_in_words(why),
        rustls::Error::InvalidMessage(_) => "the service does not speak TLS on this port".to_owned(),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the service demands a client certificate. Name the files of the one that it issued to you in the secret's rule: \
             `client_certificate = { certificate_file = \"app.pem\", key_file = \"app.key\" }`"
                .to_owned()
        }
        // What OpenSSL answers under TLS 1.2 to a client without a certificate.
        rustls::Error::AlertReceived(AlertDescription::HandshakeFailure) => {
            "the service refuses the handshake: it has no cipher in common with us, or demands a client certificate, which the \
             secret's rule names in `client_certificate`"
                .to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::UnknownCA) => {
            "the service does not know the authority of the client certificate. Correct `client_certificate` in the secret's rule, \
             its certificates between the two included, or make the authority known to the service"
                .to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateExpired) => {
            "the service says that the client certificate has expired. Renew the files of `client_certificate` in the secret's rule"
                .to_owned()
        }
        rustls::Error::AlertReceived(
            alert @ (AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            // The signature of the authority: one that was made anew under its old name.
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied),
        ) => {
            format!("the service refuses the client certificate ({alert:?}). Correct `client_certificate` in the secret's rule")
        }
        rustls::Error::AlertReceived(AlertDescription::UnrecognisedName) => "the service does not serve this host name".to_owned(),
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) | rustls::Error::PeerIncompatible(_) => {
            "the service has no TLS version and cipher in common with us; it must offer TLS 1.2 or 1.3".to_owned()
        }
        other => other.to_string(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "as above")]
fn certificate_in_words(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => {
            "the service's certificate is signed by an unknown authority. If it is your own, add its file to `tls.ca_files`"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the service's certificate has expired. Renew it at the service".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the service's certificate is not valid yet. Check the clocks of the service and of its authority".to_owned()
        }
        CertificateError::NotValidForName => {
            "the service's certificate is for another name. Use a name that it lists as the secret's host".to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            format!(
                "the service's certificate is for another name{}. Use a name that it lists as the secret's host",
                names(presented)
            )
        }
        CertificateError::Revoked => "the service's certificate is revoked. Renew it at the service".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the service's certificate is not meant for a server".to_owned()
        }
        CertificateError::BadEncoding => "the service's certificate does not parse".to_owned(),
        // What an authority that was made anew under its old name leads to.
        CertificateError::BadSignature => {
            "the service's certificate names an authority that is trusted here but was not signed by it. If the authority was \
             renewed, add its new file to `tls.ca_files`"
                .to_owned()
        }
        other => {
            // The one case of the verifier beneath that has no name here.
            if other.to_string().contains("CaUsedAsEndEntity") {
                "the service presents a certificate authority as its own certificate. Give it a certificate that the authority signed"
                    .to_owned()
            } else {
                format!("the service's certificate is refused: {other}")
            }
        }
    }
}

/// The first names of a certificate, as far as they are plain: the service chose them.
fn names(presented: &[String]) -> String {
    let plain = |name: &&String| name.len() <= 100 && name.bytes().all(|byte| byte.is_ascii_graphic());
    let names: Vec<&str> = presented.iter().filter(plain).take(3).map(String::as_str).collect();
    if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::capability::test_server::Authority;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn takes_a_file_with_several_authorities() {
        let (_folder, path) = file(&format!("{}\n{}", Authority::new().pem(), Authority::new().pem()));
        assert_eq!(Trust::new(&[path]).unwrap().operator.len(), 2);
    }

    #[rstest]
    #[case::empty("", "holds no certificate")]
    #[case::no_pem("not a certificate", "holds no certificate")]
    #[case::key("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "holds no certificate")]
    #[case::no_certificate("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1 does not parse")]
    #[case::cut("-----BEGIN CERTIFICATE-----\nAAAA\n", "certificate 1 does not parse")]
    fn a_file_that_cannot_be_used_is_named(#[case] text: &str, #[case] why: &str) {
        let (_folder, path) = file(text);
        let error = Trust::new(std::slice::from_ref(&path)).err().unwrap().to_string();
        assert!(error.contains(why) && error.contains(path.to_str().unwrap()), "{error}");
    }

    fn alert(alert: AlertDescription) -> String {
        in_words(&std::io::Error::other(rustls::Error::AlertReceived(alert)))
    }

    #[test]
    fn what_a_service_says_of_client_certificates_names_the_rule() {
        insta::assert_snapshot!(alert(AlertDescription::CertificateRequired), @r#"the service demands a client certificate. Name the files of the one that it issued to you in the secret's rule: `client_certificate = { certificate_file = "app.pem", key_file = "app.key" }`"#);
        insta::assert_snapshot!(alert(AlertDescription::HandshakeFailure), @"the service refuses the handshake: it has no cipher in common with us, or demands a client certificate, which the secret's rule names in `client_certificate`");
        insta::assert_snapshot!(alert(AlertDescription::UnknownCA), @"the service does not know the authority of the client certificate. Correct `client_certificate` in the secret's rule, its certificates between the two included, or make the authority known to the service");
        insta::assert_snapshot!(alert(AlertDescription::CertificateExpired), @"the service says that the client certificate has expired. Renew the files of `client_certificate` in the secret's rule");
        insta::assert_snapshot!(alert(AlertDescription::CertificateRevoked), @"the service refuses the client certificate (CertificateRevoked). Correct `client_certificate` in the secret's rule");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Trust::new(&[PathBuf::from("/nowhere/ca.pem")]).err().unwrap().to_string();
        assert!(error.starts_with("the file /nowhere/ca.pem of `tls.ca_files` cannot be read"), "{error}");
    }
}
