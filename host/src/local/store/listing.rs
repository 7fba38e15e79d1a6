//! `ListSecrets` and `ListSecretVersionIds`.

use std::sync::Arc;

use super::{Owner, Secret, Store};
use crate::local::api::{Description, Filter, ListSecretVersionIds, ListSecrets, VersionEntry};
use crate::local::error::{Exception, ServiceError};

const SORT_KEYS: &str = "Member must satisfy enum value set: [created-date, last-accessed-date, last-changed-date, name]";
const FILTER_KEYS: &str =
    "Member must satisfy enum value set: [all, name, tag-key, description, tag-value, primary-region, owning-service]";

/// A page of a list, and where the next one begins.
pub struct Page<T> {
    /// What the page holds.
    pub entries: Vec<T>,
    /// What to send for the next page; absent on the last.
    pub next: Option<String>,
}

impl Store {
    /// `ListSecrets`: every secret that passes the filters, the oldest first unless told otherwise.
    ///
    /// # Errors
    ///
    /// As AWS: unknown filter key, order or sort key, page size out of 1 to 100, unknown continuation token.
    pub fn list_secrets(&self, request: &ListSecrets) -> Result<Page<Description>, ServiceError> {
        let size = page_size(request.max_results.unwrap_or(100), 100)?;
        let planned = request.include_planned_deletion.unwrap_or(false);
        let found = self.passing(request.filters.as_deref().unwrap_or_default())?;
        let mut found: Vec<&Secret> = found.filter(|secret| planned || secret.deletion.is_none()).collect();
        // They come by name, which is the order of those that are equal.
        match request.sort_by.as_deref() {
            None | Some("created-date") => found.sort_by_key(|secret| secret.created),
            Some("last-accessed-date") => found.sort_by_key(|secret| secret.accessed),
            Some("last-changed-date") => found.sort_by_key(|secret| secret.changed),
            Some("name") => {}
            Some(_) => return Err(ServiceError::constraint("sortBy", SORT_KEYS)),
        }
        match request.sort_order.as_deref() {
            None | Some("asc") => {}
            Some("desc") => found.reverse(),
            Some(_) => return Err(ServiceError::constraint("sortOrder", "Member must satisfy enum value set: [asc, desc]")),
        }
        let Page { entries, next } = page(found, |secret| &secret.name, size, request.next_token.as_deref())?;
        let entry = |secret: &Secret| {
            let mut entry = secret.description();
            entry.secret_versions_to_stages = entry.version_ids_to_stages.take();
            entry
        };
        Ok(Page { entries: entries.into_iter().map(entry).collect(), next })
    }

    /// The secrets that pass all filters, by name.
    pub(super) fn passing(&self, filters: &[Filter]) -> Result<impl Iterator<Item = &Secret>, ServiceError> {
        let tests = filters.iter().map(Test::parse).collect::<Result<Vec<_>, _>>()?;
        if tests.len() > 10 {
            return Err(ServiceError::constraint("filters", "Member must have length less than or equal to 10"));
        }
        Ok(self.secrets.values().map(Arc::as_ref).filter(move |secret| tests.iter().all(|test| test.passes(secret))))
    }

    /// `ListSecretVersionIds`: the labelled versions, and with `IncludeDeprecated` those without a label. A version that has no
    /// value yet is not listed.
    ///
    /// # Errors
    ///
    /// As AWS: unknown or deleted secret, page size, continuation token.
    pub fn list_secret_version_ids(
        &self,
        request: &ListSecretVersionIds,
    ) -> Result<(super::Named, Page<VersionEntry>), ServiceError> {
        let secret = self.live(request.secret_id.as_deref())?;
        let deprecated = request.include_deprecated.unwrap_or(false);
        let mut entries: Vec<VersionEntry> = Vec::new();
        for (id, version) in &secret.versions {
            let version_stages = secret.labels_of(id);
            if version.value.is_some() && (deprecated || !version_stages.is_empty()) {
                entries.push(VersionEntry {
                    version_id: id.clone(),
                    version_stages,
                    last_accessed_date: version.accessed,
                    created_date: version.created,
                    kms_key_ids: vec![secret.kms_key_id.clone().unwrap_or_else(|| "DefaultEncryptionKey".to_owned())],
                });
            }
        }
        entries.sort_by_key(|entry| entry.created_date);
        let size = page_size(request.max_results.unwrap_or(100), 100)?;
        let page = page(entries, |entry| &entry.version_id, size, request.next_token.as_deref())?;
        Ok((secret.named(), page))
    }
}

