//! The contract may grow and never change: a plugin that was built for it has to run on every later host of the same version line.
//!
//! `tests/contract/VERSION` is a copy of `wit/` as that version was given to authors. It is not edited; a later version gets a folder of
//! its own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test is meant to panic, in its helpers too")]

use std::collections::BTreeMap;
use std::path::Path;

use rstest::rstest;

/// What stands in each block of WIT, by the headers around it: `interface log / enum level`.
type Blocks = BTreeMap<String, Vec<String>>;

/// Reads WIT as far as it takes to compare it: blocks, and the statements in them, without comments and layout.
fn blocks(text: &str) -> Blocks {
    let without_comments: String = text.lines().map(|line| line.split("//").next().unwrap().to_owned() + " ").collect();
    // An arrow is no closing bracket.
    let text = without_comments.replace("->", "→");
    let (mut blocks, mut around, mut statement, mut depth) = (Blocks::new(), Vec::<String>::new(), String::new(), 0);
    for character in text.chars() {
        let said = statement.split_whitespace().collect::<Vec<_>>().join(" ");
        let in_use = said.starts_with("use ");
        match character {
            '(' | '<' => depth += 1,
            ')' | '>' => depth -= 1,
            '{' if !in_use => {
                around.push(said);
                blocks.entry(around.join(" / ")).or_default();
                statement.clear();
                continue;
            }
            ';' | ',' | '}' if !in_use && depth == 0 || character == ';' => {
                if !said.is_empty() {
                    blocks.entry(around.join(" / ")).or_default().push(said);
                }
                statement.clear();
                if character == '}' {
                    around.pop();
                }
                continue;
            }
            _ => {}
        }
        statement.push(character);
    }
    blocks
}

/// What of `frozen` is not in `current` as it was.
fn changes(frozen: &Blocks, current: &Blocks) -> Vec<String> {
    let mut changes = Vec::new();
    for (name, statements) in frozen {
        let Some(now) = current.get(name) else {
            changes.push(format!("`{name}` is gone"));
            continue;
        };
        let kind = name.rsplit(" / ").next().unwrap().split(' ').next().unwrap();
        if matches!(kind, "enum" | "record" | "variant" | "flags") && statements != now {
            changes.push(format!("`{name}` has other members: a type that plugins were built with cannot change"));
        }
        changes
            .extend(statements.iter().filter(|statement| !now.contains(statement)).map(|gone| format!("`{name}` lacks `{gone}`")));
    }
    changes
}

fn contract(folder: &Path) -> Blocks {
    let mut contract = Blocks::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "wit") {
            for (name, statements) in blocks(&std::fs::read_to_string(path).unwrap()) {
                contract.entry(name).or_default().extend(statements);
            }
        }
    }
    contract
}

#[test]
fn what_was_given_to_authors_is_still_there_and_as_it_was() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let current = contract(&root.join("wit"));
    let mut versions = 0;
    for entry in std::fs::read_dir(root.join("tests/contract")).unwrap() {
        let folder = entry.unwrap().path();
        assert_eq!(changes(&contract(&folder), &current), Vec::<String>::new(), "{}", folder.display());
        versions += 1;
    }
    assert!(versions > 0 && current.len() > 10);
}

const CONTRACT: &str = "
    package a:b@0.1.0;
    /// Comments do not count; { nor do their brackets.
    interface log {
        use failures.{failure, other};
        enum level { info, warn, }
        resource stream {
            read: func(max: u32) -> result<list<u8>, failure>;
        }
        write: func(of: level, line: string);
    }
";

#[rstest]
#[case::function_added("write:", "flush: func(); write:", &[])]
#[case::method_added("read:", "close: func(); read:", &[])]
#[case::comment("Comments do", "Comments still do", &[])]
#[case::layout("enum level { info, warn, }", "enum level {\n  info,\n  warn\n }", &[])]
#[case::function_gone("write: func(of: level, line: string);", "", &["`interface log` lacks `write: func(of: level, line: string)`"])]
#[case::parameter("line: string", "line: list<u8>", &["`interface log` lacks `write: func(of: level, line: string)`"])]
#[case::result("list<u8>, failure", "list<u8>, other", &["`interface log / resource stream` lacks `read: func(max: u32) → result<list<u8>, failure>`"])]
#[case::case_added("warn,", "warn, error,", &["`interface log / enum level` has other members: a type that plugins were built with cannot change"])]
#[case::cases_swapped("info, warn,", "warn, info,", &["`interface log / enum level` has other members: a type that plugins were built with cannot change"])]
#[case::interface_renamed("interface log", "interface logs", &["`interface log` is gone", "`interface log / enum level` is gone", "`interface log / resource stream` is gone"])]
#[case::version("a:b@0.1.0", "a:b@0.2.0", &["`` lacks `package a:b@0.1.0`"])]
fn a_change_is_told_from_an_addition(#[case] from: &str, #[case] to: &str, #[case] found: &[&str]) {
    assert!(CONTRACT.contains(from));
    assert_eq!(changes(&blocks(CONTRACT), &blocks(&CONTRACT.replacen(from, to, 1))), found);
}
