//! host/CONFIGURATION.md says what there is, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Config, limits};
use crate::documented_keys::{compare, documented, known};
use crate::password::PasswordOptions;
use crate::tags::Tags;

const PAGE: &str = include_str!("../../CONFIGURATION.md");

fn read(text: &str) -> Result<Config, String> {
    let mut config = Config::with_plugins("plugins".into());
    config.read_text(text, Path::new("windlass.toml")).map_err(|error| error.to_string())?;
    Ok(config)
}

/// The rows below a heading, cell by cell.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn unquoted(cell: &str) -> &str {
    cell.trim_matches('`')
}

#[test]
fn every_key_of_the_file_is_documented() {
    let known = known("windlass.toml", &|text| read(text).err().unwrap_or_default());
    assert!(known["secrets"].contains("admin") && known["client_certificate"].len() == 2, "{known:?}");
    compare("host/CONFIGURATION.md", &known, &documented(PAGE));
}

#[test]
fn the_whole_file_is_right() {
    let (_, example) = PAGE.split_once("```toml\n").unwrap();
    let config = read(example.split_once("\n```").unwrap().0).unwrap();
    assert_eq!(config.rules.len(), 3);
}

#[test]
fn limits_are_those_of_the_code() {
    assert!(PAGE.contains(&limits::documentation()), "put this into host/CONFIGURATION.md:\n{}", limits::documentation());
}

#[test]
fn password_options_have_the_defaults_that_are_built_in() {
    let said: Vec<_> = rows("`password`").into_iter().map(|cells| (unquoted(&cells[0]).to_owned(), cells[2].clone())).collect();
    let names = PasswordOptions::default().entries().map(|(name, _)| name.to_owned());
    let built_in = names.into_iter().zip(PasswordOptions::BUILT_IN.map(|value| format!("`{value}`")));
    assert_eq!(said, built_in.collect::<Vec<_>>());
}

#[test]
fn every_tag_is_documented_with_a_value_that_it_takes() {
    let rows = rows("Tags of a secret");
    let names: BTreeSet<_> = rows.iter().map(|cells| unquoted(&cells[0]).to_owned()).collect();
    for cells in &rows {
        let tag = BTreeMap::from([(unquoted(&cells[0]).to_owned(), unquoted(&cells[1]).to_owned())]);
        assert!(Tags::read(&tag).is_ok_and(|tags| tags != Tags::default()), "{tag:?}");
    }
    let options = PasswordOptions::default().entries().map(|(name, _)| name);
    let options = options.map(|name| if name == "length" { "password_length" } else { name });
    let expected = ["plugin", "generated"].into_iter().chain(options).map(|name| format!("windlass:{name}"));
    assert_eq!(names, expected.collect());
}

#[test]
fn every_variable_is_documented() {
    let documented: BTreeSet<_> = rows("Environment variables").iter().map(|cells| unquoted(&cells[0]).to_owned()).collect();
    let unknown = Config::from_vars([("WINDLASS_NO_SUCH".to_owned(), "x".to_owned())], Path::new("/nowhere"));
    let complaint = unknown.unwrap_err().to_string();
    let ours = complaint.split_once("Known: ").unwrap().1.split(", ");
    let of_templates = Config::PASSWORD_VARIABLES.into_iter().chain(["SECRETS_MANAGER_ENDPOINT"]);
    let expected: BTreeSet<_> = ours.chain(of_templates).map(str::to_owned).collect();
    // Those of AWS are read by its SDK and by Lambda.
    let said = documented.into_iter().filter(|name| !name.starts_with("AWS_")).collect();
    assert_eq!(expected, said);
}
