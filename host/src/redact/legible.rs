//! Text of a stranger, made fit for a person's screen: it can start no new line, move no cursor and not turn the direction of writing.
//!
//! Plugins, services and files of other people end up in logs and on terminals. What is dangerous is replaced, not removed, so that
//! it shows that there was something.

/// The text as one line: line breaks and tabs become spaces, everything else that steers becomes U+FFFD.
pub fn line(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if steers(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(shown).collect()
}

/// The text with its line breaks, for messages that have several lines. All but the first begin with `indent`, so that none passes
/// for a message of its own.
pub fn paragraph(text: &str, indent: &str) -> String {
    text.trim_end().lines().map(line).collect::<Vec<_>>().join(&format!("\n{indent}"))
}

/// JSON text in which what steers is escaped, which means the same to whoever parses it. Line breaks between its tokens stay.
pub fn json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        // Outside of strings JSON has no character that steers but line breaks, and inside it those are escaped already.
        if c != '\n' && steers(c) { escaped.push_str(&format!("\\u{:04x}", u32::from(c))) } else { escaped.push(c) }
    }
    escaped
}

/// Control characters, and those that change the direction of writing or break lines without being control characters.
///
/// Source: <https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_and_steers_nothing() {
        assert_eq!(line("a\r\nb\tc\u{1b}[2J\u{9b}1m\u{202e}d\u{2028}é"), "a  b c\u{fffd}[2J\u{fffd}1m\u{fffd}d\u{fffd}é");
    }

    #[test]
    fn json_steers_nothing_and_means_the_same() {
        let said = serde_json::json!({ "a\u{202e}": "\u{1b}[2J\u{9b}1m\u{7f}\u{2028}\r\n\u{2069}é" });
        let text = json(&serde_json::to_string_pretty(&said).unwrap());
        assert!(!text.chars().any(|c| c != '\n' && steers(c)), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), said);
    }

    #[test]
    fn no_line_of_a_paragraph_passes_for_a_message() {
        assert_eq!(paragraph("first\nerror: second\u{1b}\r\nthird\n", "  "), "first\n  error: second\u{fffd}\n  third");
    }
}
