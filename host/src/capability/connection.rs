//! The interface `connection`: byte streams to granted endpoints, as `wit/connection.wit` describes them.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use wasmtime::component::Resource;

use crate::capability::client_certificate::ClientCertificate;
use crate::capability::endpoint::{Address, Endpoint, Tls};
use crate::capability::network::{CallNetwork, DialError, Network, OpenError, Slot, Stage, Stream, end_of, no_answer};
use crate::capability::tls;
use crate::config::Limits;
use crate::failure::{Cause, Effect};
use crate::plugin::bindings::windlass::rotation::connection::{Host, HostConnection};
use crate::plugin::bindings::windlass::rotation::failures;
use crate::plugin::call::CallState;
use crate::time_account::{On, spend};

/// A guest's stream. Dropping it closes it.
pub struct Connection {
    /// `None` once something failed: what comes late must not be taken for the answer to the next question.
    open: Option<(Stream, Slot)>,
    endpoint: Endpoint,
    network: Arc<Network>,
    certificate: Option<Arc<ClientCertificate>>,
    limits: Limits,
    deadline: Instant,
    sent: bool,
    received: bool,
}

/// Why a stream did not do what the guest asked. The stream is closed after each.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// It did not come about.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It broke, or nothing happened in time.
    #[error("the connection to {address} broke {during} ({}): {why}", Stage::Protocol)]
    Broken {
        /// Where to.
        address: Address,
        /// What was being done.
        during: &'static str,
        /// Why.
        why: String,
    },
    /// It had been closed after an earlier failure.
    #[error("the connection to {address} is closed since it failed")]
    Closed {
        /// Where to.
        address: Address,
    },
    /// `start-tls` is not for this stream.
    #[error("the endpoint `{endpoint}` cannot start TLS: {why}")]
    NoStartTls {
        /// The endpoint's name.
        endpoint: String,
        /// The reason.
        why: &'static str,
        /// Whether the guest had sent anything by then.
        sent: bool,
    },
    /// The handshake in the middle of the stream failed.
    #[error("{source}")]
    Handshake {
        /// How.
        source: DialError,
        /// Whether the guest had sent anything by then.
        sent: bool,
    },
    /// The service sent bytes in plain text behind its consent to TLS. They may come from somebody on the way and would be taken
    /// for the service's own, which is how STARTTLS is attacked (<https://nostarttls.secvuln.info>).
    #[error("{address} sent more in plain text where the TLS handshake begins; somebody on the way may have added it")]
    Injected {
        /// Where to.
        address: Address,
        /// Whether the guest had sent anything by then.
        sent: bool,
    },
}

impl ConnectionError {
    /// What the guest is told of the cause and of the service's state.
    fn cause_and_effect(&self) -> (Cause, Effect) {
        let after = |sent: bool| if sent { Effect::Unknown } else { Effect::Unchanged };
        match self {
            Self::Open(open) => (open.cause(), Effect::Unchanged),
            Self::Broken { .. } | Self::Closed { .. } => (Cause::Unreachable, Effect::Unknown),
            Self::NoStartTls { sent, .. } => (Cause::Denied, after(*sent)),
            Self::Handshake { sent, .. } | Self::Injected { sent, .. } => (Cause::Unreachable, after(*sent)),
        }
    }
}

impl From<ConnectionError> for failures::Failure {
    fn from(error: ConnectionError) -> Self {
        let (cause, effect) = error.cause_and_effect();
        Self { cause: cause.into(), effect: effect.into(), message: error.to_string() }
    }
}

impl Connection {
    /// The most that one read returns, in bytes.
    const MAX_READ: u32 = 65_536;

    /// Opens a stream to the endpoint of this name.
    pub(crate) async fn open(network: &mut CallNetwork, endpoint: &str) -> Result<Self, ConnectionError> {
        let open = network.open(endpoint).await?;
        Ok(Self {
            open: Some(open),
            endpoint: network.endpoint(endpoint)?.clone(),
            network: Arc::clone(network.network()),
            certificate: network.certificate().cloned(),
            limits: network.limits().clone(),
            deadline: network.deadline(),
            sent: false,
            received: false,
        })
    }

