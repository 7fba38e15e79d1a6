//! What a swap of one component for another changes, and which of it asks for more. Pure.
//!
//! More is whatever somebody who agreed to the old component has not agreed to: another place to connect to, another field to fill,
//! a weaker promise. Where a change could be harmless or not, it asks for more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use serde::Serialize;

use crate::candidate::WHOLE;
use crate::cli::ability::Ability;
use crate::cli::inspect::{encryption, generated_fields};
use crate::manifest::{Budget, EndpointTemplate, Manifest, SecretShape, TlsExpectation, default_tls_field};
use crate::password::PasswordOptions;
use crate::plugin::component_file::ComponentFile;

/// One thing that is not the same in both. The texts are the authors', as they wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What kind of thing.
    pub part: Part,
    /// Which of them; empty where there is only one.
    pub name: String,
    /// How it changed.
    pub change: How,
    /// How it was, where there is more to say than its name.
    pub before: Option<String>,
    /// How it is, where there is more to say than its name.
    pub after: Option<String>,
    /// Why it asks for more, each a sentence without its full stop. None, if it does not.
    pub more: Vec<&'static str>,
}

/// How something changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Only the new component has it.
    Added,
    /// Only the old one had it.
    Removed,
    /// Both have it, not the same.
    Changed,
}

/// A kind of thing that two components can differ in, in the order in which people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The plugin's name.
    Name,
    /// Something that it can have the host do.
    Ability,
    /// An endpoint: address and TLS.
    Endpoint,
    /// A field that the secret itself must have.
    Needed,
    /// A field that must be there, be it by default.
    Required,
    /// A field that gets new values.
    Generated,
    /// A field that says who or where.
    Identity,
    /// The field by which two users take turns.
    Alternating,
    /// The default of a field.
    Default,
    /// By which fields a secret without a tag is recognised.
    Match,
    /// Whether old and new credential are valid together.
    Overlap,
    /// How long set-secret may take.
    Budget,
    /// An option for generated values.
    Password,
    /// The default of a setting.
    Setting,
    /// The plugin's version.
    Version,
    /// The plugin's description.
    Description,
    /// The contract that its steps were built for.
    Contract,
    /// An imported interface.
    Import,
    /// An export.
    Export,
    /// A language or tool that it was made with.
    Toolchain,
    /// The number of bytes.
    Size,
    /// The digest of the bytes.
    Digest,
}

/// All differences, in the order of [`Part`]; none if the bytes are the same.
pub fn difference(old: &ComponentFile, new: &ComponentFile) -> Vec<Change> {
    let mut changes = of_manifests(old.manifest(), new.manifest());
    changes.extend(of_abilities(old.imports(), new.imports()));
    changes.extend(of_texts(Part::Contract, old.contract(), new.contract()));
    changes.extend(members(Part::Import, &set(old.imports()), &set(new.imports()), None));
    changes.extend(members(Part::Export, &set(old.exports()), &set(new.exports()), None));
    let tools = |component: &ComponentFile| -> BTreeSet<String> {
        let producers = component.producers();
        producers.kinds().iter().flat_map(|(kind, entries)| entries.iter().map(move |entry| format!("{kind}: {entry}"))).collect()
    };
    changes.extend(members(Part::Toolchain, &tools(old), &tools(new), None));
    changes.extend(of_texts(Part::Size, &old.wasm().len().to_string(), &new.wasm().len().to_string()));
    changes.extend(of_texts(Part::Digest, &old.digest().to_string(), &new.digest().to_string()));
    changes.sort_by_key(|change| change.part);
    changes
}

/// What the host does for the components.
fn of_abilities(old: &[String], new: &[String]) -> Vec<Change> {
    let held = |imports: &[String]| -> BTreeMap<String, String> {
        let held = imports.iter().filter_map(|import| Ability::of(import));
        held.map(|ability| (ability.name().to_owned(), ability.meaning().to_owned())).collect()
    };
    entries(Part::Ability, &held(old), &held(new), String::clone, |_, before, _| match before {
        None => vec!["the old one could not do that"],
        Some(_) => Vec::new(),
    })
}

