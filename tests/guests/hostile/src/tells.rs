//! Says the password wherever it can.

use windlass_sdk::{Cause, Credential, Effect, Failure, log};

/// In eight encodings, each whole and in the middle of a line; split in two lines; printed; then as the reason of its failure.
pub fn says_its_secret(credential: &Credential) -> Result<(), Failure> {
    let password = credential.required("password")?;
    // A guest can do with a secret what it likes; what leaves the sandbox is the host's business.
    let password = password.expose();
    let encodings = [
        password.to_owned(),
        format!("{password:?}"),
        each(password, |byte| format!("{byte:02x}")),
        each(password, |byte| format!("{byte:02X}")),
        each(password, |byte| format!("%{byte:02X}")),
        each(password, |byte| if byte.is_ascii_alphanumeric() { char::from(byte).into() } else { format!("%{byte:02x}") }),
        base64(password.as_bytes(), b"+/"),
        base64(password.as_bytes(), b"-_"),
    ];
    for encoded in &encodings {
        log::debug(encoded);
        log::error(&format!("before {encoded} after"));
        println!("{encoded}");
        eprint!("{encoded}");
        let (first, second) = encoded.split_at(encoded.len() / 2);
        log::info(first);
        log::info(second);
        println!("{first}\n{second}");
    }
    let whole = credential.bytes().map_or_else(String::new, |whole| String::from_utf8_lossy(whole.expose()).into_owned());
    log::warn(&whole);
    Err(Failure::new(Cause::Internal, Effect::Unchanged, format!("{} {whole}", encodings.join(" "))))
}

/// As the last word.
pub fn panics(credential: &Credential) -> Result<(), Failure> {
    let password = credential.required("password")?;
    panic!("this guest panics with {}", password.expose())
}

fn each(text: &str, encode: impl Fn(u8) -> String) -> String {
    text.bytes().map(encode).collect()
}

/// Base64 whose last two digits are these.
fn base64(bytes: &[u8], last: &[u8; 2]) -> String {
    let alphabet = [b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".as_slice(), last].concat();
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, at| bits << 8 | usize::from(*chunk.get(at).unwrap_or(&0)));
        for digit in 0..=chunk.len() {
            text.push(char::from(alphabet[bits >> (18 - 6 * digit) & 63]));
        }
    }
    text.push_str(&"=="[..(3 - bytes.len() % 3) % 3]);
    text
}
