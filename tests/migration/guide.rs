//! The commands of host/deploy/MIGRATION.md, which are what the rehearsal runs.

use std::collections::BTreeMap;

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

fn script(block: &str) -> String {
    let (mut script, mut continues) = (String::new(), false);
    for line in block.lines() {
        let command = line.strip_prefix("$ ").or_else(|| continues.then_some(line));
        continues = command.is_some_and(|command| command.ends_with('\\'));
        script.extend(command.into_iter().flat_map(|command| [command, "\n"]));
    }
    script
}
