//! Replaces every value that was handed to a plugin in whatever the plugin says.
//!
//! What is looked for: the whole of each value and every string and number inside its JSON, from [`SHORTEST`] bytes on. How: the
//! text is *decoded* in every way in which a value could have been written (as it is, JSON or Rust escapes, percent signs with and
//! without `+` for a space, base64 of both alphabets at every alignment, hexadecimal of both cases) and the plain values are looked
//! for in each reading. Encoding the values instead would need a pattern for every choice an encoder has (`/` or `\/`, `%7E` or
//! `~`, `\u00e9` or `\u00E9`), and some thirty times the memory for a secret of 64 KiB.
//!
//! Values up to [`LONGEST_WHOLE`] bytes are found as a whole, and so is each line of one that has several. Of longer ones every
//! excerpt of 31 bytes or more is found, because a log line or a line of a PEM file holds only a part of them.
//!
//! A value that is split over lines is found in the text without its line breaks, in all of these ways.
//!
//! This is a net against accidents. A plugin that wants to can write a value in a way that nobody foresees; against that stands the
//! network policy, which leaves it nobody to tell.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use zeroize::Zeroizing;

use crate::secret::SecretValue;

pub mod legible;

/// What stands in the place of a value.
pub const MARK: &str = "[redacted]";

/// Shorter values are left alone, in bytes: replacing every `1` or `eu` makes a text unreadable and protects nothing.
pub const SHORTEST: usize = 4;

/// Up to this length a value is found as a whole, in bytes; longer ones are found by their parts. Bounds the automaton.
pub const LONGEST_WHOLE: usize = 256;

/// Length of the parts by which a long value is found, in bytes. An excerpt of twice this length less one holds one for certain.
const PART: usize = 16;

/// How much of a text's end has to be withheld if the text goes on but is not there, in bytes: the longest form (`\u0041`) of the
/// longest value that is found only as a whole.
pub const MARGIN: usize = LONGEST_WHOLE * 6;

/// Knows the values of one call.
///
/// What it takes to find them is made when the first text is searched: most calls say nothing.
pub struct Redactor {
    values: Vec<SecretValue>,
    shown: Vec<String>,
    search: OnceLock<Search>,
}

/// What finds values. The automaton holds copies of them that are not wiped when it is dropped.
struct Search {
    whole: Option<AhoCorasick>,
    long: Vec<Zeroizing<Vec<u8>>>,
    parts: HashMap<[u8; PART], Place>,
}

/// Where a part stands: in which long value, from which byte.
#[derive(Clone, Copy)]
struct Place {
    value: usize,
    from: usize,
}

impl Redactor {
    /// A redactor for these values.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a SecretValue>) -> Self {
        Self::except(values, &[])
    }

    /// A redactor for these values, except leaves that are exactly one of the texts in `shown`.
    ///
    /// Host and port of an endpoint stand in the secret, and an operator who has to mend a route must be told them.
    pub fn except<'a>(values: impl IntoIterator<Item = &'a SecretValue>, shown: &[String]) -> Self {
        Self { values: values.into_iter().cloned().collect(), shown: shown.to_vec(), search: OnceLock::new() }
    }

    /// The text with every known value replaced by [`MARK`].
    pub fn text(&self, text: &str) -> String {
        self.rendered(text.as_bytes(), text.len())
    }

    /// One line for a log: redacted, control characters replaced, cut to at most `max` bytes.
    pub fn line(&self, text: &str, max: usize) -> String {
        let mut lines = Lines::new(max);
        lines.push(self, text);
        lines.shown().concat()
    }

    /// The first `until` bytes of what a plugin wrote, redacted; bytes that are no UTF-8 are replaced. What follows `until` is only
    /// looked at, so that a value that begins before it is recognised.
    pub fn captured(&self, bytes: &[u8], until: usize) -> String {
        self.rendered(bytes, until)
    }

    fn rendered(&self, text: &[u8], until: usize) -> String {
        shown(text, &self.found(text), 0..until)
    }

    /// Where known values stand in `text`, in order, not touching each other.
    fn found(&self, text: &[u8]) -> Vec<Range<usize>> {
        if text.is_empty() || self.values.is_empty() {
            return Vec::new();
        }
        let search = self.search.get_or_init(|| Search::new(&self.values, &self.shown));
        let mut found = search.encoded(text);
        // A value that is split over lines, in whatever encoding.
        if text.contains(&b'\n') {
            let unbroken = Reading::unbroken(text);
            found.extend(search.encoded(&unbroken.bytes).into_iter().filter_map(|range| unbroken.source(range)));
        }
        // Before they are merged, because two that meet inside a character touch only then.
        found.iter_mut().for_each(|range| whole_characters(text, range));
        merged(found)
    }
}

