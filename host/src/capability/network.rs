//! The one way out: every connection of a plugin, HTTP or not, is judged, resolved, dialled and encrypted here.
//!
//! A name is resolved once per connection. What resolves to a forbidden address is dropped, what remains is dialled by that very
//! address, and the server name of TLS is the endpoint's host: a second answer of the resolver has no effect.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;

use crate::capability::address::{AddressPolicy, AddressPolicyError, Forbidden};
use crate::capability::client_certificate::{ClientCertificate, ClientCertificateError};
use crate::capability::endpoint::{Address, Endpoint, Tls, ip_address};
use crate::capability::host_calls::HostCalls;
use crate::capability::refused_logins::RefusedLogins;
use crate::capability::tls::{TlsError, Trust};
use crate::config::{ClientCertificateFiles, Config, Limits, SecretRule};
use crate::failure::{Cause, Effect};
use crate::plugin::bindings::windlass::rotation::failures;
use crate::time_account::{On, spend};

/// What all calls share: whom to trust and where nobody may go.
pub struct Network {
    policy: AddressPolicy,
    trust: Trust,
    client_certificates: BTreeMap<ClientCertificateFiles, Arc<ClientCertificate>>,
    /// Who looks on. Nobody does in the function.
    host_calls: Option<Arc<HostCalls>>,
    /// What stands in for TCP. The function has no such thing.
    #[cfg(feature = "cli")]
    in_memory: Option<Box<InMemory>>,
}

/// Connects to a service in this process by the address that was judged.
#[cfg(feature = "cli")]
type InMemory = dyn Fn(SocketAddr) -> tokio::io::DuplexStream + Send + Sync;

/// What is wrong with the part of the configuration that is about the network. Stops the start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// A file of certificate authorities cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A rule's client certificate cannot be used.
    #[error(transparent)]
    ClientCertificate(#[from] ClientCertificateError),
    /// Loopback endpoints or the Runtime API cannot be read.
    #[error(transparent)]
    Address(#[from] AddressPolicyError),
}

/// Why no connection to a granted endpoint came about. Nothing was sent that the service could have acted on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// It is at an address that no plugin may reach.
    #[error("{address} is {rule}, which plugins never reach, whatever the configuration grants. Correct the host in the secret")]
    Forbidden {
        /// Which endpoint.
        address: Address,
        /// What it is.
        rule: Forbidden,
    },
    /// It is at an address outside the ranges that the operator lists, and no entry names it.
    #[error(
        "{address} is at {found}, which the configuration's `endpoints` for this secret do not cover. List the host, or a range that \
         holds the address, if the plugin may connect there"
    )]
    OutsideGrant {
        /// Which endpoint.
        address: Address,
        /// The first of its addresses.
        found: IpAddr,
    },
    /// It could not be reached.
    #[error("{address} could not be reached ({stage}): {why}")]
    Unreachable {
        /// Which endpoint.
        address: Address,
        /// How far it came.
        stage: Stage,
        /// Why not further.
        why: String,
    },
}

/// How far a connection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Asking for the addresses of the name.
    Resolve,
    /// Opening the TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
        })
    }
}

impl Network {
    /// How many addresses of a name are tried. More would divide the time into slices that are too short to connect.
    const MAX_ADDRESSES: usize = 8;

    /// Reads the operator's certificate authorities and client certificates, and checks every rule about the network.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] for a file that cannot be used and an entry that matches nothing.
    pub fn new(config: &Config) -> Result<Self, NetworkError> {
        let mut client_certificates = BTreeMap::new();
        for files in config.rules.iter().filter_map(|rule| rule.client_certificate.as_ref()) {
            client_certificates.insert(files.clone(), Arc::new(ClientCertificate::read(files)?));
        }
        Ok(Self {
            policy: AddressPolicy::new(config)?,
            trust: Trust::new(&config.ca_files)?,
            client_certificates,
            host_calls: None,
            #[cfg(feature = "cli")]
            in_memory: None,
        })
    }

    /// The same network without TCP: what may be dialled is dialled by `connect`, in plain text. For services that run in this
    /// process, under a clock that does not wait for the kernel's.
    #[cfg(feature = "cli")]
    #[must_use]
    pub fn in_memory(self, connect: impl Fn(SocketAddr) -> tokio::io::DuplexStream + Send + Sync + 'static) -> Self {
        Self { in_memory: Some(Box::new(connect)), ..self }
    }

    /// The same network with somebody who sees which host functions plugins call.
    #[must_use]
    pub fn seen_by(self, host_calls: Arc<HostCalls>) -> Self {
        Self { host_calls: Some(host_calls), ..self }
    }

