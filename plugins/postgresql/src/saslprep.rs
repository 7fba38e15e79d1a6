//! Whether a password is the same before and after SASLprep, which SCRAM clients apply to it.
//!
//! The tables of Unicode normalization are larger than this plugin, so it does not apply SASLprep but knows characters for which
//! that makes no difference. Source: <https://www.rfc-editor.org/rfc/rfc4013>

/// Characters that neither the mapping nor the normalization (NFKC) of SASLprep changes, and that combine with none of the others.
/// Whether SASLprep prohibits some of them does not matter: PostgreSQL and its clients take such a password as it is.
///
/// Source: RFC 3454 table B.1 and C.1.2, and DerivedNormalizationProps.txt of Unicode 14; assigned characters never change there.
const STABLE: [(char, char); 14] = [
    ('\0', '\u{9f}'), // ASCII and controls
    ('¡', '§'),       // signs of Latin-1
    ('À', 'ı'),       // Latin, without the ligatures and the long s
    ('Ĵ', 'ľ'),
    ('Ł', 'ň'),
    ('Ŋ', 'ž'),
    ('Α', 'Ρ'), // Greek
    ('Σ', 'ω'),
    ('Ѐ', '\u{481}'),   // Cyrillic
    ('א', 'ת'),         // Hebrew
    ('ぁ', 'ゖ'),       // Hiragana
    ('ァ', 'ー'),       // Katakana
    ('一', '\u{9ffc}'), // Han
    ('가', '힣'),       // Hangul, composed
];

/// Whether SASLprep certainly leaves the password as it is.
pub fn leaves_alone(password: &str) -> bool {
    password.chars().all(|character| STABLE.iter().any(|(first, last)| (*first..=*last).contains(&character)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_normalization_changes_is_not_stable() {
        for stable in ["", " ~!\"\\'", "\u{7f}", "pässwörd", "Пароль", "パスワード", "密码", "한글", "ελ"] {
            assert!(leaves_alone(stable), "{stable}");
        }
        // Composed anew, taken apart, mapped to a space or to nothing, full width, a ligature, unassigned.
        for changing in [
            "a\u{301}",
            "\u{212b}",
            "\u{1100}\u{1161}",
            "\u{a0}",
            "\u{ad}",
            "\u{200b}",
            "Ａ",
            "ﬁ",
            "ª",
            "ŀ",
            "ŉ",
            "ſ",
            "\u{3a2}",
            "\u{e0001}",
        ] {
            assert!(!leaves_alone(changing), "{changing}");
        }
    }
}
