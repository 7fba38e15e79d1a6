"""What an identity policy allows: a small evaluator of IAM statements.

Knows Allow and Deny, lists of actions and resources with `*` and `?`, and the operators of conditions that OPERATORS lists. A key that the
request does not have makes a condition false, as IAM has it for operators without IfExists. Anything else in a statement (NotAction,
NotResource, Principal, policy variables, ForAllValues, IfExists, other operators) is refused with an error rather than guessed.

Not looked at, though a call on AWS has to pass it as well: resource policies, key policies, permissions boundaries, service control
policies, session policies and endpoint policies. Whether AWS fills a condition key for an action is not known here either: the calls
that are judged say which keys they come with, and the tests name the page that says so.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import re
from dataclasses import dataclass, field

STATEMENT_KEYS = {"Sid", "Effect", "Action", "Resource", "Condition"}


class NotUnderstood(Exception):
    """A statement has something that this evaluator does not know."""


@dataclass(frozen=True)
class Call:
    """A request as IAM sees it."""

    action: str
    resource: str
    context: dict = field(default_factory=dict)


def is_allowed(statements, call):
    """Whether the statements allow the call: some Allow applies and no Deny does."""
    effects = {statement["Effect"] for statement in statements if applies(statement, call)}
    return effects == {"Allow"}


def applies(statement, call):
    """Whether a statement is about the call."""
    unknown = statement.keys() - STATEMENT_KEYS
    if unknown:
        raise NotUnderstood(f"the statement {statement.get('Sid')} has {', '.join(sorted(unknown))}")
    if statement["Effect"] not in ("Allow", "Deny"):
        raise NotUnderstood(f"the statement {statement.get('Sid')} has the effect {statement['Effect']}")
    return (
        any(like(action.lower(), call.action.lower()) for action in several(statement["Action"]))
        and any(like(resource, call.resource) for resource in several(statement["Resource"]))
        and all(
            holds(operator, key, several(values), call.context)
            for operator, tests in statement.get("Condition", {}).items()
            for key, values in tests.items()
        )
    )


def holds(operator, key, values, context):
    """Whether one line of a condition is met: by one of its values, if the request has the key at all."""
    if operator not in OPERATORS:
        raise NotUnderstood(f"the condition operator {operator}")
    # Names of keys do not depend on upper and lower case, values do.
    found = [value for name, value in context.items() if name.lower() == key.lower()]
    return bool(found) and any(OPERATORS[operator](value, found[0]) for value in values)


def like(pattern, text):
    """Whether a text fits a pattern with `*` and `?`."""
    if "${" in pattern:
        raise NotUnderstood(f"the policy variable in {pattern}")
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text, re.DOTALL) is not None


def arn_like(pattern, arn):
    """Whether an ARN fits a pattern, part by part: a wildcard does not reach across the first five colons."""
    patterns, parts = pattern.split(":", 5), arn.split(":", 5)
    return len(patterns) == len(parts) == 6 and all(map(like, patterns, parts))


def several(one_or_many):
    """A value of a policy as a list."""
    return one_or_many if isinstance(one_or_many, list) else [one_or_many]


OPERATORS = {
    "StringEquals": lambda value, actual: value == actual,
    "StringLike": like,
    # IAM takes wildcards in both.
    "ArnEquals": arn_like,
    "ArnLike": arn_like,
}
