//! A secret that must not be found in any output, and the search for it.

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};

/// A random secret value and all its disguises.
#[derive(Clone)]
pub struct Canary(String);

/// Part of the value that is searched for when output was cut: as long as this, in bytes.
const FRAGMENT: usize = 12;

impl Canary {
    /// Letters and digits only: what every service takes as a password. 32 characters.
    pub fn new() -> Self {
        Self(format!("Cnry{}{}", random_hexadecimal(), random_hexadecimal()))
    }

    /// With characters that JSON, URLs and shells have to escape, and one that UTF-8 needs two bytes for.
    pub fn awkward() -> Self {
        Self(format!("{}\"\\/+%& é'<{}", random_hexadecimal(), random_hexadecimal()))
    }

    /// Takes a value that something else has made, such as a rotated password.
    pub fn of(value: impl Into<String>) -> Self {
        let value = value.into();
        assert!(value.len() >= FRAGMENT, "a short value occurs by chance");
        Self(value)
    }

    /// The secret.
    pub fn value(&self) -> &str {
        &self.0
    }

    /// Asserts that `output` holds the secret in no form. The message does not repeat the output.
    #[track_caller]
    pub fn assert_absent(&self, what: &str, output: &[u8]) {
        if let Some((form, at)) = self.find(output) {
            panic!("{what} holds the canary secret, {form}, at byte {at} of {}", output.len());
        }
    }

    /// The first form in which `output` holds the secret, and where.
    pub fn find(&self, output: &[u8]) -> Option<(&'static str, usize)> {
        find_any(std::slice::from_ref(self), output).map(|(_, form, at)| (form, at))
    }

    fn forms(&self) -> Vec<(&'static str, String)> {
        let raw = self.0.as_bytes();
        let json = serde_json::to_string(&self.0).unwrap();
        let json = &json[1..json.len() - 1];
        let json_twice = serde_json::to_string(json).unwrap();
        let json_ascii: String =
            json.chars().map(|c| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", c as u32) }).collect();
        let percent: String = raw
            .iter()
            .map(|&byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02x}") })
            .collect();
        let mut forms = vec![
            ("raw", self.0.clone()),
            ("JSON-escaped", json.to_owned()),
            ("JSON-escaped", json.replace('/', "\\/")),
            ("JSON-escaped to ASCII", json_ascii),
            ("JSON-escaped twice", json_twice[1..json_twice.len() - 1].to_owned()),
            ("as Rust's Debug", self.0.escape_debug().to_string()),
            ("URL-encoded", percent.clone()),
            ("URL-encoded as a form", percent.replace("%20", "+")),
            ("URL-encoded throughout", raw.iter().map(|byte| format!("%{byte:02x}")).collect()),
            ("hexadecimal", raw.iter().map(|byte| format!("{byte:02x}")).collect()),
            ("a list of bytes", raw.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")),
            ("a list of bytes", raw.iter().map(u8::to_string).collect::<Vec<_>>().join(",")),
        ];
        // Percent-encoders differ in what they leave alone; the unreserved marks of RFC 3986 at least.
        forms.push(("URL-encoded", ["-", ".", "_", "~"].iter().fold(percent, |text, mark| text.replace(&encoded(mark), mark))));
        // Base64 of a longer text that holds the secret: three alignments, without the characters its neighbours share.
        for shift in 0..3 {
            let inner = &raw[(3 - shift) % 3..];
            let inner = &inner[..inner.len() / 3 * 3];
            forms.push(("base64", BASE64_STANDARD_NO_PAD.encode(inner)));
            forms.push(("base64 for URLs", BASE64_URL_SAFE_NO_PAD.encode(inner)));
        }
        // Output that was cut at a limit.
        forms.push(("its first half", String::from_utf8_lossy(&raw[..raw.len().min(FRAGMENT)]).into_owned()));
        forms.push(("its last half", String::from_utf8_lossy(&raw[raw.len() - FRAGMENT..]).into_owned()));
        forms
    }
}

/// The first of these secrets that `output` holds in any form: which, in what form, and where. One search for all of them, because
/// some tests have hundreds.
pub fn find_any<'a>(canaries: &'a [Canary], output: &[u8]) -> Option<(&'a Canary, &'static str, usize)> {
    let known: Vec<_> =
        canaries.iter().flat_map(|canary| canary.forms().into_iter().map(move |(form, text)| (canary, form, text))).collect();
    let forms = AhoCorasick::builder().ascii_case_insensitive(true).build(known.iter().map(|(_, _, text)| text)).unwrap();
    let found = forms.find(output)?;
    let (canary, form, _) = &known[found.pattern().as_usize()];
    Some((canary, form, found.start()))
}

fn encoded(mark: &str) -> String {
    mark.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn random_hexadecimal() -> String {
    use std::io::Read;
    let mut bytes = [0; 7];
    std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
