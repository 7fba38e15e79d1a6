//! An account of the service and the values of a secret about it.

use super::ConformanceError;
use super::case::{self, Case};
use super::service::{Account, Service};
use super::subject::Subject;
use crate::plugin::call::Handed;
use crate::renewal::Renewal;
use crate::secret::SecretValue;

/// Everything that checks work with.
pub struct Bench {
    /// The plugin.
    pub subject: Subject,
    /// The service.
    pub service: Service,
    /// What the case says.
    pub case: Case,
}

/// An account, and a password for each version of its secret. It holds the current one when the scene begins.
pub struct Scene {
    /// The account.
    pub account: Account,
    /// AWSPREVIOUS.
    pub previous: String,
    /// AWSCURRENT.
    pub current: String,
    /// AWSPENDING.
    pub pending: String,
}

impl Bench {
    /// A scene with a new account.
    ///
    /// # Errors
    ///
    /// [`ConformanceError`] if the service or the case is broken.
    pub async fn scene(&mut self) -> Result<Scene, ConformanceError> {
        let current = self.password()?;
        let account = self.service.account(&current).await?;
        self.scene_of(account, current)
    }

    /// A scene with a new account, whose password is this one although no policy makes it.
    ///
    /// # Errors
    ///
    /// [`ConformanceError::OldPassword`] if the service does not take it.
    pub async fn scene_beginning_with(&mut self, current: &str) -> Result<Scene, ConformanceError> {
        let refused = |why: String| ConformanceError::OldPassword { password: current.to_owned(), why };
        let account = self.service.account(current).await.map_err(|error| refused(error.to_string()))?;
        if !self.service.accepts(&account, current).await.map_err(|error| refused(error.to_string()))? {
            return Err(refused("`login` refuses what `create` set".to_owned()));
        }
        self.scene_of(account, current.to_owned())
    }

    fn scene_of(&self, account: Account, current: String) -> Result<Scene, ConformanceError> {
        Ok(Scene { account, previous: self.password()?, current, pending: self.password()? })
    }

    /// A password as createSecret makes it for this plugin.
    ///
    /// # Errors
    ///
    /// [`ConformanceError`] if the manifest's policy makes none.
    pub fn password(&self) -> Result<String, ConformanceError> {
        // To be stored in the service of the case, which is what it is for.
        Ok(self.renewal()?.policy.generate().map_err(ConformanceError::Password)?.expose().to_owned())
    }

    /// What createSecret generates in a secret of this case.
    ///
    /// # Errors
    ///
    /// [`ConformanceError`] if the case's secret does not fit the plugin.
    pub fn renewal(&self) -> Result<Renewal, ConformanceError> {
        let value = self.value(&Account { name: "windlass".to_owned() }, "password")?;
        let renewal = self.subject.choice().renewal(&Subject::tags(), self.subject.manifest(), &value);
        Ok(renewal.map_err(|error| super::subject::SubjectError::Secret(Box::new(error)))?)
    }

    /// The secret of an account with this password.
    ///
    /// # Errors
    ///
    /// [`ConformanceError`] if the case has a placeholder that nothing fills.
    pub fn value(&self, account: &Account, password: &str) -> Result<SecretValue, ConformanceError> {
        let filled = case::fill(&self.case.secret, &self.service.variables(account, password))?;
        Ok(case::secret(&filled))
    }

    /// What the host hands to set-secret in this scene.
    ///
    /// # Errors
    ///
    /// As [`Bench::value`].
    pub fn handed(&self, scene: &Scene) -> Result<Handed, ConformanceError> {
        let admin = self.case.admin.as_ref().map(|admin| {
            let filled = case::fill(admin, &self.service.variables(&scene.account, &scene.pending))?;
            Ok::<_, ConformanceError>(case::secret(&filled))
        });
        Ok(Handed {
            pending: self.value(&scene.account, &scene.pending)?,
            current: Some(self.value(&scene.account, &scene.current)?),
            previous: Some(self.value(&scene.account, &scene.previous)?),
            admin: admin.transpose()?,
        })
    }
}
