//! Where a plugin may connect for one secret: the manifest's address templates, filled from the secret's fields and intersected with
//! what the operator allows. Pure: nothing is resolved here.
//!
//! A field's value stands in an error of this file only once it has the form of a host or a port: an operator may have put a password
//! where the host belongs.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::capability::grant::{Grant, Reach};
use crate::manifest::{EndpointTemplate, Manifest, TemplatePart, TlsExpectation};

/// An endpoint that a plugin may open, by the name that its manifest gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The name in the manifest.
    pub name: String,
    /// A host name in ASCII lower case without a final dot, or an IP address in the form that the standard library prints (IPv6
    /// without brackets). It is resolved, and it is the server name of TLS.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
    /// Whether the stream is encrypted.
    pub tls: Tls,
    /// To which of its host's addresses the operator lets it go.
    pub reach: Reach,
}

impl Endpoint {
    /// `host:port`, with brackets around an IPv6 address.
    pub fn address(&self) -> Address {
        Address { host: self.host.clone(), port: self.port }
    }
}

/// Whether the stream to an endpoint is encrypted: what the manifest expects and the secret asks for, decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// From the first byte.
    FromTheStart,
    /// After a negotiation in plain text that the plugin does.
    StartTls,
    /// Never.
    Plain,
}

/// A canonical `host:port`. Two that are equal name the same thing, whatever case or final dot they were written with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// As [`Endpoint::host`].
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
}

impl Address {
    /// Reads `host:port`; an IPv6 address stands in brackets.
    ///
    /// # Errors
    ///
    /// The reason, as the end of a sentence, without the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (host, port) = text.rsplit_once(':').ok_or("it is not `host:port`")?;
        if host.contains(':') && !host.starts_with('[') {
            return Err("an IPv6 address before a port stands in brackets");
        }
        Ok(Self { host: canonical_host(host)?, port: port_number(port)? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') { write!(f, "[{}]:{}", self.host, self.port) } else { write!(f, "{}:{}", self.host, self.port) }
    }
}

/// Why a secret and a configuration do not lead to the endpoints that a manifest asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The secret lacks a field of the address, and the manifest has no default for it.
    #[error(
        "the secret has no field `{field}`, which the address of the plugin's endpoint `{endpoint}` needs. Add it to the secret"
    )]
    MissingField {
        /// The field's name.
        field: String,
        /// The endpoint's name.
        endpoint: String,
    },
    /// A field holds what cannot stand in its place.
    #[error("the secret's field `{field}` cannot be used in the address of the plugin's endpoint `{endpoint}`: {why}")]
    MalformedField {
        /// The field's name.
        field: String,
        /// The endpoint's name.
        endpoint: String,
        /// The reason, without the value.
        why: &'static str,
    },
    /// The manifest's own text cannot stand in its place.
    #[error(
        "the plugin's manifest gives its endpoint `{endpoint}` the address `{address}`: {why}. Only the plugin's author can correct it"
    )]
    MalformedTemplate {
        /// The endpoint's name.
        endpoint: String,
        /// The address as the manifest has it.
        address: String,
        /// The reason.
        why: &'static str,
    },
    /// The operator's `endpoints` list none of the addresses that the secret leads to, or the manifest names the host and nothing is
    /// listed.
    #[error(
        "the plugin's endpoint `{endpoint}` is at {address}, which the configuration's `endpoints` for this secret do not list. Add \
         \"{address}\" if the plugin may connect there, or correct the secret"
    )]
    NotGranted {
        /// The name of the first endpoint.
        endpoint: String,
        /// Where the secret says it is.
        address: Address,
    },
}

/// The endpoints that a plugin with this manifest may open for this secret, by name.
///
/// `field` answers with the text of a field of the secret's current (or pending; identity fields are equal) version. A field that it
/// does not know takes the manifest's default. `allowed` is what the operator lists for the secret: endpoints elsewhere are left out,
/// and nothing is added. Without a list the secret decides alone, so an endpoint whose host the manifest itself names is left out: a
/// plugin must not choose whom it tells. A manifest without endpoints leads to none.
///
/// # Errors
///
/// [`EndpointError`] if a field is missing or malformed, or `allowed` leaves nothing.
pub fn endpoints(
    manifest: &Manifest,
    field: &dyn Fn(&str) -> Option<String>,
    allowed: Option<&[Grant]>,
) -> Result<BTreeMap<String, Endpoint>, EndpointError> {
    let own = field;
    let field = |name: &str| own(name).or_else(|| manifest.secret.defaults.get(name).cloned());
    let mut granted = BTreeMap::new();
    let mut refused = None;
    for (name, template) in &manifest.endpoints {
        let (address, tls) = fill(name, template, &field)?;
        let reach = match allowed {
            Some(allowed) => Grant::reach(allowed, &address),
            None => template.address.host.field().and_then(own).map(|_| Reach::Anywhere),
        };
        match reach {
            Some(reach) => {
                let Address { host, port } = address;
                granted.insert(name.clone(), Endpoint { name: name.clone(), host, port, tls, reach });
            }
            None => refused = refused.or_else(|| Some(EndpointError::NotGranted { endpoint: name.clone(), address })),
        }
    }
    match refused {
        Some(refused) if granted.is_empty() => Err(refused),
        Some(_) | None => Ok(granted),
    }
}

