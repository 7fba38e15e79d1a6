//! The versions of the secret, by the role each plays in the rotation.

use std::fmt;

use crate::text::joined;
use crate::{Failure, host};

/// Which version of the secret a [`Credential`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The new credential (AWSPENDING).
    Pending,
    /// The credential in use (AWSCURRENT).
    Current,
    /// The one in use before that (AWSPREVIOUS).
    Previous,
    /// A credential of another secret that may change this one.
    Admin,
}

impl Role {
    /// The role in lower case, as messages name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Current => "current",
            Self::Previous => "previous",
            Self::Admin => "admin",
        }
    }
}

/// One version of the secret. It carries its role, so that two versions cannot be mixed up, and no value: fields are read from the
/// host when they are asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Credential {
    role: Role,
}

impl Credential {
    pub(crate) const fn of(role: Role) -> Self {
        Self { role }
    }

    pub(crate) fn if_present(role: Role) -> Option<Self> {
        host::bytes(role).map(|_| Self { role })
    }

    /// Which version this is.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// A field of the secret's JSON object, or of the defaults in the plugin's manifest. A JSON string answers with its content,
    /// any other value with its JSON text; `null` counts as missing.
    pub fn field(&self, name: &str) -> Option<Secret> {
        host::field(self.role, name).map(Secret)
    }

    /// A field that the plugin cannot do without.
    ///
    /// # Errors
    ///
    /// `malformed-secret`, naming the field, if it is missing or empty.
    pub fn required(&self, name: &str) -> Result<Secret, Failure> {
        match self.field(name) {
            Some(value) if !value.0.is_empty() => Ok(value),
            Some(_) => {
                Err(Failure::malformed_secret(joined(&["the field `", name, "` of the ", self.role.name(), " version is empty"])))
            }
            None => Err(Failure::malformed_secret(joined(&["the ", self.role.name(), " version has no field `", name, "`"]))),
        }
    }

    /// The whole `SecretString`, for secrets that are no JSON object.
    ///
    /// # Errors
    ///
    /// `malformed-secret` if the version is binary.
    pub fn text(&self) -> Result<Secret, Failure> {
        let binary = || Failure::malformed_secret(joined(&["the ", self.role.name(), " version is binary, not text"]));
        host::text(self.role).map(Secret).ok_or_else(binary)
    }

    /// Tells the host that the service refused a login with this version. The ladder of a [`Service`](crate::Service) does it by itself; a
    /// plugin that implements [`Steps`](crate::Steps) does it after each refused login, before it tries the next: the host bounds them, so
    /// that no account is locked. Answers with HTTP status 401 are counted without it.
    pub fn refused(&self) {
        host::refused(self.role);
    }

    /// The whole secret as bytes, however it was stored; nothing if the version does not exist.
    pub fn bytes(&self) -> Option<SecretBytes> {
        host::bytes(self.role).map(SecretBytes)
    }
}

/// What exists in `set-secret`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Versions {
    /// The new credential.
    pub pending: Credential,
    /// The credential in use.
    pub current: Credential,
    /// The one in use before that, if it names the same identity.
    pub previous: Option<Credential>,
    /// A credential that may change this one, if the operator bound one.
    pub admin: Option<Credential>,
}

impl Versions {
    pub(crate) fn read() -> Self {
        Self {
            pending: Credential::of(Role::Pending),
            current: Credential::of(Role::Current),
            previous: Credential::if_present(Role::Previous),
            admin: Credential::if_present(Role::Admin),
        }
    }
}

/// A value of the secret. It prints as `[secret]`, has no `Display`, and leaves through [`Secret::expose`].
///
/// It is not wiped when dropped: the memory of a component ends with the step.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value that the plugin derived from a credential, such as a session token.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The plain value. Say at each call why it must be seen.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A whole secret as bytes. It prints as `[secret]`, has no `Display`, and leaves through [`SecretBytes::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// The plain bytes. Say at each call why they must be seen.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// What the operator set under this name for this secret, else the manifest's default, else nothing. Settings are no secrets.
pub fn setting(name: &str) -> Option<String> {
    host::setting(name)
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::testing::Scene;

    #[test]
    fn the_host_hears_which_version_was_refused() {
        let mut scene = Scene::new().plain_text(Role::Pending, "canary").plain_text(Role::Current, "canary");
        scene.with(|versions| versions.current.refused());
        assert_eq!(scene.refused(), [Role::Current]);
    }

    #[test]
    fn bytes_are_there_or_not_and_do_not_print() {
        let mut scene = Scene::new().plain_text(Role::Pending, "canary");
        let (there, absent) = scene.with(|versions| (versions.pending.bytes(), versions.current.bytes()));
        assert_eq!(format!("{there:?} {absent:?}"), "Some([secret]) None");
        assert_eq!(there.unwrap().expose(), b"canary");
    }
}
