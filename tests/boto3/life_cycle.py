"""A whole life of a secret, driven by boto3 against `windlass local`: AWS_ENDPOINT_URL says where that is.

Arguments: the ARN of the rotation function, the port of a Redis server with a user `app`, and that user's password.
"""

import json
import sys
import time

import boto3
from botocore.exceptions import ClientError

FUNCTION, PORT, PASSWORD = sys.argv[1], int(sys.argv[2]), sys.argv[3]
secrets = boto3.client("secretsmanager")


def refused(code, call, **arguments):
    """The call is refused with this exception. Not found is HTTP 400, too."""
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400, error
        return
    raise AssertionError(f"{code} was expected")


def until(what, true):
    """Asks again and again, at most for a minute."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def stages(name="app"):
    return secrets.describe_secret(SecretId=name).get("VersionIdsToStages", {})


def password(stage="AWSCURRENT"):
    value = secrets.get_secret_value(SecretId="app", VersionStage=stage)
    return json.loads(value["SecretString"])["password"]


# Created, described, found by its partial ARN.
value = {"engine": "redis", "username": "app", "password": PASSWORD, "host": "127.0.0.1", "port": PORT, "tls": False}
created = secrets.create_secret(
    Name="app", SecretString=json.dumps(value), Description="an account", Tags=[{"Key": "windlass:plugin", "Value": "redis"}]
)
first = created["VersionId"]
assert stages() == {first: ["AWSCURRENT"]}
assert secrets.describe_secret(SecretId=created["ARN"][:-7])["Name"] == "app"
assert "RotationEnabled" not in secrets.describe_secret(SecretId="app")
refused("ResourceExistsException", secrets.create_secret, Name="app", SecretString="another")
refused("ResourceNotFoundException", secrets.get_secret_value, SecretId="app", VersionStage="AWSPENDING")

# A test alone: a copy of the current value is tested and goes away again.
refused("InvalidRequestException", secrets.rotate_secret, SecretId="app")
refused("AccessDeniedException", secrets.rotate_secret, SecretId="app", RotationLambdaARN=FUNCTION + "-of-somebody-else")
rules = {"ScheduleExpression": "rate(10 days)", "Duration": "3h"}
secrets.rotate_secret(SecretId="app", RotationLambdaARN=FUNCTION, RotationRules=rules, RotateImmediately=False)
until("the test ends", lambda: stages() == {first: ["AWSCURRENT"]})
described = secrets.describe_secret(SecretId="app")
assert described["RotationEnabled"] and described["RotationRules"] == rules and "NextRotationDate" in described, described

# Two rotations.
for _ in range(2):
    before = password()
    version = secrets.rotate_secret(SecretId="app")["VersionId"]
    until("the rotation ends", lambda: stages().get(version) == ["AWSCURRENT"])
    assert password() != before and password("AWSPREVIOUS") == before
    assert secrets.describe_secret(SecretId="app")["LastRotatedDate"]
versions = secrets.list_secret_version_ids(SecretId="app", IncludeDeprecated=True)["Versions"]
assert len(versions) == 3 and sum("VersionStages" in version for version in versions) == 2, versions

# Cancelled, and turned on again.
secrets.cancel_rotate_secret(SecretId="app")
assert secrets.describe_secret(SecretId="app")["RotationEnabled"] is False

# Labels move by compare-and-swap only.
current, previous = (next(v for v, labels in stages().items() if label in labels) for label in ("AWSCURRENT", "AWSPREVIOUS"))
refused(
    "InvalidParameterException",
    secrets.update_secret_version_stage, SecretId="app", VersionStage="AWSCURRENT", MoveToVersionId=previous,
)
for there, here in ((previous, current), (current, previous)):
    secrets.update_secret_version_stage(
        SecretId="app", VersionStage="AWSCURRENT", MoveToVersionId=there, RemoveFromVersionId=here
    )
assert stages() == {current: ["AWSCURRENT"], previous: ["AWSPREVIOUS"]}

# A value is written once.
token = "0" * 32
secrets.put_secret_value(SecretId="app", ClientRequestToken=token, SecretString="one", VersionStages=["mine"])
secrets.put_secret_value(SecretId="app", ClientRequestToken=token, SecretString="one", VersionStages=["mine"])
refused(
    "ResourceExistsException",
    secrets.put_secret_value, SecretId="app", ClientRequestToken=token, SecretString="two", VersionStages=["mine"],
)

# Binary values, many at once, filters, policies.
secrets.create_secret(Name="binary", SecretBinary=bytes(range(256)))
assert secrets.get_secret_value(SecretId="binary")["SecretBinary"] == bytes(range(256))
batch = secrets.batch_get_secret_value(SecretIdList=["app", "binary", "nobody"])
assert [found["Name"] for found in batch["SecretValues"]] == ["app", "binary"], "batch"
assert [error["SecretId"] for error in batch["Errors"]] == ["nobody"], batch["Errors"]
listed = secrets.list_secrets(Filters=[{"Key": "tag-key", "Values": ["windlass:plugin"]}])["SecretList"]
assert [secret["Name"] for secret in listed] == ["app"], "filters"
policy = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Deny", "Principal": {"AWS": "123456789012"}, "Action": "secretsmanager:DeleteSecret", "Resource": "*"}
]})
secrets.put_resource_policy(SecretId="binary", ResourcePolicy=policy)
assert json.loads(secrets.get_resource_policy(SecretId="binary")["ResourcePolicy"]) == json.loads(policy)
secrets.delete_resource_policy(SecretId="binary")
assert "ResourcePolicy" not in secrets.get_resource_policy(SecretId="binary")

# Deleted, restored, deleted for good.
secrets.delete_secret(SecretId="binary", RecoveryWindowInDays=7)
refused("InvalidRequestException", secrets.get_secret_value, SecretId="binary")
assert "DeletedDate" in secrets.describe_secret(SecretId="binary")
secrets.restore_secret(SecretId="binary")
secrets.delete_secret(SecretId="binary", ForceDeleteWithoutRecovery=True)
refused("ResourceNotFoundException", secrets.describe_secret, SecretId="binary")
print("the whole life was lived")