/// Where a template leads, and whether encrypted.
fn fill(name: &str, template: &EndpointTemplate, field: &dyn Fn(&str) -> Option<String>) -> Result<(Address, Tls), EndpointError> {
    let missing = |field: &str| EndpointError::MissingField { field: field.to_owned(), endpoint: name.to_owned() };
    let malformed = |field: &str, why| EndpointError::MalformedField { field: field.to_owned(), endpoint: name.to_owned(), why };
    let host = match &template.address.host {
        TemplatePart::Field(of) => canonical_host(&field(of).ok_or_else(|| missing(of))?).map_err(|why| malformed(of, why))?,
        TemplatePart::Literal(text) => canonical_host(text).map_err(|why| EndpointError::MalformedTemplate {
            endpoint: name.to_owned(),
            address: template.address.to_string().escape_debug().to_string(),
            why,
        })?,
    };
    let port = match &template.address.port {
        TemplatePart::Field(of) => port_number(&field(of).ok_or_else(|| missing(of))?).map_err(|why| malformed(of, why))?,
        TemplatePart::Literal(text) => port_number(text).map_err(|why| EndpointError::MalformedTemplate {
            endpoint: name.to_owned(),
            address: template.address.to_string().escape_debug().to_string(),
            why,
        })?,
    };
    let tls = match template.tls {
        TlsExpectation::Required => Tls::FromTheStart,
        TlsExpectation::StartTls => Tls::StartTls,
        TlsExpectation::Optional => match field(&template.tls_field) {
            None => Tls::FromTheStart,
            Some(wish) if says(&wish, ["true", "yes", "1"]) => Tls::FromTheStart,
            Some(wish) if says(&wish, ["false", "no", "0"]) => Tls::Plain,
            Some(_) => return Err(malformed(&template.tls_field, "it says whether to use TLS and must be `true` or `false`")),
        },
    };
    Ok((Address { host, port }, tls))
}

fn says(wish: &str, words: [&str; 3]) -> bool {
    words.iter().any(|word| wish.eq_ignore_ascii_case(word))
}

pub(crate) fn port_number(text: &str) -> Result<u16, &'static str> {
    const WHY: &str = "a port is a decimal number from 1 to 65535";
    // `u16::from_str` would take `+443`; a leading zero means octal to some readers.
    if text.is_empty() || text.starts_with('0') || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(WHY);
    }
    text.parse().map_err(|_| WHY)
}

/// The one form of a host, so that what is compared, resolved, dialled and named in TLS is the same text.
pub(crate) fn canonical_host(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    // Each of these has its own sentence because each is a mistake that people make.
    if !text.is_ascii() {
        return Err("it has characters beyond ASCII; write an international name in its `xn--` form");
    }
    if text.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
        return Err("it has whitespace or control characters");
    }
    if text.contains(['/', '\\', '?', '#']) {
        return Err("it is a URL or a path; write the bare host name");
    }
    if text.contains('@') {
        return Err("it has user information before an `@`; write the bare host name");
    }
    if let Some(inner) = text.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return address.map(|address| address.to_string()).ok_or("what stands in brackets is not an IPv6 address");
    }
    if text.contains(':') {
        let address = text.parse::<Ipv6Addr>();
        return address.map(|address| address.to_string()).map_err(|_| "it has a colon but is not an IPv6 address");
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if name.rsplit('.').next().is_some_and(reads_as_number) {
        // The resolver would read `127.1`, `0177.0.0.1` and `0x7f000001` as addresses too; a reviewer would not.
        let address = name.parse::<Ipv4Addr>();
        return address.map(|address| address.to_string()).map_err(|_| "an IPv4 address has four decimal numbers from 0 to 255");
    }
    // RFC 1035 section 2.3.4 for the lengths; underscores stand in names that real services have.
    if name.len() > 253 {
        return Err("a host name has at most 253 characters");
    }
    let label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        plain && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    if name.split('.').all(label) {
        Ok(name)
    } else {
        Err("a host name has labels of 1 to 63 letters, digits, hyphens and underscores, with dots between them")
    }
}

