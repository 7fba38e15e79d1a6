//! What has to hold of a value whichever target made it.

use windlass::capability::endpoint::Address;

/// An address is what it prints, and holds nothing but a host name or IP address and a port: no user information, no path, no
/// whitespace, no control characters, no capitals, no final dot.
///
/// # Panics
///
/// If it is not.
pub fn assert_canonical(address: &Address) {
    let (host, shown) = (&address.host, address.to_string());
    assert_eq!(Address::parse(&shown).as_ref(), Ok(address), "{shown:?} reads as another address");
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.:".contains(&byte);
    assert!(host.bytes().all(plain) && (1..=253).contains(&host.len()) && !host.ends_with('.'), "{host:?} is no host");
    assert!(address.port > 0, "port 0 reaches nothing");
    match host.parse::<std::net::IpAddr>() {
        Ok(ip) => assert_eq!(ip.to_string(), *host, "one address, two spellings"),
        Err(_) => {
            // What is no address for the standard library must be none for the C library's resolver either.
            assert!(!host.contains(':'), "{host:?} has a port inside");
            assert!(host.split('.').next_back().is_some_and(|label| !label.bytes().all(|byte| byte.is_ascii_digit())), "{host:?}");
        }
    }
}