/// Cuts a page out of a list. The continuation token is the key of the last entry of the page before.
pub(super) fn page<T>(
    entries: Vec<T>,
    key: impl Fn(&T) -> &String,
    size: usize,
    token: Option<&str>,
) -> Result<Page<T>, ServiceError> {
    let start = match token {
        None => 0,
        Some(token) => {
            let last = entries.iter().position(|entry| key(entry) == token);
            last.ok_or_else(|| ServiceError::new(Exception::InvalidNextToken, "Invalid NextToken."))? + 1
        }
    };
    let more = entries.len() > start + size;
    let entries: Vec<T> = entries.into_iter().skip(start).take(size).collect();
    let next = if more { entries.last().map(|entry| key(entry).clone()) } else { None };
    Ok(Page { entries, next })
}

pub(super) fn page_size(asked: i64, max: usize) -> Result<usize, ServiceError> {
    let size = usize::try_from(asked).ok().filter(|size| (1..=max).contains(size));
    size.ok_or_else(|| ServiceError::constraint("maxResults", &format!("Member must be between 1 and {max}, inclusive")))
}

/// What a filter looks at, and how.
///
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Filter.html>. It calls the match of a description a
/// prefix match; AWS looks for words, as for `all`.
#[derive(Clone, Copy)]
enum Attribute {
    Name,
    Description,
    TagKey,
    TagValue,
    PrimaryRegion,
    OwningService,
    All,
}

struct Test<'a> {
    attribute: Attribute,
    values: &'a [String],
}

impl<'a> Test<'a> {
    fn parse(filter: &'a Filter) -> Result<Self, ServiceError> {
        let attribute = match filter.key.as_deref() {
            Some("name") => Attribute::Name,
            Some("description") => Attribute::Description,
            Some("tag-key") => Attribute::TagKey,
            Some("tag-value") => Attribute::TagValue,
            Some("primary-region") => Attribute::PrimaryRegion,
            Some("owning-service") => Attribute::OwningService,
            Some("all") => Attribute::All,
            Some(_) | None => return Err(ServiceError::constraint("filters.member.key", FILTER_KEYS)),
        };
        let values = filter.values.as_deref().unwrap_or_default();
        if !(1..=10).contains(&values.len()) {
            return Err(ServiceError::constraint("filters.member.values", "Member must have length between 1 and 10, inclusive"));
        }
        Ok(Self { attribute, values })
    }

    /// Whether one of the values matches; one that begins with `!` matches what the rest of it does not.
    fn passes(&self, secret: &Secret) -> bool {
        let texts = self.texts(secret);
        let matches = |wanted: &str| match self.attribute {
            Attribute::All | Attribute::Description => texts.iter().any(|text| has_words(text, wanted)),
            Attribute::Name | Attribute::TagKey | Attribute::TagValue | Attribute::PrimaryRegion | Attribute::OwningService => {
                texts.iter().any(|text| text.starts_with(wanted))
            }
        };
        self.values.iter().any(|value| value.strip_prefix('!').map_or_else(|| matches(value), |unwanted| !matches(unwanted)))
    }

    fn texts<'s>(&self, secret: &'s Secret) -> Vec<&'s str> {
        let description = || secret.description.iter().map(String::as_str);
        let keys = || secret.tags.iter().map(|tag| tag.key.as_str());
        let values = || secret.tags.iter().map(|tag| tag.value.as_str());
        let owner = secret.owner.as_ref();
        match self.attribute {
            Attribute::Name => vec![secret.name.as_str()],
            Attribute::Description => description().collect(),
            Attribute::TagKey => keys().collect(),
            Attribute::TagValue => values().collect(),
            Attribute::PrimaryRegion => owner.and_then(Owner::region).into_iter().collect(),
            Attribute::OwningService => owner.and_then(Owner::service).into_iter().collect(),
            Attribute::All => std::iter::once(secret.name.as_str()).chain(description()).chain(keys()).chain(values()).collect(),
        }
    }
}

/// Whether every word of `wanted` begins a word of the text, whatever their case.
fn has_words(text: &str, wanted: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect()
    };
    let (present, wanted) = (words(text), words(wanted));
    !wanted.is_empty() && wanted.iter().all(|wanted| present.iter().any(|word| word.starts_with(wanted)))
}