impl Search {
    fn new(values: &[SecretValue], shown: &[String]) -> Self {
        let mut known = Vec::new();
        for value in values {
            // Read in order to be found and replaced; nothing of it is shown.
            let bytes = value.expose_bytes();
            known.push(Zeroizing::new(bytes.to_vec()));
            if let Ok(text) = std::str::from_utf8(bytes) {
                known.extend(leaves(text));
            }
        }
        let lines: Vec<_> = known.iter().filter(|value| value.contains(&b'\n')).flat_map(|value| lines(value)).collect();
        known.extend(lines);
        known.retain(|value| value.len() >= SHORTEST && !shown.iter().any(|text| text.as_bytes() == value.as_slice()));
        known.sort_unstable_by(|a, b| a.as_slice().cmp(b.as_slice()));
        known.dedup_by(|a, b| a == b);

        let (whole, long): (Vec<_>, Vec<_>) = known.into_iter().partition(|value| value.len() <= LONGEST_WHOLE);
        let whole = (!whole.is_empty()).then(|| {
            AhoCorasick::builder()
                .kind(Some(AhoCorasickKind::NoncontiguousNFA))
                .prefilter(false)
                .build(whole.iter().map(|value| value.as_slice()))
                .expect("a secret's leaves are far fewer than the states an automaton can count")
        });
        let mut parts = HashMap::new();
        for (value, bytes) in long.iter().enumerate() {
            let last = bytes.len() - PART;
            for from in (0..last).step_by(PART).chain([last]) {
                if let Some(part) = bytes[from..].first_chunk() {
                    parts.entry(*part).or_insert(Place { value, from });
                }
            }
        }
        Self { whole, long, parts }
    }

    /// Where known values stand in `text` in any encoding, in no order. Empty if nothing is known.
    fn encoded(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        if self.whole.is_none() && self.long.is_empty() {
            return found;
        }
        self.search(&Reading::plain(text), &mut found);
        if text.contains(&b'\\') {
            self.search(&Reading::unescaped(text), &mut found);
        }
        if text.contains(&b'%') {
            self.search(&Reading::percent(text, false), &mut found);
        }
        if text.contains(&b'+') {
            self.search(&Reading::percent(text, true), &mut found);
        }
        // A run that is too short for any value is not decoded: six characters of base64 hold four bytes, eight of hexadecimal.
        for run in runs(text, 6, |byte| sextet(byte).is_some() || byte == b'\r' || byte == b'\n') {
            for skip in 0..4 {
                self.search(&Reading::base64(text, run.clone(), skip), &mut found);
            }
        }
        for run in runs(text, 2 * SHORTEST, |byte| byte.is_ascii_hexdigit()) {
            for skip in 0..2 {
                self.search(&Reading::hexadecimal(text, run.clone(), skip), &mut found);
            }
        }
        found
    }

    fn search(&self, reading: &Reading, found: &mut Vec<Range<usize>>) {
        let bytes = &reading.bytes[..];
        if let Some(whole) = &self.whole {
            found.extend(whole.find_overlapping_iter(bytes).filter_map(|hit| reading.source(hit.range())));
        }
        if self.parts.is_empty() {
            return;
        }
        let mut at = 0;
        while let Some(part) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
            let Some(place) = self.parts.get::<[u8; PART]>(part) else {
                at += 1;
                continue;
            };
            let value = &self.long[place.value];
            let before = bytes[..at].iter().rev().zip(value[..place.from].iter().rev()).take_while(|(a, b)| a == b).count();
            let after = bytes[at..].iter().zip(&value[place.from..]).take_while(|(a, b)| a == b).count();
            found.extend(reading.source(at - before..at + after));
            // Not behind the match: values can begin alike, and the part that tells them apart begins inside of it.
            at += after - PART + 1;
        }
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor([redacted])")
    }
}

