//! SCRAM-SHA-256: the client's side of a login, and the verifier that a server stores.
//!
//! Sources: <https://www.rfc-editor.org/rfc/rfc5802>, <https://www.rfc-editor.org/rfc/rfc7677>,
//! <https://www.postgresql.org/docs/current/sasl-authentication.html>, and for the verifier's form
//! <https://www.postgresql.org/docs/current/catalog-pg-authid.html>.

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use windlass_sdk::Failure;
use windlass_sdk::text::{decimal, joined};

use crate::message::unreadable;

/// The mechanism's name in the protocol.
pub const MECHANISM: &str = "SCRAM-SHA-256";
/// No channel binding, for the host keeps the certificate to itself; no other identity. In base64 as the second message repeats it.
const GS2_HEADER: &str = "n,,";
const GS2_HEADER_BASE64: &str = "biws";
/// What PostgreSQL itself uses unless told otherwise. More would add nothing to a password with the entropy of a key.
const ITERATIONS: u32 = 4096;
/// The most that a server may ask for: some seconds of work.
const MAX_ITERATIONS: u32 = 1_000_000;

/// The first half of a login: the client has named its nonce.
pub struct Opening {
    /// The client's first message without its header.
    bare: String,
    nonce: String,
}

/// The second half: the client has proven that it knows the password, and the server has to prove the same.
pub struct Proof {
    expected: Hmac<Sha256>,
}

impl Opening {
    /// Begins with a nonce made of these random bytes.
    pub fn new(random: &[u8; 18]) -> Self {
        let nonce = Base64::encode_string(random);
        // PostgreSQL takes the user from the startup message and ignores the one here.
        Self { bare: joined(&["n=,r=", &nonce]), nonce }
    }

    /// The client's first message.
    pub fn message(&self) -> String {
        joined(&[GS2_HEADER, &self.bare])
    }

    /// Answers the server's first message with the client's last one.
    pub fn answer(&self, server: &[u8], password: &str) -> Result<(String, Proof), Failure> {
        let server = std::str::from_utf8(server).map_err(|_| unreadable())?;
        let (nonce, salt, iterations) = challenge(server).ok_or_else(unreadable)?;
        if nonce.strip_prefix(&self.nonce).is_none_or(str::is_empty) {
            return Err(Failure::internal("the server answers the login with a nonce that is not of this login"));
        }
        if iterations > MAX_ITERATIONS {
            return Err(Failure::unsupported("the server asks for more than 1,000,000 iterations of its password hash"));
        }
        let keys = Keys::derive(password, &salt, iterations);
        let last = joined(&["c=", GS2_HEADER_BASE64, ",r=", nonce]);
        let signed = joined(&[&self.bare, ",", server, ",", &last]);
        let signature = mac(&keys.stored, &[signed.as_bytes()]);
        let mut proof = keys.client;
        proof.iter_mut().zip(signature).for_each(|(key, signature)| *key ^= signature);
        let expected = keyed(&keys.server).chain_update(signed);
        Ok((joined(&[&last, ",p=", &Base64::encode_string(&proof)]), Proof { expected }))
    }
}

impl Proof {
    /// Checks the server's last message: only one that knows the password's verifier can sign.
    pub fn check(self, server: &[u8]) -> Result<(), Failure> {
        let signature = std::str::from_utf8(server).ok().and_then(|text| text.strip_prefix("v=")).ok_or_else(unreadable)?;
        let signature = signature.split(',').next().and_then(|text| Base64::decode_vec(text).ok()).ok_or_else(unreadable)?;
        self.expected.verify_slice(&signature).map_err(|_| {
            Failure::internal("the server accepts the password and cannot show that it knows it: something stands in between")
        })
    }
}

/// What the server stores so that it can check a password that it does not know.
pub fn verifier(password: &str, salt: &[u8; 16]) -> String {
    let keys = Keys::derive(password, salt, ITERATIONS);
    let [salt, stored, server] = [salt.as_slice(), &keys.stored, &keys.server].map(Base64::encode_string);
    joined(&[MECHANISM, "$", &decimal(ITERATIONS as usize), ":", &salt, "$", &stored, ":", &server])
}

/// Nonce, salt and iterations of the server's first message. Extensions follow behind them; one before them is mandatory, and
/// there is none that this client knows.
fn challenge(message: &str) -> Option<(&str, Vec<u8>, u32)> {
    let mut attributes = message.split(',');
    let nonce = attributes.next()?.strip_prefix("r=")?;
    let salt = Base64::decode_vec(attributes.next()?.strip_prefix("s=")?).ok().filter(|salt| !salt.is_empty())?;
    let iterations = attributes.next()?.strip_prefix("i=")?;
    let iterations = iterations.parse().ok().filter(|number| *number > 0 && !iterations.starts_with('+'))?;
    Some((nonce, salt, iterations))
}

struct Keys {
    client: [u8; 32],
    stored: [u8; 32],
    server: [u8; 32],
}

impl Keys {
    fn derive(password: &str, salt: &[u8], iterations: u32) -> Self {
        let salted = salted(password, salt, iterations);
        let client = mac(&salted, &[b"Client Key"]);
        Self { client, stored: Sha256::digest(client).into(), server: mac(&salted, &[b"Server Key"]) }
    }
}

