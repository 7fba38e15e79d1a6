//! The random names that the service gives.

use rand::{TryRng, rngs::SysRng};

use super::error::{Exception, ServiceError};

const LETTERS_AND_DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A random version-4 UUID: what the SDKs send as ClientRequestToken, and the shape of a RotationToken.
///
/// # Errors
///
/// `InternalServiceError` if the operating system gives no randomness.
pub fn uuid() -> Result<String, ServiceError> {
    let mut bytes = random::<16>()?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    Ok(uuid_text(bytes))
}

/// The six characters that Secrets Manager appends to a secret's name in its ARN.
///
/// # Errors
///
/// As [`uuid`].
pub fn arn_suffix() -> Result<String, ServiceError> {
    // 256 is no multiple of 62, so some characters are slightly likelier: harmless in a name.
    Ok(random::<6>()?.iter().map(|byte| char::from(LETTERS_AND_DIGITS[usize::from(*byte) % LETTERS_AND_DIGITS.len()])).collect())
}

/// Sixteen bytes in the form 8-4-4-4-12.
pub(super) fn uuid_text(bytes: [u8; 16]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn random<const N: usize>() -> Result<[u8; N], ServiceError> {
    let mut bytes = [0; N];
    SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|_| ServiceError::new(Exception::InternalService, "the operating system gave no randomness"))?;
    Ok(bytes)
}
