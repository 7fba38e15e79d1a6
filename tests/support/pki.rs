//! Certificates for test servers: a good one, and one for each way to be wrong.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::CertificateDer;

use super::built;

/// A certificate authority in a temporary folder.
pub struct Pki {
    folder: tempfile::TempDir,
    authority: Issuer<'static, KeyPair>,
    authority_der: CertificateDer<'static>,
}

/// A certificate chain and its key, as PEM files.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What a server certificate is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// For `localhost`, 127.0.0.1 and this machine's name.
    Good,
    /// As good, but its last day was long ago.
    Expired,
    /// For another host only.
    WrongName,
}

impl Pki {
    /// A new authority. A second one is the unknown authority of a test.
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Windlass test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap();
        let folder = built::server_folder();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { folder, authority: Issuer::new(params, key), authority_der: certificate.der().clone() }
    }

    /// The authority's certificate, as a PEM file.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A server certificate of this authority.
    pub fn server(&self, kind: Kind) -> CertificateFiles {
        let names = match kind {
            Kind::Good | Kind::Expired => vec!["localhost".to_owned(), "127.0.0.1".to_owned(), hostname()],
            Kind::WrongName => vec!["elsewhere.example".to_owned()],
        };
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Windlass test server");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if kind == Kind::Expired {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2001, 12, 31);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        let file = |extension: &str| self.folder.path().join(format!("{kind:?}.{extension}").to_lowercase());
        let files = CertificateFiles { certificate: file("pem"), key: file("key") };
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    /// A certificate that this authority issued to a client.
    pub fn client_certificate(&self) -> CertificateFiles {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Windlass test client");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        let files =
            CertificateFiles { certificate: self.folder.path().join("client.pem"), key: self.folder.path().join("client.key") };
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    /// A TLS client that trusts this authority only.
    pub fn client(&self) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.authority_der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    }

    /// The folder of all files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Some clients (libldap) check a loopback peer against this name.
fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned()
}