    /// A host function that began at `begun` has ended. `with` and `outcome` say what it was about, and are asked only if somebody looks.
    ///
    /// # Errors
    ///
    /// What the plugin is told instead if whoever looks loses the answer.
    pub(crate) async fn ended<T>(
        &self,
        begun: Instant,
        function: &'static str,
        with: impl FnOnce() -> String,
        result: &Result<T, failures::Failure>,
        outcome: impl FnOnce(&T) -> String,
    ) -> Result<(), failures::Failure> {
        let Some(host_calls) = &self.host_calls else { return Ok(()) };
        let denied = matches!(result, Err(failure) if Cause::from(failure.cause) == Cause::Denied);
        let outcome = match result {
            Ok(done) => outcome(done),
            // What is denied is quoted as the guest wrote it, which may be a value of the secret.
            Err(_) if denied => Cause::Denied.to_string(),
            Err(failure) => format!("{}: {}", Cause::from(failure.cause), failure.message),
        };
        if host_calls.ended(begun, function, with(), outcome, denied).await {
            return Err(failures::Failure {
                cause: Cause::Unreachable.into(),
                effect: Effect::Unknown.into(),
                message: "the connection broke before the answer was there".to_owned(),
            });
        }
        Ok(())
    }

    /// How much memory a guest had at its end, in bytes.
    pub(crate) fn used_memory(&self, bytes: usize) {
        if let Some(host_calls) = &self.host_calls {
            host_calls.used_memory(bytes);
        }
    }

    /// What the host proves itself with to the endpoints of the secrets of this rule.
    pub fn client_certificate(&self, rule: &SecretRule) -> Option<Arc<ClientCertificate>> {
        self.client_certificates.get(rule.client_certificate.as_ref()?).cloned()
    }

    /// Connects to an endpoint: encrypted if it is [`Tls::FromTheStart`], else in plain text. Each stage takes at most
    /// [`Limits::connect`], and all together end at `deadline`. `certificate` is shown to a service that asks for one.
    ///
    /// # Errors
    ///
    /// [`DialError`] says how far it came.
    pub async fn dial(
        &self,
        endpoint: &Endpoint,
        certificate: Option<&ClientCertificate>,
        limits: &Limits,
        deadline: Instant,
    ) -> Result<Stream, DialError> {
        let addresses = self.resolve(endpoint, limits, deadline).await?;
        #[cfg(feature = "cli")]
        if let (Some(connect), Some(address)) = (&self.in_memory, addresses.first()) {
            return match endpoint.tls {
                Tls::Plain => Ok(Stream::InMemory(connect(*address))),
                Tls::FromTheStart | Tls::StartTls => {
                    Err(unreachable(endpoint, Stage::Tls, "a service in memory speaks plain text only".to_owned()))
                }
            };
        }
        let stream = connect(endpoint, &addresses, limits, deadline).await?;
        match endpoint.tls {
            Tls::FromTheStart => self.encrypt(endpoint, stream, certificate, limits, deadline).await,
            Tls::StartTls | Tls::Plain => Ok(Stream::Plain(stream)),
        }
    }

    /// Encrypts a plain stream to `endpoint`, with its host as the server name. `certificate` is shown to a service that asks for
    /// one.
    ///
    /// # Errors
    ///
    /// [`DialError::Unreachable`] if the handshake fails or takes longer than [`Limits::connect`]. The stream is gone then.
    pub async fn encrypt(
        &self,
        endpoint: &Endpoint,
        stream: TcpStream,
        certificate: Option<&ClientCertificate>,
        limits: &Limits,
        deadline: Instant,
    ) -> Result<Stream, DialError> {
        let _spending = spend(On::Service, format!("the TLS handshake with {}", endpoint.address()));
        let handshake = self.trust.handshake(&endpoint.host, stream, certificate);
        match timeout_at(end_of(limits.connect(), deadline), handshake).await {
            Ok(Ok(stream)) => Ok(Stream::Tls(Box::new(stream))),
            Ok(Err(why)) => Err(unreachable(endpoint, Stage::Tls, why)),
            Err(_) => Err(unreachable(endpoint, Stage::Tls, no_answer(limits.connect()))),
        }
    }

    /// The addresses of an endpoint that may be dialled, in the resolver's order.
    async fn resolve(&self, endpoint: &Endpoint, limits: &Limits, deadline: Instant) -> Result<Vec<SocketAddr>, DialError> {
        let forbidden = |rule| DialError::Forbidden { address: endpoint.address(), rule };
        self.policy.judge_name(endpoint).map_err(forbidden)?;
        let found: Vec<SocketAddr> = if let Some(ip) = ip_address(&endpoint.host) {
            vec![(ip, endpoint.port).into()]
        } else {
            let _spending = spend(On::Service, format!("resolving {}", endpoint.host));
            #[expect(clippy::disallowed_methods, reason = "the place where names are resolved: what is found is judged below")]
            let lookup = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port));
            match timeout_at(end_of(limits.connect(), deadline), lookup).await {
                Ok(Ok(found)) => found.collect(),
                Ok(Err(error)) => return Err(unreachable(endpoint, Stage::Resolve, error.to_string())),
                Err(_) => return Err(unreachable(endpoint, Stage::Resolve, no_answer(limits.connect()))),
            }
        };
        survivors(&self.policy, endpoint, &found)
    }
}

