//! Entries of an allow-list, and the addresses that are compared with them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass::capability::endpoint::Address;
use windlass::capability::grant::{Grant, Reach};
use windlass_fuzz::assert_canonical;

fuzz_target!(|text: &str| {
    if let Ok(grant) = Grant::parse(text) {
        assert_eq!(Grant::parse(&grant.to_string()).as_ref(), Ok(&grant), "an entry does not read back as it is printed");
    }
    let Ok(address) = Address::parse(text) else { return };
    assert_canonical(&address);
    assert_eq!(Address::parse(&text.to_ascii_uppercase()).as_ref(), Ok(&address), "capitals make another address");
    // Nothing is refused to the entry for an address but what no plugin reaches.
    if let Ok(grant) = Grant::parse(text) {
        assert_eq!(Grant::reach(&[grant], &address), Some(Reach::Anywhere));
    }
});