    /// Reads at least one and at most `max` bytes; nothing at the stream's end.
    pub(crate) async fn read(&mut self, max: u32) -> Result<Vec<u8>, ConnectionError> {
        const DURING: &str = "while reading";
        let end = end_of(self.limits.io(), self.deadline);
        let Some((stream, _)) = &mut self.open else { return Err(self.closed()) };
        let _spending = spend(On::Service, format!("waiting for {}", self.endpoint.address()));
        let mut bytes = vec![0; max.clamp(1, Self::MAX_READ) as usize];
        match timeout_at(end, stream.read(&mut bytes)).await {
            Ok(Ok(count)) => {
                bytes.truncate(count);
                self.received |= count > 0;
                Ok(bytes)
            }
            // Many services end a TLS stream without the closing message. Byte protocols say themselves where an answer ends, so
            // nothing is taken for complete that is not; before the first byte it is a broken connection like any other.
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof && self.received => Ok(Vec::new()),
            Ok(Err(error)) => Err(self.broken(DURING, tls::in_words(&error))),
            Err(_) => Err(self.broken(DURING, no_answer(self.limits.io()))),
        }
    }

    /// Writes all of `data`.
    pub(crate) async fn write(&mut self, data: &[u8]) -> Result<(), ConnectionError> {
        const DURING: &str = "while writing";
        let end = end_of(self.limits.io(), self.deadline);
        let Some((stream, _)) = &mut self.open else { return Err(self.closed()) };
        self.sent |= !data.is_empty();
        let _spending = spend(On::Service, format!("writing to {}", self.endpoint.address()));
        let written = timeout_at(end, async {
            stream.write_all(data).await?;
            stream.flush().await
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.broken(DURING, tls::in_words(&error))),
            Err(_) => Err(self.broken(DURING, no_answer(self.limits.io()))),
        }
    }

    /// Encrypts the stream from here on. Whatever goes wrong, there is no way back to plain text.
    pub(crate) async fn start_tls(&mut self) -> Result<(), ConnectionError> {
        let sent = self.sent;
        let Some((stream, slot)) = self.open.take() else { return Err(self.closed()) };
        let denied = |why| Err(ConnectionError::NoStartTls { endpoint: self.endpoint.name.clone(), why, sent });
        let stream = match (stream, self.endpoint.tls) {
            (Stream::Tls(_), _) => return denied("the stream is encrypted already"),
            (Stream::Plain(_), Tls::Plain | Tls::FromTheStart) => {
                return denied("the plugin's manifest does not declare it with `tls = \"start-tls\"`");
            }
            (Stream::Plain(stream), Tls::StartTls) => stream,
            #[cfg(feature = "cli")]
            (Stream::InMemory(_), _) => return denied("a service in memory speaks plain text only"),
        };
        let stream = match nothing_waits(stream) {
            Ok(Some(stream)) => stream,
            Ok(None) => return Err(ConnectionError::Injected { address: self.endpoint.address(), sent }),
            Err(error) => return Err(self.broken("before the TLS handshake", error.to_string())),
        };
        let certificate = self.certificate.as_deref();
        let encrypted = self.network.encrypt(&self.endpoint, stream, certificate, &self.limits, self.deadline).await;
        let stream = encrypted.map_err(|source| ConnectionError::Handshake { source, sent })?;
        // What came in plain text proves nothing about the encrypted stream.
        self.received = false;
        self.open = Some((stream, slot));
        Ok(())
    }

    fn broken(&mut self, during: &'static str, why: String) -> ConnectionError {
        self.open = None;
        ConnectionError::Broken { address: self.endpoint.address(), during, why }
    }

    fn closed(&self) -> ConnectionError {
        ConnectionError::Closed { address: self.endpoint.address() }
    }
}

/// The stream, if no byte waits in it. Asks the kernel: tokio would answer from what it last heard of the socket.
///
/// Bytes that arrive later than this are no danger but a failed handshake, because the host reads nothing ahead of it.
fn nothing_waits(stream: TcpStream) -> io::Result<Option<TcpStream>> {
    let stream = stream.into_std()?;
    match stream.peek(&mut [0]) {
        Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the service closed the connection")),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => TcpStream::from_std(stream).map(Some),
        Err(error) => Err(error),
    }
}