/// What the manifests say.
fn of_manifests(old: &Manifest, new: &Manifest) -> Vec<Change> {
    // Taken apart, so that whoever adds a key to the manifest has to say here what it means for a swap.
    let Manifest { name, version, description, overlap, secret: _, password, endpoints, settings, budget } = new;
    let because = |change: Option<Change>, more| change.map(|change| Change { more: vec![more], ..change });
    let mut changes = Vec::new();
    changes.extend(because(
        of_texts(Part::Name, old.name.as_str(), name.as_str()),
        "it serves the secrets whose tag or rule says this name",
    ));
    changes.extend(of_texts(Part::Version, &old.version, version));
    let said = |description: &String| Some(description.clone()).filter(|description| !description.is_empty());
    changes.extend(changed(Part::Description, "", said(&old.description), said(description), Vec::new()));
    changes.extend(because(
        of_texts(Part::Overlap, validity(old.overlap), validity(*overlap)),
        // Either way somebody has to agree: whoever runs the clients, or whoever wants the old credential gone.
        if *overlap {
            "the old credential works on after a rotation"
        } else {
            "clients with the old credential fail from setSecret until they read the new one"
        },
    ));
    let seconds = |budget: &Budget| budget.set_secret_seconds.map(|seconds| format!("{seconds} s"));
    changes.extend(changed(Part::Budget, "", seconds(&old.budget), seconds(budget), Vec::new()));
    let (before, after) = (effective(&old.endpoints), effective(endpoints));
    changes.extend(entries(Part::Endpoint, &before, &after, in_words, |_, before, after| match (before, after) {
        (Some(before), Some(after)) => widened(before, after),
        (None, _) => vec!["the old one did not connect there"],
        (Some(_), None) => Vec::new(),
    }));
    changes.extend(of_secrets(old, new));
    changes.extend(of_passwords(&old.password, password));
    // Only the plugin's own code gives a setting a meaning, and that code may be any other anyway.
    changes.extend(entries(Part::Setting, &old.settings, settings, String::clone, |_, _, _| Vec::new()));
    changes
}

const fn validity(overlap: bool) -> &'static str {
    if overlap { "valid together" } else { "valid one after the other" }
}

/// Endpoints without what has no effect: a field that may ask for plain text where nobody asks it.
fn effective(endpoints: &BTreeMap<String, EndpointTemplate>) -> BTreeMap<String, EndpointTemplate> {
    let effective = |endpoint: &EndpointTemplate| match endpoint.tls {
        TlsExpectation::Optional => endpoint.clone(),
        TlsExpectation::Required | TlsExpectation::StartTls => {
            EndpointTemplate { tls_field: default_tls_field(), ..endpoint.clone() }
        }
    };
    endpoints.iter().map(|(name, endpoint)| (name.clone(), effective(endpoint))).collect()
}

fn in_words(endpoint: &EndpointTemplate) -> String {
    format!("{}, {}", endpoint.address, encryption(endpoint))
}

/// Why a changed endpoint asks for more.
fn widened(old: &EndpointTemplate, new: &EndpointTemplate) -> Vec<&'static str> {
    let mut more = Vec::new();
    if old.address != new.address {
        more.push("the old one connected elsewhere");
    }
    if protection(new.tls) < protection(old.tls) {
        more.push("the connection is less sure to be encrypted");
    }
    if (old.tls, new.tls) == (TlsExpectation::Optional, TlsExpectation::Optional) && old.tls_field != new.tls_field {
        more.push("another field of the secret can switch encryption off");
    }
    more
}

/// How much stands between a connection and plain text: the host, the host unless the secret objects, the plugin alone.
const fn protection(tls: TlsExpectation) -> u8 {
    match tls {
        TlsExpectation::Required => 2,
        TlsExpectation::Optional => 1,
        TlsExpectation::StartTls => 0,
    }
}

