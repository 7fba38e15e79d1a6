//! Values that a plugin was handed, and what it says: fields separated by tabs. The first two are values; every further one is a
//! piece of text, whose first byte chooses a value and a form, and whose rest stands around the value inside that form.
#![no_main]

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use libfuzzer_sys::fuzz_target;
use windlass::redact::{LONGEST_WHOLE, MARGIN, MARK, Redactor, SHORTEST};
use windlass::secret::SecretValue;

/// Of longer values every excerpt of this length is found, in bytes.
const EXCERPT: usize = 31;

fuzz_target!(|input: &[u8]| {
    let mut fields = input.split(|byte| *byte == b'\t');
    let (Some(first), Some(second)) = (fields.next(), fields.next()) else { return };
    // The first as a whole secret, the second as a field of one.
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    let whole = text(first).map_or_else(|| SecretValue::binary(first), SecretValue::text);
    let field = text(second).map_or_else(
        || SecretValue::binary(second),
        |text| SecretValue::text(serde_json::json!({ "user": "app", "password": text }).to_string()),
    );
    let redactor = Redactor::new([&whole, &field]);
    let values = [first, second];

    let mut said = Vec::new();
    for piece in fields.take(8) {
        let Some((how, around)) = piece.split_first() else { continue };
        let value = values[usize::from(how & 1)];
        let form = form(value, around, how >> 1);
        if value.len() >= SHORTEST {
            let shown = redactor.captured(&form, form.len());
            assert!(shown.contains(MARK), "{:?} is shown as {shown:?}", String::from_utf8_lossy(&form));
        }
        said.extend(form);
        // Ends every form: what two of them mean side by side is for nobody to say.
        said.push(b' ');
    }
    let wanted: Vec<Wanted> = values.into_iter().filter_map(Wanted::new).collect();
    no_value_in(&redactor.captured(&said, said.len()), &wanted, &said);

    // Of a stream that goes on, the end is seen but not shown; a line is cut.
    let until = said.len() / 2;
    let goes_on = [&said[..], &[b' '; MARGIN]].concat();
    no_value_in(&redactor.captured(&goes_on[..until + MARGIN], until), &wanted, &said);
    if let Ok(said) = std::str::from_utf8(&said) {
        no_value_in(&redactor.text(said), &wanted, said.as_bytes());
        let line = redactor.line(said, until);
        assert!(line.len() <= until && !line.contains(char::is_control), "{line:?}");
        // A line has spaces where there were line breaks, and can be cut inside of a mark.
        let line = (1..MARK.len()).rev().find_map(|cut| line.strip_suffix(&MARK[..cut])).unwrap_or(&line);
        let wanted: Vec<Wanted> = wanted.into_iter().filter(|wanted| !wanted.value.contains(&b' ')).collect();
        no_value_in(line, &wanted, said.as_bytes());
    }
});

/// The value in a form in which plugins, libraries and services write values, with something around it in the same form.
fn form(value: &[u8], around: &[u8], which: u8) -> Vec<u8> {
    // What is only half of an escape would change what follows it.
    let around: Vec<u8> = around.iter().map(|byte| if b"\\%".contains(byte) { b'.' } else { *byte }).collect();
    let (before, after) = around.split_at(around.len() / 2);
    let bytes = [before, value, after].concat();
    let text = std::str::from_utf8(&bytes).ok().filter(|_| std::str::from_utf8(value).is_ok());
    // In front of what has no borders of its own something may stand that looks like a part of it.
    let borderless = |form: String| [b"key"[..usize::from(which / 9 % 4)].to_vec(), form.into_bytes()].concat();
    match (which % 9, text) {
        (0, Some(text)) => serde_json::json!(text).to_string().into_bytes(),
        (1, Some(text)) => serde_json::json!(text).to_string().replace('/', "\\/").into_bytes(),
        (2, Some(text)) => text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect::<String>().into_bytes(),
        (3, Some(text)) => format!("{text:?}").into_bytes(),
        (4, _) => percent(&bytes, false),
        (5, _) => percent(&bytes, true),
        (6, _) => borderless(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        (7, _) => borderless(STANDARD.encode(&bytes)),
        (8, _) => borderless(URL_SAFE_NO_PAD.encode(&bytes)),
        _ => bytes,
    }
}

fn percent(bytes: &[u8], form: bool) -> Vec<u8> {
    let encode = |byte: &u8| match byte {
        b' ' if form => b"+".to_vec(),
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => vec![*byte],
        byte if form => format!("%{byte:02X}").into_bytes(),
        byte => format!("%{byte:02x}").into_bytes(),
    };
    bytes.iter().flat_map(encode).collect()
}

/// A value that must not be readable, and its excerpts if it is too long to be found as a whole.
struct Wanted<'a> {
    value: &'a [u8],
    excerpts: Option<HashSet<&'a [u8]>>,
}

