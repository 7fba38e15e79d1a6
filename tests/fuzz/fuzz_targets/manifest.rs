//! A plugin.toml, a line `---`, and the JSON of a secret: where the plugin may connect.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass::capability::endpoint::{Tls, endpoints};
use windlass::capability::grant::Grant;
use windlass::fields::Fields;
use windlass::manifest::{Manifest, TlsExpectation};
use windlass_fuzz::assert_canonical;

fuzz_target!(|input: &str| {
    let (manifest, secret) = input.split_once("\n---\n").unwrap_or((input, "{}"));
    let Ok(manifest) = Manifest::parse(manifest) else { return };
    let fields = Fields::of(secret);
    let field = |name: &str| fields.as_ref()?.get(name).map(|text| text.expose().to_owned());
    let Ok(granted) = endpoints(&manifest, &field, None) else { return };
    for (name, endpoint) in &granted {
        let template = &manifest.endpoints[name];
        assert_canonical(&endpoint.address());
        let chosen_by = template.address.host.field().and_then(field);
        assert!(chosen_by.is_some(), "the plugin chose {} itself", endpoint.host);
        let expected = match template.tls {
            TlsExpectation::Required => &[Tls::FromTheStart][..],
            TlsExpectation::Optional => &[Tls::FromTheStart, Tls::Plain],
            TlsExpectation::StartTls => &[Tls::StartTls],
        };
        assert!(expected.contains(&endpoint.tls), "{:?} became {:?}", template.tls, endpoint.tls);
    }
    // An operator's list narrows: with one entry, that address is left and no other.
    let Some(endpoint) = granted.values().next() else { return };
    let one = endpoint.address();
    let narrowed = endpoints(&manifest, &field, Some(&[Grant::exactly(endpoint)])).expect("its own address is on the list");
    assert!(!narrowed.is_empty() && narrowed.values().all(|endpoint| endpoint.address() == one), "{one} became {narrowed:?}");
});
