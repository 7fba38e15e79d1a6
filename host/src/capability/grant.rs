//! The operator's allow-list: entries of `endpoints` in `windlass.toml`.
//!
//! | entry | grants | does not grant |
//! |---|---|---|
//! | `redis.example.com:6379` | this host at this port, in any case and with or without a final dot | another port, `x.redis.example.com` |
//! | `10.1.2.3:6379`, `[fd12::1]:6379` | this address where the secret names it as such | a name that resolves to it |
//! | `*.example.com:6379` | every name below, at any depth | `example.com` itself, `badexample.com` |
//! | `10.1.0.0/16:6379`, `[fd12::/48]:6379` | an address in the range, and a name as far as it resolves into it: addresses of the name outside are not dialled | an address outside |
//! | `….example.com:6379-6390` | each port from the first to the last | `6391` |
//!
//! An entry never widens what [`crate::capability::address`] forbids, and one that could only mean such an address is refused, as is
//! everything else that matches nothing: an operator who misspells a restriction has to notice.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use serde::Deserialize;

use crate::capability::address::{Forbidden, forbidden};
use crate::capability::endpoint::{Address, Endpoint, canonical_host, ip_address, port_number};

/// One entry of an allow-list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Grant {
    hosts: Hosts,
    ports: RangeInclusive<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    /// A canonical host.
    One(String),
    /// Every name that ends in this, which begins with a dot.
    Below(String),
    Range(IpRange),
}

/// How far an allow-list lets an endpoint go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// To whatever address its name resolves to, as far as it is not forbidden.
    Anywhere,
    /// To addresses in one of these ranges.
    Within(Vec<IpRange>),
}

/// Why an entry of an allow-list is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{entry}` is no entry of `endpoints`: {why}. Write `host:port`, `*.suffix:port`, `10.0.0.0/8:port`, `[fd00::/8]:port`, or a range \
     of ports such as `host:6379-6390`"
)]
pub struct GrantError {
    entry: String,
    why: String,
}

impl Grant {
    /// Reads an entry.
    ///
    /// # Errors
    ///
    /// [`GrantError`] for what has none of the forms, matches nothing, or means only addresses that no plugin reaches.
    pub fn parse(text: &str) -> Result<Self, GrantError> {
        let refused =
            |why: String| GrantError { entry: text.chars().take(120).collect::<String>().escape_debug().to_string(), why };
        let (hosts, ports) = text.rsplit_once(':').ok_or_else(|| refused("it has no port".to_owned()))?;
        let ports = parse_ports(ports).map_err(|why| refused(why.to_owned()))?;
        let hosts = parse_hosts(hosts).map_err(refused)?;
        Ok(Self { hosts, ports })
    }

    /// The entry for this endpoint and no other.
    pub fn exactly(endpoint: &Endpoint) -> Self {
        Self { hosts: Hosts::One(endpoint.host.clone()), ports: endpoint.port..=endpoint.port }
    }

    /// How far these entries let an endpoint at `address` go, if they let it at all. An entry that names the host counts more than
    /// ranges.
    pub fn reach(grants: &[Self], address: &Address) -> Option<Reach> {
        let ip = ip_address(&address.host);
        let mut ranges = Vec::new();
        for grant in grants.iter().filter(|grant| grant.ports.contains(&address.port)) {
            match &grant.hosts {
                Hosts::One(host) if *host == address.host => return Some(Reach::Anywhere),
                Hosts::Below(suffix) if ip.is_none() && below(&address.host, suffix) => return Some(Reach::Anywhere),
                Hosts::Range(range) if ip.is_none_or(|ip| range.contains(ip)) => ranges.push(*range),
                Hosts::One(_) | Hosts::Below(_) | Hosts::Range(_) => {}
            }
        }
        (!ranges.is_empty()).then_some(Reach::Within(ranges))
    }
}

