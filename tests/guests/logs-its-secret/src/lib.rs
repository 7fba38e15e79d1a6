//! Says the password wherever it can, in every form the host redacts, and split over two log lines; then fails with it.

use windlass_sdk::{Cause, Credential, Effect, Failure, Outcome, Steps, Versions, log};

/// The guest.
pub struct Guest;

impl Steps for Guest {
    fn set_secret(versions: &Versions) -> Result<Outcome, Failure> {
        tell(&versions.current)?;
        Err(tell(&versions.pending)?)
    }

    fn test_secret(pending: &Credential) -> Result<(), Failure> {
        Err(tell(pending)?)
    }
}

fn tell(credential: &Credential) -> Result<Failure, Failure> {
    let password = credential.required("password")?;
    // A guest can do with a secret what it likes; what leaves the sandbox is the host's business.
    let password = password.expose();
    let hexadecimal: String = password.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let whole = credential.bytes().map_or_else(String::new, |whole| String::from_utf8_lossy(whole.expose()).into_owned());
    for line in [password, &format!("{password:?}"), &hexadecimal, &percent, &base64(password.as_bytes()), &whole] {
        log::debug(line);
        log::error(&format!("before {line} after"));
        println!("{line}");
        eprint!("{line}");
    }
    Ok(Failure::new(Cause::Internal, Effect::Unchanged, format!("{password} {password:?} {hexadecimal} {percent} {whole}")))
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, at| bits << 8 | usize::from(*chunk.get(at).unwrap_or(&0)));
        for digit in 0..=chunk.len() {
            text.push(char::from(ALPHABET[bits >> (18 - 6 * digit) & 63]));
        }
    }
    text.push_str(&"=="[..(3 - bytes.len() % 3) % 3]);
    text
}

windlass_sdk::export!(Guest);