/// Of the addresses that an endpoint's host was found to have, those that may be dialled. This is the decision: nothing is resolved
/// again behind it, so that no later answer of a name server counts.
fn survivors(policy: &AddressPolicy, endpoint: &Endpoint, found: &[SocketAddr]) -> Result<Vec<SocketAddr>, DialError> {
    let mut surviving = Vec::new();
    let mut refused = None;
    for address in found {
        let judged = policy.judge(endpoint, *address).map_err(|rule| DialError::Forbidden { address: endpoint.address(), rule });
        match judged {
            Ok(()) if endpoint.reach.covers(address.ip()) => surviving.push(*address),
            Ok(()) => {
                refused = refused.or_else(|| Some(DialError::OutsideGrant { address: endpoint.address(), found: address.ip() }))
            }
            Err(why) => refused = refused.or(Some(why)),
        }
    }
    match refused {
        Some(why) if surviving.is_empty() => Err(why),
        None if surviving.is_empty() => Err(unreachable(endpoint, Stage::Resolve, "the name has no address".to_owned())),
        Some(_) | None => {
            surviving.truncate(Network::MAX_ADDRESSES);
            Ok(surviving)
        }
    }
}

/// Tries the addresses one after the other, each with an equal part of the time that remains, so that a first address that
/// swallows packets leaves time for the second.
async fn connect(
    endpoint: &Endpoint,
    addresses: &[SocketAddr],
    limits: &Limits,
    deadline: Instant,
) -> Result<TcpStream, DialError> {
    let _spending = spend(On::Service, format!("connecting to {}", endpoint.address()));
    let end = end_of(limits.connect(), deadline);
    let mut why = String::new();
    for (tried, address) in addresses.iter().enumerate() {
        let now = Instant::now();
        let attempts_left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let attempt = now + end.saturating_duration_since(now) / attempts_left;
        #[expect(clippy::disallowed_methods, reason = "this is the place where connections are opened: `addresses` are judged")]
        let connecting = TcpStream::connect(address);
        match timeout_at(attempt, connecting).await {
            Ok(Ok(stream)) => {
                // Rotation is questions and answers; waiting for more to send only delays it. Without it, it still works.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => why = error.to_string(),
            Err(_) => why = no_answer(limits.connect()),
        }
    }
    Err(unreachable(endpoint, Stage::Connect, why))
}

fn unreachable(endpoint: &Endpoint, stage: Stage, why: String) -> DialError {
    DialError::Unreachable { address: endpoint.address(), stage, why }
}

/// When something that starts now and may take `limit` has to end.
pub(crate) fn end_of(limit: Duration, deadline: Instant) -> Instant {
    deadline.min(Instant::now() + limit)
}

/// What a timeout says.
pub(crate) fn no_answer(limit: Duration) -> String {
    format!("no answer within {} ms, or the call's time was over", limit.as_millis())
}

/// A stream to a service.
pub enum Stream {
    /// In plain text.
    Plain(TcpStream),
    /// Encrypted. Boxed, because a session is some hundred times larger than a socket.
    Tls(Box<TlsStream<TcpStream>>),
    /// To a service in this process.
    #[cfg(feature = "cli")]
    InMemory(tokio::io::DuplexStream),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            #[cfg(feature = "cli")]
            Self::InMemory(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, data),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, data),
            #[cfg(feature = "cli")]
            Self::InMemory(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(feature = "cli")]
            Self::InMemory(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(feature = "cli")]
            Self::InMemory(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// The network as one call of a plugin sees it: the endpoints it was granted, and how often it may connect.
pub struct CallNetwork {
    network: Arc<Network>,
    endpoints: BTreeMap<String, Endpoint>,
    certificate: Option<Arc<ClientCertificate>>,
    limits: Limits,
    deadline: Instant,
    slots: Arc<Semaphore>,
    opened: usize,
    refused: RefusedLogins,
}

/// A place among the connections that a call may have open at once. Dropping it frees the place.
pub(crate) struct Slot(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// Why a plugin does not get the connection that it asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The endpoint's name is not among those that were granted.
    #[error(
        "the endpoint `{endpoint}` is not granted: the plugin's manifest does not declare it, or the configuration's `endpoints` for \
         this secret do not list its address"
    )]
    NotGranted {
        /// The name that the plugin used, shortened and escaped.
        endpoint: String,
    },
    /// Too many connections are open.
    #[error("the plugin has {most} connections open, which is the most that one call may have (`limits.open_connections`)")]
    TooManyOpen {
        /// How many it may have.
        most: usize,
    },
    /// Too many connections were opened.
    #[error("the plugin has opened {most} connections, which is the most that one call may open (`limits.connections`)")]
    TooManyOpened {
        /// How many it may open.
        most: usize,
    },
    /// The service has refused too many logins.
    #[error(
        "the service has refused {most} logins in this step, which is the most that it may (`limits.refused_logins`): it might lock the \
         account"
    )]
    TooManyRefusedLogins {
        /// How many it may refuse.
        most: u32,
    },
    /// It was granted, but did not come about.
    #[error(transparent)]
    Dial(#[from] DialError),
}

