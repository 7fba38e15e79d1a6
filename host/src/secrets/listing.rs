//! What a heartbeat asks of Secrets Manager besides: which secrets there are, and what is behind a name. Changes nothing.

use std::collections::BTreeMap;

use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, Tag};
use tokio::time::Instant;

use super::{ErrorKind, SecretsError, SecretsManager, answer, described};
use crate::event::SecretArn;
use crate::state::Described;

/// How many values a filter takes: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Filter.html>
const MOST_PREFIXES: usize = 10;

/// A secret in the answer of ListSecrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its full ARN.
    pub arn: SecretArn,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The rotation function, if one was ever configured.
    pub function: Option<String>,
    /// Whether rotation is on.
    pub rotation_enabled: bool,
}

impl SecretsManager {
    /// ListSecrets: the secrets whose names begin with one of these texts, which are no beginnings of each other; without any, all of
    /// the account and region. Those that are to be deleted are left out.
    ///
    /// # Errors
    ///
    /// [`SecretsError`], as for every call of this type.
    pub async fn list(&self, prefixes: &[String], deadline: Instant) -> Result<Vec<Listed>, SecretsError> {
        let mut listed = Vec::new();
        let filters: Vec<_> = if prefixes.is_empty() {
            vec![None]
        } else {
            let named =
                |names: &[String]| Filter::builder().key(FilterNameStringType::Name).set_values(Some(names.to_vec())).build();
            prefixes.chunks(MOST_PREFIXES).map(|names| Some(vec![named(names)])).collect()
        };
        for filter in filters {
            let mut next = None;
            loop {
                let call = self.client.list_secrets().set_filters(filter.clone()).max_results(100).set_next_token(next);
                let output = answer("ListSecrets", deadline, None, call.send()).await?;
                listed.extend(output.secret_list.unwrap_or_default().into_iter().filter_map(|entry| {
                    Some(Listed {
                        arn: SecretArn::parse(entry.arn()?).ok()?,
                        function: entry.rotation_lambda_arn.clone(),
                        rotation_enabled: entry.rotation_enabled.unwrap_or(false),
                        tags: tags(entry.tags.unwrap_or_default()),
                    })
                }));
                next = output.next_token;
                if next.is_none() {
                    break;
                }
            }
        }
        Ok(listed)
    }

    /// DescribeSecret, by name or ARN.
    ///
    /// # Errors
    ///
    /// [`SecretsError`].
    pub async fn find(&self, secret: &str, deadline: Instant) -> Result<(SecretArn, Described), SecretsError> {
        let call = self.client.describe_secret().secret_id(secret).send();
        let output = answer("DescribeSecret", deadline, None, call).await?;
        let arn = output.arn().and_then(|arn| SecretArn::parse(arn).ok()).ok_or_else(|| {
            SecretsError::without_code("DescribeSecret", ErrorKind::Service, "the answer holds no full ARN of a secret")
        })?;
        let described = described(&arn, output);
        Ok((arn, described))
    }
}

/// Tags as a map.
pub(super) fn tags(tags: Vec<Tag>) -> BTreeMap<String, String> {
    tags.into_iter().filter_map(|tag| Some((tag.key?, tag.value?))).collect()
}
