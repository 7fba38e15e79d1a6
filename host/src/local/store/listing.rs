//! `ListSecrets` and `ListSecretVersionIds`.

use super::{Secret, Store};
use crate::local::api::{Description, Filter, ListSecretVersionIds, ListSecrets, VersionEntry};
use crate::local::error::{Exception, ServiceError};

/// A page of a list, and where the next one begins.
pub struct Page<T> {
    /// What the page holds.
    pub entries: Vec<T>,
    /// What to send for the next page; absent on the last.
    pub next: Option<String>,
}

impl Store {
    /// `ListSecrets`: every secret that passes the filters, by name.
    ///
    /// # Errors
    ///
    /// As AWS: unknown filter key, page size out of 1 to 100, unknown continuation token.
    pub fn list_secrets(&self, request: &ListSecrets) -> Result<Page<Description>, ServiceError> {
        let filters = request.filters.as_deref().unwrap_or_default();
        let mut found = Vec::new();
        for secret in self.secrets.values() {
            let shown = secret.deletion.is_none() || request.include_planned_deletion.unwrap_or(false);
            if shown && passes(secret, filters)? {
                let mut entry = secret.description();
                entry.secret_versions_to_stages = entry.version_ids_to_stages.take();
                found.push(entry);
            }
        }
        if request.sort_order.as_deref() == Some("desc") {
            found.reverse();
        }
        page(found, |entry| &entry.name, request.max_results, request.next_token.as_deref())
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
        let page = page(entries, |entry| &entry.version_id, request.max_results, request.next_token.as_deref())?;
        Ok((secret.named(), page))
    }
}

/// Cuts a page out of a list. The continuation token is the key of the last entry of the page before.
fn page<T>(entries: Vec<T>, key: impl Fn(&T) -> &String, max: Option<i64>, token: Option<&str>) -> Result<Page<T>, ServiceError> {
    let size = match max {
        None => 100,
        Some(size @ 1..=100) => usize::try_from(size).unwrap_or(100),
        Some(_) => return Err(ServiceError::constraint("maxResults", "Member must be between 1 and 100, inclusive")),
    };
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

fn passes(secret: &Secret, filters: &[Filter]) -> Result<bool, ServiceError> {
    for filter in filters {
        let description = || secret.description.iter().map(String::as_str);
        let keys = || secret.tags.iter().map(|tag| tag.key.as_str());
        let values = || secret.tags.iter().map(|tag| tag.value.as_str());
        let texts: Vec<&str> = match filter.key.as_deref() {
            Some("name") => vec![secret.name.as_str()],
            Some("description") => description().collect(),
            Some("tag-key") => keys().collect(),
            Some("tag-value") => values().collect(),
            Some("all") => std::iter::once(secret.name.as_str()).chain(description()).chain(keys()).chain(values()).collect(),
            // No secret here is a replica or belongs to another service.
            Some("primary-region" | "owning-service") => Vec::new(),
            Some(_) | None => {
                return Err(ServiceError::constraint(
                    "filters.member.key",
                    "Member must satisfy enum value set: [all, name, tag-key, description, tag-value, primary-region, owning-service]",
                ));
            }
        };
        let matches = |wanted: &String| match wanted.strip_prefix('!') {
            Some(unwanted) => !texts.iter().any(|text| text.starts_with(unwanted)),
            None => texts.iter().any(|text| text.starts_with(wanted.as_str())),
        };
        if !filter.values.as_deref().unwrap_or_default().iter().any(matches) {
            return Ok(false);
        }
    }
    Ok(true)
}
