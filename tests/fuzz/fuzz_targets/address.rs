//! Entries of an allow list: `host:port`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass::capability::endpoint::Address;
use windlass_fuzz::assert_canonical;

fuzz_target!(|text: &str| {
    let Ok(address) = Address::parse(text) else { return };
    assert_canonical(&address);
    assert_eq!(Address::parse(&text.to_ascii_uppercase()), Ok(address), "capitals make another address");
});
