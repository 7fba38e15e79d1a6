//! A TCP proxy in front of a service, where the faults at [`Place::Service`] happen.
//!
//! It counts requests, not bytes: a request is everything that the client sends until the service answers. That fits protocols in which the
//! sides take turns, such as HTTP/1.1 and RESP, in plain text or in TLS (whose handshake is turns, too). A fault strikes before the first
//! bytes of its request reach the service, or, if it is about the answer, before the first bytes of the answer reach the client.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::backend::Backend;
use super::exchange::Blow;
use super::fault::{Place, Trouble};
use super::server::{self, ListenError};

/// Which service, and where instead of it: `LISTEN=HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxiedService {
    /// A loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The service, as `host:port`.
    pub service: String,
}

/// A text names no proxied service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not LISTEN=HOST:PORT, such as 127.0.0.1:16379=127.0.0.1:6379, where LISTEN is a loopback address with a port")]
pub struct ProxiedServiceError(String);

impl FromStr for ProxiedService {
    type Err = ProxiedServiceError;

    fn from_str(text: &str) -> Result<Self, ProxiedServiceError> {
        let wrong = || ProxiedServiceError(text.escape_debug().to_string());
        let (listen, service) = text.split_once('=').ok_or_else(wrong)?;
        let listen: SocketAddr = listen.parse().map_err(|_| wrong())?;
        let port = service.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse::<u16>().ok());
        if !listen.ip().is_loopback() || port.is_none() {
            return Err(wrong());
        }
        Ok(Self { listen, service: service.to_owned() })
    }
}

/// A proxy that runs until it is dropped.
pub struct ServiceProxy {
    address: SocketAddr,
    task: AbortHandle,
}

impl ServiceProxy {
    /// Starts to listen.
    ///
    /// # Errors
    ///
    /// [`ListenError`], for instance if the port is in use.
    pub async fn start(proxied: &ProxiedService, backend: Arc<Backend>) -> Result<Self, ListenError> {
        let (listener, address) = server::bind(proxied.listen).await?;
        let task = tokio::spawn(accept(listener, proxied.service.clone(), backend));
        Ok(Self { address, task: task.abort_handle() })
    }

    /// The address, with the port that the system chose.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for ServiceProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, service: String, backend: Arc<Backend>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    connections.spawn(forward(client, service.clone(), Arc::clone(&backend)));
                }
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

