//! Code that this process has compiled, kept outside of its memory: files without a name in the scratch space of the function, `/tmp`.
//!
//! Memory keeps few plugins, and compiling one again takes a hundred times as long as reading it. The files have no name, so they end
//! with the process and nobody finds them by one; whoever gets hold of them all the same (an extension of the function runs as the same
//! user) cannot change them unseen, because a code with a key that only this process knows stands for every byte.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use ring::hmac;
use ring::rand::SystemRandom;

use super::Code;
use crate::plugin::digest::Digest;

/// How much is kept, in bytes: half of the 512 MB that a function has unless it asks for more.
const MAX_BYTES: u64 = 256 << 20;

/// How many files are kept open. A Lambda process may have 1,024.
const MAX_FILES: usize = 256;

/// The scratch space of this process.
pub(crate) struct Scratch {
    folder: PathBuf,
    key: hmac::Key,
    /// The one used last stands last.
    files: Mutex<Vec<Kept>>,
}

struct Kept {
    wasm: Digest,
    file: File,
    bytes: u64,
}

impl Scratch {
    /// Nothing yet, in `folder`. Nothing if this machine has no randomness, without which there is no key.
    pub(crate) fn new(folder: PathBuf) -> Option<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok()?;
        Some(Self { folder, key, files: Mutex::new(Vec::new()) })
    }

    /// Keeps the code of this component, instead of what was used least if there is no room.
    ///
    /// # Errors
    ///
    /// The scratch space does not take it.
    pub(crate) fn keep(&self, wasm: Digest, code: &Code) -> io::Result<()> {
        let mut file = nameless(&self.folder)?;
        file.write_all(self.sign(wasm, code.bytes()).as_ref())?;
        file.write_all(code.bytes())?;
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|kept| kept.wasm != wasm);
        files.push(Kept { wasm, file, bytes: code.bytes().len() as u64 });
        let mut bytes: u64 = files.iter().map(|kept| kept.bytes).sum();
        while bytes > MAX_BYTES || files.len() > MAX_FILES {
            bytes -= files.remove(0).bytes;
        }
        Ok(())
    }

    /// The code of this component, if it is kept. What was changed is not there.
    pub(crate) fn recall(&self, wasm: Digest) -> Option<Code> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let place = files.iter().position(|kept| kept.wasm == wasm)?;
        let mut kept = files.remove(place);
        let mut bytes = Vec::new();
        kept.file.seek(SeekFrom::Start(0)).ok()?;
        kept.file.read_to_end(&mut bytes).ok()?;
        let (tag, code) = bytes.split_at_checked(hmac::HMAC_SHA256.digest_algorithm().output_len())?;
        hmac::verify(&self.key, &self.signed(wasm, code), tag).ok()?;
        files.push(kept);
        Some(Code { start: tag.len(), bytes })
    }

    fn sign(&self, wasm: Digest, code: &[u8]) -> hmac::Tag {
        hmac::sign(&self.key, &self.signed(wasm, code))
    }

    /// What stands for the code, and for what it is the code of.
    fn signed(&self, wasm: Digest, code: &[u8]) -> Vec<u8> {
        format!("{wasm} {}", Digest::of(code)).into_bytes()
    }
}

/// A file in `folder` that nobody else can open by a name, because it has none, or has none any more.
fn nameless(folder: &std::path::Path) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::EXCL | OFlags::CLOEXEC;
        if let Ok(file) = rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR) {
            return Ok(file.into());
        }
    }
    // Not every file system has files without a name.
    let mut random = [0; 16];
    ring::rand::SecureRandom::fill(&SystemRandom::new(), &mut random).map_err(|_| io::Error::other("no randomness"))?;
    let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = folder.join(format!("windlass-code-{name}"));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test is meant to panic, in its helpers too")]

    use super::*;

    fn code(bytes: &[u8]) -> Code {
        Code::compiled(bytes.to_vec())
    }

    fn wasm(number: u8) -> Digest {
        Digest::of(&[number])
    }

    fn recalled(scratch: &Scratch, wasm: Digest) -> Option<Vec<u8>> {
        scratch.recall(wasm).map(|code| code.bytes().to_vec())
    }

    #[test]
    fn gives_back_what_it_was_given_again_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(folder.path().to_owned()).unwrap();
        scratch.keep(wasm(1), &code(b"one")).unwrap();
        scratch.keep(wasm(2), &code(b"two")).unwrap();
        scratch.keep(wasm(1), &code(b"one again")).unwrap();
        for _ in 0..2 {
            assert_eq!(recalled(&scratch, wasm(1)).unwrap(), b"one again");
            assert_eq!(recalled(&scratch, wasm(2)).unwrap(), b"two");
        }
        assert_eq!(recalled(&scratch, wasm(3)), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the files have names");
    }

    #[test]
    fn what_was_changed_is_not_there() {
        type Change = fn(&mut File) -> io::Result<()>;
        let changes: [(&str, Change); 4] = [
            ("a byte of the code", |file| {
                file.seek(SeekFrom::Start(33))?;
                file.write_all(b"X")
            }),
            ("a byte of the tag", |file| {
                file.seek(SeekFrom::Start(0))?;
                file.write_all(b"X")
            }),
            ("cut off", |file| file.set_len(34)),
            ("emptied", |file| file.set_len(0)),
        ];
        let folder = tempfile::tempdir().unwrap();
        for (what, change) in changes {
            let scratch = Scratch::new(folder.path().to_owned()).unwrap();
            scratch.keep(wasm(1), &code(b"one")).unwrap();
            change(&mut scratch.files.lock().unwrap()[0].file).unwrap();
            assert_eq!(recalled(&scratch, wasm(1)), None, "{what}");
        }
    }

    #[test]
    fn the_code_of_one_component_is_not_that_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(folder.path().to_owned()).unwrap();
        scratch.keep(wasm(1), &code(b"one")).unwrap();
        scratch.files.lock().unwrap()[0].wasm = wasm(2);
        assert_eq!(recalled(&scratch, wasm(2)), None);
    }

    #[test]
    fn what_another_process_has_kept_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let (scratch, other) = (Scratch::new(folder.path().to_owned()).unwrap(), Scratch::new(folder.path().to_owned()).unwrap());
        other.keep(wasm(1), &code(b"one")).unwrap();
        scratch.files.lock().unwrap().append(&mut other.files.lock().unwrap());
        assert_eq!(recalled(&scratch, wasm(1)), None);
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(folder.path().to_owned()).unwrap();
        for number in 0..=255 {
            scratch.keep(wasm(number), &code(&[number])).unwrap();
        }
        assert!(recalled(&scratch, wasm(0)).is_some());
        scratch.keep(Digest::of(b"one more"), &code(b"one more")).unwrap();
        assert!(recalled(&scratch, wasm(0)).is_some());
        assert!(recalled(&scratch, wasm(1)).is_none());
    }
}
