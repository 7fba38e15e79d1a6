//! Tags.

use super::{Store, parameters};
use crate::local::api::{Tag, TagResource, UntagResource};
use crate::local::error::{Exception, ServiceError};

/// Most tags that a secret can have.
const MAX_TAGS: usize = 50;

impl Store {
    /// `TagResource`: sets tags, replacing those of the same key.
    ///
    /// # Errors
    ///
    /// As AWS: unknown or deleted secret, keys and values out of bounds, more than 50 tags.
    pub fn tag_resource(&mut self, request: &TagResource) -> Result<(), ServiceError> {
        let tags = request.tags.as_deref().ok_or_else(|| parameters::missing("tags"))?;
        parameters::tags(tags)?;
        let secret = self.changeable(request.secret_id.as_deref())?;
        let merged = merged(&secret.tags, tags);
        if merged.len() > MAX_TAGS {
            return Err(ServiceError::new(Exception::InvalidRequest, "A secret can have up to 50 tags."));
        }
        secret.tags = merged;
        Ok(())
    }

    /// `UntagResource`: removes tags. A tag that is not there is no error.
    ///
    /// # Errors
    ///
    /// As AWS: unknown or deleted secret.
    pub fn untag_resource(&mut self, request: &UntagResource) -> Result<(), ServiceError> {
        let keys = request.tag_keys.as_deref().ok_or_else(|| parameters::missing("tagKeys"))?;
        self.changeable(request.secret_id.as_deref())?.tags.retain(|tag| !keys.contains(&tag.key));
        Ok(())
    }
}

pub(super) fn merged(old: &[Tag], new: &[Tag]) -> Vec<Tag> {
    let mut merged = old.to_vec();
    for tag in new {
        match merged.iter_mut().find(|present| present.key == tag.key) {
            Some(present) => present.value.clone_from(&tag.value),
            None => merged.push(tag.clone()),
        }
    }
    merged
}
