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

/// How far somebody came who wanted something of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Asking for the addresses of the name.
    Resolve,
    /// Opening the TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// What the plugin and the service say to each other.
    Protocol,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
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
mod tests;