impl Reach {
    /// Whether this address may be dialled, as far as the allow-list is concerned.
    pub fn covers(&self, ip: IpAddr) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Within(ranges) => ranges.iter().any(|range| range.contains(ip)),
        }
    }
}

impl TryFrom<String> for Grant {
    type Error = GrantError;

    fn try_from(text: String) -> Result<Self, GrantError> {
        Self::parse(&text)
    }
}

/// In the one form that reads back as the same.
impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hosts {
            Hosts::One(host) if host.contains(':') => write!(f, "[{host}]")?,
            Hosts::One(host) => f.write_str(host)?,
            Hosts::Below(suffix) => write!(f, "*{suffix}")?,
            Hosts::Range(range) if range.network.is_ipv6() => write!(f, "[{range}]")?,
            Hosts::Range(range) => write!(f, "{range}")?,
        }
        let (first, last) = (self.ports.start(), self.ports.end());
        if first == last { write!(f, ":{first}") } else { write!(f, ":{first}-{last}") }
    }
}

/// A range of addresses, in CIDR form (RFC 4632, RFC 4291 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpRange {
    network: IpAddr,
    /// How many leading bits count.
    bits: u8,
}

impl IpRange {
    fn parse(network: &str, bits: &str) -> Result<Self, String> {
        let network: IpAddr = network.parse().map_err(|_| "what stands before the `/` is not an IP address".to_owned())?;
        let most = if network.is_ipv4() { 32 } else { 128 };
        let plain = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit()) && (bits == "0" || !bits.starts_with('0'));
        let bits = bits.parse::<u8>().ok().filter(|bits| plain && *bits <= most);
        let bits = bits.ok_or_else(|| format!("what follows the `/` is not a number of bits from 0 to {most}"))?;
        let range = Self { network, bits };
        // Somebody who writes 10.1.2.3/8 meant something else than what would be granted.
        let first = range.first();
        if first == network { Ok(range) } else { Err(format!("the range begins at {first}/{bits}, not at {network}")) }
    }

    /// Whether the address is in the range. An IPv4 address written as IPv6 is not in a range of IPv4 addresses.
    pub fn contains(self, ip: IpAddr) -> bool {
        ip.is_ipv4() == self.network.is_ipv4() && masked(ip, self.bits) == self.network
    }

    fn first(self) -> IpAddr {
        masked(self.network, self.bits)
    }

    fn last(self) -> IpAddr {
        match self.network {
            IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() | u32::MAX.checked_shr(self.bits.into()).unwrap_or(0)).into(),
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() | u128::MAX.checked_shr(self.bits.into()).unwrap_or(0)).into(),
        }
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.bits)
    }
}

fn masked(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & !u32::MAX.checked_shr(bits.into()).unwrap_or(0)).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::MAX.checked_shr(bits.into()).unwrap_or(0)).into(),
    }
}

fn parse_ports(text: &str) -> Result<RangeInclusive<u16>, &'static str> {
    match text.split_once('-') {
        None => port_number(text).map(|port| port..=port),
        Some((first, last)) => {
            let (first, last) = (port_number(first)?, port_number(last)?);
            if first < last { Ok(first..=last) } else { Err("a range of ports goes from a lower to a higher one") }
        }
    }
}