/// The function `Hi` of RFC 5802, which is PBKDF2 with an output of one block.
fn salted(password: &str, salt: &[u8], iterations: u32) -> [u8; 32] {
    let keyed = keyed(password.as_bytes());
    let mut block: [u8; 32] = keyed.clone().chain_update(salt).chain_update(1_u32.to_be_bytes()).finalize().into_bytes().into();
    let mut sum = block;
    for _ in 1..iterations {
        block = keyed.clone().chain_update(block).finalize().into_bytes().into();
        sum.iter_mut().zip(block).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    parts.iter().fold(keyed(key), |mac, part| mac.chain_update(part)).finalize().into_bytes().into()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use windlass_sdk::Cause;

    use super::*;

    // The exchange of RFC 7677, section 3. PostgreSQL's clients leave the name out; the RFC's has one.
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const CLIENT: &str =
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const SIGNATURE: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn opening() -> Opening {
        Opening { bare: ["n=user,r=", NONCE].concat(), nonce: NONCE.to_owned() }
    }

    #[test]
    fn the_example_of_rfc_7677_is_met() {
        let (message, proof) = opening().answer(SERVER.as_bytes(), "pencil").unwrap();
        assert_eq!(message, CLIENT);
        assert_eq!(proof.check(SIGNATURE.as_bytes()), Ok(()));
    }

    #[test]
    fn the_first_message_has_a_nonce_of_its_own() {
        assert_eq!(Opening::new(&[0; 18]).message(), "n,,n=,r=AAAAAAAAAAAAAAAAAAAAAAAA");
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_found_out() {
        for (signature, cause) in [
            ("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", Cause::Internal),
            ("v=6rriTRBi23WpRR/wtup+", Cause::Internal),
            ("v=", Cause::Internal),
            ("v=%", Cause::Internal),
            ("e=invalid-proof", Cause::Internal),
            ("", Cause::Internal),
        ] {
            let (_, proof) = opening().answer(SERVER.as_bytes(), "pencil").unwrap();
            assert_eq!(proof.check(signature.as_bytes()).unwrap_err().cause(), cause, "{signature}");
        }
    }

    #[test]
    fn a_challenge_that_is_none_is_refused() {
        for (server, cause) in [
            ("", Cause::Internal),
            ("r=rOprNGfwEbeRWgbNEkqO,s=W22Z,i=4096", Cause::Internal),
            ("r=another,s=W22Z,i=4096", Cause::Internal),
            ("m=x,r=rOprNGfwEbeRWgbNEkqO1,s=W22Z,i=4096", Cause::Internal),
            ("r=rOprNGfwEbeRWgbNEkqO1,s=,i=4096", Cause::Internal),
            ("r=rOprNGfwEbeRWgbNEkqO1,s=W22,i=4096", Cause::Internal),
            ("r=rOprNGfwEbeRWgbNEkqO1,s=W22Z", Cause::Internal),
            ("r=rOprNGfwEbeRWgbNEkqO1,s=W22Z,i=0", Cause::Internal),
            ("r=rOprNGfwEbeRWgbNEkqO1,s=W22Z,i=-1", Cause::Internal),
            ("r=rOprNGfwEbeRWgbNEkqO1,s=W22Z,i=+1", Cause::Internal),
            ("r=rOprNGfwEbeRWgbNEkqO1,s=W22Z,i=4294967296", Cause::Internal),
            ("r=rOprNGfwEbeRWgbNEkqO1,s=W22Z,i=1000001", Cause::Unsupported),
            ("r=rOprNGfwEbeRWgbNEkqO1,s=W22Z,i=1,x=unknown", Cause::Internal),
        ] {
            match opening().answer(server.as_bytes(), "pencil") {
                Err(failure) => assert_eq!(failure.cause(), cause, "{server}"),
                Ok(_) => assert!(server.ends_with("x=unknown"), "{server}"),
            }
        }
        assert!(opening().answer(b"r=\xff", "pencil").is_err());
    }

    #[test]
    fn no_challenge_panics() {
        for end in 0..SERVER.len() {
            for change in [b"".as_slice(), b",", b"=", b"\xff", b"i=0"] {
                let server = [&SERVER.as_bytes()[..end], change].concat();
                if let Ok((_, proof)) = opening().answer(&server, "") {
                    assert!(proof.check(&server).is_err());
                }
            }
        }
    }

    #[test]
    fn the_verifier_is_the_one_that_postgresql_makes() {
        // From `pg_authid` of PostgreSQL 15.18, after `CREATE ROLE … PASSWORD` with the plain password.
        let table = [
            (
                "pencil",
                "SCRAM-SHA-256$4096:flclvoxf71DzSBkloLQonw==$C3h5g6wQLHshq9FzBevHxVv9PXg66etrJ6tU4RYctQQ=:j/GXn0mwxLfrrwHAwalQqJ9k1NIyWMuTfDIY0/VEHsk=",
            ),
            (
                "pässwörd",
                "SCRAM-SHA-256$4096:h3n8CHNQctCssDRyhNbZ1w==$+wMfBHZl7LprC8we+U/OoA+3+A6vW2fKgwJUEJYQfRo=:V1cN34EaehZBze2lev3fNjKcmdd1SBdwFPHarimex/c=",
            ),
        ];
        for (password, made) in table {
            let salt = Base64::decode_vec(&made[19..43]).unwrap();
            assert_eq!(verifier(password, &salt.try_into().unwrap()), made);
        }
    }
}