/// Lines for a log, collected one after the other. A value that is split over several is replaced in each of them, which is why none
/// can be shown before the last.
pub struct Lines {
    /// Without line breaks. Of each line as much as can be shown, and what it takes to recognise a value that begins in that.
    text: Vec<u8>,
    /// What of `text` may be shown of each line.
    places: Vec<Range<usize>>,
    found: Vec<Range<usize>>,
    max: usize,
}

impl Lines {
    /// No lines, of which none will be longer than `max` bytes when they are shown.
    pub const fn new(max: usize) -> Self {
        Self { text: Vec::new(), places: Vec::new(), found: Vec::new(), max }
    }

    /// Adds a line and looks for values in it, and for those that end in it.
    pub fn push(&mut self, redactor: &Redactor, line: &str) {
        let seen = line.floor_char_boundary(self.max + 2 * MARGIN);
        let until = if seen < line.len() { seen - MARGIN } else { seen };
        let (from, at) = (self.text.len().saturating_sub(MARGIN), self.text.len());
        self.places.push(at..at + until);
        self.text.extend_from_slice(&line.as_bytes()[..seen]);
        let found = redactor.found(&self.text[from..]);
        self.found.extend(found.into_iter().map(|found| from + found.start..from + found.end));
    }

    /// Each line, redacted, control characters replaced. Cutting comes last, so that it cannot leave the beginning of a value.
    pub fn shown(self) -> Vec<String> {
        let found = merged(self.found);
        let cut = |place| {
            let mut line = legible::line(&shown(&self.text, &found, place));
            line.truncate(line.floor_char_boundary(self.max));
            line
        };
        self.places.into_iter().map(cut).collect()
    }
}

/// In order, not touching each other.
fn merged(mut found: Vec<Range<usize>>) -> Vec<Range<usize>> {
    found.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(found.len());
    for range in found {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            Some(_) | None => merged.push(range),
        }
    }
    merged
}

/// A part of a text, with [`MARK`] where something was found.
fn shown(text: &[u8], found: &[Range<usize>], part: Range<usize>) -> String {
    let mut shown = String::with_capacity(part.len());
    let mut from = part.start;
    for found in found.iter().filter(|found| found.end > part.start && found.start < part.end) {
        if found.start > from {
            shown.push_str(&String::from_utf8_lossy(&text[from..found.start]));
        }
        shown.push_str(MARK);
        from = found.end;
    }
    if from < part.end {
        shown.push_str(&String::from_utf8_lossy(&text[from..part.end]));
    }
    shown
}

/// A text, read as one encoding: the decoded bytes, and from where to where in the text each of them stands.
struct Reading {
    bytes: Zeroizing<Vec<u8>>,
    /// Empty if the bytes are the text itself.
    places: Vec<(u32, u32)>,
}

impl Reading {
    fn plain(text: &[u8]) -> Self {
        Self { bytes: Zeroizing::new(text.to_vec()), places: Vec::new() }
    }

    fn empty() -> Self {
        Self { bytes: Zeroizing::new(Vec::new()), places: Vec::new() }
    }

    fn push(&mut self, bytes: &[u8], from: usize, to: usize) {
        self.bytes.extend_from_slice(bytes);
        // Texts are bounded by the memory of a guest, far below 4 GiB.
        self.places.extend(bytes.iter().map(|_| (from as u32, to as u32)));
    }

    fn source(&self, range: Range<usize>) -> Option<Range<usize>> {
        if self.places.is_empty() {
            return Some(range);
        }
        let (first, last) = (self.places.get(range.start)?, self.places.get(range.end.checked_sub(1)?)?);
        Some(first.0 as usize..last.1 as usize)
    }

