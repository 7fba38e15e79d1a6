//! BER as far as LDAP allows it: definite lengths and tags of one byte.
//!
//! Source: RFC 4511 section 5.1, <https://www.rfc-editor.org/rfc/rfc4511#section-5.1>, and ITU-T X.690.

/// Tag of an INTEGER.
pub const INTEGER: u8 = 0x02;
/// Tag of an OCTET STRING.
pub const OCTET_STRING: u8 = 0x04;
/// Tag of an ENUMERATED.
pub const ENUMERATED: u8 = 0x0a;
/// Tag of a SEQUENCE or SEQUENCE OF.
pub const SEQUENCE: u8 = 0x30;

/// The bit of the first byte of a length that says that the length stands in further bytes.
const LONG: u8 = 0x80;

/// An element of this tag whose content is these parts, one after the other.
pub fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut bytes = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length) if length < LONG => bytes.push(length),
        _ => {
            let length = content.len().to_be_bytes();
            let digits = length.iter().skip_while(|digit| **digit == 0);
            // At most eight, so the sum stays a byte.
            bytes.push(LONG + digits.clone().count() as u8);
            bytes.extend(digits);
        }
    }
    bytes.extend(content);
    bytes
}

/// How many bytes of the length follow its first one, if that can be: at most four do.
pub fn further_bytes(first: u8) -> Option<usize> {
    match first.checked_sub(LONG) {
        None => Some(0),
        // None at all would be the indefinite form, which LDAP forbids.
        Some(count @ 1..=4) => Some(count.into()),
        Some(_) => None,
    }
}

/// The length that its first byte and those that follow say.
pub fn length(first: u8, further: &[u8]) -> usize {
    if further.is_empty() { first.into() } else { further.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)) }
}

/// A number that is not negative and has at most four bytes, as all of LDAP's are.
pub fn number(content: &[u8]) -> Option<u32> {
    let plain = matches!(content, [0..=0x7f, rest @ ..] if rest.len() < 4);
    plain.then(|| content.iter().fold(0, |number, digit| number << 8 | u32::from(*digit)))
}

/// Elements that stand one after the other.
#[derive(Clone, Copy)]
pub struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// Reads these bytes.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The content of the next element, which has to have this tag.
    pub fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    /// The content of the first element from here on that has this tag.
    pub fn content_of(mut self, tag: u8) -> Option<&'a [u8]> {
        self.find(|(found, _)| *found == tag).map(|(_, content)| content)
    }
}

/// Tags and contents. It ends where no element can be read, also in the middle.
impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [tag, first, rest @ ..] = self.0 else { return None };
        // These bits of a tag say that it goes on.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (further, rest) = rest.split_at_checked(further_bytes(*first)?)?;
        let (content, rest) = rest.split_at_checked(length(*first, further))?;
        self.0 = rest;
        Some((*tag, content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_whatever_its_length() {
        for (length, head) in [
            (0, &[4, 0][..]),
            (127, &[4, 127]),
            (128, &[4, 0x81, 128]),
            (255, &[4, 0x81, 255]),
            (256, &[4, 0x82, 1, 0]),
            (65_536, &[4, 0x83, 1, 0, 0]),
        ] {
            let content = vec![b'a'; length];
            let bytes = element(OCTET_STRING, &[&content, b""]);
            assert_eq!(bytes.get(..head.len()), Some(head));
            let mut elements = Elements::new(&bytes);
            assert_eq!(elements.next(), Some((OCTET_STRING, &content[..])));
            assert_eq!(elements.next(), None);
        }
    }

    #[test]
    fn a_length_may_have_leading_zeros() {
        assert_eq!(Elements::new(&[4, 0x84, 0, 0, 0, 1, b'a']).next(), Some((4, &b"a"[..])));
    }

    #[test]
    fn refuses_what_ldap_does_not_allow() {
        for bytes in [
            &[][..],
            &[4],
            &[4, 1],
            &[4, 0x80, 0, 0],               // an indefinite length
            &[4, 0x81],                     // a length that is not there
            &[4, 0x84, 255, 255, 255, 255], // more than there is
            &[4, 0x85, 0, 0, 0, 0, 0],      // a length of five bytes
            &[4, 0xff],
            &[0x1f, 1, 0], // a tag of two bytes
        ] {
            assert_eq!(Elements::new(bytes).next(), None, "{bytes:?}");
        }
    }

    #[test]
    fn numbers_are_small_and_not_negative() {
        for (content, value) in [
            (&[0][..], Some(0)),
            (&[49], Some(49)),
            (&[0, 0x80], Some(128)),
            (&[0x7f, 255, 255, 255], Some(0x7fff_ffff)),
            (&[0x80], None),
            (&[0, 1, 2, 3, 4], None),
            (&[], None),
        ] {
            assert_eq!(number(content), value, "{content:?}");
        }
    }
}
