//! A stream for tests that has all its answers already.

use std::io::{Cursor, Read, Result, Write};

/// Answers with what it was made of, and keeps what it is told.
pub struct Script {
    answers: Cursor<Vec<u8>>,
    /// What was written so far.
    pub written: Vec<u8>,
}

impl Script {
    /// A stream of these bytes.
    pub fn new(answers: impl Into<Vec<u8>>) -> Self {
        Self { answers: Cursor::new(answers.into()), written: Vec::new() }
    }

    /// A stream of these packets, each with its number.
    pub fn of_packets<'a>(packets: impl IntoIterator<Item = (u8, &'a [u8])>) -> Self {
        let framed = packets.into_iter().map(|(number, payload)| {
            let [low, high] = u16::try_from(payload.len()).unwrap().to_le_bytes();
            [&[low, high, 0, number], payload].concat()
        });
        Self::new(framed.collect::<Vec<_>>().concat())
    }
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.answers.read(buffer)
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.written.write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
