//! What a component was made with: the `producers` sections of the component and of everything nested in it.
//!
//! Whoever made the component wrote them, so they inform and prove nothing.
//!
//! Source: <https://github.com/WebAssembly/tool-conventions/blob/main/ProducersSection.md>

use std::collections::BTreeSet;

use serde::Serialize;
use wasmparser::{KnownCustom, Parser, Payload, ProducersSectionReader};

/// The languages and tools of a component, each with its version if it gives one: `rustc 1.95.0 (5a1d5a4b2 2026-04-14)`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Producers {
    /// What it was written in.
    pub language: BTreeSet<String>,
    /// Which kits its author used.
    pub sdk: BTreeSet<String>,
    /// What compiled, linked and wrapped it.
    pub processed_by: BTreeSet<String>,
}

impl Producers {
    /// The most entries that are kept of each kind. A toolchain has three or four.
    const MAX_ENTRIES: usize = 16;

    /// The longest entry, in characters; the rest is cut.
    const MAX_ENTRY: usize = 100;

    /// Reads the sections of a component. What does not parse is left out: nothing depends on it.
    pub fn of(wasm: &[u8]) -> Self {
        let mut producers = Self::default();
        for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
            if let Payload::CustomSection(section) = payload
                && let KnownCustom::Producers(section) = section.as_known()
            {
                producers.add(section);
            }
        }
        producers
    }

    /// Whether the component does not say what made it.
    pub fn is_empty(&self) -> bool {
        self.kinds().iter().all(|(_, entries)| entries.is_empty())
    }

    /// The kinds under their names in the section, in its order.
    pub const fn kinds(&self) -> [(&'static str, &BTreeSet<String>); 3] {
        [("language", &self.language), ("sdk", &self.sdk), ("processed-by", &self.processed_by)]
    }

    fn add(&mut self, section: ProducersSectionReader<'_>) {
        for field in section.into_iter().map_while(Result::ok) {
            let entries = match field.name {
                "language" => &mut self.language,
                "sdk" => &mut self.sdk,
                "processed-by" => &mut self.processed_by,
                _ => continue,
            };
            for value in field.values.into_iter().map_while(Result::ok) {
                if entries.len() < Self::MAX_ENTRIES {
                    let entry = format!("{} {}", value.name, value.version);
                    entries.insert(entry.trim_end().chars().take(Self::MAX_ENTRY).collect());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wasm_encoder::{Component, CustomSection, Module, ModuleSection, NestedComponentSection, ProducersField, ProducersSection};

    use super::*;

    fn section(kind: &str, values: &[(&str, &str)]) -> ProducersSection {
        let mut field = ProducersField::new();
        for (name, version) in values {
            field.value(name, version);
        }
        let mut section = ProducersSection::new();
        section.field(kind, &field);
        section
    }

    fn listed(entries: &BTreeSet<String>) -> Vec<&str> {
        entries.iter().map(String::as_str).collect()
    }

    #[test]
    fn reads_the_component_and_everything_inside_it() {
        let mut module = Module::new();
        module.section(&section("language", &[("Rust", "")])).section(&section("processed-by", &[("rustc", "1.95.0")]));
        let mut inner = Component::new();
        inner.section(&ModuleSection(&module)).section(&section("sdk", &[("Kit", "2")]));
        let mut outer = Component::new();
        outer.section(&NestedComponentSection(&inner)).section(&section("processed-by", &[("wit-component", "0.258.0")]));
        // Said twice, kept once.
        outer.section(&section("processed-by", &[("rustc", "1.95.0")]));
        let producers = Producers::of(&outer.finish());
        assert_eq!(listed(&producers.language), ["Rust"]);
        assert_eq!(listed(&producers.sdk), ["Kit 2"]);
        assert_eq!(listed(&producers.processed_by), ["rustc 1.95.0", "wit-component 0.258.0"]);
        assert!(!producers.is_empty());
    }

    #[test]
    fn a_component_that_does_not_say_is_none_the_worse() {
        let mut component = Component::new();
        component.section(&CustomSection { name: "producers".into(), data: b"\xff\xff"[..].into() });
        component.section(&section("invented", &[("Rust", "")]));
        assert!(Producers::of(&component.finish()).is_empty());
    }

    #[test]
    fn an_author_cannot_fill_the_screen() {
        let names: Vec<String> = (0..100).map(|number| format!("{number}{}", "x".repeat(1000))).collect();
        let values: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
        let mut component = Component::new();
        component.section(&section("language", &values));
        let producers = Producers::of(&component.finish());
        assert_eq!(producers.language.len(), Producers::MAX_ENTRIES);
        assert!(producers.language.iter().all(|entry| entry.chars().count() == Producers::MAX_ENTRY));
    }

    proptest! {
        #[test]
        fn never_panics(data in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut component = Component::new();
            component.section(&CustomSection { name: "producers".into(), data: data.into() });
            let _ = Producers::of(&component.finish());
        }
    }
}