/// Passes bytes on in both directions until a side closes or a fault ends it.
async fn forward(mut client: TcpStream, service: String, backend: Arc<Backend>) {
    #[expect(clippy::disallowed_methods, reason = "not a plugin's connection: the operator's own proxy, named on the command line")]
    let connected = TcpStream::connect(&service).await;
    // A service that is down looks to the client like one that closes at once.
    let Ok(mut service) = connected else { return };
    let _slower_only = (client.set_nodelay(true), service.set_nodelay(true));
    // What the service says first is no answer.
    let mut asking = false;
    let mut withheld = Withheld::default();
    loop {
        let (mut from_client, mut from_service) = (Vec::new(), Vec::new());
        tokio::select! {
            read = chunk(&mut client, &mut from_client) => {
                if !read {
                    return;
                }
                if !std::mem::replace(&mut asking, true) {
                    match strike(&backend).await {
                        Struck::Passes(then) => withheld = then,
                        Struck::Breaks => return,
                        Struck::Late(time) => {
                            drop(client);
                            tokio::time::sleep(time).await;
                            let _gone = service.write_all(&from_client).await;
                            // Until the service has taken it in.
                            let _answer = service.read(&mut [0; 4096]).await;
                            return;
                        }
                    }
                }
                if service.write_all(&from_client).await.is_err() {
                    return;
                }
            }
            read = chunk(&mut service, &mut from_service) => {
                if !read {
                    return;
                }
                if std::mem::replace(&mut asking, false) {
                    let Withheld { lost, killed } = std::mem::take(&mut withheld);
                    if killed {
                        backend.interfere(Blow::Kill, None).await;
                    }
                    if lost || killed {
                        return;
                    }
                }
                if client.write_all(&from_service).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// What becomes of the answer to a request.
#[derive(Debug, Default, Clone, Copy)]
struct Withheld {
    lost: bool,
    killed: bool,
}

/// What becomes of a request.
enum Struck {
    Passes(Withheld),
    Breaks,
    Late(Duration),
}

async fn strike(backend: &Backend) -> Struck {
    let mut withheld = Withheld::default();
    for trouble in backend.faults().at(Place::Service) {
        match trouble {
            Trouble::LostRequest => return Struck::Breaks,
            Trouble::Late(time) => return Struck::Late(time),
            Trouble::LostAnswer => withheld.lost = true,
            Trouble::KillAfter => withheld.killed = true,
            Trouble::Latency(time) => tokio::time::sleep(time).await,
            Trouble::Kill => {
                backend.interfere(Blow::Kill, None).await;
                return Struck::Breaks;
            }
            Trouble::Duplicate => backend.interfere(Blow::Duplicate, None).await,
            Trouble::Outsider(outsider) => {
                for arn in backend.rotating() {
                    backend.outsider(outsider, Some(&arn));
                }
            }
            // They do not fit a service, so nobody arms them there.
            Trouble::Throttle | Trouble::Error | Trouble::Unavailable | Trouble::Stale(_) => {}
        }
    }
    Struck::Passes(withheld)
}

/// Reads what there is; whether there was anything.
async fn chunk(stream: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> bool {
    bytes.reserve(16 * 1024);
    matches!(stream.read_buf(bytes).await, Ok(1..))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::local::store::FunctionArn;

    #[rstest]
    #[case::no_service("127.0.0.1:0")]
    #[case::no_port("127.0.0.1:0=redis")]
    #[case::everybody("0.0.0.0:1=redis:6379")]
    #[case::a_name("localhost:1=redis:6379")]
    fn what_is_no_proxied_service_is_refused(#[case] text: &str) {
        assert!(text.parse::<ProxiedService>().unwrap_err().to_string().contains("is not LISTEN=HOST:PORT"));
    }

    /// A service that answers each byte with its successor, and remembers it.
    async fn successors() -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, hearing) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let heard = heard.clone();
                tokio::spawn(async move {
                    while let Ok(byte) = stream.read_u8().await {
                        heard.send(byte).unwrap();
                        let _gone = stream.write_u8(byte + 1).await;
                    }
                });
            }
        });
        (address, hearing)
    }

    #[rstest]
    #[case::passes_on("service#9:lost-request", Some(2), Some(1))]
    #[case::lost_request("service#1:lost-request", None, None)]
    #[case::lost_answer("service#1:lost-answer", None, Some(1))]
    #[case::late("service#1:late=10ms", None, Some(1))]
    #[case::slow("service#1:latency=10ms", Some(2), Some(1))]
    #[tokio::test]
    async fn a_fault_strikes_between_client_and_service(
        #[case] fault: &str,
        #[case] answer: Option<u8>,
        #[case] heard: Option<u8>,
    ) {
        let (service, mut hearing) = successors().await;
        let (backend, _begun) = Backend::new(FunctionArn::default());
        backend.faults().arm(fault.parse().unwrap());
        let proxied = format!("127.0.0.1:0={service}").parse().unwrap();
        let proxy = ServiceProxy::start(&proxied, backend).await.unwrap();
        let ask = async |byte: u8| {
            #[expect(clippy::disallowed_methods, reason = "the client of the test")]
            let mut client = TcpStream::connect(proxy.address()).await.unwrap();
            client.write_u8(byte).await.unwrap();
            client.read_u8().await.ok()
        };
        assert_eq!(ask(1).await, answer);
        // Whatever became of the first connection, the next one works.
        assert_eq!(ask(7).await, Some(8));
        let mut all = vec![hearing.recv().await.unwrap()];
        if heard.is_some() {
            all.push(hearing.recv().await.unwrap());
        }
        all.sort_unstable();
        assert_eq!(all, heard.into_iter().chain([7]).collect::<Vec<_>>());
    }
}