// The interface holds nothing but a type of its own.
impl Host for CallState {}

impl HostConnection for CallState {
    async fn open(&mut self, endpoint: String) -> Result<Resource<Connection>, failures::Failure> {
        let begun = Instant::now();
        let opened = Connection::open(&mut self.network, &endpoint).await.map_err(failures::Failure::from);
        let done = |_: &Connection| "open".to_owned();
        // A guest may ask for an endpoint by any text, a value of the secret among them.
        let with = || self.log.redacted(&endpoint);
        self.network.network().ended(begun, "connection.open", with, &opened, done).await?;
        self.table.push(opened?).map_err(|_| failures::Failure {
            cause: Cause::Denied.into(),
            effect: Effect::Unchanged.into(),
            message: "the plugin holds more resources than one call may".to_owned(),
        })
    }

    async fn read(&mut self, connection: Resource<Connection>, max: u32) -> Result<Vec<u8>, failures::Failure> {
        let begun = Instant::now();
        let connection = self.table.get_mut(&connection).map_err(unknown_handle)?;
        let read = connection.read(max).await.map_err(failures::Failure::from);
        let with = || connection.endpoint.name.clone();
        let heard = connection.network.ended(begun, "connection.read", with, &read, |bytes| in_bytes(bytes.len())).await;
        if heard.is_err() {
            connection.open = None;
        }
        heard.and(read)
    }

    async fn write(&mut self, connection: Resource<Connection>, data: Vec<u8>) -> Result<(), failures::Failure> {
        let begun = Instant::now();
        let connection = self.table.get_mut(&connection).map_err(unknown_handle)?;
        let written = connection.write(&data).await.map_err(failures::Failure::from);
        let with = || format!("{}, {}", connection.endpoint.name, in_bytes(data.len()));
        connection.network.ended(begun, "connection.write", with, &written, |()| "written".to_owned()).await?;
        written
    }

