//! `--other-function`: a second rotation function, for rehearsing a change of function.

use std::str::FromStr;

use crate::local::lambda_endpoint::{LambdaEndpoint, LambdaEndpointError};
use crate::local::store::{FunctionArn, FunctionArnError};

/// A function and the double of Lambda that runs it: `ARN=http://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherFunction {
    /// The function.
    pub function: FunctionArn,
    /// What invokes it.
    pub lambda: LambdaEndpoint,
}

/// Why a text names no other function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtherFunctionError {
    /// It has one part only.
    #[error("write ARN=http://HOST:PORT: the function, and the double of Lambda that runs it")]
    Form,
    /// The first part is no function.
    #[error(transparent)]
    Function(#[from] FunctionArnError),
    /// The second part is no endpoint.
    #[error(transparent)]
    Lambda(#[from] LambdaEndpointError),
}

impl FromStr for OtherFunction {
    type Err = OtherFunctionError;

    fn from_str(text: &str) -> Result<Self, OtherFunctionError> {
        let (function, lambda) = text.split_once('=').ok_or(OtherFunctionError::Form)?;
        Ok(Self { function: FunctionArn::parse(function)?, lambda: lambda.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_function_has_an_arn_and_an_endpoint() {
        let other: OtherFunction = format!("{}=http://127.0.0.1:9000", FunctionArn::DEFAULT).parse().unwrap();
        assert_eq!(other.function, FunctionArn::default());
        assert_eq!(other.lambda, "http://127.0.0.1:9000".parse().unwrap());
    }

    #[rstest]
    #[case::one_part("http://127.0.0.1:9000", "write ARN=http://HOST:PORT")]
    #[case::no_arn("old=http://127.0.0.1:9000", "`old` is not the ARN")]
    #[case::no_port("arn:aws:lambda:us-east-1:123456789012:function:old=http://127.0.0.1", "write http://HOST:PORT")]
    fn anything_else_is_refused(#[case] text: &str, #[case] why: &str) {
        let error = text.parse::<OtherFunction>().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