impl<'a> Wanted<'a> {
    fn new(value: &'a [u8]) -> Option<Self> {
        // What stands for bytes that are no text can look like a value that consists of it.
        let looks_broken = String::from_utf8_lossy(value).contains(char::REPLACEMENT_CHARACTER);
        let excerpts = (value.len() > LONGEST_WHOLE).then(|| value.windows(EXCERPT).collect());
        (value.len() >= SHORTEST && !looks_broken).then_some(Self { value, excerpts })
    }

    fn stands_in(&self, bytes: &[u8]) -> bool {
        match &self.excerpts {
            Some(excerpts) => bytes.windows(EXCERPT).any(|window| excerpts.contains(window)),
            None => bytes.windows(self.value.len()).any(|window| window == self.value),
        }
    }
}

fn no_value_in(shown: &str, wanted: &[Wanted], said: &[u8]) {
    for part in shown.split(MARK) {
        for reading in readings(part) {
            let leaked = wanted.iter().find(|wanted| wanted.stands_in(&reading));
            assert!(leaked.is_none(), "{:?} became {shown:?}, which can be read as {reading:?}", String::from_utf8_lossy(said));
        }
    }
}

/// Everything that a person with a decoder can read in a text. Written anew here: the redactor's own would repeat its mistakes.
fn readings(text: &str) -> Vec<Vec<u8>> {
    let mut readings = vec![text.as_bytes().to_vec(), unpercent(text, false), unpercent(text, true)];
    readings.extend(serde_json::from_str::<String>(&format!("\"{text}\"")).map(String::into_bytes));
    readings.extend(text.split(' ').filter_map(|word| serde_json::from_str::<String>(word).ok()).map(String::into_bytes));
    for run in text.split(|c: char| !c.is_ascii_hexdigit()) {
        readings.extend((0..run.len().min(2)).map(|skip| digits(&run.as_bytes()[skip..], 4, |c| char::from(c).to_digit(16))));
    }
    let sextets: String = text.chars().filter(|c| !"\r\n".contains(*c)).collect();
    for run in sextets.split(|c: char| sextet(u8::try_from(c).unwrap_or(b' ')).is_none()) {
        readings.extend((0..run.len().min(4)).map(|skip| digits(&run.as_bytes()[skip..], 6, sextet)));
    }
    readings
}

fn sextet(character: u8) -> Option<u32> {
    let character = u32::from(character);
    match char::from_u32(character)? {
        'A'..='Z' => Some(character - u32::from('A')),
        'a'..='z' => Some(character - u32::from('a') + 26),
        '0'..='9' => Some(character - u32::from('0') + 52),
        '+' | '-' => Some(62),
        '/' | '_' => Some(63),
        _ => None,
    }
}

/// The whole bytes in a run of digits of so many bits each.
fn digits(run: &[u8], bits: u32, value: impl Fn(u8) -> Option<u32>) -> Vec<u8> {
    let (mut read, mut held, mut count) = (Vec::new(), 0_u64, 0);
    for digit in run.iter().filter_map(|digit| value(*digit)) {
        held = (held << bits | u64::from(digit)) & 0xffff;
        count += bits;
        if count >= 8 {
            count -= 8;
            read.push((held >> count & 0xff) as u8);
        }
    }
    read
}

fn unpercent(text: &str, form: bool) -> Vec<u8> {
    let (bytes, mut read, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        let escaped = escaped.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => read.push(byte),
            None => read.push(if form && bytes[at] == b'+' { b' ' } else { bytes[at] }),
        }
        at += if escaped.is_some() { 3 } else { 1 };
    }
    read
}
