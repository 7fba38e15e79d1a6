//! `BatchGetSecretValue`.

use std::time::SystemTime;

use super::listing::{self, Page};
use super::{Read, Store};
use crate::local::api::{ApiError, BatchGetSecretValue, GetSecretValue};
use crate::local::error::ServiceError;

/// Most secrets of one answer.
const MAX_SECRETS: usize = 20;

/// The answer of `BatchGetSecretValue`.
pub struct Batch {
    /// The values that were found.
    pub values: Vec<Read>,
    /// The secrets that gave none, with the reason.
    pub errors: Vec<ApiError>,
    /// What to send for the next page; absent on the last.
    pub next: Option<String>,
}

impl Store {
    /// `BatchGetSecretValue`: the AWSCURRENT values of up to 20 secrets, by name or ARN, or of those that pass filters. A secret
    /// without one is reported, and does not fail the others.
    ///
    /// # Errors
    ///
    /// As AWS: secrets and filters both, or neither; more than 20 secrets; a page size that is not 1 to 20, or without filters;
    /// unknown filter key or continuation token.
    pub fn batch_get_secret_value(&mut self, request: &BatchGetSecretValue, now: SystemTime) -> Result<Batch, ServiceError> {
        let size = match request.max_results {
            None => MAX_SECRETS,
            Some(_) if request.filters.is_none() => {
                return Err(ServiceError::invalid_parameter(
                    "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.",
                ));
            }
            Some(size) => listing::page_size(size, MAX_SECRETS)?,
        };
        let Page { entries, next } = match (&request.secret_id_list, &request.filters) {
            (Some(ids), None) => match ids.len() {
                0 => return Err(ServiceError::constraint("secretIdList", "Member must have length greater than or equal to 1")),
                1..=MAX_SECRETS => Page { entries: ids.clone(), next: None },
                _ => return Err(ServiceError::constraint("secretIdList", "Member must have length less than or equal to 20")),
            },
            (None, Some(filters)) => {
                let found = self.passing(filters)?.filter(|secret| secret.deletion.is_none());
                listing::page(found.map(|secret| secret.name.clone()).collect(), |name| name, size, request.next_token.as_deref())?
            }
            (Some(_), Some(_)) | (None, None) => {
                return Err(ServiceError::invalid_parameter("Either 'SecretIdList' or 'Filters' must be provided, but not both."));
            }
        };
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        for id in entries {
            match self.get_secret_value(&GetSecretValue { secret_id: Some(id.clone()), ..GetSecretValue::default() }, now) {
                Ok(read) => values.push(read),
                Err(error) => {
                    errors.push(ApiError { secret_id: id, error_code: error.exception.name(), message: error.message });
                }
            }
        }
        Ok(Batch { values, errors, next })
    }
}
