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
async fn a_certificate_that_proves_nothing_is_refused(#[case] certificate: Certificate, #[case] trusted: bool, #[case] part: &str) {
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
async fn a_service_that_demands_a_certificate_gets_the_one_of_the_rule(#[case] version: &'static rustls::SupportedProtocolVersion) {
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
    let (stage, _) = unreachable_at(dial(&config(Loopback::Never, &[]).config, &endpoint("windlass.invalid", 1, Tls::Plain)).await);
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
