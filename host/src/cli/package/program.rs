//! Whether a program runs in Lambda: its machine, the C library that it needs, and the engine that it holds.

use crate::plugin::engine::{CODE_VERSION, Target};

/// The C library of `provided.al2023`, as the minor number of glibc 2.
///
/// Source: <https://docs.aws.amazon.com/linux/al2023/ug/glibc-gcc-and-binutils.html>
const GLIBC: u32 = 34;

/// Why a program would not run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// It is for another machine.
    #[error("is no program for Lambda on {}: {found}. Build it for that machine, or choose it with --target", target.name())]
    OtherMachine {
        /// The machine that was asked for.
        target: Target,
        /// What the program is.
        found: String,
    },
    /// It was built on a system that is newer than Lambda's.
    #[error(
        "needs glibc 2.{needed}, and Lambda's provided.al2023 has 2.{GLIBC}. Build it on Debian 12, Amazon Linux 2023 or another system \
         with that version or an older one"
    )]
    NewerGlibc {
        /// The minor version that it needs.
        needed: u32,
    },
    /// It is from another release.
    #[error(
        "was not built with the engine `{CODE_VERSION}` of this `windlass`, so it would not run the code that is compiled here. Build \
         both from the same source"
    )]
    OtherEngine,
}

/// Checks a program for a machine, whose code is compiled here.
///
/// Source of the header: <https://gabi.xinuos.com/elf/02-eheader.html>
///
/// # Errors
///
/// [`ProgramError`].
pub(super) fn check(bytes: &[u8], target: Target) -> Result<(), ProgramError> {
    let machine = bytes.get(18..20).map(|machine| u16::from_le_bytes([machine[0], machine[1]]));
    let found = match (bytes.starts_with(b"\x7fELF\x02\x01"), machine, target) {
        (true, Some(62), Target::X86_64) | (true, Some(183), Target::Aarch64) => None,
        (true, Some(62), _) => Some("it is one for x86_64".to_owned()),
        (true, Some(183), _) => Some("it is one for aarch64".to_owned()),
        (true, Some(other), _) => Some(format!("it is one for ELF machine {other}")),
        (false, ..) | (true, None, _) => Some("it is no 64-bit program for Linux".to_owned()),
    };
    if let Some(found) = found {
        return Err(ProgramError::OtherMachine { target, found });
    }
    if let Some(needed) = glibc(bytes).filter(|needed| *needed > GLIBC) {
        return Err(ProgramError::NewerGlibc { needed });
    }
    let version = CODE_VERSION.as_bytes();
    if bytes.windows(version.len()).any(|window| window == version) { Ok(()) } else { Err(ProgramError::OtherEngine) }
}

/// The newest glibc that the program names, as a minor number. The names of versions stand in the table of strings, a zero byte before and
/// behind each.
fn glibc(bytes: &[u8]) -> Option<u32> {
    const NAME: &[u8] = b"\0GLIBC_2.";
    let minor = |at: usize| {
        let rest = bytes.get(at + NAME.len()..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        // Of 2.3.4 the 3 counts.
        std::str::from_utf8(&rest[..end]).ok()?.split('.').next()?.parse().ok()
    };
    let places = bytes.windows(NAME.len()).enumerate().filter(|(_, window)| *window == NAME);
    places.filter_map(|(at, _)| minor(at)).max()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn elf(class: u8, machine: u8, text: &str) -> Vec<u8> {
        let mut bytes = b"\x7fELF".to_vec();
        bytes.extend([class, 1]);
        bytes.resize(18, 0);
        bytes.extend([machine, 0]);
        bytes.extend(text.as_bytes());
        bytes
    }

    /// A program that names these versions of glibc.
    fn needing(versions: &str) -> Vec<u8> {
        elf(2, 62, &format!("\0{versions}\0{CODE_VERSION}"))
    }

    #[rstest]
    #[case::right(elf(2, 62, CODE_VERSION), Target::X86_64, None)]
    #[case::right_on_arm(elf(2, 183, CODE_VERSION), Target::Aarch64, None)]
    #[case::other_machine(
        elf(2, 183, CODE_VERSION),
        Target::X86_64,
        Some("no program for Lambda on x86_64: it is one for aarch64")
    )]
    #[case::small_machine(elf(1, 62, CODE_VERSION), Target::X86_64, Some("it is no 64-bit program"))]
    #[case::script(b"#!/bin/sh\necho no\n".to_vec(), Target::X86_64, Some("it is no 64-bit program"))]
    #[case::nothing(Vec::new(), Target::X86_64, Some("it is no 64-bit program"))]
    #[case::lambdas_glibc(needing("GLIBC_2.2.5\0GLIBC_2.34"), Target::X86_64, None)]
    #[case::newer_glibc(
        needing("GLIBC_2.38\0GLIBC_2.4"),
        Target::X86_64,
        Some("needs glibc 2.38, and Lambda's provided.al2023 has 2.34")
    )]
    #[case::text_about_glibc(needing("see GLIBC_2.38"), Target::X86_64, None)]
    #[case::other_release(elf(2, 62, "windlass wasmtime-48.0.7 1"), Target::X86_64, Some("was not built with the engine"))]
    fn a_program_that_would_not_run_is_not_packed(#[case] bytes: Vec<u8>, #[case] target: Target, #[case] expected: Option<&str>) {
        let checked = check(&bytes, target).map_err(|error| error.to_string());
        match expected {
            None => assert_eq!(checked, Ok(())),
            Some(part) => assert!(checked.clone().unwrap_err().contains(part), "{checked:?}"),
        }
    }
}