fn parse_hosts(text: &str) -> Result<Hosts, String> {
    if text.contains("//") {
        return Err("it is a URL; write the bare host name".to_owned());
    }
    // An IPv6 range stands in brackets as a whole, so that its colons and its `/` cannot be taken for something else.
    let inner = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    if let Some((network, bits)) = inner.unwrap_or(text).split_once('/') {
        let range = IpRange::parse(network, bits)?;
        if range.network.is_ipv6() != inner.is_some() {
            return Err("a range of IPv6 addresses stands in brackets, and no other does".to_owned());
        }
        return match never_reached(range.first(), range.last()) {
            Some(rule) => Err(format!("every address in it is {rule}, which plugins never reach")),
            None => Ok(Hosts::Range(range)),
        };
    }
    if let Some(suffix) = text.strip_prefix("*.") {
        let suffix = canonical_host(suffix)?;
        if ip_address(&suffix).is_some() {
            return Err("addresses have no names below them; write a range such as `10.0.0.0/8:443`".to_owned());
        }
        if !suffix.contains('.') {
            return Err("it would grant every name under a top-level domain".to_owned());
        }
        return Ok(Hosts::Below(format!(".{suffix}")));
    }
    if text.contains('*') {
        return Err("a `*` stands only at the begin, before a dot".to_owned());
    }
    if text.contains(':') && inner.is_none() {
        return Err("an IPv6 address stands in brackets".to_owned());
    }
    let host = canonical_host(text)?;
    match ip_address(&host).and_then(|ip| never_reached(ip, ip)) {
        Some(rule) => Err(format!("it is {rule}, which plugins never reach")),
        None => Ok(Hosts::One(host)),
    }
}

/// Why no address of a range is ever reachable. Loopback does not count: `danger_loopback_endpoints` and the local commands allow it.
fn never_reached(first: IpAddr, last: IpAddr) -> Option<Forbidden> {
    let rule = forbidden(first).filter(|rule| *rule != Forbidden::Loopback)?;
    // Each rule's ranges are far from each other and from anything that is not forbidden between them, except at 0/0.
    (forbidden(last) == Some(rule)).then_some(rule)
}

