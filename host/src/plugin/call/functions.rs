//! The functions that a trap came through, by the names that a component keeps of them.

use wasmtime::WasmBacktrace;

/// So many are named, from the one that trapped outwards.
const NAMED: usize = 12;

/// `acme::parse < acme::login < …`, the function that trapped first; numbers where the component holds no names. Nothing if wasmtime knows
/// of no function.
pub(super) fn come_through(error: &wasmtime::Error) -> Option<String> {
    let frames = error.downcast_ref::<WasmBacktrace>()?.frames();
    let named = frames.iter().take(NAMED).map(|frame| match frame.func_name() {
        Some(symbol) => plain(symbol),
        None => format!("function {}", frame.func_index()),
    });
    let named = named.collect::<Vec<_>>().join(" < ");
    (!named.is_empty()).then_some(named)
}

/// A function's name as its author wrote it, if the symbol is one of rustc's legacy scheme; else the symbol.
fn plain(symbol: &str) -> String {
    path(symbol).unwrap_or_else(|| symbol.to_owned())
}

/// `_ZN`, each part of the path behind its length, the last one a hash, `E`.
///
/// Source: <https://doc.rust-lang.org/rustc/symbol-mangling/index.html>
fn path(symbol: &str) -> Option<String> {
    const WRITTEN: [(&str, &str); 13] = [
        ("_$", "$"),
        ("$LT$", "<"),
        ("$GT$", ">"),
        ("$LP$", "("),
        ("$RP$", ")"),
        ("$RF$", "&"),
        ("$BP$", "*"),
        ("$C$", ","),
        ("$u20$", " "),
        ("$u27$", "'"),
        ("$u7b$", "{"),
        ("$u7d$", "}"),
        ("..", "::"),
    ];
    let mut rest = symbol.strip_prefix("_ZN")?.strip_suffix('E')?;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let digits = rest.find(|of: char| !of.is_ascii_digit())?;
        let (length, after) = rest.split_at(digits);
        let (part, after) = after.split_at_checked(length.parse().ok()?)?;
        parts.push(part);
        rest = after;
    }
    parts.pop_if(|last| last.len() == 17 && last.starts_with('h'));
    let path = parts.join("::");
    Some(WRITTEN.into_iter().fold(path, |path, (code, plain)| path.replace(code, plain)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::function("_ZN4acme11deep_inside17h1a0f430b16f5774eE", "acme::deep_inside")]
    #[case::method(
        "_ZN62_$LT$acme..Acme$u20$as$u20$windlass_sdk..rotation..Service$GT$5login17h38ead6fc59aca34aE",
        "<acme::Acme as windlass_sdk::rotation::Service>::login"
    )]
    #[case::closure("_ZN4acme5login28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE", "acme::login::{{closure}}")]
    #[case::no_rust("cabi_realloc", "cabi_realloc")]
    #[case::too_short("_ZN99acmeE", "_ZN99acmeE")]
    #[case::a_length_beyond_all("_ZN99999999999999999999999acmeE", "_ZN99999999999999999999999acmeE")]
    #[case::within_a_letter("_ZN1äE", "_ZN1äE")]
    #[case::no_name("_ZN4E", "_ZN4E")]
    fn names_are_as_their_author_wrote_them(#[case] symbol: &str, #[case] name: &str) {
        assert_eq!(plain(symbol), name);
    }
}