impl OpenError {
    /// What the guest is told.
    pub const fn cause(&self) -> Cause {
        match self {
            Self::NotGranted { .. } | Self::TooManyOpen { .. } | Self::TooManyOpened { .. } | Self::TooManyRefusedLogins { .. } => {
                Cause::Denied
            }
            Self::Dial(dial) => match dial {
                DialError::Forbidden { .. } | DialError::OutsideGrant { .. } => Cause::Denied,
                DialError::Unreachable { .. } => Cause::Unreachable,
            },
        }
    }
}

impl CallNetwork {
    /// The view of one call, which ends at `deadline`.
    pub fn new(network: Arc<Network>, endpoints: BTreeMap<String, Endpoint>, limits: Limits, deadline: Instant) -> Self {
        let slots = Arc::new(Semaphore::new(limits.open_connections()));
        let refused = RefusedLogins::at_most(limits.refused_logins());
        Self { network, endpoints, certificate: None, limits, deadline, slots, opened: 0, refused }
    }

    /// The same view, counting refused logins together with other calls of the step.
    pub fn counting(self, refused: RefusedLogins) -> Self {
        Self { refused, ..self }
    }

    /// The same view, showing this certificate to services that ask for one.
    pub fn presenting(self, certificate: Option<Arc<ClientCertificate>>) -> Self {
        Self { certificate, ..self }
    }

    /// The endpoint of this name.
    ///
    /// # Errors
    ///
    /// [`OpenError::NotGranted`] if there is none.
    pub(crate) fn endpoint(&self, name: &str) -> Result<&Endpoint, OpenError> {
        self.endpoints.get(name).ok_or_else(|| {
            let shown: String = name.chars().take(64).collect();
            OpenError::NotGranted { endpoint: shown.escape_debug().to_string() }
        })
    }

