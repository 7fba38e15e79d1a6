//! Addresses that no plugin ever reaches, whatever the configuration says. Pure: judges addresses that are already resolved.
//!
//! Private ranges are not among them: that is where the services are, and a plugin gets there only through an endpoint that the
//! secret names and the operator allows.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::capability::endpoint::{Address, Endpoint, ip_address};
use crate::config::{Config, Loopback};
use crate::plain_http::authority_and_path;

/// Why an address is never reachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forbidden {
    /// 127.0.0.0/8 and ::1, unless the endpoint is one for which the configuration says so.
    Loopback,
    /// 169.254.0.0/16 (metadata, DNS and credentials of AWS among them), fe80::/10 and the former site-local fec0::/10.
    LinkLocal,
    /// A metadata address outside the link-local ranges: fd00:ec2::/32 of AWS, and those of other clouds.
    Metadata,
    /// 0.0.0.0/8 and ::, which many systems read as this machine.
    Unspecified,
    /// 100.64.0.0/10, shared by carriers (RFC 6598).
    Shared,
    /// 198.18.0.0/15 and 2001:2::/48, for measurements (RFC 2544, RFC 5180).
    Benchmark,
    /// Ranges for documentation (RFC 5737, RFC 3849, RFC 9637).
    Documentation,
    /// 224.0.0.0/4 and ff00::/8.
    Multicast,
    /// 192.0.0.0/24, 240.0.0.0/4 with the broadcast address, and 100::/64, which no service can have.
    Reserved,
    /// 64:ff9b:1::/48, behind which a local translator puts any IPv4 address at a place of its choice (RFC 8215).
    LocalTranslation,
    /// The Lambda Runtime API: whoever reaches it answers for the function. For local commands their own Secrets Manager.
    RuntimeApi,
    /// A port of this machine where Lambda extensions hand out secrets or take traces.
    Extension,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "a metadata address",
            Self::Unspecified => "the unspecified address",
            Self::Shared => "a carrier's shared address",
            Self::Benchmark => "an address for benchmarks",
            Self::Documentation => "an address for documentation",
            Self::Multicast => "a multicast address",
            Self::Reserved => "a reserved address",
            Self::LocalTranslation => "an address behind a local IPv4 translator",
            Self::RuntimeApi => "the Lambda Runtime API or the local Secrets Manager",
            Self::Extension => "a port of Lambda extensions on this machine",
        })
    }
}

/// What is wrong with the part of the configuration that this file reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressPolicyError {
    /// An entry of `danger_loopback_endpoints` can match no endpoint.
    #[error("the configuration's `danger_loopback_endpoints` have the entry \"{entry}\", which matches nothing: {why}")]
    Loopback {
        /// What was written.
        entry: String,
        /// The reason.
        why: &'static str,
    },
    /// Without knowing where the Runtime API is, it cannot be kept out of reach.
    #[error("the environment variable AWS_LAMBDA_RUNTIME_API is not `host:port`: {why}. Lambda sets it; do not set it yourself")]
    RuntimeApi {
        /// The reason.
        why: &'static str,
    },
}

/// Judges where an endpoint may be.
#[derive(Debug, Clone)]
pub struct AddressPolicy {
    loopback: LoopbackPolicy,
    runtime_api: Option<Address>,
}

#[derive(Debug, Clone)]
enum LoopbackPolicy {
    Never,
    Endpoints(Vec<Address>),
    Local,
}

impl AddressPolicy {
    /// Ports of this machine where secrets are handed out (the AWS Parameters and Secrets extension) or traces are taken (X-Ray).
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/retrieving-secrets_lambda.html> and
    /// <https://docs.aws.amazon.com/xray/latest/devguide/xray-daemon.html>
    const EXTENSION_PORTS: [u16; 2] = [2773, 2000];

    /// The policy of a configuration.
    ///
    /// # Errors
    ///
    /// [`AddressPolicyError`] for an entry that matches nothing and for a Runtime API that cannot be recognised.
    pub fn new(config: &Config) -> Result<Self, AddressPolicyError> {
        let loopback = match &config.loopback {
            Loopback::Never => LoopbackPolicy::Never,
            Loopback::Local => LoopbackPolicy::Local,
            Loopback::Endpoints(entries) => {
                let parse = |entry: &String| {
                    let entry_error = |why| AddressPolicyError::Loopback { entry: entry.escape_debug().to_string(), why };
                    Address::parse(entry).map_err(entry_error)
                };
                LoopbackPolicy::Endpoints(entries.iter().map(parse).collect::<Result<_, _>>()?)
            }
        };
        let runtime_api = config.runtime_api.as_deref().map(|api| Address::parse(authority_and_path(api).0)).transpose();
        Ok(Self { loopback, runtime_api: runtime_api.map_err(|why| AddressPolicyError::RuntimeApi { why })? })
    }