    /// Without its line breaks.
    fn unbroken(text: &[u8]) -> Self {
        let mut reading = Self::empty();
        for (at, byte) in text.iter().enumerate().filter(|(_, byte)| !matches!(byte, b'\n' | b'\r')) {
            reading.push(&[*byte], at, at + 1);
        }
        reading
    }

    /// JSON's escapes (RFC 8259, section 7), and those that Rust's `{:?}` adds: `\0`, `\'`, `\u{e9}`.
    fn unescaped(text: &[u8]) -> Self {
        let mut reading = Self::empty();
        let mut at = 0;
        while at < text.len() {
            let (bytes, length) = escape(&text[at..]).unwrap_or_else(|| (vec![text[at]], 1));
            reading.push(&bytes, at, at + length);
            at += length;
        }
        reading
    }

    /// Percent-encoding (RFC 3986, section 2.1); `form` reads `+` as a space, as HTML forms write it.
    fn percent(text: &[u8], form: bool) -> Self {
        let mut reading = Self::empty();
        let mut at = 0;
        while at < text.len() {
            let hexadecimal = match text[at..] {
                [b'%', high, low, ..] => nibble(high).zip(nibble(low)).map(|(high, low)| high << 4 | low),
                _ => None,
            };
            let (byte, length) = match (hexadecimal, text[at]) {
                (Some(byte), _) => (byte, 3),
                (None, b'+') if form => (b' ', 1),
                (None, byte) => (byte, 1),
            };
            reading.push(&[byte], at, at + length);
            at += length;
        }
        reading
    }

    /// Both alphabets of RFC 4648, line breaks skipped, beginning `skip` characters into the run: a value inside something encoded
    /// begins at any bit offset, and what precedes a run may look like a part of it.
    fn base64(text: &[u8], run: Range<usize>, skip: usize) -> Self {
        let mut reading = Self::empty();
        let (mut bits, mut held) = (0_u32, 0);
        let mut first = run.start;
        for (at, value) in run.filter_map(|at| Some((at, sextet(text[at])?))).skip(skip) {
            if held == 0 {
                first = at;
            }
            bits = bits << 6 | u32::from(value);
            held += 6;
            if held >= 8 {
                held -= 8;
                reading.push(&[(bits >> held) as u8], first, at + 1);
                first = at;
            }
        }
        reading
    }

    fn hexadecimal(text: &[u8], run: Range<usize>, skip: usize) -> Self {
        let mut reading = Self::empty();
        let digits = &text[run.clone()][skip..];
        for (pair, from) in digits.chunks_exact(2).zip((run.start + skip..).step_by(2)) {
            if let [high, low] = pair
                && let Some((high, low)) = nibble(*high).zip(nibble(*low))
            {
                reading.push(&[high << 4 | low], from, from + 2);
            }
        }
        reading
    }
}

/// The bytes that the escape at the start of `text` stands for, and its length.
fn escape(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let [b'\\', kind, rest @ ..] = text else { return None };
    let simple = match kind {
        b'"' | b'\\' | b'/' | b'\'' => *kind,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'f' => 12,
        b'r' => b'\r',
        b'0' => 0,
        b'u' => return unicode_escape(rest).map(|(character, length)| (character.to_string().into_bytes(), length + 2)),
        _ => return None,
    };
    Some((vec![simple], 2))
}

