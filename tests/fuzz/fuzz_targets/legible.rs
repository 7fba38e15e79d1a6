//! Text of a stranger on its way to a screen: nothing in it steers a terminal or passes for a line of its own.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass::redact::{Redactor, legible};

/// Control characters, and Unicode's Bidi_Control, line and paragraph separators.
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fuzz_target!(|text: &str| {
    let line = legible::line(text);
    assert!(!line.contains(steers), "{line:?}");
    assert_eq!(line.chars().count(), text.chars().count(), "something vanished without a trace");
    assert_eq!(legible::line(&line), line, "what is legible stays as it is");

    let paragraph = legible::paragraph(text, "  ");
    for (at, line) in paragraph.split('\n').enumerate() {
        assert!(!line.contains(steers) && (at == 0 || line.starts_with("  ")), "{paragraph:?}");
    }

    let max = text.len() / 2;
    let cut = Redactor::new([]).line(text, max);
    assert!(cut.len() <= max && line.starts_with(&cut), "{cut:?}");
});
