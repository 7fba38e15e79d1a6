//! Which keys a file of TOML can have, asked of the parser that reads it, and which of them a page documents. For the tests that hold pages
//! and parsers together.
//!
//! A page has a heading for each table, such as "## `[defaults]`", and below it a row for each key that begins with "| `key` |". Tables of
//! the same name have the same keys, wherever they stand.

use std::collections::{BTreeMap, BTreeSet};

/// The keys of each table, by the table's own name. The file itself has the name it is asked for by.
pub(crate) type Keys = BTreeMap<String, BTreeSet<String>>;

/// What no file has.
const NO_SUCH_KEY: &str = "no-such-key";

/// Stands for the inside of a table that is asked about.
const INSIDE: &str = "@";

/// The keys of a file. `complaint` is what its parser says about a text.
pub(crate) fn known(file: &str, complaint: &dyn Fn(&str) -> String) -> Keys {
    let expected = |text: &str| expected(&complaint(&text.replace(INSIDE, &format!("{NO_SUCH_KEY} = 1"))));
    // The value of a key may be a table, a list of them, or a table of them under names of the writer's own.
    let forms = ["{ @ }".to_owned(), "[{ @ }]".to_owned(), format!("{{ {NO_SUCH_KEY} = {{ @ }} }}")];
    let mut known = Keys::new();
    let mut tables = vec![(file.to_owned(), INSIDE.to_owned())];
    while let Some((table, text)) = tables.pop() {
        let keys = expected(&text).unwrap_or_else(|| panic!("the parser does not say what it expects of {text}"));
        for key in &keys {
            let texts = forms.iter().map(|form| text.replace(INSIDE, &format!("{key} = {form}")));
            tables.extend(texts.into_iter().find(|text| expected(text).is_some()).map(|text| (key.clone(), text)));
        }
        let before = known.insert(table.clone(), keys.clone());
        assert!(before.is_none_or(|before| before == keys), "two tables are called `{table}` and have other keys");
    }
    known
}

/// The keys that a parser says it expects in the place of [`NO_SUCH_KEY`].
fn expected(complaint: &str) -> Option<BTreeSet<String>> {
    let (_, expected) = complaint.split_once(&format!("unknown field `{NO_SUCH_KEY}`, expected "))?;
    let expected = expected.lines().next()?;
    Some(expected.split('`').skip(1).step_by(2).map(str::to_owned).collect())
}

/// The keys that a page documents.
pub(crate) fn documented(page: &str) -> Keys {
    let mut documented = Keys::new();
    let mut table = None;
    for line in page.lines() {
        if line.starts_with('#') {
            let name = line.split('`').nth(1).map(|name| name.trim_matches(['[', ']']));
            // What stands behind a dot is a name of the writer's own.
            let file = |name: &str| name.ends_with(".toml");
            table = name.map(|name| name.split_once('.').filter(|_| !file(name)).map_or(name, |(table, _)| table).to_owned());
        }
        if let (Some(table), Some(key)) = (&table, line.strip_prefix("| `").and_then(|row| row.split('`').next())) {
            documented.entry(table.clone()).or_default().insert(key.to_owned());
        }
    }
    documented
}

/// Fails unless the page documents every key that the parser knows, and no other.
#[track_caller]
pub(crate) fn compare(page: &str, known: &Keys, documented: &Keys) {
    let listed = |keys: &Keys| {
        keys.iter()
            .flat_map(|(table, keys)| keys.iter().map(move |key| format!("`{key}` below `{table}`")))
            .collect::<BTreeSet<_>>()
    };
    let (known, documented) = (listed(known), listed(documented));
    let missing: Vec<_> = known.difference(&documented).collect();
    let invented: Vec<_> = documented.difference(&known).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "{page}: a row \"| `key` |\" below the heading of its table is missing for {missing:?}; there are no such keys: {invented:?}"
    );
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::manifest::Manifest;

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its keys are looked at")]
    struct File {
        number: u32,
        one: One,
        several: Vec<One>,
        named: BTreeMap<String, Two>,
        free: BTreeMap<String, String>,
    }

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its keys are looked at")]
    struct One {
        alone: u32,
    }

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its keys are looked at")]
    struct Two {
        first: u32,
        second: Option<One>,
    }

    const PAGE: &str = "# `file.toml`\n| `number` |\n| `one` |\n| `several` |\n| `named` |\n| `free` |\n## `[one]`\n| `alone` |\n\
                        ## `[[several]]`\n| key |\n| `alone` | `x` |\n### `[named.NAME]`\n| `first` |\n| `second` |\n\
                        ## `second = { … }`\n## Something else\n| `not a key` |\n";

    #[test]
    fn a_parser_and_a_page_name_the_same_keys() {
        let known =
            known("file.toml", &|text| toml::from_str::<File>(text).err().map(|error| error.to_string()).unwrap_or_default());
        let page = PAGE.replace("## `second = { … }`\n", "## `second`\n| `alone` |\n");
        assert_eq!(known, documented(&page));
        assert_ne!(known, documented(PAGE));
    }

    #[test]
    #[should_panic(expected = "is missing for [\"`b` below `t`\"]; there are no such keys: [\"`c` below `t`\"]")]
    fn what_differs_is_named() {
        let keys = |names: [&str; 2]| Keys::from([("t".to_owned(), names.map(str::to_owned).into())]);
        compare("page", &keys(["a", "b"]), &keys(["a", "c"]));
    }

    #[test]
    fn every_key_of_a_manifest_is_documented() {
        let page = include_str!("../../plugins/MANIFEST.md");
        let known = known("plugin.toml", &|text| Manifest::parse(text).err().map(|error| error.to_string()).unwrap_or_default());
        compare("plugins/MANIFEST.md", &known, &documented(page));
        let (_, example) = page.split_once("```toml\n").unwrap();
        Manifest::parse(example.split_once("```").unwrap().0).unwrap();
    }

    #[cfg(feature = "cli")]
    #[test]
    fn every_key_of_a_case_is_documented() {
        use crate::conformance::case::Case;

        let page = include_str!("../../plugins/CASES.md");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("case.toml");
        let read = |path: &Path, text: &str| {
            std::fs::write(path, text).unwrap();
            Case::read(path).err().map(|error| error.to_string()).unwrap_or_default()
        };
        compare("plugins/CASES.md", &known("case.toml", &|text| read(&path, text)), &documented(page));
        let (_, example) = page.split_once("```toml\n").unwrap();
        assert_eq!(read(&path, example.split_once("```").unwrap().0), "");
    }
}