/// What the manifests say of the secret's fields.
fn of_secrets(old: &Manifest, new: &Manifest) -> Vec<Change> {
    let SecretShape { required, generated: _, identity: _, alternating, defaults, matches } = &new.secret;
    let mut changes = Vec::new();
    let (before, after) = (needed(old), needed(new));
    changes.extend(members(Part::Needed, &before, &after, Some("a secret without it is refused")));
    let told = |change: &Change| before.contains(&change.name) != after.contains(&change.name);
    let required = members(Part::Required, &set(&old.secret.required), &set(required), None);
    changes.extend(required.into_iter().filter(|change| !told(change)));
    changes.extend(members(Part::Generated, &generated(old), &generated(new), Some("a rotation replaces its value")));
    changes.extend(of_identities(old, new));
    let takes_turns = match alternating {
        Some(_) => "where users take turns, it makes and changes the other user with the admin credential",
        None => "a rule with `alternating_users` is refused",
    };
    changes.extend(changed(Part::Alternating, "", old.secret.alternating.clone(), alternating.clone(), vec![takes_turns]));
    let identity = new.identity_fields(&generated_fields(new));
    changes.extend(entries(Part::Default, &old.secret.defaults, defaults, String::clone, |field, _, after| {
        if after.is_some() && identity.contains(field) {
            vec!["a secret without the field is for somebody or somewhere else then"]
        } else {
            Vec::new()
        }
    }));
    changes.extend(of_recognition(&old.secret.matches, matches));
    changes
}

/// The fields that a secret has to have itself: those that are required or stand in an address, and have no default.
fn needed(manifest: &Manifest) -> BTreeSet<String> {
    let addresses = manifest.endpoints.values().flat_map(|endpoint| [endpoint.address.host.field(), endpoint.address.port.field()]);
    let fields = manifest.secret.required.iter().map(String::as_str).chain(addresses.flatten());
    fields.filter(|field| !manifest.secret.defaults.contains_key(*field)).map(str::to_owned).collect()
}

/// What a rotation replaces. A manifest that does not say it leaves it to the form of the secret.
fn generated(manifest: &Manifest) -> BTreeSet<String> {
    let mut generated: BTreeSet<String> = generated_fields(manifest).into_iter().collect();
    if manifest.secret.generated.is_empty() {
        generated.insert("the whole of a plain string".to_owned());
    }
    if generated.remove(WHOLE) {
        generated.insert("the whole secret".to_owned());
    }
    generated
}

/// What protects the fields that say who and where: a previous version that differs in one is withheld, and some are never
/// generated, whatever the secret's tags say.
///
/// Only a field that was named for it is missed. One that stood in an address, or by which the plugin was chosen, says nothing any
/// more when it stands there no longer.
fn of_identities(old: &Manifest, new: &Manifest) -> Vec<Change> {
    let (before, after) = (Protected::of(old), Protected::of(new));
    let (named, generated) = (Protected::named(old), generated_fields(new));
    let fields: BTreeSet<&String> = [&before, &after].into_iter().flat_map(|of| of.compared.union(&of.kept)).collect();
    // A field that is generated now is told as that.
    let fields = fields.into_iter().filter(|field| !generated.contains(field));
    let changes = fields.filter_map(|field| {
        let mut more = Vec::new();
        if named.compared.contains(field) && !after.compared.contains(field) {
            more.push("a previous credential that differs in it is handed out too");
        }
        if named.kept.contains(field) && !after.kept.contains(field) {
            more.push("the secret's tags may have it generated");
        }
        let words = |of: &Protected| of.in_words(field).map(str::to_owned);
        changed(Part::Identity, field, words(&before), words(&after), more)
    });
    changes.collect()
}

/// Fields that say who and where, by what the host does for that.
struct Protected {
    /// The same in a previous version, or that is withheld.
    compared: BTreeSet<String>,
    /// Never generated.
    kept: BTreeSet<String>,
}

impl Protected {
    fn of(manifest: &Manifest) -> Self {
        let compared = manifest.identity_fields(&generated_fields(manifest)).into_iter().map(str::to_owned).collect();
        let kept = manifest.secret.identity.iter().chain(manifest.secret.matches.keys()).map(String::as_str);
        Self { compared, kept: kept.chain(manifest.endpoint_fields()).map(str::to_owned).collect() }
    }

    /// Those that the author named, by `identity` or, without it, by `required`.
    fn named(manifest: &Manifest) -> Self {
        let Self { compared, .. } = Self::of(manifest);
        let SecretShape { required, identity, .. } = &manifest.secret;
        let named = set(if identity.is_empty() { required } else { identity });
        Self { compared: compared.intersection(&named).cloned().collect(), kept: set(identity) }
    }