    /// Judges an endpoint before its name is resolved: the Runtime API is out of reach by its name, too.
    ///
    /// # Errors
    ///
    /// The rule that forbids it.
    pub fn judge_name(&self, endpoint: &Endpoint) -> Result<(), Forbidden> {
        match &self.runtime_api {
            Some(api) if *api == endpoint.address() => Err(Forbidden::RuntimeApi),
            Some(_) | None => Ok(()),
        }
    }

    /// Judges an address to which `endpoint` resolved.
    ///
    /// # Errors
    ///
    /// The rule that forbids it.
    pub fn judge(&self, endpoint: &Endpoint, address: SocketAddr) -> Result<(), Forbidden> {
        let (ip, port) = (address.ip(), address.port());
        let forbidden = forbidden(ip);
        if let Some(api) = &self.runtime_api
            && api.port == port
        {
            // Lambda has moved the Runtime API between loopback and link-local addresses, and a name for it may resolve to either.
            let on_this_machine = matches!(forbidden, Some(Forbidden::Loopback | Forbidden::LinkLocal | Forbidden::Unspecified));
            if on_this_machine || ip_address(&api.host).is_some_and(|api| same_place(api, ip)) {
                return Err(Forbidden::RuntimeApi);
            }
        }
        match (forbidden, &self.loopback) {
            (None, _) => Ok(()),
            // Only in its two plain spellings: nobody who means this machine writes it as 6to4.
            (Some(Forbidden::Loopback), LoopbackPolicy::Local) if ip.is_loopback() => Ok(()),
            (Some(Forbidden::Loopback), LoopbackPolicy::Endpoints(_)) if Self::EXTENSION_PORTS.contains(&port) => {
                Err(Forbidden::Extension)
            }
            (Some(Forbidden::Loopback), LoopbackPolicy::Endpoints(endpoints))
                if ip.is_loopback() && endpoints.contains(&endpoint.address()) =>
            {
                Ok(())
            }
            (Some(rule), LoopbackPolicy::Never | LoopbackPolicy::Endpoints(_) | LoopbackPolicy::Local) => Err(rule),
        }
    }
}

/// Why an address is never reachable, if it is not; loopback counts as forbidden here.
///
/// Source of the ranges, where none is named: <https://www.iana.org/assignments/iana-ipv4-special-registry> and
/// <https://www.iana.org/assignments/iana-ipv6-special-registry>
pub fn forbidden(ip: IpAddr) -> Option<Forbidden> {
    match ip {
        IpAddr::V4(ip) => forbidden_v4(ip),
        IpAddr::V6(ip) => forbidden_v6(ip).or_else(|| embedded(ip).into_iter().flatten().find_map(forbidden_v4)),
    }
}

fn forbidden_v4(ip: Ipv4Addr) -> Option<Forbidden> {
    // The wire server of Azure, which stands in a public range.
    const AZURE: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
    match ip.octets() {
        [0, ..] => Some(Forbidden::Unspecified),
        [127, ..] => Some(Forbidden::Loopback),
        [169, 254, ..] => Some(Forbidden::LinkLocal),
        [100, second, ..] if second & 0xc0 == 64 => Some(Forbidden::Shared),
        [192, 0, 0, _] | [240..=255, ..] => Some(Forbidden::Reserved),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Some(Forbidden::Documentation),
        [198, 18 | 19, ..] => Some(Forbidden::Benchmark),
        [224..=239, ..] => Some(Forbidden::Multicast),
        [_, _, _, _] => (ip == AZURE).then_some(Forbidden::Metadata),
    }
}