    async fn start_tls(&mut self, connection: Resource<Connection>) -> Result<(), failures::Failure> {
        let begun = Instant::now();
        let connection = self.table.get_mut(&connection).map_err(unknown_handle)?;
        let started = connection.start_tls().await.map_err(failures::Failure::from);
        let with = || connection.endpoint.name.clone();
        connection.network.ended(begun, "connection.start-tls", with, &started, |()| "encrypted".to_owned()).await?;
        started
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

fn in_bytes(length: usize) -> String {
    if length == 1 { "1 byte".to_owned() } else { format!("{length} bytes") }
}

/// A handle that the table does not know: wasmtime checks handles before they get here, so this would be a defect of the host.
fn unknown_handle(_: wasmtime::component::ResourceTableError) -> failures::Failure {
    failures::Failure {
        cause: Cause::Internal.into(),
        effect: Effect::Unknown.into(),
        message: "the host does not know this connection".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use rstest::rstest;

    use super::*;
    use crate::capability::test_server::{
        AndThen, Authority, Certificate, ConfigWithFiles, config, echo, endpoint, listen, read_head, says, silent,
    };
    use crate::config::{Limit, LimitsTable, Loopback, SecretRule};

    fn call(config: &ConfigWithFiles, endpoint: Endpoint) -> CallNetwork {
        call_of(config, endpoint, Duration::from_secs(30))
    }

    fn call_of(config: &ConfigWithFiles, endpoint: Endpoint, length: Duration) -> CallNetwork {
        let network = Arc::new(Network::new(&config.config).unwrap());
        let endpoints = BTreeMap::from([(endpoint.name.clone(), endpoint)]);
        CallNetwork::new(network, endpoints, config.config.limits(None), Instant::now() + length)
    }

    async fn open(config: &ConfigWithFiles, port: u16, tls: Tls) -> Connection {
        Connection::open(&mut call(config, endpoint("localhost", port, tls)), "service").await.unwrap()
    }

    async fn read_until(connection: &mut Connection, end: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end) {
            let more = connection.read(65_536).await.unwrap();
            assert!(!more.is_empty(), "closed after {bytes:?}");
            bytes.extend(more);
        }
        bytes
    }

    fn told<T>(result: Result<T, ConnectionError>) -> (Cause, Effect, String) {
        let error = result.err().unwrap();
        let (cause, effect) = error.cause_and_effect();
        (cause, effect, error.to_string())
    }

    #[tokio::test]
    async fn reads_what_the_service_answers_to_what_was_written() {
        let authority = Authority::new();
        let config = config(Loopback::Local, &[&authority]);
        for (acceptor, tls) in
            [(None, Tls::Plain), (Some(authority.acceptor(&Certificate::for_name("localhost"))), Tls::FromTheStart)]
        {
            let mut connection = open(&config, listen(echo(acceptor)).await, tls).await;
            connection.write(b"PING\r\n").await.unwrap();
            assert_eq!(read_until(&mut connection, b"\r\n").await, b"PING\r\n");
        }
    }

    #[rstest]
    #[case::zero_is_one(0, 1)]
    #[case::as_asked(3, 3)]
    #[case::capped(u32::MAX, 65_536)]
    #[tokio::test]
    async fn a_read_is_bounded(#[case] max: u32, #[case] most: usize) {
        let port = listen(says(None, &[b'x'; 200_000], AndThen::Listens)).await;
        let mut connection = open(&config(Loopback::Local, &[]), port, Tls::Plain).await;
        let bytes = connection.read(max).await.unwrap();
        assert!((1..=most).contains(&bytes.len()), "{}", bytes.len());
    }

    #[rstest]
    #[case::plain(false)]
    #[case::tls_without_closing_message(true)]
    #[tokio::test]
    async fn the_end_of_the_stream_is_an_empty_read_again_and_again(#[case] encrypted: bool) {
        let authority = Authority::new();
        let acceptor = encrypted.then(|| authority.acceptor(&Certificate::for_name("localhost")));
        let tls = if encrypted { Tls::FromTheStart } else { Tls::Plain };
        let port = listen(says(acceptor, b"bye\n", AndThen::HangsUp)).await;
        let mut connection = open(&config(Loopback::Local, &[&authority]), port, tls).await;
        assert_eq!(read_until(&mut connection, b"\n").await, b"bye\n");
        assert!(connection.read(10).await.unwrap().is_empty());
        assert!(connection.read(10).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_encrypted_stream_that_is_cut_before_the_first_byte_is_broken() {
        let authority = Authority::new();
        let acceptor = authority.acceptor(&Certificate::for_name("localhost"));
        let port = listen(says(Some(acceptor), b"", AndThen::HangsUp)).await;
        let mut connection = open(&config(Loopback::Local, &[&authority]), port, Tls::FromTheStart).await;
        let (cause, effect, _) = told(connection.read(10).await);
        assert_eq!((cause, effect), (Cause::Unreachable, Effect::Unknown));
    }

    #[tokio::test]
    async fn a_service_that_never_answers_costs_the_limit_and_the_connection() {
        let mut config = config(Loopback::Local, &[]);
        config.config.limits = LimitsTable::default().with(Limit::Io, 100);
        let mut connection = open(&config, listen(silent).await, Tls::Plain).await;
        let begin = Instant::now();
        let (cause, effect, message) = told(connection.read(10).await);
        assert_eq!((cause, effect), (Cause::Unreachable, Effect::Unknown));
        assert!(message.contains("broke while reading (protocol): no answer within 100 ms"), "{message}");
        assert!(begin.elapsed() < Duration::from_secs(5), "that was the call's time");
        assert!(told(connection.write(b"more").await).2.contains("is closed since it failed"));
    }

    #[tokio::test]
    async fn a_service_that_takes_no_bytes_costs_the_limit() {
        let mut config = config(Loopback::Local, &[]);
        config.config.limits = LimitsTable::default().with(Limit::Io, 100);
        let port = listen(|stream| async move {
            let _open = stream;
            std::future::pending().await
        })
        .await;
        let mut connection = open(&config, port, Tls::Plain).await;
        let begin = Instant::now();
        let (cause, effect, _) = told(connection.write(&vec![0; 64 << 20]).await);
        assert_eq!((cause, effect), (Cause::Unreachable, Effect::Unknown));
        assert!(begin.elapsed() < Duration::from_secs(5), "that was the call's time");
    }

    /// Agrees to TLS with `consent` after the client asked with a blank line, and echoes behind the handshake.
    fn starts_tls(
        acceptor: tokio_rustls::TlsAcceptor,
        consent: &'static [u8],
    ) -> impl Fn(TcpStream) -> crate::capability::test_server::Served {
        move |mut stream| {
            let acceptor = acceptor.clone();
            Box::pin(async move {
                read_head(&mut stream).await;
                stream.write_all(consent).await.unwrap();
                if let Ok(stream) = acceptor.accept(stream).await {
                    let (mut reader, mut writer) = tokio::io::split(stream);
                    let _ = tokio::io::copy(&mut reader, &mut writer).await;
                }
            })
        }
    }

    #[tokio::test]
    async fn starts_tls_after_a_negotiation_in_plain_text_and_only_once() {
        let authority = Authority::new();
        let port = listen(starts_tls(authority.acceptor(&Certificate::for_name("localhost")), b"220 go\n")).await;
        let mut connection = open(&config(Loopback::Local, &[&authority]), port, Tls::StartTls).await;
        connection.write(b"STARTTLS\r\n\r\n").await.unwrap();
        assert_eq!(read_until(&mut connection, b"\n").await, b"220 go\n");
        connection.start_tls().await.unwrap();
        assert!(matches!(connection.open, Some((Stream::Tls(_), _))));
        connection.write(b"secret\n").await.unwrap();
        assert_eq!(read_until(&mut connection, b"\n").await, b"secret\n");
        let (cause, effect, _) = told(connection.start_tls().await);
        assert_eq!((cause, effect), (Cause::Denied, Effect::Unknown));
        assert!(connection.open.is_none());
    }

    #[tokio::test]
    async fn bytes_injected_ahead_of_the_handshake_are_refused() {
        let authority = Authority::new();
        let port = listen(starts_tls(authority.acceptor(&Certificate::for_name("localhost")), b"220 go\n250 injected\n")).await;
        let mut connection = open(&config(Loopback::Local, &[&authority]), port, Tls::StartTls).await;
        connection.write(b"STARTTLS\r\n\r\n").await.unwrap();
        let mut consent = Vec::new();
        while !consent.ends_with(b"\n") {
            consent.extend(connection.read(1).await.unwrap());
        }
        let (cause, effect, message) = told(connection.start_tls().await);
        assert_eq!((cause, effect), (Cause::Unreachable, Effect::Unknown));
        assert!(message.contains("sent more in plain text"), "{message}");
        assert!(connection.open.is_none());
    }

    #[tokio::test]
    async fn after_a_failed_handshake_there_is_no_way_back_to_plain_text() {
        let (authority, stranger) = (Authority::new(), Authority::new());
        let port = listen(starts_tls(stranger.acceptor(&Certificate::for_name("localhost")), b"220 go\n")).await;
        let mut connection = open(&config(Loopback::Local, &[&authority]), port, Tls::StartTls).await;
        connection.write(b"STARTTLS\r\n\r\n").await.unwrap();
        read_until(&mut connection, b"\n").await;
        let (cause, effect, message) = told(connection.start_tls().await);
        assert_eq!((cause, effect), (Cause::Unreachable, Effect::Unknown));
        assert!(message.contains("could not be reached (tls): the service's certificate names an authority"), "{message}");
        for result in [connection.write(b"secret").await, connection.start_tls().await] {
            assert!(told(result).2.contains("is closed"));
        }
        assert!(told(connection.read(1).await).2.contains("is closed"));
    }

    /// The service says no to TLS and would go on in plain text. A plugin that does not listen, and starts TLS, has no stream left.
    #[tokio::test]
    async fn a_service_that_refuses_the_upgrade_fails_the_call() {
        let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
        let port = listen(move |mut stream: TcpStream| {
            let heard = heard.clone();
            async move {
                read_head(&mut stream).await;
                stream.write_all(b"454 TLS not available\n").await.unwrap();
                let mut begin = [0; 2];
                stream.read_exact(&mut begin).await.unwrap();
                let _ = stream.write_all(b"500 what?\n").await;
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
                heard.send((begin, rest)).unwrap();
            }
        })
        .await;
        let mut connection = open(&config(Loopback::Local, &[]), port, Tls::StartTls).await;
        connection.write(b"STARTTLS\r\n\r\n").await.unwrap();
        assert_eq!(read_until(&mut connection, b"\n").await, b"454 TLS not available\n");
        let (cause, effect, message) = told(connection.start_tls().await);
        assert_eq!((cause, effect), (Cause::Unreachable, Effect::Unknown));
        assert!(message.contains("could not be reached (tls): the service does not speak TLS on this port"), "{message}");
        assert!(told(connection.write(b"the password").await).2.contains("is closed since it failed"));
        let (begin, rest) = hears.recv().await.unwrap();
        assert_eq!(begin, [22, 3], "a handshake record");
        assert!(!rest.windows(8).any(|window| window == b"password"));
    }

    #[tokio::test]
    async fn a_service_that_demands_a_certificate_after_the_upgrade_gets_that_of_the_rule() {
        let authority = Authority::new();
        let acceptor = authority.acceptor_for_clients(&Certificate::for_name("localhost"), &rustls::version::TLS12);
        let port = listen(starts_tls(acceptor, b"220 go\n")).await;
        let mut config = config(Loopback::Local, &[&authority]);
        let files = config.client_certificate("app", &authority.client_pem());
        let rule = SecretRule { client_certificate: Some(files), ..SecretRule::default() };
        config.config.rules.push(rule.clone());
        let call = || call(&config, endpoint("localhost", port, Tls::StartTls));
        let started = async |mut call: CallNetwork| {
            let mut connection = Connection::open(&mut call, "service").await.unwrap();
            connection.write(b"STARTTLS\r\n\r\n").await.unwrap();
            read_until(&mut connection, b"\n").await;
            connection.start_tls().await
        };
        let certificate = call().network().client_certificate(&rule);
        started(call().presenting(certificate)).await.unwrap();
        let (cause, _, message) = told(started(call()).await);
        assert!(cause == Cause::Unreachable && message.contains("the service demands a client certificate"), "{message}");
    }

    #[tokio::test]
    async fn the_end_of_the_call_ends_a_read_that_may_take_longer() {
        let config = config(Loopback::Local, &[]);
        let begin = Instant::now();
        let endpoint = endpoint("127.0.0.1", listen(silent).await, Tls::Plain);
        let mut call = call_of(&config, endpoint, Duration::from_millis(100));
        let mut connection = Connection::open(&mut call, "service").await.unwrap();
        assert!(told(connection.read(10).await).2.contains("or the call's time was over"));
        assert!(begin.elapsed() < config.config.limits(None).io(), "{:?}", begin.elapsed());
    }

    #[tokio::test]
    async fn an_endpoint_that_is_declared_plain_cannot_start_tls() {
        let mut connection = open(&config(Loopback::Local, &[]), listen(echo(None)).await, Tls::Plain).await;
        let (cause, effect, message) = told(connection.start_tls().await);
        assert_eq!((cause, effect), (Cause::Denied, Effect::Unchanged));
        assert!(message.contains("does not declare it"), "{message}");
        assert!(connection.open.is_none());
    }

    #[tokio::test]
    async fn a_connection_that_failed_frees_its_place() {
        let authority = Authority::new();
        let mut call = call(&config(Loopback::Local, &[&authority]), endpoint("127.0.0.1", listen(echo(None)).await, Tls::Plain));
        let mut failed = Vec::new();
        for _ in 0..2 * Limits::default().open_connections() {
            let mut connection = Connection::open(&mut call, "service").await.unwrap();
            assert!(connection.start_tls().await.is_err());
            failed.push(connection);
        }
    }

    #[tokio::test]
    async fn an_endpoint_nobody_granted_is_denied_and_changes_nothing() {
        let mut call = call(&config(Loopback::Local, &[]), endpoint("127.0.0.1", 1, Tls::Plain));
        let (cause, effect, _) = told(Connection::open(&mut call, "other").await);
        assert_eq!((cause, effect), (Cause::Denied, Effect::Unchanged));
        let (cause, effect, _) = told(Connection::open(&mut call, "service").await);
        assert_eq!((cause, effect), (Cause::Unreachable, Effect::Unchanged));
    }
}