/// The character after a `\u`, and the length of its number: `{1f511}`, `00e9`, or two halves (`d83d\udd11`).
fn unicode_escape(text: &[u8]) -> Option<(char, usize)> {
    let number = |digits: &[u8]| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    if let [b'{', rest @ ..] = text {
        let length = rest.iter().take(7).position(|byte| *byte == b'}')?;
        return Some((char::from_u32(number(&rest[..length])?)?, length + 2));
    }
    let high = number(text.get(..4)?)?;
    if let Some(character) = char::from_u32(high) {
        return Some((character, 4));
    }
    let low = number(text.get(4..10)?.strip_prefix(b"\\u")?)?;
    let pair = [u16::try_from(high).ok()?, u16::try_from(low).ok()?];
    Some((char::decode_utf16(pair).next()?.ok()?, 10))
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn sextet(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// The longest stretches of at least `shortest` bytes that all satisfy `of`.
fn runs(text: &[u8], shortest: usize, of: impl Fn(u8) -> bool) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut from = 0;
    for at in 0..=text.len() {
        if text.get(at).is_some_and(|byte| of(*byte)) {
            continue;
        }
        if at - from >= shortest {
            runs.push(from..at);
        }
        from = at + 1;
    }
    runs
}

/// The strings and numbers inside a JSON text, without the names of members; nothing if it is no JSON.
///
/// Works on tokens, so that duplicate members count and nesting costs nothing.
fn leaves(text: &str) -> Vec<Zeroizing<Vec<u8>>> {
    let mut leaves = Vec::new();
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return leaves;
    }
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let from = at;
        match bytes[at] {
            b'"' => {
                at += 1;
                while bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
                let is_name = text[at..].trim_start().starts_with(':');
                if !is_name && let Ok(string) = serde_json::from_str::<String>(&text[from..at]) {
                    leaves.push(Zeroizing::new(string.into_bytes()));
                }
            }
            b'-' | b'0'..=b'9' => {
                while bytes.get(at).is_some_and(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte)) {
                    at += 1;
                }
                leaves.push(Zeroizing::new(bytes[from..at].to_vec()));
            }
            _ => at += 1,
        }
    }
    leaves
}

fn lines(value: &[u8]) -> impl Iterator<Item = Zeroizing<Vec<u8>>> {
    value.split(|byte| *byte == b'\n').map(|line| Zeroizing::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec()))
}

