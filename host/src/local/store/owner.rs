//! Secrets that somebody else decides about: replicas, and those of other AWS services. Here they can be read, and nothing else.

use serde::{Deserialize, Serialize};

use super::{Secret, Store};
use crate::local::api::Tag;
use crate::local::error::ServiceError;

/// Who decides about a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// It is a replica of the secret in this region.
    Region(String),
    /// This service created it, such as `rds`, and changes it.
    Service(String),
}

impl Owner {
    /// The primary region of a replica.
    pub fn region(&self) -> Option<&str> {
        match self {
            Self::Region(region) => Some(region),
            Self::Service(_) => None,
        }
    }

    /// The service that created the secret.
    pub fn service(&self) -> Option<&str> {
        match self {
            Self::Region(_) => None,
            Self::Service(service) => Some(service),
        }
    }

    /// The tags that come with it.
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/service-linked-secrets.html>
    pub(super) fn tags(&self) -> Vec<Tag> {
        let tag = |service: &str| Tag { key: "aws:secretsmanager:owningService".to_owned(), value: service.to_owned() };
        self.service().map(tag).into_iter().collect()
    }
}

impl Secret {
    /// # Errors
    ///
    /// As AWS, for every operation that would change the secret.
    pub(super) fn refuse_if_owned(&self) -> Result<(), ServiceError> {
        match &self.owner {
            None => Ok(()),
            Some(Owner::Region(_)) => Err(ServiceError::invalid_parameter(
                "Operation not permitted on a replica secret. Call must be made in primary secret's region.",
            )),
            Some(Owner::Service(service)) => Err(ServiceError::invalid_request(format!(
                "The secret is managed by another service ({service}), and you must use that service to update it."
            ))),
        }
    }
}

impl Store {
    /// Gives the secret that is created under this name to somebody else, from its creation on.
    pub fn belongs(&mut self, name: String, owner: Owner) {
        self.owners.insert(name, owner);
    }

    /// `ReplicateSecretToRegions`, `RemoveRegionsFromReplication` and `StopReplicationToReplica`, none of which a single region has.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn replicate(&self, id: Option<&str>) -> Result<(), ServiceError> {
        self.live(id)?;
        Err(ServiceError::invalid_request("The local Secrets Manager has one region: it neither makes replicas nor ends them."))
    }
}
