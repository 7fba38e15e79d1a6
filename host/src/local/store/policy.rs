//! Resource policies: checked, kept and shown. Nothing here evaluates them, because requests have no principal.

use serde_json::Value;

use super::{Store, parameters};
use crate::local::api::{Named, OfSecret, PutResourcePolicy, ValidateResourcePolicy, ValidationError};
use crate::local::error::{Exception, ServiceError};

/// Most bytes of a policy.
const MAX_BYTES: usize = 20_480;

const PUBLIC: &str =
    "The BlockPublicPolicy parameter is set to true, and the resource policy did not prevent broad access to the secret.";

impl Store {
    /// `PutResourcePolicy`: replaces the policy.
    ///
    /// # Errors
    ///
    /// As AWS: unknown or deleted secret, a policy with a syntax error, and with `BlockPublicPolicy` one that lets everybody in.
    pub fn put_resource_policy(&mut self, request: &PutResourcePolicy) -> Result<Named, ServiceError> {
        let text = text(request.resource_policy.as_deref())?;
        let secret = self.changeable(request.secret_id.as_deref())?;
        let policy = parse(text)?;
        if request.block_public_policy.unwrap_or(false) && is_public(&policy) {
            return Err(ServiceError::new(Exception::PublicPolicy, PUBLIC));
        }
        secret.policy = Some(text.to_owned());
        Ok(secret.named())
    }

    /// `GetResourcePolicy`: the policy as it was given, if there is one.
    ///
    /// # Errors
    ///
    /// As AWS: unknown or deleted secret.
    pub fn get_resource_policy(&self, request: &OfSecret) -> Result<(Named, Option<String>), ServiceError> {
        let secret = self.live(request.secret_id.as_deref())?;
        Ok((secret.named(), secret.policy.clone()))
    }

    /// `DeleteResourcePolicy`. A policy that is not there is no error.
    ///
    /// # Errors
    ///
    /// As AWS: unknown or deleted secret.
    pub fn delete_resource_policy(&mut self, request: &OfSecret) -> Result<Named, ServiceError> {
        let secret = self.changeable(request.secret_id.as_deref())?;
        secret.policy = None;
        Ok(secret.named())
    }

    /// `ValidateResourcePolicy`: what is wrong with a policy that has no syntax error.
    ///
    /// # Errors
    ///
    /// As AWS: unknown or deleted secret, if one is named; a policy with a syntax error.
    pub fn validate_resource_policy(&self, request: &ValidateResourcePolicy) -> Result<Vec<ValidationError>, ServiceError> {
        let text = text(request.resource_policy.as_deref())?;
        if request.secret_id.is_some() {
            self.live(request.secret_id.as_deref())?;
        }
        let public =
            ValidationError { check_name: "PublicPolicy", error_message: "The resource policy allows broad access to the secret." };
        Ok(is_public(&parse(text)?).then_some(public).into_iter().collect())
    }
}

fn text(policy: Option<&str>) -> Result<&str, ServiceError> {
    let policy = policy.ok_or_else(|| parameters::missing("resourcePolicy"))?;
    match policy.len() {
        0 => Err(ServiceError::constraint("resourcePolicy", "Member must have length greater than or equal to 1")),
        1..=MAX_BYTES => Ok(policy),
        _ => Err(ServiceError::constraint("resourcePolicy", "Member must have length less than or equal to 20480")),
    }
}

/// Reads a policy as far as every policy has to be alike.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>
fn parse(text: &str) -> Result<Value, ServiceError> {
    let malformed = || ServiceError::new(Exception::MalformedPolicyDocument, "This policy has invalid syntax.");
    let policy: Value = serde_json::from_str(text).map_err(|_| malformed())?;
    let known_version = matches!(policy.get("Version").map(Value::as_str), None | Some(Some("2012-10-17" | "2008-10-17")));
    let complete = |statement: &Value| {
        let one_of = |this: &str, other: &str| statement.get(this).is_some() != statement.get(other).is_some();
        matches!(statement.get("Effect").and_then(Value::as_str), Some("Allow" | "Deny"))
            && one_of("Principal", "NotPrincipal")
            && one_of("Action", "NotAction")
            && one_of("Resource", "NotResource")
    };
    let statements = statements(&policy);
    if known_version && !statements.is_empty() && statements.iter().all(complete) { Ok(policy) } else { Err(malformed()) }
}

/// Whether a statement allows something to everybody, without any condition. AWS looks deeper, at what conditions come to.
fn is_public(policy: &Value) -> bool {
    fn everybody(principal: &Value) -> bool {
        match principal {
            Value::String(name) => name == "*",
            Value::Array(names) => names.iter().any(everybody),
            Value::Object(kinds) => kinds.get("AWS").is_some_and(everybody),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    statements(policy).iter().any(|statement| {
        statement["Effect"] == "Allow"
            && statement.get("Condition").is_none()
            && (statement.get("NotPrincipal").is_some() || statement.get("Principal").is_some_and(everybody))
    })
}

/// A single statement may stand without a list.
fn statements(policy: &Value) -> &[Value] {
    match policy.get("Statement") {
        Some(Value::Array(statements)) => statements,
        Some(statement @ Value::Object(_)) => std::slice::from_ref(statement),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => &[],
    }
}
