//! Code for this machine: made by our compiler just now, or ahead of time and proved to be.
//!
//! `Code` is the one door to native code. Whatever makes one stands below this module, and says there why the bytes may be run.

pub mod compiler;
pub mod envelope;
pub mod policy;
pub(crate) mod scratch;

/// Code for this machine that may be run, because it comes from our own compiler.
///
/// There is no way to make one of bytes from elsewhere: loading them would run whatever they are. It is made of what the compiler
/// returned ([`compiler`]), of an envelope that the operator's configuration proves authentic ([`envelope`]), and of what this very
/// process has put into its scratch space ([`scratch`]).
pub(crate) struct Code {
    bytes: Vec<u8>,
    /// Where the code begins: what stands before it has been read.
    start: usize,
}

impl Code {
    /// What the compiler of this deployment returned just now.
    fn compiled(bytes: Vec<u8>) -> Self {
        Self { bytes, start: 0 }
    }

    /// The code's bytes, for loading.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}