fn below(host: &str, suffix: &str) -> bool {
    host.len() > suffix.len() && host.ends_with(suffix)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn reach(entry: &str, address: &str) -> Option<Reach> {
        Grant::reach(&[Grant::parse(entry).unwrap()], &Address::parse(address).unwrap())
    }

    // Every line of the grammar, each granted form beside its denied neighbours.
    #[rstest]
    #[case::the_host("redis.example.com:6379", "redis.example.com:6379", true)]
    #[case::the_host_in_upper_case("redis.example.com:6379", "REDIS.Example.com:6379", true)]
    #[case::an_entry_in_upper_case("Redis.Example.COM:6379", "redis.example.com:6379", true)]
    #[case::the_host_with_a_final_dot("redis.example.com:6379", "redis.example.com.:6379", true)]
    #[case::an_entry_with_a_final_dot("redis.example.com.:6379", "redis.example.com:6379", true)]
    #[case::another_port("redis.example.com:6379", "redis.example.com:6380", false)]
    #[case::a_port_that_begins_the_same("redis.example.com:637", "redis.example.com:6379", false)]
    #[case::a_sibling("redis.example.com:6379", "redis2.example.com:6379", false)]
    #[case::a_name_below_the_host("redis.example.com:6379", "x.redis.example.com:6379", false)]
    #[case::the_parent("redis.example.com:6379", "example.com:6379", false)]
    #[case::the_host_as_a_prefix("redis.example.com:6379", "redis.example.com.evil.example:6379", false)]
    #[case::the_punycode_form("xn--bcher-kva.example:443", "xn--bcher-kva.example:443", true)]
    #[case::a_lookalike("bucher.example:443", "xn--bcher-kva.example:443", false)]
    #[case::the_address("10.1.2.3:6379", "10.1.2.3:6379", true)]
    #[case::the_next_address("10.1.2.3:6379", "10.1.2.4:6379", false)]
    #[case::the_address_in_ipv6_form("10.1.2.3:6379", "[::ffff:10.1.2.3]:6379", false)]
    #[case::a_name_that_may_resolve_to_the_address("10.1.2.3:6379", "redis.example.com:6379", false)]
    #[case::the_ipv6_address("[fd12::1]:6379", "[FD12:0::1]:6379", true)]
    #[case::the_next_ipv6_address("[fd12::1]:6379", "[fd12::2]:6379", false)]
    #[case::below("*.example.com:443", "a.example.com:443", true)]
    #[case::far_below("*.example.com:443", "a.b.example.com:443", true)]
    #[case::below_in_upper_case("*.example.com:443", "A.EXAMPLE.COM.:443", true)]
    #[case::the_suffix_itself("*.example.com:443", "example.com:443", false)]
    #[case::the_suffix_without_its_dot("*.example.com:443", "badexample.com:443", false)]
    #[case::the_suffix_in_the_middle("*.example.com:443", "a.example.com.evil.example:443", false)]
    #[case::below_at_another_port("*.example.com:443", "a.example.com:444", false)]
    #[case::in_the_range("10.1.0.0/16:5432", "10.1.255.255:5432", true)]
    #[case::before_the_range("10.1.0.0/16:5432", "10.0.255.255:5432", false)]
    #[case::behind_the_range("10.1.0.0/16:5432", "10.2.0.0:5432", false)]
    #[case::in_the_range_at_another_port("10.1.0.0/16:5432", "10.1.0.1:5433", false)]
    #[case::in_the_range_in_ipv6_form("10.1.0.0/16:5432", "[::ffff:10.1.0.1]:5432", false)]
    #[case::all_of_ipv4("0.0.0.0/0:5432", "10.1.0.1:5432", true)]
    #[case::all_of_ipv4_is_not_ipv6("0.0.0.0/0:5432", "[fd12::1]:5432", false)]
    #[case::one_address_as_a_range("10.1.2.3/32:5432", "10.1.2.3:5432", true)]
    #[case::beside_one_address_as_a_range("10.1.2.3/32:5432", "10.1.2.2:5432", false)]
    #[case::in_the_ipv6_range("[fd12::/48]:443", "[fd12::ffff:1]:443", true)]
    #[case::behind_the_ipv6_range("[fd12::/48]:443", "[fd12:0:1::]:443", false)]
    #[case::first_port("a.example:6379-6390", "a.example:6379", true)]
    #[case::last_port("a.example:6379-6390", "a.example:6390", true)]
    #[case::before_the_ports("a.example:6379-6390", "a.example:6378", false)]
    #[case::behind_the_ports("a.example:6379-6390", "a.example:6391", false)]
    #[case::ports_of_a_suffix("*.example.com:1-1023", "a.example.com:1023", true)]
    #[case::behind_the_ports_of_a_suffix("*.example.com:1-1023", "a.example.com:1024", false)]
    #[case::ports_of_a_range("10.0.0.0/8:1-1023", "10.0.0.1:22", true)]
    #[case::behind_the_ports_of_a_range("10.0.0.0/8:1-1023", "10.0.0.1:1024", false)]
    fn an_entry_grants_what_it_says_and_not_its_neighbours(#[case] entry: &str, #[case] address: &str, #[case] granted: bool) {
        assert_eq!(reach(entry, address).is_some(), granted);
    }

    #[test]
    fn a_name_goes_as_far_as_the_ranges_say_unless_it_is_named() {
        let parse = |entries: &[&str]| entries.iter().map(|entry| Grant::parse(entry).unwrap()).collect::<Vec<_>>();
        let address = Address::parse("db.example.com:5432").unwrap();
        let ranges = parse(&["10.0.0.0/8:5432", "[fd12::/16]:5432", "192.168.0.0/16:1"]);
        let reach = Grant::reach(&ranges, &address).unwrap();
        let covers = |ip: &str| reach.covers(ip.parse().unwrap());
        assert_eq!(
            ["10.1.2.3", "fd12::1", "192.168.0.1", "8.8.8.8", "::ffff:10.1.2.3"].map(covers),
            [true, true, false, false, false]
        );
        let named = parse(&["10.0.0.0/8:5432", "*.example.com:5432"]);
        assert_eq!(Grant::reach(&named, &address), Some(Reach::Anywhere));
    }

    #[rstest]
    #[case::empty("", "no port")]
    #[case::no_port("redis.example.com", "no port")]
    #[case::port_zero("a.example:0", "from 1 to 65535")]
    #[case::port_too_high("a.example:65536", "from 1 to 65535")]
    #[case::port_with_zero("a.example:0443", "from 1 to 65535")]
    #[case::port_by_name("a.example:https", "from 1 to 65535")]
    #[case::any_port("a.example:*", "from 1 to 65535")]
    #[case::open_range("a.example:1-", "from 1 to 65535")]
    #[case::range_backwards("a.example:20-10", "lower to a higher")]
    #[case::range_of_one("a.example:20-20", "lower to a higher")]
    #[case::no_host(":443", "it is empty")]
    #[case::star("*:443", "only at the begin")]
    #[case::star_without_dot("*example.com:443", "only at the begin")]
    #[case::star_inside("a.*.example.com:443", "only at the begin")]
    #[case::two_stars("*.*.example.com:443", "labels")]
    #[case::top_level("*.com:443", "top-level")]
    #[case::below_an_address("*.1.2.3.4:443", "no names below")]
    #[case::url("https://a.example:443", "URL")]
    #[case::user_information("user@a.example:443", "user information")]
    #[case::beyond_ascii("bücher.example:443", "xn--")]
    #[case::decimal_address("2130706433:443", "four decimal numbers")]
    #[case::octal_address("0177.0.0.1:443", "four decimal numbers")]
    #[case::hexadecimal_address("0x7f.0.0.1:443", "four decimal numbers")]
    #[case::ipv6_without_brackets("fd12::1:443", "brackets")]
    #[case::range_with_host_bits("10.1.2.3/8:443", "begins at 10.0.0.0/8")]
    #[case::range_with_too_many_bits("10.0.0.0/33:443", "from 0 to 32")]
    #[case::range_with_odd_bits("10.0.0.0/08:443", "from 0 to 32")]
    #[case::range_with_mask("10.0.0.0/255.0.0.0:443", "from 0 to 32")]
    #[case::range_of_a_name("a.example/8:443", "not an IP address")]
    #[case::ipv6_range_without_brackets("fd12::/16:443", "brackets")]
    #[case::ipv4_range_in_brackets("[10.0.0.0/8]:443", "brackets")]
    #[case::ipv6_range_with_bits_outside("[fd12::]/16:443", "not an IP address")]
    #[case::metadata("169.254.169.254:80", "a link-local address, which plugins never reach")]
    #[case::metadata_range("169.254.0.0/16:80", "a link-local address, which plugins never reach")]
    #[case::metadata_in_ipv6_form("[::ffff:169.254.169.254]:80", "never reach")]
    #[case::multicast("[ff00::/8]:80", "never reach")]
    #[case::unspecified("0.0.0.0:80", "never reach")]
    #[case::line_break("a.example\n:443", "whitespace")]
    fn an_entry_that_means_nothing_is_refused(#[case] entry: &str, #[case] why: &str) {
        let error = Grant::parse(entry).unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains('\n'), "{error}");
    }

    proptest! {
        #[test]
        fn an_entry_reads_back_as_it_is_printed(entry in "(\\*\\.)?[a-z0-9.:/\\[\\]-]{1,24}:[0-9]{1,5}(-[0-9]{1,5})?") {
            if let Ok(grant) = Grant::parse(&entry) {
                prop_assert_eq!(Grant::parse(&grant.to_string()), Ok(grant));
            }
        }

        #[test]
        fn a_range_has_the_addresses_between_its_ends(bits in 0_u8..=32, network: u32, address: u32) {
            let network = masked(Ipv4Addr::from_bits(network).into(), bits);
            let range = IpRange::parse(&network.to_string(), &bits.to_string()).unwrap();
            let address = IpAddr::from(Ipv4Addr::from_bits(address));
            prop_assert_eq!(range.contains(address), range.first() <= address && address <= range.last());
        }
    }
}
