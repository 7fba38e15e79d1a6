//! Packets and the fields in them. Source: <https://mariadb.com/kb/en/0-packet/> and
//! <https://mariadb.com/kb/en/protocol-data-types/>

use std::io::{Read, Write};

use windlass_sdk::Failure;

/// Longest packet that is read, in bytes. Greetings, answers to a login and errors are far shorter.
const MAX_PACKET: usize = 16_384;

/// The stream, cut into packets that each side numbers.
///
/// It reads no byte beyond the packet that is asked for: what somebody put between the greeting and the start of TLS is then not
/// taken for the server's.
pub struct Packets<S: Read + Write> {
    stream: S,
    sequence: u8,
}

impl<S: Read + Write> Packets<S> {
    /// Cuts this stream.
    pub const fn new(stream: S) -> Self {
        Self { stream, sequence: 0 }
    }

    /// The stream itself.
    pub const fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Begins a command: the numbers start again.
    pub const fn begin(&mut self) {
        self.sequence = 0;
    }

    /// Sends a packet. The longest field of a secret is shorter than what its three bytes of length can say.
    pub fn send(&mut self, payload: &[u8]) -> Result<(), Failure> {
        let Some([low, middle, high, 0]) = u32::try_from(payload.len()).ok().map(u32::to_le_bytes) else {
            return Err(Failure::malformed_secret("a field of the secret is too long"));
        };
        let packet = [&[low, middle, high, self.sequence], payload].concat();
        self.sequence = self.sequence.wrapping_add(1);
        Ok(self.stream.write_all(&packet)?)
    }

    /// Waits for the next packet.
    pub fn receive(&mut self) -> Result<Vec<u8>, Failure> {
        let mut header = [0; 4];
        self.stream.read_exact(&mut header)?;
        let [low, middle, high, sequence] = header;
        let length = u32::from_le_bytes([low, middle, high, 0]) as usize;
        if sequence != self.sequence || length == 0 || length > MAX_PACKET {
            return Err(unreadable());
        }
        self.sequence = self.sequence.wrapping_add(1);
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        Ok(payload)
    }
}

/// What is left of a packet.
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// The next `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Failure> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or_else(unreadable)?;
        self.0 = rest;
        Ok(*bytes)
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Failure> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or_else(unreadable)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// What comes before the next zero byte, or all of it: some servers leave out the last one.
    pub fn text(&mut self) -> &'a [u8] {
        let mut parts = self.0.splitn(2, |byte| *byte == 0);
        let text = parts.next().unwrap_or_default();
        self.0 = parts.next().unwrap_or_default();
        text
    }
}

/// Whatever the server sent, it was not what the protocol has here.
pub fn unreadable() -> Failure {
    Failure::internal("the server's answer is not MariaDB's protocol, or too long: is this port MariaDB?")
}

#[cfg(test)]
mod tests {
    use windlass_sdk::{Cause, Effect};

    use super::*;
    use crate::script::Script;

    #[test]
    fn packets_are_numbered_from_both_sides() {
        let mut packets = Packets::new(Script::new([1, 0, 0, 0, 7, 2, 0, 0, 2, 8, 9]));
        assert_eq!(packets.receive(), Ok(vec![7]));
        packets.send(&[5, 6]).unwrap();
        assert_eq!(packets.receive(), Ok(vec![8, 9]));
        packets.begin();
        packets.send(&[1]).unwrap();
        assert_eq!(packets.stream().written, [2, 0, 0, 1, 5, 6, 1, 0, 0, 0, 1]);
    }

    #[test]
    fn a_packet_that_is_out_of_order_empty_or_too_long_is_not_read() {
        for header in [[1, 0, 0, 1], [0, 0, 0, 0], [1, 0x40, 0, 0], [0xff, 0xff, 0xff, 0], *b"HTTP", *b"SSH-"] {
            let mut packets = Packets::new(Script::new(header));
            assert_eq!(packets.receive(), Err(unreadable()));
        }
    }

    #[test]
    fn a_packet_that_is_cut_off_leaves_the_effect_unknown() {
        for bytes in [[].as_slice(), &[5, 0, 0], &[5, 0, 0, 0, 1]] {
            let failure = Packets::new(Script::new(bytes)).receive().unwrap_err();
            assert_eq!((failure.cause(), failure.effect()), (Cause::Unreachable, Effect::Unknown));
        }
    }

    #[test]
    fn what_no_packet_can_hold_is_not_sent() {
        let failure = Packets::new(Script::new([])).send(&vec![0; 1 << 24]).unwrap_err();
        assert_eq!((failure.cause(), failure.effect()), (Cause::MalformedSecret, Effect::Unchanged));
    }

    #[test]
    fn fields_end_where_the_packet_ends() {
        let mut fields = Fields(b"ab\0cd");
        assert_eq!(fields.text(), b"ab");
        assert_eq!(fields.take(3), Err(unreadable()));
        assert_eq!(fields.bytes(), Ok([b'c']));
        assert_eq!(fields.text(), b"d");
        assert_eq!(fields.text(), b"");
        assert_eq!(fields.bytes::<1>(), Err(unreadable()));
    }
}
