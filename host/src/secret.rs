//! A secret value, as Secrets Manager stores it.
//!
//! Everything secret that this crate holds is a [`SecretValue`] or a [`SecretText`]. They print as `[redacted]`, are wiped when
//! dropped, and leave through one door each, named `expose`, so that every use is found by searching for that word.

use std::fmt;

use zeroize::Zeroizing;

/// The largest secret value that Secrets Manager stores, in bytes.
///
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>
pub const MAX_SECRET_BYTES: usize = 65_536;

/// A value of a secret version: text or bytes, kept in the kind in which it was stored.
///
/// Wiping covers this buffer only. Copies that the AWS SDK made and the memory of a plugin are out of reach.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretValue {
    /// What the API calls `SecretString`.
    Text(SecretText),
    /// What the API calls `SecretBinary`.
    Binary(SecretBytes),
}

impl SecretValue {
    /// A text value.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(SecretText::new(text))
    }

    /// A binary value.
    pub fn binary(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Binary(SecretBytes::new(bytes))
    }

    /// The value's bytes, whatever its kind. Each call site says why it must see them.
    pub fn expose_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.expose().as_bytes(),
            Self::Binary(bytes) => bytes.expose(),
        }
    }

    /// The text, if this is a text value.
    pub const fn as_text(&self) -> Option<&SecretText> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text([redacted])"),
            Self::Binary(_) => f.write_str("Binary([redacted])"),
        }
    }
}

/// Secret text: a `SecretString`, or one field of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The plain text. Each call site says why it must see it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Secret bytes: a `SecretBinary`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes the bytes over.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The plain bytes. Each call site says why it must see them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_a_value() {
        let shown = format!("{:?} {:?}", SecretValue::text("canary"), SecretValue::binary(*b"canary"));
        assert_eq!(shown, "Text([redacted]) Binary([redacted])");
    }
}