fn forbidden_v6(ip: Ipv6Addr) -> Option<Forbidden> {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(Forbidden::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Forbidden::Loopback),
        [0x64, 0xff9b, 1, ..] => Some(Forbidden::LocalTranslation),
        [0x100, 0, 0, 0, ..] => Some(Forbidden::Reserved),
        [0x2001, 2, 0, ..] => Some(Forbidden::Benchmark),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => Some(Forbidden::Documentation),
        // AWS: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html; the other is Google's.
        [0xfd00, 0xec2, ..] | [0xfd20, 0xce, ..] => Some(Forbidden::Metadata),
        [0xfe80..=0xfeff, ..] => Some(Forbidden::LinkLocal),
        [0xff00..=0xffff, ..] => Some(Forbidden::Multicast),
        [_, _, _, _, _, _, _, _] => None,
    }
}

/// The IPv4 addresses that an IPv6 address may stand for, some of them twice.
fn embedded(ip: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)));
    match ip.segments() {
        // v4-compatible and v4-mapped (RFC 4291), v4-translated (RFC 2765), NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            [v4(high, low), None]
        }
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => [v4(high, low), None],
        // Teredo (RFC 4380): the server, and the client with its bits inverted.
        [0x2001, 0, high, low, _, _, client_high, client_low] => [v4(high, low), v4(!client_high, !client_low)],
        // ISATAP (RFC 5214), under any prefix.
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => [v4(high, low), None],
        [_, _, _, _, _, _, _, _] => [None, None],
    }
}

