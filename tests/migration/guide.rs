//! The commands of host/deploy/MIGRATION.md, which are what the rehearsal runs.

use std::collections::{BTreeMap, BTreeSet};

const GUIDE: &str = include_str!("../../host/deploy/MIGRATION.md");

/// What stands in front of a block of commands: `<!-- rehearsed: NAME -->`.
const MARK: &str = "<!-- rehearsed: ";

/// The blocks of the guide by name, each as a script: of a `console` the lines behind `$ ` and those that continue them, without the
/// output, and of a `sh` everything.
pub(crate) fn blocks() -> BTreeMap<&'static str, String> {
    let mut blocks = BTreeMap::new();
    for part in GUIDE.split(MARK).skip(1) {
        let (name, rest) = part.split_once(" -->\n```").expect("a block follows a mark");
        let (language, rest) = rest.split_once('\n').expect("the block begins");
        let (block, _) = rest.split_once("\n```").expect("the block ends");
        let script = match language {
            "console" => script(block),
            "sh" => format!("{block}\n"),
            other => panic!("`{name}` is not of commands: {other}"),
        };
        assert!(blocks.insert(name, script).is_none(), "two blocks are called `{name}`");
    }
    blocks
}

/// The script of one block.
#[track_caller]
pub(crate) fn block(name: &str) -> String {
    blocks().remove(name).unwrap_or_else(|| panic!("the guide has no block `{name}`"))
}

/// Every ARN in the guide, in its output, too.
pub(crate) fn arns() -> impl Iterator<Item = &'static str> {
    let ends = |character: char| !character.is_ascii_alphanumeric() && !":/-".contains(character);
    GUIDE.match_indices("arn:aws:").filter_map(move |(at, _)| GUIDE[at..].split(ends).next())
}

/// The states of a secret that the guide tells apart, by the names that `windlass doctor` gives them: those in the second column of its
/// table.
pub(crate) fn states() -> BTreeSet<&'static str> {
    let (_, table) =
        GUIDE.split_once("\n| labels | `doctor` | state | to do |\n|---|---|---|---|\n").expect("the guide has the table");
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    rows.flat_map(|row| row.split('|').nth(2).expect("a row has a second column").split('`').skip(1).step_by(2)).collect()
}

fn script(block: &str) -> String {
    let (mut script, mut continues) = (String::new(), false);
    for line in block.lines() {
        let command = line.strip_prefix("$ ").or_else(|| continues.then_some(line));
        continues = command.is_some_and(|command| command.ends_with('\\'));
        script.extend(command.into_iter().flat_map(|command| [command, "\n"]));
    }
    script
}