/// Widens a range until it neither begins nor ends inside a character of UTF-8, of which at most three bytes are inside. More of them
/// in a row are no text, and walking over all of them for every range would let a guest keep the host busy.
fn whole_characters(text: &[u8], range: &mut Range<usize>) {
    let inside = |at: usize| text.get(at).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000);
    for _ in 0..3 {
        range.start -= usize::from(range.start > 0 && inside(range.start));
        range.end += usize::from(inside(range.end));
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn redactor(value: &str) -> Redactor {
        Redactor::new([&SecretValue::text(value)])
    }

    fn percent(text: &str, upper: bool, form: bool) -> String {
        let encode = |byte: u8| match byte {
            b' ' if form => "+".to_owned(),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            byte if upper => format!("%{byte:02X}"),
            byte => format!("%{byte:02x}"),
        };
        text.bytes().map(encode).collect()
    }

    fn hexadecimal(text: &str, upper: bool) -> String {
        text.bytes().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") }).collect()
    }

    /// Every form in which a value is looked for, with `before` and `after` inside the same encoding where it has no borders.
    fn forms(value: &str, before: &str, after: &str) -> Vec<String> {
        let inside = format!("{before}{value}{after}");
        let mut forms = vec![
            inside.clone(),
            serde_json::to_string(&inside).unwrap(),
            serde_json::to_string(&inside).unwrap().replace('/', "\\/"),
            inside.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
            inside.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect(),
            format!("{inside:?}"),
        ];
        forms.extend(
            [(false, false), (false, true), (true, false), (true, true)].map(|(upper, form)| percent(&inside, upper, form)),
        );
        forms.extend([false, true].map(|upper| hexadecimal(&inside, upper)));
        forms.extend([STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD].map(|engine| engine.encode(&inside)));
        forms
    }

    #[test]
    fn shows_where_an_endpoint_is_but_nothing_else_of_the_secret() {
        let value = SecretValue::text(r#"{"host":"db.internal","port":5432,"password":"db.internal.pw"}"#);
        let redactor = Redactor::except([&value], &["db.internal".to_owned(), "5432".to_owned()]);
        assert_eq!(redactor.text("db.internal:5432 refused db.internal.pw"), "db.internal:5432 refused [redacted]");
    }

    #[test]
    fn replaces_leaves_and_leaves_the_rest_alone() {
        let redactor =
            redactor(r#"{"user":"app","password":"correct horse","port":5432,"ratio":1e400,"tls":true,"tags":["blue"]}"#);
        let said = "app: correct horse, correct+horse, 5432, 1e400, true, blue; password";
        insta::assert_snapshot!(
            redactor.text(said),
            @"app: [redacted], [redacted], [redacted], [redacted], true, [redacted]; password"
        );
    }

    #[test]
    fn finds_both_values_of_a_name_that_stands_twice() {
        assert_eq!(redactor(r#"{"a":"first","a":"second"}"#).text("first second"), "[redacted] [redacted]");
    }

    #[test]
    fn finds_a_value_of_three_letters_only_as_part_of_the_whole() {
        assert_eq!(redactor(r#"{"a":"abc"}"#).text(r#"abc {"a":"abc"}"#), "abc [redacted]");
    }

    #[test]
    fn knows_nothing_without_values() {
        assert_eq!(Redactor::new([]).text("50 % of 100+1 \\u0041"), "50 % of 100+1 \\u0041");
    }

    #[test]
    fn finds_a_binary_value_and_its_encodings() {
        let redactor = Redactor::new([&SecretValue::binary([0xff, 0x00, 0xc3, 0x28, 0x80])]);
        assert_eq!(
            redactor.text("hex ff00c32880 base64 /wDDKIA= url %FF%00%C3%28%80"),
            "hex [redacted] base64 [redacted]= url [redacted]"
        );
        assert_eq!(redactor.captured(b"a\xff\x00\xc3\x28\x80b", 7), "a[redacted]b");
    }

    #[test]
    fn values_that_end_and_begin_inside_one_character_are_both_replaced() {
        let values = [&b"cde\xf0"[..], b"\x91xyz"].map(SecretValue::binary);
        let redactor = Redactor::new(&values);
        assert_eq!("🔑".as_bytes(), b"\xf0\x9f\x94\x91");
        assert_eq!(redactor.text("<cde🔑xyz>"), "<[redacted]>");
        assert_eq!(redactor.captured(b"<cde\xf0\x91\x91\x91\x91\x91xyz>", 14), "<[redacted]>");
    }

    #[test]
    fn finds_a_long_value_and_the_lines_of_it() {
        let body: String =
            (0..40).map(|line| format!("{line:02}ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789\n")).collect();
        let key = format!("-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----\n");
        let redactor = redactor(&serde_json::json!({ "key": key }).to_string());
        assert_eq!(redactor.text(&format!("<{key}>")), "<[redacted]>");
        assert_eq!(redactor.text(key.lines().nth(17).unwrap()), "[redacted]");
        assert_eq!(redactor.text(&format!("<{}>", &key[100..140])), "<[redacted]>");
    }

    #[test]
    fn long_values_that_are_alike_in_part_are_found_to_their_ends() {
        let values = ["x", "y"].map(|tail| SecretValue::text(format!("{}{}", "correct horse ".repeat(30), tail.repeat(9))));
        let more = SecretValue::text(format!("{}\nlast", "battery staple ".repeat(30)));
        let redactor = Redactor::new(values.iter().chain([&more]));
        for value in values.iter().chain([&more]) {
            assert_eq!(redactor.text(value.as_text().unwrap().expose()), MARK);
        }
    }

    #[test]
    fn a_line_has_no_control_characters_and_is_cut_between_characters() {
        let redactor = redactor("correct horse");
        assert_eq!(redactor.line("a\nb\u{1b}[31mc\u{202e}d correct horse", 100), "a b\u{fffd}[31mc\u{fffd}d [redacted]");
        assert_eq!(redactor.line("ééé", 5), "éé");
        assert_eq!(redactor.line("a correct horse", 4), "a [r");
    }

    fn lines(redactor: &Redactor, lines: &[&str]) -> Vec<String> {
        let mut collected = Lines::new(100);
        lines.iter().for_each(|line| collected.push(redactor, line));
        collected.shown()
    }

    #[test]
    fn a_value_that_is_split_over_lines_is_replaced_in_each() {
        let redactor = redactor("correct horse");
        for form in forms("correct horse", "", "") {
            for at in 1..form.len() {
                let (first, second) = form.split_at(at);
                let shown = lines(&redactor, &["before", first, second, "after"]);
                let [before, ends, begins, after] = &shown[..] else { panic!() };
                assert_eq!((before.as_str(), after.as_str()), ("before", "after"));
                // Quotes around it, and the last bits of its encoding, are no part of it.
                assert!(ends.contains(MARK) || first == "\"", "{first}, {second} -> {shown:?}");
                assert!(begins.contains(MARK) || second.len() <= 2, "{first}, {second} -> {shown:?}");
                assert!(redactor.text(&format!("{first}\r\n{second}")).contains(MARK), "{first}, {second}");
            }
        }
        assert_eq!(lines(&redactor, &["cor", "rect", " horse", "correct"]), [MARK, MARK, MARK, "correct"]);
        assert_eq!(lines(&redactor, &[]), [""; 0]);
    }

    #[test]
    fn a_value_is_found_after_many_lines_and_behind_long_ones() {
        let redactor = redactor("correct horse");
        for filler in ["a ".repeat(MARGIN), "a ".repeat(10 * MARGIN)] {
            let shown = lines(&redactor, &[&filler, &filler, "correct", " horse", &filler, "correct horse"]);
            assert_eq!([&shown[2], &shown[3], &shown[5]], [MARK; 3]);
            assert!(shown[1].len() == 100 && !shown[1].contains(MARK));
        }
    }

    #[test]
    fn a_cut_leaves_no_beginning_of_a_value() {
        let redactor = redactor("correct horse");
        for filler in (0..3 * MARGIN).step_by(31) {
            let line =
                redactor.line(&format!("{}correct horse", "correct horse".repeat(filler / 13) + &" ".repeat(filler % 13)), 64);
            assert!(!line.contains("corr"), "{filler}: {line}");
        }
    }

    #[test]
    fn nothing_is_made_for_a_call_that_says_nothing() {
        let redactor = redactor("correct horse");
        assert_eq!(redactor.captured(b"", 0), "");
        assert!(redactor.search.get().is_none());
        assert_eq!(redactor.text("correct horse"), MARK);
        assert!(redactor.search.get().is_some());
    }

    #[test]
    fn never_shows_a_value_in_debug() {
        assert!(!format!("{:?}", redactor("canary-canary")).contains("canary-"));
    }

    #[rstest]
    #[case::one_long_text(SecretValue::text("k".repeat(65_536)))]
    #[case::many_leaves(SecretValue::text(format!("[{}0]", (0..6_000).map(|n| format!("\"{n:06}\",")).collect::<String>())))]
    fn takes_the_largest_secret(#[case] value: SecretValue) {
        let redactor = Redactor::new([&value, &value]);
        let shown = redactor.text(std::str::from_utf8(value.expose_bytes()).unwrap());
        assert_eq!(shown, MARK);
        let search = redactor.search.into_inner().unwrap();
        assert!(search.whole.map_or(0, |whole| whole.memory_usage()) < 2 << 20);
    }

    fn secret() -> impl Strategy<Value = String> {
        prop_oneof!["[ -~]{4,40}", "\\PC{4,30}", "[a-zA-Z0-9/+]{4,300}", "(?s).{2,400}"]
            .prop_filter("long enough", |text| text.len() >= 4)
    }

    proptest! {
        #[test]
        fn finds_a_value_in_every_form(value in secret(), before in "[ -~]{0,7}", after in "[ -~]{0,7}", leaf: bool) {
            let stored = if leaf { serde_json::json!({"k": [value]}).to_string() } else { value.clone() };
            let redactor = redactor(&stored);
            for form in forms(&value, &before, &after) {
                let shown = redactor.text(&form);
                prop_assert!(shown.contains(MARK), "{form} -> {shown}");
                // Apart from what stands around it, a few characters may remain that belong to bytes around the value.
                prop_assert!(shown.len() <= MARK.len() + 6 * (before.len() + after.len()) + 12, "{form} -> {shown}");
            }
        }

        #[test]
        fn never_panics(value in ".{0,100}", text in "[\\\\u%+{}0-9a-fA-F\"é]{0,60}") {
            let redactor = redactor(&value);
            let _ = (redactor.text(&text), redactor.line(&text, 7));
        }
    }
}