    fn in_words(&self, field: &String) -> Option<&'static str> {
        match (self.compared.contains(field), self.kept.contains(field)) {
            (true, true) => Some("compared with the previous version and kept from generation"),
            (true, false) => Some("compared with the previous version"),
            (false, true) => Some("kept from generation"),
            (false, false) => None,
        }
    }
}

/// Which secrets without a tag the plugin takes for its own: those with all of these values. None, if there are no values.
fn of_recognition(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Option<Change> {
    let pairs = |pairs: &BTreeMap<String, String>| {
        let shown = pairs.iter().map(|(field, value)| format!("`{field}` = `{value}`")).collect::<Vec<_>>();
        (!shown.is_empty()).then(|| shown.join(", "))
    };
    if old == new {
        return None;
    }
    let narrower = !old.is_empty() && old.iter().all(|(field, value)| new.get(field) == Some(value));
    let more = if new.is_empty() || narrower { Vec::new() } else { vec!["it is used for secrets that the old one left alone"] };
    Some(Change {
        part: Part::Match,
        name: String::new(),
        change: how(!old.is_empty(), !new.is_empty()),
        before: pairs(old),
        after: pairs(new),
        more,
    })
}

/// What generated values look like. An option that is left open takes what the operator says of all secrets, then the built-in
/// value.
fn of_passwords(old: &PasswordOptions, new: &PasswordOptions) -> Vec<Change> {
    let PasswordOptions {
        length,
        exclude_characters,
        exclude_numbers,
        exclude_punctuation,
        exclude_uppercase,
        exclude_lowercase,
        include_space,
        require_each_included_type,
    } = new;
    let excludes = |name, old, new| of_option(name, old, new, &false, |old, new| *new && !*old);
    let keeps = |name, old, new, built_in| of_option(name, old, new, built_in, |old, new| *old && !*new);
    [
        of_option("length", &old.length, length, &PasswordOptions::LENGTH, |old, new| new < old),
        of_option(
            "exclude_characters",
            &old.exclude_characters,
            exclude_characters,
            &PasswordOptions::EXCLUDED.to_owned(),
            |old, new| new.chars().any(|character| !old.contains(character)),
        ),
        excludes("exclude_numbers", &old.exclude_numbers, exclude_numbers),
        excludes("exclude_punctuation", &old.exclude_punctuation, exclude_punctuation),
        excludes("exclude_uppercase", &old.exclude_uppercase, exclude_uppercase),
        excludes("exclude_lowercase", &old.exclude_lowercase, exclude_lowercase),
        keeps("include_space", &old.include_space, include_space, &false),
        keeps("require_each_included_type", &old.require_each_included_type, require_each_included_type, &true),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn of_option<T: PartialEq + Display>(
    name: &str,
    old: &Option<T>,
    new: &Option<T>,
    built_in: &T,
    weaker: impl Fn(&T, &T) -> bool,
) -> Option<Change> {
    let mut more = Vec::new();
    if weaker(old.as_ref().unwrap_or(built_in), new.as_ref().unwrap_or(built_in)) {
        more.push("new values are easier to guess");
    }
    if old.is_none() && new.is_some() {
        more.push("it counts before what the operator says for all secrets");
    }
    changed(Part::Password, name, old.as_ref().map(T::to_string), new.as_ref().map(T::to_string), more)
}

/// The difference of two texts of which there is always one.
fn of_texts(part: Part, before: &str, after: &str) -> Option<Change> {
    changed(part, "", Some(before.to_owned()), Some(after.to_owned()), Vec::new())
}

/// The differences of two tables. `more` gets an entry's name and what it was and is.
fn entries<V: PartialEq>(
    part: Part,
    old: &BTreeMap<String, V>,
    new: &BTreeMap<String, V>,
    shown: impl Fn(&V) -> String,
    more: impl Fn(&str, Option<&V>, Option<&V>) -> Vec<&'static str>,
) -> Vec<Change> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differing = names.into_iter().map(|name| (name, old.get(name), new.get(name))).filter(|(_, before, after)| before != after);
    differing
        .map(|(name, before, after)| Change {
            part,
            name: name.clone(),
            change: how(before.is_some(), after.is_some()),
            before: before.map(&shown),
            after: after.map(&shown),
            more: more(name, before, after),
        })
        .collect()
}

/// The differences of two sets. `added` is why a new member asks for more, if it does.
fn members(part: Part, old: &BTreeSet<String>, new: &BTreeSet<String>, added: Option<&'static str>) -> Vec<Change> {
    let differing = old.symmetric_difference(new);
    differing
        .map(|name| {
            let is_new = new.contains(name);
            let more = added.filter(|_| is_new).into_iter().collect();
            Change { part, name: name.clone(), change: how(!is_new, is_new), before: None, after: None, more }
        })
        .collect()
}

fn changed(part: Part, name: &str, before: Option<String>, after: Option<String>, more: Vec<&'static str>) -> Option<Change> {
    let change = how(before.is_some(), after.is_some());
    (before != after).then(|| Change { part, name: name.to_owned(), change, before, after, more })
}

const fn how(before: bool, after: bool) -> How {
    match (before, after) {
        (false, _) => How::Added,
        (true, false) => How::Removed,
        (true, true) => How::Changed,
    }
}

fn set(names: &[String]) -> BTreeSet<String> {
    names.iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::plugin::component_file::tests::plugin;

    fn manifest(rest: &str) -> Manifest {
        Manifest::parse(&format!("version = \"1\"\n{}{rest}", if rest.contains("name =") { "" } else { "name = \"a\"\n" })).unwrap()
    }

    /// What asks for more, as `part name: reason`.
    fn more(old: &str, new: &str) -> Vec<String> {
        let changes = of_manifests(&manifest(old), &manifest(new));
        assert_eq!(changes.is_empty(), old == new, "{changes:?}");
        let reasons = changes
            .into_iter()
            .flat_map(|Change { part, name, more, .. }| more.into_iter().map(move |reason| format!("{part:?} {name}: {reason}")));
        reasons.collect()
    }

    const ENDPOINT: &str = "[endpoints.e]\naddress = \"{h}:{p}\"";
    const OPTIONAL: &str = "[endpoints.e]\naddress = \"{h}:{p}\"\ntls = \"optional\"";
    const START_TLS: &str = "[endpoints.e]\naddress = \"{h}:{p}\"\ntls = \"start-tls\"";
    const B_MAY_DIFFER: &str = "Identity b: a previous credential that differs in it is handed out too";
    const B_MAY_BE_GENERATED: &str = "Identity b: the secret's tags may have it generated";

    // Each kind of widening, with its harmless neighbour where there is one: mostly the way back.
    #[rstest]
    #[case::name("name = \"a\"", "name = \"b\"", &["Name : it serves the secrets whose tag or rule says this name"])]
    #[case::description("", "description = \"better\"", &[])]
    #[case::overlap_gained("", "overlap = true", &["Overlap : the old credential works on after a rotation"])]
    #[case::overlap_lost(
        "overlap = true",
        "",
        &["Overlap : clients with the old credential fail from setSecret until they read the new one"]
    )]
    #[case::endpoint_added(
        "[secret]\nrequired = [\"h\", \"p\"]",
        "[secret]\nrequired = [\"h\", \"p\"]\n[endpoints.e]\naddress = \"{h}:{p}\"",
        &["Endpoint e: the old one did not connect there"]
    )]
    #[case::endpoint_removed(
        "[endpoints.e]\naddress = \"{h}:{p}\"\n[endpoints.f]\naddress = \"{g}:1\"",
        "[endpoints.e]\naddress = \"{h}:{p}\"",
        &[]
    )]
    #[case::endpoint_of_the_author_added("", "[endpoints.e]\naddress = \"example.com:443\"", &["Endpoint e: the old one did not connect there"])]
    #[case::endpoint_of_the_author_removed("[endpoints.e]\naddress = \"example.com:443\"", "", &[])]
    #[case::another_host(
        "[endpoints.e]\naddress = \"a.example:443\"",
        "[endpoints.e]\naddress = \"b.example:443\"",
        &["Endpoint e: the old one connected elsewhere"]
    )]
    #[case::another_port(
        "[endpoints.e]\naddress = \"a.example:443\"",
        "[endpoints.e]\naddress = \"a.example:444\"",
        &["Endpoint e: the old one connected elsewhere"]
    )]
    #[case::field_for_literal(
        "[secret]\nrequired = [\"h\"]\n[endpoints.e]\naddress = \"a.example:443\"",
        "[secret]\nrequired = [\"h\"]\n[endpoints.e]\naddress = \"{h}:443\"",
        &["Endpoint e: the old one connected elsewhere"]
    )]
    #[case::tls_may_be_off(ENDPOINT, OPTIONAL, &["Endpoint e: the connection is less sure to be encrypted"])]
    #[case::tls_after_plain_text(ENDPOINT, START_TLS, &["Endpoint e: the connection is less sure to be encrypted"])]
    #[case::tls_is_the_plugins_matter(OPTIONAL, START_TLS, &["Endpoint e: the connection is less sure to be encrypted"])]
    #[case::tls_no_longer_optional(OPTIONAL, ENDPOINT, &[])]
    #[case::tls_always(START_TLS, ENDPOINT, &[])]
    #[case::tls_decided_by_the_host(START_TLS, OPTIONAL, &[])]
    #[case::another_field_switches_tls_off(
        OPTIONAL,
        "[endpoints.e]\naddress = \"{h}:{p}\"\ntls = \"optional\"\ntls_field = \"ssl\"",
        &["Endpoint e: another field of the secret can switch encryption off"]
    )]
    #[case::field_needed("", "[secret]\nrequired = [\"f\"]", &["Needed f: a secret without it is refused"])]
    #[case::field_required_with_a_default(
        "[secret]\ngenerated = [\"g\"]\nidentity = [\"i\"]\ndefaults = { f = \"1\" }",
        "[secret]\ngenerated = [\"g\"]\nidentity = [\"i\"]\ndefaults = { f = \"1\" }\nrequired = [\"f\"]",
        &[]
    )]
    #[case::field_loses_its_default(
        "[secret]\nrequired = [\"f\"]\ndefaults = { f = \"1\" }",
        "[secret]\nrequired = [\"f\"]",
        &["Needed f: a secret without it is refused"]
    )]
    #[case::field_no_longer_needed("[secret]\nrequired = [\"f\"]\nidentity = [\"i\"]", "[secret]\nidentity = [\"i\"]", &[])]
    #[case::field_generated(
        "[secret]\ngenerated = [\"password\"]",
        "[secret]\ngenerated = [\"password\", \"token\"]",
        &["Generated token: a rotation replaces its value"]
    )]
    #[case::field_no_longer_generated("[secret]\ngenerated = [\"password\", \"token\"]", "[secret]\ngenerated = [\"password\"]", &[])]
    #[case::identity_field_generated(
        "[secret]\ngenerated = [\"password\"]\nrequired = [\"user\"]",
        "[secret]\ngenerated = [\"password\", \"user\"]\nrequired = [\"user\"]",
        &["Generated user: a rotation replaces its value"]
    )]
    #[case::plain_string_generated(
        "[secret]\ngenerated = [\"password\"]",
        "",
        &["Generated the whole of a plain string: a rotation replaces its value"]
    )]
    #[case::plain_string_no_longer_generated("", "[secret]\ngenerated = [\"password\"]", &[])]
    #[case::everything_generated("", "[secret]\ngenerated = [\"*\"]", &["Generated the whole secret: a rotation replaces its value"])]
    #[case::identity_gained("[secret]\nidentity = [\"a\"]", "[secret]\nidentity = [\"a\", \"b\"]", &[])]
    #[case::identity_lost(
        "[secret]\nidentity = [\"a\", \"b\"]",
        "[secret]\nidentity = [\"a\"]",
        &[B_MAY_DIFFER, B_MAY_BE_GENERATED]
    )]
    #[case::identity_lost_with_requirement(
        "[secret]\nrequired = [\"a\", \"b\"]",
        "[secret]\nrequired = [\"a\"]",
        &[B_MAY_DIFFER]
    )]
    #[case::identity_only_implied(
        "[secret]\nrequired = [\"b\"]\nidentity = [\"b\"]",
        "[secret]\nrequired = [\"b\"]",
        &[B_MAY_BE_GENERATED]
    )]
    #[case::identity_named("[secret]\nrequired = [\"a\"]", "[secret]\nrequired = [\"a\"]\nidentity = [\"a\"]", &[])]
    #[case::default_of_an_address(
        "[secret]\ndefaults = { h = \"x\", p = \"1\" }\n[endpoints.e]\naddress = \"{h}:{p}\"",
        "[secret]\ndefaults = { h = \"x\", p = \"2\" }\n[endpoints.e]\naddress = \"{h}:{p}\"",
        &["Default p: a secret without the field is for somebody or somewhere else then"]
    )]
    #[case::default_that_switches_tls_off(
        OPTIONAL,
        "[secret]\ndefaults = { tls = \"false\" }\n[endpoints.e]\naddress = \"{h}:{p}\"\ntls = \"optional\"",
        &["Default tls: a secret without the field is for somebody or somewhere else then"]
    )]
    #[case::default_that_does_so_is_gone(
        "[secret]\ndefaults = { tls = \"false\" }\n[endpoints.e]\naddress = \"{h}:{p}\"\ntls = \"optional\"",
        OPTIONAL,
        &[]
    )]
    #[case::default_of_the_user(
        "[secret]\nrequired = [\"user\"]\ndefaults = { user = \"app\" }",
        "[secret]\nrequired = [\"user\"]\ndefaults = { user = \"root\" }",
        &["Default user: a secret without the field is for somebody or somewhere else then"]
    )]
    #[case::default_of_anything_else("[secret]\ndefaults = { f = \"1\" }", "[secret]\ndefaults = { f = \"2\" }", &[])]
    #[case::recognises_the_first(
        "",
        "[secret]\nmatch = { engine = \"x\" }",
        &["Match : it is used for secrets that the old one left alone"]
    )]
    #[case::recognises_others(
        "[secret]\nmatch = { engine = \"x\" }",
        "[secret]\nmatch = { engine = \"y\" }",
        &["Match : it is used for secrets that the old one left alone"]
    )]
    #[case::recognises_more(
        "[secret]\nmatch = { engine = \"x\", kind = \"y\" }",
        "[secret]\nmatch = { engine = \"x\" }",
        &["Match : it is used for secrets that the old one left alone"]
    )]
    #[case::recognises_fewer("[secret]\nmatch = { engine = \"x\" }", "[secret]\nmatch = { engine = \"x\", kind = \"y\" }", &[])]
    #[case::recognises_none("[secret]\nmatch = { engine = \"x\" }", "", &[])]
    #[case::shorter("[password]\nlength = 32", "[password]\nlength = 31", &["Password length: new values are easier to guess"])]
    #[case::longer("[password]\nlength = 32", "[password]\nlength = 33", &[])]
    #[case::length_left_open("[password]\nlength = 33", "", &["Password length: new values are easier to guess"])]
    #[case::length_left_open_harmlessly("[password]\nlength = 31", "", &[])]
    #[case::length_decided(
        "",
        "[password]\nlength = 64",
        &["Password length: it counts before what the operator says for all secrets"]
    )]
    #[case::characters_excluded(
        "[password]\nexclude_characters = \"ab\"",
        "[password]\nexclude_characters = \"bc\"",
        &["Password exclude_characters: new values are easier to guess"]
    )]
    #[case::characters_allowed("[password]\nexclude_characters = \"ab\"", "[password]\nexclude_characters = \"b\"", &[])]
    #[case::numbers_excluded(
        "[password]\nexclude_numbers = false",
        "[password]\nexclude_numbers = true",
        &["Password exclude_numbers: new values are easier to guess"]
    )]
    #[case::numbers_allowed("[password]\nexclude_numbers = true", "[password]\nexclude_numbers = false", &[])]
    #[case::punctuation_excluded(
        "[password]\nexclude_punctuation = false",
        "[password]\nexclude_punctuation = true",
        &["Password exclude_punctuation: new values are easier to guess"]
    )]
    #[case::uppercase_excluded(
        "[password]\nexclude_uppercase = false",
        "[password]\nexclude_uppercase = true",
        &["Password exclude_uppercase: new values are easier to guess"]
    )]
    #[case::lowercase_excluded(
        "[password]\nexclude_lowercase = false",
        "[password]\nexclude_lowercase = true",
        &["Password exclude_lowercase: new values are easier to guess"]
    )]
    #[case::space_excluded(
        "[password]\ninclude_space = true",
        "[password]\ninclude_space = false",
        &["Password include_space: new values are easier to guess"]
    )]
    #[case::space_allowed("[password]\ninclude_space = false", "[password]\ninclude_space = true", &[])]
    #[case::classes_optional(
        "[password]\nrequire_each_included_type = true",
        "[password]\nrequire_each_included_type = false",
        &["Password require_each_included_type: new values are easier to guess"]
    )]
    #[case::classes_required(
        "[password]\nrequire_each_included_type = false",
        "[password]\nrequire_each_included_type = true",
        &[]
    )]
    #[case::setting("", "[settings]\nmode = \"fast\"", &[])]
    #[case::other_setting("[settings]\nmode = \"fast\"", "[settings]\nmode = \"slow\"", &[])]
    fn what_nobody_has_agreed_to_asks_for_more(#[case] old: &str, #[case] new: &str, #[case] reasons: &[&str]) {
        assert_eq!(more(old, new), reasons);
    }

    #[test]
    fn a_field_that_asks_nobody_is_no_difference() {
        let with = |field: &str| manifest(&format!("[endpoints.e]\naddress = \"{{h}}:{{p}}\"\ntls_field = \"{field}\""));
        assert_eq!(of_manifests(&with("one"), &with("other")), []);
    }

    #[rstest]
    #[case::the_secret(&[], &["windlass:rotation/secret@0.1.0"], true)]
    #[case::connections(&["windlass:rotation/log@0.1.0"], &["windlass:rotation/connection@0.1.0", "windlass:rotation/log@0.1.0"], true)]
    #[case::requests(&[], &["windlass:rotation/http@0.1.0"], true)]
    #[case::log(&[], &["windlass:rotation/log@0.1.0"], true)]
    #[case::output(&[], &["wasi:cli/stdout@0.2.6"], true)]
    #[case::time(&[], &["wasi:clocks/wall-clock@0.2.6"], true)]
    #[case::randomness(&[], &["windlass:rotation/random@0.1.0"], true)]
    #[case::the_same_through_another_interface(&["windlass:rotation/log@0.1.0"], &["wasi:cli/stdout@0.2.6"], false)]
    #[case::later_patch(&["windlass:rotation/http@0.1.0"], &["windlass:rotation/http@0.1.1"], false)]
    #[case::types(&[], &["windlass:rotation/failures@0.1.0"], false)]
    #[case::nothing_in_it(&[], &["wasi:filesystem/types@0.2.6"], false)]
    #[case::less(&["windlass:rotation/http@0.1.0"], &[], false)]
    fn another_ability_asks_for_more(#[case] old: &[&str], #[case] new: &[&str], #[case] more: bool) {
        let owned = |imports: &[&str]| imports.iter().map(|import| (*import).to_owned()).collect::<Vec<_>>();
        let changes = of_abilities(&owned(old), &owned(new));
        assert_eq!(changes.iter().any(|change| !change.more.is_empty()), more, "{changes:?}");
    }

    #[test]
    fn a_component_is_the_same_as_itself() {
        let component = ComponentFile::parse(plugin("name = \"a\"\nversion = \"1\"")).unwrap();
        assert_eq!(difference(&component, &component), []);
    }

    #[test]
    fn two_builds_of_one_source_differ_in_facts_only() {
        let manifest = "name = \"a\"\nversion = \"1\"";
        let old = ComponentFile::parse(plugin(manifest)).unwrap();
        let mut wasm = plugin(manifest);
        // An empty custom section of the name `x`.
        wasm.extend([0, 2, 1, b'x']);
        let new = ComponentFile::parse(wasm).unwrap();
        let changes = difference(&old, &new);
        assert_eq!(changes.iter().map(|change| change.part).collect::<Vec<_>>(), [Part::Size, Part::Digest]);
        assert!(changes.iter().all(|change| change.more.is_empty()));
    }
}
