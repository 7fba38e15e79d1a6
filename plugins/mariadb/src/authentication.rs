//! The two ways to prove a password without sending it, and what the server stores of it.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use sha1::Sha1;
use sha2::{Digest, Sha512};

/// `mysql_native_password`: SHA-1. Source: <https://mariadb.com/kb/en/connection/#mysql_native_password-plugin>
pub mod native {
    use super::{Digest, Sha1};

    /// The server's name for it.
    pub const NAME: &str = "mysql_native_password";

    /// What answers this challenge.
    pub fn answer(password: &[u8], challenge: &[u8; 20]) -> [u8; 20] {
        let once = Sha1::digest(password);
        let mask = Sha1::new().chain_update(challenge).chain_update(Sha1::digest(once)).finalize();
        std::array::from_fn(|at| once[at] ^ mask[at])
    }

    /// What the server stores.
    pub fn stored(password: &[u8]) -> String {
        let mut stored = "*".to_owned();
        for byte in Sha1::digest(Sha1::digest(password)) {
            for half in [byte >> 4, byte & 15] {
                stored.push(char::from(b"0123456789ABCDEF"[usize::from(half)]));
            }
        }
        stored
    }
}

/// `ed25519`: a signature whose secret key is the password. Source: <https://mariadb.com/kb/en/connection/#client_ed25519-plugin>,
/// and RFC 8032, section 5.1.6, where the key's digest is that of a password of any length.
pub mod ed25519 {
    use super::{Digest, EdwardsPoint, Scalar, Sha512, clamp_integer};

    /// The client's name for it, by which the server asks for it.
    pub const NAME: &str = "client_ed25519";

    const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    /// What answers this challenge.
    pub fn answer(password: &[u8], challenge: &[u8; 32]) -> [u8; 64] {
        let (secret, prefix) = keys(password);
        let nonce = scalar(Sha512::new().chain_update(prefix).chain_update(challenge));
        let commitment = EdwardsPoint::mul_base(&nonce).compress();
        let public = EdwardsPoint::mul_base(&secret).compress();
        let digest = Sha512::new().chain_update(commitment.as_bytes()).chain_update(public.as_bytes()).chain_update(challenge);
        let proof = nonce + scalar(digest) * secret;
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(commitment.as_bytes());
        signature[32..].copy_from_slice(proof.as_bytes());
        signature
    }

    /// What the server stores: the public key in base64, without padding.
    pub fn stored(password: &[u8]) -> String {
        let public = EdwardsPoint::mul_base(&keys(password).0).compress();
        let mut stored = String::with_capacity(43);
        for group in public.as_bytes().chunks(3) {
            let bits = group.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - group.len()));
            for place in 0..=group.len() {
                stored.push(char::from(BASE64[bits >> (18 - 6 * place) & 63]));
            }
        }
        stored
    }

    /// The secret scalar, and what makes nonces unpredictable.
    fn keys(password: &[u8]) -> (Scalar, [u8; 32]) {
        let digest = Sha512::digest(password);
        let (mut secret, mut prefix) = ([0; 32], [0; 32]);
        secret.copy_from_slice(&digest[..32]);
        prefix.copy_from_slice(&digest[32..]);
        (Scalar::from_bytes_mod_order(clamp_integer(secret)), prefix)
    }

    fn scalar(digest: Sha512) -> Scalar {
        Scalar::from_bytes_mod_order_wide(&digest.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by MariaDB 10.11, from `SELECT PASSWORD('new')` and `CREATE USER … IDENTIFIED VIA ed25519 USING PASSWORD('new')`.
    #[test]
    fn stored_forms_are_those_of_the_server() {
        assert_eq!(native::stored(b"new"), "*6FE2B845E049CDA9EFED8CFAF265CD29622FD852");
        assert_eq!(ed25519::stored(b"new"), "2Myhib04x6YbkKFUPRi2sDYC70U9V12xITjrzW+EOtY");
    }

    /// Computed with Python's hashlib.
    #[test]
    fn the_native_answer_is_a_masked_digest() {
        let challenge = std::array::from_fn(|at| at as u8 + 1);
        assert_eq!(hexadecimal(&native::answer(b"old", &challenge)), "9be785fb5cbda81ed8e4accbe6880bd2ab161ae4");
    }

    /// A password of 32 bytes is an ordinary ed25519 key: the signature is OpenSSL's.
    #[test]
    fn the_ed25519_answer_is_a_signature() {
        let password = b"0123456789abcdef0123456789abcdef";
        let challenge = std::array::from_fn(|at| at as u8);
        assert_eq!(
            hexadecimal(&ed25519::answer(password, &challenge)),
            "35f8279abc453a33d152e79ba89692fd5829db9bc1fffb946b95f893166be180\
             12597112063bd06ce3e3519d7f9faeeb1357587dd75124486f83cd6a8b71b00c"
        );
        assert_eq!(ed25519::stored(password), "I7xUkSwebpLEqGglyGfif/3FVb/71CRPF6Jqv//ull0");
    }

    fn hexadecimal(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
