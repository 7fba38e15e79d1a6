//! Listeners and certificates for the tests of this folder: real sockets on loopback, real handshakes.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::capability::endpoint::{Endpoint, Tls};
use crate::capability::grant::Reach;
use crate::config::{Config, Loopback};

/// A certificate authority of its own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a service's certificate says.
pub(crate) struct Certificate {
    name: String,
    years: (i32, i32),
}

impl Certificate {
    pub(crate) fn for_name(name: &str) -> Self {
        Self { name: name.to_owned(), years: (2000, 4000) }
    }

    pub(crate) fn expired(mut self) -> Self {
        self.years = (2000, 2001);
        self
    }

    pub(crate) fn not_yet_valid(mut self) -> Self {
        self.years = (3999, 4000);
        self
    }
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Accepts TLS with a certificate that this authority signed.
    pub(crate) fn acceptor(&self, certificate: &Certificate) -> TlsAcceptor {
        let mut params = CertificateParams::default();
        params.subject_alt_names = match certificate.name.parse::<IpAddr>() {
            Ok(ip) => vec![SanType::IpAddress(ip)],
            Err(_) => vec![SanType::DnsName(certificate.name.as_str().try_into().unwrap())],
        };
        params.not_before = date_time_ymd(certificate.years.0, 1, 1);
        params.not_after = date_time_ymd(certificate.years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.0).unwrap();
        acceptor(signed.der().clone(), &key)
    }

    /// Accepts TLS with the authority's own certificate, a common mistake.
    pub(crate) fn acceptor_as_itself(&self) -> TlsAcceptor {
        acceptor(self.0.der().clone(), self.0.key())
    }
}

fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A configuration, and the folder that its files are in.
pub(crate) struct ConfigWithFiles {
    pub(crate) config: Config,
    _folder: tempfile::TempDir,
}

pub(crate) fn config(loopback: Loopback, trust: &[&Authority]) -> ConfigWithFiles {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config { loopback, ..Config::with_plugins(PathBuf::new()) };
    for (number, authority) in trust.iter().enumerate() {
        let path = folder.path().join(format!("{number}.pem"));
        std::fs::write(&path, authority.pem()).unwrap();
        config.ca_files.push(path);
    }
    ConfigWithFiles { config, _folder: folder }
}

/// An endpoint with the name `service`.
pub(crate) fn endpoint(host: &str, port: u16, tls: Tls) -> Endpoint {
    Endpoint { name: "service".to_owned(), host: host.to_owned(), port, tls, reach: Reach::Anywhere }
}

/// Serves each connection to a free port of 127.0.0.1 with `service`, until the runtime ends.
pub(crate) async fn listen<S, F>(service: S) -> u16
where
    S: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(service(stream));
        }
    });
    port
}

pub(crate) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// Answers with what it receives, over TLS if there is an acceptor.
pub(crate) fn echo(acceptor: Option<TlsAcceptor>) -> impl Fn(TcpStream) -> Served + Send {
    over(acceptor, |stream| {
        Box::pin(async move {
            let (mut reader, mut writer) = tokio::io::split(stream);
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
        })
    })
}

pub(crate) type Served = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves the stream with `service`, over TLS if there is an acceptor. A handshake that fails is the client's to notice.
pub(crate) fn over(
    acceptor: Option<TlsAcceptor>,
    service: impl Fn(Box<dyn Bytes>) -> Served + Clone + Send + Sync + 'static,
) -> impl Fn(TcpStream) -> Served + Send {
    move |stream| {
        let (acceptor, service) = (acceptor.clone(), service.clone());
        Box::pin(async move {
            match acceptor {
                None => service(Box::new(stream)).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        service(Box::new(stream)).await;
                    }
                }
            }
        })
    }
}

/// Reads for ever and says nothing.
pub(crate) async fn silent(stream: TcpStream) {
    read_all(stream).await;
}

/// What a service does after it has said its text.
#[derive(Clone, Copy)]
pub(crate) enum AndThen {
    /// Reads for ever.
    Listens,
    /// Closes the connection, over TLS without the closing message that the protocol asks for.
    HangsUp,
}

/// Says `text` to whoever connects.
pub(crate) fn says(acceptor: Option<TlsAcceptor>, text: &'static [u8], and_then: AndThen) -> impl Fn(TcpStream) -> Served + Send {
    over(acceptor, move |mut stream| {
        Box::pin(async move {
            let _ = stream.write_all(text).await;
            let _ = stream.flush().await;
            match and_then {
                AndThen::Listens => read_all(stream).await,
                AndThen::HangsUp => {}
            }
        })
    })
}

/// Says `text` to whoever has sent a blank line, as the head of an HTTP request ends.
pub(crate) fn answers(
    acceptor: Option<TlsAcceptor>,
    text: impl Into<Vec<u8>>,
    and_then: AndThen,
) -> impl Fn(TcpStream) -> Served + Send {
    let text: Arc<[u8]> = text.into().into();
    over(acceptor, move |mut stream| {
        let text = Arc::clone(&text);
        Box::pin(async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(&text).await;
            let _ = stream.flush().await;
            match and_then {
                AndThen::Listens => read_all(stream).await,
                AndThen::HangsUp => {}
            }
        })
    })
}

/// Reads up to and with the next blank line.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin + ?Sized)) -> Vec<u8> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).await.is_ok() {
        head.extend(byte);
    }
    head
}

async fn read_all(mut stream: impl AsyncRead + Unpin) {
    let mut sink = [0; 1024];
    while stream.read(&mut sink).await.is_ok_and(|count| count > 0) {}
}