/// Whether `inet_aton` would take the last label of a name as a number: <https://url.spec.whatwg.org/#ends-in-a-number-checker>.
fn reads_as_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hexadecimal || (!label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The IP address that a canonical host is, if it is one.
pub(crate) fn ip_address(host: &str) -> Option<IpAddr> {
    host.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn manifest(endpoints: &str) -> Manifest {
        let text = format!("name = \"a\"\nversion = \"1\"\n[secret]\ndefaults = {{ port = \"6379\" }}\n{endpoints}");
        Manifest::parse(&text).unwrap()
    }

    fn one(tls: &str) -> Manifest {
        manifest(&format!("[endpoints.redis]\naddress = \"{{host}}:{{port}}\"\ntls = \"{tls}\""))
    }

    fn fields<'a>(fields: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| fields.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn fills_the_template_from_the_secret_and_the_defaults() {
        let endpoints = endpoints(&one("required"), &fields(&[("host", "Redis.Example.COM.")]), None).unwrap();
        let expected = Endpoint {
            name: "redis".to_owned(),
            host: "redis.example.com".to_owned(),
            port: 6379,
            tls: Tls::FromTheStart,
            reach: Reach::Anywhere,
        };
        assert_eq!(endpoints, BTreeMap::from([("redis".to_owned(), expected)]));
    }

    #[rstest]
    #[case::lower("redis.example.com", "redis.example.com")]
    #[case::upper("REDIS", "redis")]
    #[case::underscore("_redis._tcp.example", "_redis._tcp.example")]
    #[case::digits_first("1a.example", "1a.example")]
    #[case::v4("10.1.2.3", "10.1.2.3")]
    #[case::v6("2600:0:0::1", "2600::1")]
    #[case::bracketed("[FD12::1]", "fd12::1")]
    fn one_host_has_one_form(#[case] written: &str, #[case] canonical: &str) {
        assert_eq!(canonical_host(written).unwrap(), canonical);
    }

    #[rstest]
    #[case::empty("", "empty")]
    #[case::dot(".", "labels")]
    #[case::two_dots("a..", "labels")]
    #[case::user_information("canary@host", "user information")]
    #[case::url("https://canary", "a URL")]
    #[case::path("canary/x", "a URL")]
    #[case::backslash("canary\\x", "a URL")]
    #[case::fragment("canary#x", "a URL")]
    #[case::space("canary x", "whitespace")]
    #[case::newline("canary\n", "whitespace")]
    #[case::nul("canary\0", "control")]
    #[case::full_width_dot("canary。example", "ASCII")]
    #[case::port_inside("canary:80", "colon")]
    #[case::zone("fe80::1%canary", "colon")]
    #[case::open_bracket("[::1", "brackets")]
    #[case::v4_in_brackets("[10.0.0.1]", "brackets")]
    #[case::octal("0177.0.0.1", "four decimal")]
    #[case::hexadecimal("0x7f000001", "four decimal")]
    #[case::hexadecimal_upper("0X7F.1", "four decimal")]
    #[case::bare_prefix("canary.0x", "four decimal")]
    #[case::decimal("2130706433", "four decimal")]
    #[case::short("127.1", "four decimal")]
    #[case::five("1.2.3.4.5", "four decimal")]
    #[case::leading_hyphen("-canary", "labels")]
    #[case::trailing_hyphen("canary-.example", "labels")]
    #[case::percent("canary%2e", "labels")]
    #[case::star("*.canary", "labels")]
    fn refuses_what_is_no_host_and_does_not_repeat_it(#[case] host: &str, #[case] why: &str) {
        let error = endpoints(&one("required"), &fields(&[("host", host)]), None).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(why) && shown.contains("`host`") && !shown.contains("canary"), "{shown}");
    }

    #[rstest]
    #[case::label(&"a".repeat(64))]
    #[case::name(&["a"; 128].join("."))]
    fn refuses_a_name_that_is_too_long(#[case] host: &str) {
        assert!(canonical_host(host).is_err());
    }

    #[rstest]
    #[case("0")]
    #[case("65536")]
    #[case("+443")]
    #[case("0443")]
    #[case(" 443")]
    #[case("443.0")]
    #[case("")]
    fn refuses_what_is_no_port(#[case] port: &str) {
        let error = endpoints(&one("required"), &fields(&[("host", "a"), ("port", port)]), None).unwrap_err();
        assert!(matches!(error, EndpointError::MalformedField { ref field, .. } if field == "port"), "{error}");
    }

    #[rstest]
    #[case::absent("optional", None, Tls::FromTheStart)]
    #[case::yes("optional", Some("true"), Tls::FromTheStart)]
    #[case::no("optional", Some("false"), Tls::Plain)]
    #[case::python("optional", Some("False"), Tls::Plain)]
    #[case::zero("optional", Some("0"), Tls::Plain)]
    #[case::required_does_not_ask("required", Some("false"), Tls::FromTheStart)]
    #[case::start_tls_does_not_ask("start-tls", Some("false"), Tls::StartTls)]
    fn the_secret_chooses_plain_text_only_where_the_manifest_lets_it(
        #[case] expectation: &str,
        #[case] wish: Option<&str>,
        #[case] tls: Tls,
    ) {
        let wish = wish.map(|wish| ("tls", wish));
        let known: Vec<_> = [("host", "a")].into_iter().chain(wish).collect();
        assert_eq!(endpoints(&one(expectation), &fields(&known), None).unwrap()["redis"].tls, tls);
    }

    #[rstest]
    #[case("")]
    #[case("off")]
    #[case("disable")]
    fn an_unclear_wish_about_tls_is_refused(#[case] wish: &str) {
        let error = endpoints(&one("optional"), &fields(&[("host", "a"), ("tls", wish)]), None).unwrap_err();
        assert!(matches!(error, EndpointError::MalformedField { ref field, .. } if field == "tls"), "{error}");
    }

    #[test]
    fn a_missing_field_is_named() {
        let error = endpoints(&one("required"), &fields(&[]), None).unwrap_err();
        insta::assert_snapshot!(error, @"the secret has no field `host`, which the address of the plugin's endpoint `redis` needs. Add it to the secret");
    }

    const TWO: &str = "[endpoints.api]\naddress = \"api.example.com:443\"\n[endpoints.redis]\naddress = \"{host}:{port}\"";

    #[rstest]
    #[case::as_written("redis.example.com:6379", true)]
    #[case::another_spelling("REDIS.example.com.:6379", true)]
    #[case::another_port("redis.example.com:6380", false)]
    #[case::another_host("redis.example.com.evil.example:6379", false)]
    #[case::parent("example.com:6379", false)]
    #[case::below("*.example.com:6000-7000", true)]
    #[case::range_of_addresses("10.0.0.0/8:6379", true)]
    fn the_operators_list_narrows(#[case] entry: &str, #[case] granted: bool) {
        let allowed = ["api.example.com:443", entry].map(|entry| Grant::parse(entry).unwrap());
        let endpoints = endpoints(&manifest(TWO), &fields(&[("host", "redis.example.com")]), Some(&allowed)).unwrap();
        assert_eq!((endpoints.contains_key("api"), endpoints.contains_key("redis")), (true, granted));
    }

    #[test]
    fn a_list_that_leaves_nothing_says_what_to_add() {
        let allowed = [Grant::parse("other.example.com:6379").unwrap()];
        let error = endpoints(&one("required"), &fields(&[("host", "fd12::1")]), Some(&allowed)).unwrap_err();
        insta::assert_snapshot!(error, @r#"the plugin's endpoint `redis` is at [fd12::1]:6379, which the configuration's `endpoints` for this secret do not list. Add "[fd12::1]:6379" if the plugin may connect there, or correct the secret"#);
        assert!(matches!(endpoints(&one("required"), &fields(&[("host", "a")]), Some(&[])), Err(EndpointError::NotGranted { .. })));
    }

    #[test]
    fn a_manifest_without_endpoints_reaches_nothing() {
        assert!(endpoints(&manifest(""), &fields(&[]), Some(&[Grant::parse("a:1").unwrap()])).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn a_canonical_host_is_its_own_canonical_form(text in "\\PC{0,80}|[a-zA-Z0-9._:\\[\\]-]{0,40}") {
            if let Ok(host) = canonical_host(&text) {
                prop_assert_eq!(canonical_host(&host), Ok(host.clone()));
                let address = Address { host, port: 443 };
                prop_assert_eq!(Address::parse(&address.to_string()), Ok(address));
            }
        }
    }
}
