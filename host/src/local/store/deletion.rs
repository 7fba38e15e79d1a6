//! Deletion with a recovery window.

use std::time::SystemTime;

use super::{DAY, Store, parameters};
use crate::local::api::{DeleteSecret, Named, OfSecret};
use crate::local::error::{Exception, ServiceError};

impl Store {
    /// `DeleteSecret`: marks a secret for deletion after 7 to 30 days (default 30), or deletes it at once when forced.
    ///
    /// # Errors
    ///
    /// As AWS: unknown secret (unless forced), secret that is marked already, parameters that exclude each other.
    pub fn delete_secret(&mut self, request: &DeleteSecret, now: SystemTime) -> Result<Named, ServiceError> {
        let id = request.secret_id.as_deref();
        let forced = request.force_delete_without_recovery.unwrap_or(false);
        let days = match request.recovery_window_in_days {
            Some(_) if forced => {
                return Err(ServiceError::invalid_parameter(
                    "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
                ));
            }
            Some(days @ 7..=30) => u32::try_from(days).unwrap_or(30),
            Some(_) => {
                return Err(ServiceError::invalid_parameter(
                    "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
                ));
            }
            None => 30,
        };
        if forced {
            let name = match self.name_of(id) {
                Ok(name) => name,
                // "If you forcibly delete an already deleted or nonexistent secret, the operation does not return
                // ResourceNotFoundException": https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
                Err(ServiceError { exception: Exception::ResourceNotFound, .. }) => {
                    let name = parameters::secret_id(id)?.to_owned();
                    let arn = if name.starts_with("arn:") { name.clone() } else { self.function.secret_arn(&name, "000000") };
                    return Ok(Named { arn, name, version_id: None, version_stages: None, deletion_date: Some(now) });
                }
                Err(error) => return Err(error),
            };
            let secret = self.secret_mut(&name)?;
            secret.refuse_if_owned()?;
            let named = secret.named();
            self.secrets.remove(&name);
            return Ok(Named { deletion_date: Some(now), ..named });
        }
        let secret = self.changeable(id)?;
        secret.deletion = Some(now + DAY * days);
        secret.running = None;
        Ok(Named { deletion_date: secret.deletion, ..secret.named() })
    }

    /// `RestoreSecret`: takes the mark away. A secret that is not marked stays as it is.
    ///
    /// # Errors
    ///
    /// As AWS: unknown secret.
    pub fn restore_secret(&mut self, request: &OfSecret) -> Result<Named, ServiceError> {
        let name = self.name_of(request.secret_id.as_deref())?;
        let secret = self.secret_mut(&name)?;
        secret.refuse_if_owned()?;
        secret.deletion = None;
        Ok(secret.named())
    }
}