fn same_place(api: IpAddr, ip: IpAddr) -> bool {
    let stands_for = |ip| match ip {
        IpAddr::V4(ip) => [Some(ip), None],
        IpAddr::V6(ip) => embedded(ip),
    };
    api == ip || stands_for(api).into_iter().flatten().any(|api| stands_for(ip).contains(&Some(api)))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::capability::endpoint::Tls;
    use crate::capability::grant::Reach;

    fn endpoint(address: &str) -> Endpoint {
        let Address { host, port } = Address::parse(address).unwrap();
        Endpoint { name: "service".to_owned(), host, port, tls: Tls::Plain, reach: Reach::Anywhere }
    }

    fn policy(loopback: Loopback, runtime_api: Option<&str>) -> AddressPolicy {
        let config = Config { loopback, runtime_api: runtime_api.map(str::to_owned), ..Config::with_plugins(PathBuf::new()) };
        AddressPolicy::new(&config).unwrap()
    }

    #[rstest]
    #[case::loopback("127.0.0.1", Forbidden::Loopback)]
    #[case::loopback_end("127.255.255.255", Forbidden::Loopback)]
    #[case::loopback_v6("::1", Forbidden::Loopback)]
    #[case::metadata("169.254.169.254", Forbidden::LinkLocal)]
    #[case::task_credentials("169.254.170.2", Forbidden::LinkLocal)]
    #[case::xray("169.254.79.129", Forbidden::LinkLocal)]
    #[case::link_local_v6("fe80::1", Forbidden::LinkLocal)]
    #[case::link_local_v6_end("febf::1", Forbidden::LinkLocal)]
    #[case::metadata_v6("fd00:ec2::254", Forbidden::Metadata)]
    #[case::dns_v6("fd00:ec2::253", Forbidden::Metadata)]
    #[case::azure("168.63.129.16", Forbidden::Metadata)]
    #[case::unspecified("0.0.0.0", Forbidden::Unspecified)]
    #[case::this_network("0.1.2.3", Forbidden::Unspecified)]
    #[case::unspecified_v6("::", Forbidden::Unspecified)]
    #[case::shared("100.64.0.1", Forbidden::Shared)]
    #[case::shared_end("100.127.255.255", Forbidden::Shared)]
    #[case::benchmark("198.19.255.255", Forbidden::Benchmark)]
    #[case::documentation("203.0.113.7", Forbidden::Documentation)]
    #[case::documentation_v6("2001:db8::7", Forbidden::Documentation)]
    #[case::documentation_v6_new("3fff::7", Forbidden::Documentation)]
    #[case::multicast("224.0.0.1", Forbidden::Multicast)]
    #[case::multicast_v6("ff02::1", Forbidden::Multicast)]
    #[case::broadcast("255.255.255.255", Forbidden::Reserved)]
    #[case::mapped("::ffff:127.0.0.1", Forbidden::Loopback)]
    #[case::compatible("::169.254.169.254", Forbidden::LinkLocal)]
    #[case::translated("::ffff:0:169.254.169.254", Forbidden::LinkLocal)]
    #[case::nat64("64:ff9b::169.254.169.254", Forbidden::LinkLocal)]
    #[case::nat64_local("64:ff9b:1::a9fe:a9fe", Forbidden::LocalTranslation)]
    #[case::six_to_four("2002:a9fe:a9fe::1", Forbidden::LinkLocal)]
    #[case::teredo_client("2001:0:808:808::5601:5601", Forbidden::LinkLocal)]
    #[case::teredo_server("2001:0:7f00:1::", Forbidden::Loopback)]
    #[case::isatap("2600::5efe:127.0.0.1", Forbidden::Loopback)]
    fn is_never_reachable(#[case] ip: &str, #[case] rule: Forbidden) {
        assert_eq!(forbidden(ip.parse().unwrap()), Some(rule));
    }

    #[rstest]
    #[case::private_10("10.0.0.1")]
    #[case::private_172("172.16.0.1")]
    #[case::private_192("192.168.0.1")]
    #[case::before_loopback("126.255.255.255")]
    #[case::after_loopback("128.0.0.1")]
    #[case::before_link_local("169.253.255.255")]
    #[case::after_link_local("169.255.0.1")]
    #[case::before_shared("100.63.255.255")]
    #[case::after_shared("100.128.0.1")]
    #[case::before_benchmark("198.17.255.255")]
    #[case::after_benchmark("198.20.0.1")]
    #[case::before_multicast("223.255.255.255")]
    #[case::private_v6("fd12::1")]
    #[case::public_v6("2600::1")]
    #[case::mapped_private("::ffff:10.0.0.1")]
    #[case::nat64_public("64:ff9b::8.8.8.8")]
    #[case::six_to_four_public("2002:808:808::1")]
    fn the_neighbour_is_reachable(#[case] ip: &str) {
        assert_eq!(forbidden(ip.parse().unwrap()), None);
    }

    fn some(entries: &[&str]) -> Loopback {
        Loopback::Endpoints(entries.iter().map(|entry| (*entry).to_owned()).collect())
    }

    #[rstest]
    #[case::never(Loopback::Never, "localhost:6379", "127.0.0.1:6379", Err(Forbidden::Loopback))]
    #[case::named(some(&["LOCALHOST:6379"]), "localhost:6379", "127.0.0.1:6379", Ok(()))]
    #[case::named_v6(some(&["localhost:6379"]), "localhost:6379", "[::1]:6379", Ok(()))]
    #[case::not_by_address(some(&["localhost:6379"]), "127.0.0.1:6379", "127.0.0.1:6379", Err(Forbidden::Loopback))]
    #[case::another_port(some(&["localhost:6379"]), "localhost:6380", "127.0.0.1:6380", Err(Forbidden::Loopback))]
    #[case::named_is_not_metadata(some(&["a:80"]), "a:80", "169.254.169.254:80", Err(Forbidden::LinkLocal))]
    #[case::named_secrets_extension(some(&["localhost:2773"]), "localhost:2773", "127.0.0.1:2773", Err(Forbidden::Extension))]
    #[case::named_traces(some(&["localhost:2000"]), "localhost:2000", "[::1]:2000", Err(Forbidden::Extension))]
    #[case::named_runtime_api(some(&["localhost:9001"]), "localhost:9001", "127.0.0.1:9001", Err(Forbidden::RuntimeApi))]
    #[case::named_mapped(some(&["a:6379"]), "a:6379", "[::ffff:127.0.0.1]:6379", Err(Forbidden::Loopback))]
    #[case::local(Loopback::Local, "localhost:2773", "127.0.0.1:2773", Ok(()))]
    #[case::local_metadata(Loopback::Local, "a:80", "169.254.169.254:80", Err(Forbidden::LinkLocal))]
    #[case::local_runtime_api(Loopback::Local, "localhost:9001", "127.0.0.1:9001", Err(Forbidden::RuntimeApi))]
    #[case::local_runtime_api_unspecified(Loopback::Local, "a:9001", "0.0.0.0:9001", Err(Forbidden::RuntimeApi))]
    #[case::local_mapped(Loopback::Local, "a:80", "[::ffff:127.0.0.1]:80", Err(Forbidden::Loopback))]
    #[case::private(Loopback::Never, "db.internal:5432", "10.0.0.9:5432", Ok(()))]
    fn judges(#[case] loopback: Loopback, #[case] name: &str, #[case] address: &str, #[case] expected: Result<(), Forbidden>) {
        let policy = policy(loopback, Some("127.0.0.1:9001"));
        assert_eq!(policy.judge(&endpoint(name), address.parse().unwrap()), expected);
    }

    #[test]
    fn the_runtime_api_is_out_of_reach_at_any_address_and_by_name() {
        let at = policy(Loopback::Local, Some("10.7.7.7:9001"));
        let judge = |address: &str| at.judge(&endpoint("a:9001"), address.parse().unwrap());
        assert_eq!(judge("10.7.7.7:9001"), Err(Forbidden::RuntimeApi));
        assert_eq!(judge("[::ffff:10.7.7.7]:9001"), Err(Forbidden::RuntimeApi));
        assert_eq!(judge("[64:ff9b::10.7.7.7]:9001"), Err(Forbidden::RuntimeApi));
        assert_eq!((judge("10.7.7.8:9001"), judge("10.7.7.7:9002")), (Ok(()), Ok(())));
        let of_a_double = policy(Loopback::Local, Some("http://[::]:9001/.rt/windlass"));
        assert_eq!(of_a_double.judge(&endpoint("a:9001"), "127.0.0.1:9001".parse().unwrap()), Err(Forbidden::RuntimeApi));
        let named = policy(Loopback::Local, Some("Runtime.example:9001"));
        assert_eq!(named.judge_name(&endpoint("runtime.example.:9001")), Err(Forbidden::RuntimeApi));
        assert_eq!(named.judge_name(&endpoint("runtime.example:9002")), Ok(()));
    }

    #[rstest]
    #[case::loopback(Config { loopback: some(&["localhost"]), ..Config::with_plugins(PathBuf::new()) })]
    #[case::runtime_api_over_tls(Config { runtime_api: Some("https://a:1".to_owned()), ..Config::with_plugins(PathBuf::new()) })]
    #[case::runtime_api(Config { runtime_api: Some("localhost".to_owned()), ..Config::with_plugins(PathBuf::new()) })]
    fn a_policy_that_cannot_be_read_stops_the_start(#[case] config: Config) {
        assert!(AddressPolicy::new(&config).is_err());
    }

    fn forbidden_v4_addresses() -> impl Strategy<Value = Ipv4Addr> {
        let within = |network: [u8; 4], bits: u32| {
            let mask = u32::MAX.checked_shr(bits).unwrap_or(0);
            any::<u32>().prop_map(move |host| Ipv4Addr::from_bits(u32::from_be_bytes(network) | (host & mask)))
        };
        prop_oneof![
            within([127, 0, 0, 0], 8),
            within([169, 254, 0, 0], 16),
            within([0, 0, 0, 0], 8),
            within([100, 64, 0, 0], 10),
            within([198, 18, 0, 0], 15),
            within([192, 0, 2, 0], 24),
            within([198, 51, 100, 0], 24),
            within([203, 0, 113, 0], 24),
            within([224, 0, 0, 0], 4),
            within([240, 0, 0, 0], 4),
        ]
    }

    proptest! {
        #[test]
        fn every_other_spelling_of_a_forbidden_address_is_forbidden(ip in forbidden_v4_addresses(), other: [u16; 4]) {
            let bits = ip.to_bits();
            let (high, low) = ((bits >> 16) as u16, bits as u16);
            let [a, b, c, d] = other;
            let spellings = [
                [0, 0, 0, 0, 0, 0xffff, high, low],
                [0, 0, 0, 0, 0, 0, high, low],
                [0, 0, 0, 0, 0xffff, 0, high, low],
                [0x64, 0xff9b, 0, 0, 0, 0, high, low],
                [0x64, 0xff9b, 1, a, b, c, high, low],
                [0x64, 0xff9b, 1, high, low >> 8, low << 8, a, b],
                [0x2002, high, low, a, b, c, d, a],
                [0x2001, 0, high, low, a, b, c, d],
                [0x2001, 0, a, b, c, d, !high, !low],
                [a, b, c, d, 0, 0x5efe, high, low],
            ];
            prop_assert!(forbidden(ip.into()).is_some());
            for spelling in spellings {
                let spelling = Ipv6Addr::from(spelling);
                prop_assert!(forbidden(spelling.into()).is_some(), "{spelling}");
                // No policy lets it through either, not even the one that lets everything local through.
                let local = policy(Loopback::Local, None);
                prop_assert!(local.judge(&endpoint("a:443"), (spelling, 443).into()).is_err() || spelling.is_loopback(), "{spelling}");
            }
        }
    }
}
