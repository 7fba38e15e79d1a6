//! Lists of status codes, as an operator writes them: `200, 204`, `200-299`.

use std::ops::RangeInclusive;

/// Some status codes.
#[derive(Debug, PartialEq, Eq)]
pub struct Codes(Vec<RangeInclusive<u16>>);

impl Codes {
    /// Reads codes and ranges with commas between them; nothing if it is not that. Empty text is an empty list.
    pub fn parse(text: &str) -> Option<Self> {
        let items = text.split([',']).map(str::trim_ascii).filter(|item| !item.is_empty());
        items.map(range).collect::<Option<_>>().map(Self)
    }

    /// Whether this code is one of them.
    pub fn contains(&self, code: u16) -> bool {
        self.0.iter().any(|range| range.contains(&code))
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn range(item: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = item.split_once(['-']).unwrap_or((item, item));
    let (first, last) = (code(first.trim_ascii())?, code(last.trim_ascii())?);
    (first <= last).then_some(first..=last)
}

/// Three digits. Source: <https://www.rfc-editor.org/rfc/rfc9110#section-15>
fn code(text: &str) -> Option<u16> {
    let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse().ok()? } else { 0 };
    (100..=599).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_codes_and_ranges() {
        let table = [
            ("200", Some(vec![200..=200])),
            (" 200 ,204, 300-399", Some(vec![200..=200, 204..=204, 300..=399])),
            ("100-599", Some(vec![100..=599])),
            ("200,", Some(vec![200..=200])),
            ("", Some(vec![])),
            ("99", None),
            ("600", None),
            ("2xx", None),
            ("+20", None),
            ("299-200", None),
            ("200-", None),
            ("-", None),
            ("200 204", None),
            ("200-204-208", None),
            ("200000000000000000000000", None),
            ("２００", None),
        ];
        for (text, expected) in table {
            assert_eq!(Codes::parse(text), expected.map(Codes), "{text}");
        }
    }

    #[test]
    fn contains_what_it_names() {
        let codes = Codes::parse("200,300-302").unwrap();
        assert_eq!(
            [199, 200, 201, 299, 300, 302, 303].map(|code| codes.contains(code)),
            [false, true, false, false, true, true, false]
        );
        assert!(Codes::parse("").unwrap().is_empty());
    }
}
