//! The beginning of a connection: the server's greeting, and what a client answers.
//! Source: <https://mariadb.com/kb/en/connection/>

use windlass_sdk::Failure;

use crate::packet::{Fields, unreadable};
use crate::refusal::Refusal;

/// The client speaks MySQL's protocol. MariaDB's extensions are not needed.
const MYSQL: u32 = 1;
/// Errors carry an SQL state.
const PROTOCOL_41: u32 = 1 << 9;
/// TLS from the next packet on.
const TLS: u32 = 1 << 11;
/// Challenge and response.
const SECURE_CONNECTION: u32 = 1 << 15;
/// Authentication plugins, by their names.
const PLUGIN_AUTH: u32 = 1 << 19;
/// The server lets a client in whose password has expired, so that it can set a new one.
const EXPIRED_PASSWORDS: u32 = 1 << 22;

const NEEDED: u32 = PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH;
/// utf8mb4_general_ci. An account's name is compared in it.
const COLLATION: u8 = 45;
const MAX_PACKET: [u8; 4] = (1_u32 << 24).to_le_bytes();

/// What the server says first.
pub struct Greeting {
    capabilities: u32,
    /// The challenge for the authentication plugin that is tried first.
    pub challenge: [u8; 20],
}

impl Greeting {
    /// Reads the first packet.
    pub fn read(packet: &[u8]) -> Result<Self, Failure> {
        if let Some(refusal) = Refusal::read(packet) {
            return Err(refusal.failure("the connection"));
        }
        let mut fields = Fields(packet);
        let [version] = fields.bytes()?;
        if version != 10 {
            return Err(unreadable());
        }
        fields.text(); // the server's version: a proxy may say another one
        let [_, _, _, _] = fields.bytes()?; // number of the connection
        let first: [u8; 8] = fields.bytes()?;
        let [_, low, high] = fields.bytes()?;
        let [_, _, _, third, fourth] = fields.bytes()?; // collation and status come before them
        let capabilities = u32::from_le_bytes([low, high, third, fourth]);
        if capabilities & NEEDED != NEEDED {
            return Err(Failure::unsupported("the server's protocol is too old: MariaDB 10.4 or later is needed"));
        }
        fields.take(11)?; // length of the challenge, and what MariaDB says of its extensions
        let second: [u8; 12] = fields.bytes()?;
        let mut challenge = [0; 20];
        challenge[..8].copy_from_slice(&first);
        challenge[8..].copy_from_slice(&second);
        Ok(Self { capabilities, challenge })
    }

    /// The packet after which TLS begins.
    pub fn tls_request(&self) -> Result<Vec<u8>, Failure> {
        if self.capabilities & TLS == 0 {
            return Err(Failure::unsupported("the server offers no TLS; `\"tls\": false` in the secret goes without"));
        }
        Ok(self.head(TLS))
    }

    /// The packet that names the account and answers the challenge for the authentication plugin of this name.
    pub fn login(&self, encrypted: bool, username: &str, plugin: &str, answer: &[u8; 20]) -> Vec<u8> {
        let mut packet = self.head(if encrypted { TLS } else { 0 });
        packet.extend_from_slice(username.as_bytes());
        packet.extend_from_slice(&[0, 20]);
        packet.extend_from_slice(answer);
        packet.extend_from_slice(plugin.as_bytes());
        packet.push(0);
        packet
    }

    fn head(&self, tls: u32) -> Vec<u8> {
        let capabilities = MYSQL | NEEDED | tls | (self.capabilities & EXPIRED_PASSWORDS);
        let mut packet = capabilities.to_le_bytes().to_vec();
        packet.extend_from_slice(&MAX_PACKET);
        packet.push(COLLATION);
        packet.extend_from_slice(&[0; 23]);
        packet
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use windlass_sdk::Cause;

    use super::*;

    /// What MariaDB 10.11 sends, but for the challenge.
    pub(crate) const GREETING: &[u8] = b"\x0a5.5.5-10.11.19-MariaDB\0\x05\0\0\0abcdefgh\0\xfe\xff\x08\x02\0\xff\x81\
        \x15\0\0\0\0\0\0\x1d\0\0\0ijklmnopqrst\0mysql_native_password\0";
    /// Where the two halves of the capabilities are in it.
    const CAPABILITIES: [usize; 2] = [37, 42];

    #[test]
    fn the_greeting_of_a_server_is_read() {
        let greeting = Greeting::read(GREETING).unwrap();
        assert_eq!(&greeting.challenge, b"abcdefghijklmnopqrst");
        let request = greeting.tls_request().unwrap();
        assert_eq!(request.len(), 32);
        assert_eq!(request[..4], (MYSQL | NEEDED | TLS | EXPIRED_PASSWORDS).to_le_bytes());
        let login = greeting.login(true, "app", "mysql_native_password", &[7; 20]);
        assert_eq!(login[..32], request[..]);
        assert_eq!(login[32..], [b"app\0\x14".as_slice(), &[7; 20], b"mysql_native_password\0"].concat());
        assert_eq!(greeting.login(false, "", "", &[0; 20])[1] & 8, 0);
    }

    #[test]
    fn a_server_without_tls_gets_no_name() {
        let mut packet = GREETING.to_vec();
        packet[CAPABILITIES[0] + 1] &= !8;
        let failure = Greeting::read(&packet).unwrap().tls_request().unwrap_err();
        assert_eq!(failure.cause(), Cause::Unsupported);
    }

    #[test]
    fn what_is_too_old_or_something_else_is_named() {
        let old = [&GREETING[..CAPABILITIES[1]], &[0, 0], &GREETING[CAPABILITIES[1] + 2..]].concat();
        let table = [
            (old.as_slice(), Cause::Unsupported),
            (b"\xff\x10\x04Too many connections", Cause::RateLimited),
            (b"\xff\x6a\x04Host '10.0.0.1' is not allowed to connect to this MariaDB server", Cause::Unreachable),
            (b"\x09old", Cause::Internal),
            (b"220 mail.example ESMTP", Cause::Internal),
        ];
        for (packet, cause) in table {
            assert_eq!(Greeting::read(packet).map(drop).unwrap_err().cause(), cause);
        }
    }

    #[test]
    fn a_greeting_that_is_cut_off_anywhere_is_no_panic() {
        for end in 0..GREETING.len() {
            let _ = Greeting::read(&GREETING[..end]);
        }
    }
}