    /// Connects to the endpoint of this name.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if it is not granted, there are too many, or it cannot be reached. An attempt counts as opened.
    pub(crate) async fn open(&mut self, name: &str) -> Result<(Stream, Slot), OpenError> {
        let endpoint = self.endpoint(name)?.clone();
        let (open, opened) = (self.limits.open_connections(), self.limits.connections());
        if self.opened >= opened {
            return Err(OpenError::TooManyOpened { most: opened });
        }
        if self.refused.used_up() {
            return Err(OpenError::TooManyRefusedLogins { most: self.refused.most() });
        }
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| OpenError::TooManyOpen { most: open })?;
        self.opened += 1;
        let stream = self.network.dial(&endpoint, self.certificate.as_deref(), &self.limits, self.deadline).await?;
        Ok((stream, Slot(slot)))
    }

    /// What counts the logins that the service refuses.
    pub(crate) const fn refused(&self) -> &RefusedLogins {
        &self.refused
    }

    /// What dials for this call.
    pub(crate) const fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// What is shown to services that ask for a certificate.
    pub(crate) const fn certificate(&self) -> Option<&Arc<ClientCertificate>> {
        self.certificate.as_ref()
    }

    /// The limits of this call.
    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// When this call ends.
    pub(crate) const fn deadline(&self) -> Instant {
        self.deadline
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::capability::grant::{Grant, Reach};
    use crate::capability::test_server::{
        AndThen, Authority, Certificate, ConfigWithFiles, config, echo, endpoint, listen, says, silent,
    };
    use crate::capability::tls;
    use crate::config::{Limit, LimitsTable, Loopback};

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    async fn dial(config: &Config, endpoint: &Endpoint) -> Result<Stream, DialError> {
        Network::new(config).unwrap().dial(endpoint, None, &config.limits(None), far()).await
    }

    fn unreachable_at(result: Result<Stream, DialError>) -> (Stage, String) {
        match result.err().unwrap() {
            DialError::Unreachable { stage, why, .. } => (stage, why),
            denied @ (DialError::Forbidden { .. } | DialError::OutsideGrant { .. }) => panic!("{denied}"),
        }
    }

    async fn answers(stream: Stream) -> String {
        exchanged(stream).await.unwrap()
    }

    /// What an echoing service answers to a greeting.
    async fn exchanged(mut stream: Stream) -> io::Result<String> {
        stream.write_all(b"hello").await?;
        stream.flush().await?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await?;
        Ok(String::from_utf8(answer.to_vec()).unwrap())
    }

    #[rstest]
    #[case::by_name("localhost")]
    #[case::by_address("127.0.0.1")]
    #[tokio::test]
    async fn reaches_a_service_whose_authority_the_operator_trusts(#[case] host: &str) {
        let authority = Authority::new();
        let port = listen(echo(Some(authority.acceptor(&Certificate::for_name(host))))).await;
        let config = config(Loopback::Local, &[&authority]);
        let stream = dial(&config.config, &endpoint(host, port, Tls::FromTheStart)).await.unwrap();
        assert!(matches!(stream, Stream::Tls(_)));
        assert_eq!(answers(stream).await, "hello");
    }

    #[tokio::test]
    async fn reaches_a_plain_service() {
        let port = listen(echo(None)).await;
        let stream = dial(&config(Loopback::Local, &[]).config, &endpoint("localhost", port, Tls::Plain)).await.unwrap();
        assert_eq!(answers(stream).await, "hello");
    }

    #[rstest]
    #[case::by_name("localhost")]
    #[case::by_address("127.0.0.1")]
    #[case::v6("::1")]
    #[case::mapped("::ffff:127.0.0.1")]
    #[case::metadata("169.254.169.254")]
    #[tokio::test]
    async fn what_resolves_to_a_forbidden_address_is_denied(#[case] host: &str) {
        let port = listen(echo(None)).await;
        let error = dial(&config(Loopback::Never, &[]).config, &endpoint(host, port, Tls::Plain)).await.err().unwrap();
        assert!(matches!(error, DialError::Forbidden { .. }), "{error}");
        assert!(error.to_string().contains(&port.to_string()), "{error}");
    }

    #[tokio::test]
    async fn the_neighbour_of_a_named_loopback_endpoint_is_denied() {
        let (named, neighbour) = (listen(echo(None)).await, listen(echo(None)).await);
        let config = config(Loopback::Endpoints(vec![format!("localhost:{named}")]), &[]);
        assert!(dial(&config.config, &endpoint("localhost", named, Tls::Plain)).await.is_ok());
        let error = dial(&config.config, &endpoint("localhost", neighbour, Tls::Plain)).await.err().unwrap();
        assert_eq!(
            error,
            DialError::Forbidden { address: Address { host: "localhost".to_owned(), port: neighbour }, rule: Forbidden::Loopback }
        );
    }

    #[tokio::test]
    async fn the_runtime_api_is_denied_even_to_local_commands() {
        let port = listen(echo(None)).await;
        let mut config = config(Loopback::Local, &[]).config;
        config.runtime_api = Some(format!("127.0.0.1:{port}"));
        let error = dial(&config, &endpoint("localhost", port, Tls::Plain)).await.err().unwrap();
        assert!(matches!(error, DialError::Forbidden { rule: Forbidden::RuntimeApi, .. }), "{error}");
    }

    #[rstest]
    #[case::unknown_authority(Certificate::for_name("localhost"), false, "signed by an unknown authority")]
    #[case::expired(Certificate::for_name("localhost").expired(), true, "has expired")]
    #[case::not_yet_valid(Certificate::for_name("localhost").not_yet_valid(), true, "is not valid yet")]
    #[case::wrong_name(Certificate::for_name("other.example"), true, "is for another name (DnsName(\"other.example\"))")]
    #[tokio::test]
    async fn a_certificate_that_proves_nothing_is_refused(
        #[case] certificate: Certificate,
        #[case] trusted: bool,
        #[case] part: &str,
    ) {
        let authority = Authority::new();
        let port = listen(echo(Some(authority.acceptor(&certificate)))).await;
        let trust: &[&Authority] = if trusted { &[&authority] } else { &[] };
        let result = dial(&config(Loopback::Local, trust).config, &endpoint("localhost", port, Tls::FromTheStart)).await;
        let (stage, why) = unreachable_at(result);
        assert!(stage == Stage::Tls && why.contains(part), "{stage}: {why}");
    }

    #[tokio::test]
    async fn an_authority_that_presents_itself_is_refused() {
        let authority = Authority::new();
        let port = listen(echo(Some(authority.acceptor_as_itself()))).await;
        let result = dial(&config(Loopback::Local, &[&authority]).config, &endpoint("localhost", port, Tls::FromTheStart)).await;
        let (_, why) = unreachable_at(result);
        assert!(why.contains("presents a certificate authority as its own certificate"), "{why}");
    }

    #[tokio::test]
    async fn a_plain_service_behind_a_tls_endpoint_is_told_apart() {
        let port = listen(says(None, b"220 welcome\r\n", AndThen::Listens)).await;
        let result = dial(&config(Loopback::Local, &[]).config, &endpoint("localhost", port, Tls::FromTheStart)).await;
        assert_eq!(unreachable_at(result), (Stage::Tls, "the service does not speak TLS on this port".to_owned()));
    }

    #[tokio::test]
    async fn a_service_that_never_answers_the_handshake_costs_the_limit() {
        let port = listen(silent).await;
        let mut config = config(Loopback::Local, &[]).config;
        config.limits = LimitsTable::default().with(Limit::Connect, 100);
        let begin = Instant::now();
        let (stage, why) = unreachable_at(dial(&config, &endpoint("127.0.0.1", port, Tls::FromTheStart)).await);
        assert_eq!((stage, why.as_str()), (Stage::Tls, "no answer within 100 ms, or the call's time was over"));
        assert!(begin.elapsed() < Duration::from_secs(5), "that was the call's time");
    }

    /// The service would take a log-in in plain text, and gets none.
    #[tokio::test]
    async fn there_is_no_way_back_to_plain_text() {
        let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
        let port = listen(move |mut stream: TcpStream| {
            let heard = heard.clone();
            async move {
                let _ = stream.write_all(b"+OK welcome\r\n").await;
                let mut bytes = Vec::new();
                let _ = stream.read_to_end(&mut bytes).await;
                heard.send(bytes).unwrap();
            }
        })
        .await;
        let mut call = call(endpoint("localhost", port, Tls::FromTheStart));
        let error = call.open("service").await.err().unwrap();
        assert!(matches!(error, OpenError::Dial(DialError::Unreachable { stage: Stage::Tls, .. })), "{error}");
        let bytes = hears.recv().await.unwrap();
        // A handshake record and perhaps an alert, <https://www.rfc-editor.org/rfc/rfc8446#section-5.1>.
        assert_eq!(bytes[..2], [22, 3]);
        assert!(hears.try_recv().is_err(), "it was tried again");
    }

    /// What a service answers that has nothing newer than TLS 1.1: an alert, or its own choice of a version.
    #[rstest]
    #[case::protocol_version(&[21, 3, 1, 0, 2, 2, 70])]
    #[case::server_hello(&hello_of_tls_1_1())]
    #[tokio::test]
    async fn a_service_without_tls_1_2_is_refused(#[case] answer: &[u8]) {
        let answer: Arc<[u8]> = answer.into();
        let port = listen(move |mut stream: TcpStream| {
            let answer = Arc::clone(&answer);
            async move {
                let mut record = [0; 5];
                stream.read_exact(&mut record).await.unwrap();
                let mut hello = vec![0; usize::from(u16::from_be_bytes([record[3], record[4]]))];
                stream.read_exact(&mut hello).await.unwrap();
                stream.write_all(&answer).await.unwrap();
                silent(stream).await;
            }
        })
        .await;
        let result = dial(&config(Loopback::Local, &[]).config, &endpoint("localhost", port, Tls::FromTheStart)).await;
        let (stage, why) = unreachable_at(result);
        let words = "the service has no TLS version and cipher in common with us; it must offer TLS 1.2 or 1.3";
        assert_eq!((stage, why.as_str()), (Stage::Tls, words));
    }

    /// A ServerHello, <https://www.rfc-editor.org/rfc/rfc4346#section-7.4.1.3>: TLS 1.1, no session, TLS_RSA_WITH_AES_128_CBC_SHA.
    fn hello_of_tls_1_1() -> Vec<u8> {
        [&[22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2][..], &[7; 32], &[0, 0, 0x2f, 0]].concat()
    }

    #[rstest]
    #[case::tls_1_2(&rustls::version::TLS12)]
    #[case::tls_1_3(&rustls::version::TLS13)]
    #[tokio::test]
    async fn a_service_that_demands_a_certificate_gets_the_one_of_the_rule(
        #[case] version: &'static rustls::SupportedProtocolVersion,
    ) {
        let authority = Authority::named("ours");
        let port = listen(echo(Some(authority.acceptor_for_clients(&Certificate::for_name("localhost"), version)))).await;
        let mut config = config(Loopback::Local, &[&authority]);
        let with_its_own = rule(&mut config, "app", &authority);
        let with_a_strangers = rule(&mut config, "stranger", &Authority::named("theirs"));
        let (neighbour, config) = (SecretRule::default(), config.config);
        let network = Network::new(&config).unwrap();
        let endpoint = endpoint("localhost", port, Tls::FromTheStart);
        let said = async |rule: &SecretRule| {
            let certificate = network.client_certificate(rule);
            let stream = match network.dial(&endpoint, certificate.as_deref(), &config.limits(None), far()).await {
                Err(error) => return error.to_string(),
                Ok(stream) => stream,
            };
            // Under TLS 1.3 the client has done its part by now, and hears with the first read what the service thinks of it.
            exchanged(stream).await.unwrap_or_else(|error| tls::in_words(&error))
        };
        assert_eq!(said(&with_its_own).await, "hello");
        let refused = said(&with_a_strangers).await;
        assert!(refused.contains("the service does not know the authority of the client certificate"), "{refused}");
        let refused = said(&neighbour).await;
        assert!(refused.contains("the service demands a client certificate. Name the files"), "{refused}");
        assert_eq!(said(&with_its_own).await, "hello", "what one rule is refused does not count for another");
    }

    /// A rule with a certificate that this authority issued.
    fn rule(config: &mut ConfigWithFiles, name: &str, authority: &Authority) -> SecretRule {
        let files = config.client_certificate(name, &authority.client_pem());
        let rule = SecretRule { client_certificate: Some(files), ..SecretRule::default() };
        config.config.rules.push(rule.clone());
        rule
    }

    #[tokio::test]
    async fn a_certificate_is_shown_to_nobody_who_does_not_ask() {
        let authority = Authority::new();
        let port = listen(echo(Some(authority.acceptor(&Certificate::for_name("localhost"))))).await;
        let mut config = config(Loopback::Local, &[&authority]);
        let rule = rule(&mut config, "app", &authority);
        let network = Network::new(&config.config).unwrap();
        let certificate = network.client_certificate(&rule);
        let endpoint = endpoint("localhost", port, Tls::FromTheStart);
        let stream = network.dial(&endpoint, certificate.as_deref(), &config.config.limits(None), far()).await.unwrap();
        assert_eq!(answers(stream).await, "hello");
    }

    #[test]
    fn a_client_certificate_that_cannot_be_used_stops_the_start() {
        let mut config = config(Loopback::Local, &[]);
        let mut rule = rule(&mut config, "app", &Authority::new());
        rule.client_certificate.as_mut().unwrap().key_file = "/nowhere/app.key".into();
        config.config.rules.push(rule);
        let error = Network::new(&config.config).err().unwrap().to_string();
        assert!(error.starts_with("the file /nowhere/app.key of `client_certificate.key_file` cannot be read"), "{error}");
    }

    /// A listener whose queue is full, so that the kernel drops what would open another connection.
    #[tokio::test]
    async fn a_service_that_takes_no_connection_costs_the_limit() {
        let listener = tokio::net::TcpSocket::new_v4().unwrap();
        listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = listener.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(Ok(stream)) =
            tokio::time::timeout(Duration::from_millis(100), tokio::net::TcpSocket::new_v4().unwrap().connect(address)).await
        {
            waiting.push(stream);
        }
        let mut config = config(Loopback::Local, &[]).config;
        config.limits = LimitsTable::default().with(Limit::Connect, 100);
        let begin = Instant::now();
        let (stage, why) = unreachable_at(dial(&config, &endpoint("127.0.0.1", address.port(), Tls::Plain)).await);
        assert_eq!((stage, why.as_str()), (Stage::Connect, "no answer within 100 ms, or the call's time was over"));
        assert!(begin.elapsed() < Duration::from_secs(5), "that was the call's time");
    }

    #[tokio::test]
    async fn the_end_of_the_call_ends_a_handshake_that_may_take_longer() {
        let port = listen(silent).await;
        let config = config(Loopback::Local, &[]).config;
        let begin = Instant::now();
        let deadline = begin + Duration::from_millis(100);
        let endpoint = endpoint("127.0.0.1", port, Tls::FromTheStart);
        let result = Network::new(&config).unwrap().dial(&endpoint, None, &config.limits(None), deadline).await;
        assert_eq!(unreachable_at(result).0, Stage::Tls);
        assert!(begin.elapsed() < config.limits(None).connect(), "{:?}", begin.elapsed());
    }

    #[tokio::test]
    async fn a_closed_port_is_unreachable_at_connect() {
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let error = dial(&config(Loopback::Local, &[]).config, &endpoint("localhost", port, Tls::Plain)).await.err().unwrap();
        let shown = error.to_string();
        assert!(shown.starts_with(&format!("localhost:{port} could not be reached (connect): ")), "{shown}");
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_unreachable_at_resolve() {
        // RFC 6761 section 6.4: no resolver answers for `.invalid`.
        let (stage, _) =
            unreachable_at(dial(&config(Loopback::Never, &[]).config, &endpoint("windlass.invalid", 1, Tls::Plain)).await);
        assert_eq!(stage, Stage::Resolve);
    }

    fn call(endpoint: Endpoint) -> CallNetwork {
        let config = config(Loopback::Local, &[]).config;
        let endpoints = BTreeMap::from([(endpoint.name.clone(), endpoint)]);
        CallNetwork::new(Arc::new(Network::new(&config).unwrap()), endpoints, config.limits(None), far())
    }

    #[tokio::test]
    async fn a_call_may_open_eight_connections_at_once_and_sixty_four_in_all() {
        let port = listen(echo(None)).await;
        let mut call = call(endpoint("127.0.0.1", port, Tls::Plain));
        let mut open = Vec::new();
        for _ in 0..8 {
            open.push(call.open("service").await.unwrap());
        }
        assert_eq!(call.open("service").await.err(), Some(OpenError::TooManyOpen { most: 8 }));
        open.clear();
        for _ in 8..64 {
            call.open("service").await.unwrap();
        }
        assert_eq!(call.open("service").await.err(), Some(OpenError::TooManyOpened { most: 64 }));
    }

    #[tokio::test]
    async fn an_endpoint_that_was_not_granted_is_denied_whatever_its_name() {
        let mut call = call(endpoint("127.0.0.1", 1, Tls::Plain));
        for name in ["", "Service", "service ", "127.0.0.1:1", "line\nbreak", &"x".repeat(10_000)] {
            let error = call.open(name).await.err().unwrap();
            assert_eq!(error.cause(), Cause::Denied);
            let shown = error.to_string();
            assert!(shown.len() < 300 && !shown.contains('\n'), "{shown}");
        }
    }

    /// What is left of the addresses that were found.
    enum Expected {
        Survive(&'static [&'static str]),
        Refused(&'static str),
    }
    use Expected::{Refused, Survive};

    #[rstest]
    #[case::one(&["93.184.216.34"], Survive(&["93.184.216.34"]))]
    #[case::private(&["10.1.2.3"], Survive(&["10.1.2.3"]))]
    #[case::second_record_forbidden(&["10.1.2.3", "169.254.169.254", "127.0.0.1"], Survive(&["10.1.2.3"]))]
    #[case::first_record_forbidden(&["169.254.169.254", "10.1.2.3"], Survive(&["10.1.2.3"]))]
    #[case::forbidden_in_ipv6_form(&["::ffff:169.254.169.254", "fd12::1"], Survive(&["fd12::1"]))]
    #[case::all_forbidden(&["169.254.169.254", "::1"], Refused("a link-local address, which plugins never reach"))]
    #[case::this_machine(&["127.0.0.1"], Refused("a loopback address, which plugins never reach"))]
    #[case::none(&[], Refused("the name has no address"))]
    fn a_name_is_dialled_at_its_allowed_addresses_only(#[case] found: &[&str], #[case] expected: Expected) {
        judged(Reach::Anywhere, found, expected);
    }

    #[rstest]
    #[case::inside(&["10.1.2.3"], Survive(&["10.1.2.3"]))]
    #[case::second_record_outside(&["10.1.2.3", "11.1.2.3"], Survive(&["10.1.2.3"]))]
    #[case::outside(&["11.1.2.3"], Refused("s.example:9001 is at 11.1.2.3, which the configuration's `endpoints` for this secret do not cover"))]
    #[case::inside_in_ipv6_form(&["::ffff:10.1.2.3"], Refused("do not cover"))]
    #[case::inside_and_forbidden(&["169.254.100.2"], Refused("a link-local address, which plugins never reach"))]
    fn ranges_bound_what_a_name_may_resolve_to(#[case] found: &[&str], #[case] expected: Expected) {
        let grants = ["10.0.0.0/8:9001", "0.0.0.0/0:9001"].map(|entry| Grant::parse(entry).unwrap());
        let within = |grants: &[Grant]| Grant::reach(grants, &Address::parse("s.example:9001").unwrap()).unwrap();
        let narrow = if found == ["169.254.100.2"] { &grants[..] } else { &grants[..1] };
        judged(within(narrow), found, expected);
    }

    fn judged(reach: Reach, found: &[&str], expected: Expected) {
        let policy = AddressPolicy::new(&config(Loopback::Never, &[]).config).unwrap();
        let at = |ip: &&str| SocketAddr::new(ip.parse().unwrap(), 9001);
        let endpoint = Endpoint { reach, ..endpoint("s.example", 9001, Tls::Plain) };
        let surviving = survivors(&policy, &endpoint, &found.iter().map(at).collect::<Vec<_>>());
        match expected {
            Survive(expected) => assert_eq!(surviving.unwrap(), expected.iter().map(at).collect::<Vec<_>>()),
            Refused(why) => {
                let error = surviving.unwrap_err().to_string();
                assert!(error.contains(why), "{error}");
            }
        }
    }
}
