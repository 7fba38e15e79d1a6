"""The same plain calls against `windlass local` and moto, a widely used double of AWS, and what differs.

Arguments: the two endpoints. moto is right about these calls but for the differences in EXPECTED, each of which says why; anything else
that differs, and any of EXPECTED that no longer does, is an error. What moto does about rotation is not asked.
"""

import json
import sys

import boto3
from botocore.exceptions import ClientError

TOKENS = [str(digit) * 32 for digit in range(10)]

# By step: why windlass differs from moto there.
EXPECTED = {
    "get_unknown": "AWS answers ResourceNotFoundException with HTTP status 400, moto with 404",
    "put_on_deleted": "AWS refuses every change of a secret that is marked for deletion",
    "put_too_large": "AWS takes up to 65,536 bytes",
    "put_other_value_again": "a version's value is written once",
    "describe_unlabelled": "AWS shows labelled versions only",
}


def steps(client):
    """Named calls, in order."""
    return [
        ("create", lambda: client.create_secret(Name="a", ClientRequestToken=TOKENS[0], SecretString="one", Description="first")),
        ("create_again", lambda: client.create_secret(Name="a", ClientRequestToken=TOKENS[1], SecretString="two")),
        ("get", lambda: client.get_secret_value(SecretId="a")),
        ("get_unknown", lambda: client.get_secret_value(SecretId="nobody")),
        ("put", lambda: client.put_secret_value(SecretId="a", ClientRequestToken=TOKENS[2], SecretString="two")),
        ("get_current", lambda: client.get_secret_value(SecretId="a")),
        ("get_previous", lambda: client.get_secret_value(SecretId="a", VersionStage="AWSPREVIOUS")),
        ("get_by_version", lambda: client.get_secret_value(SecretId="a", VersionId=TOKENS[0])),
        ("put_same_again", lambda: client.put_secret_value(SecretId="a", ClientRequestToken=TOKENS[2], SecretString="two")),
        ("put_pending", lambda: client.put_secret_value(
            SecretId="a", ClientRequestToken=TOKENS[3], SecretString="three", VersionStages=["AWSPENDING"])),
        ("put_other_value_again", lambda: client.put_secret_value(
            SecretId="a", ClientRequestToken=TOKENS[3], SecretString="four", VersionStages=["AWSPENDING"])),
        ("move_without_from", lambda: client.update_secret_version_stage(
            SecretId="a", VersionStage="AWSCURRENT", MoveToVersionId=TOKENS[3])),
        ("move", lambda: client.update_secret_version_stage(
            SecretId="a", VersionStage="AWSCURRENT", MoveToVersionId=TOKENS[3], RemoveFromVersionId=TOKENS[2])),
        ("describe_unlabelled", lambda: client.describe_secret(SecretId="a")["VersionIdsToStages"]),
        ("tag", lambda: client.tag_resource(SecretId="a", Tags=[{"Key": "k", "Value": "v"}])),
        ("tags", lambda: client.describe_secret(SecretId="a")["Tags"]),
        ("untag", lambda: client.untag_resource(SecretId="a", TagKeys=["k"])),
        ("put_too_large", lambda: client.put_secret_value(SecretId="a", ClientRequestToken=TOKENS[4], SecretString="x" * 65_537)),
        ("binary", lambda: client.create_secret(Name="b", ClientRequestToken=TOKENS[5], SecretBinary=b"\x00\xff")),
        ("get_binary", lambda: client.get_secret_value(SecretId="b")),
        ("list", lambda: [found["Name"] for found in client.list_secrets()["SecretList"]]),
        ("list_filtered", lambda: [
            found["Name"] for found in client.list_secrets(Filters=[{"Key": "name", "Values": ["b"]}])["SecretList"]]),
        ("delete", lambda: client.delete_secret(SecretId="b", RecoveryWindowInDays=7)),
        ("get_deleted", lambda: client.get_secret_value(SecretId="b")),
        ("put_on_deleted", lambda: client.put_secret_value(SecretId="b", ClientRequestToken=TOKENS[6], SecretString="x")),
        ("restore", lambda: client.restore_secret(SecretId="b")),
        ("force", lambda: client.delete_secret(SecretId="b", ForceDeleteWithoutRecovery=True)),
        ("get_gone", lambda: [error_code(lambda: client.get_secret_value(SecretId="b"))]),
        ("policy", lambda: client.put_resource_policy(SecretId="a", ResourcePolicy=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": {"AWS": "123456789012"},
             "Action": "secretsmanager:DeleteSecret", "Resource": "*"}]}))),
    ]


def error_code(call):
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "none"


def normalised(answer):
    """Without what is random, a date, or about the transport."""
    if isinstance(answer, dict):
        skipped = ("ResponseMetadata", "ARN", "CreatedDate", "DeletionDate", "LastChangedDate", "LastAccessedDate")
        return {key: normalised(value) for key, value in answer.items() if key not in skipped}
    if isinstance(answer, list):
        return sorted((normalised(item) for item in answer), key=str)
    return answer


def outcome(call):
    try:
        return normalised(call())
    except ClientError as error:
        return (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])


windlass, moto = (boto3.client("secretsmanager", endpoint_url=endpoint) for endpoint in sys.argv[1:3])
wrong = []
for (name, ours), (_, theirs) in zip(steps(windlass), steps(moto)):
    here, there = outcome(ours), outcome(theirs)
    if (here != there) != (name in EXPECTED):
        wrong.append(f"{name}: windlass {here!r}, moto {there!r}")
if wrong:
    sys.exit("\n".join(wrong))
print(f"{len(steps(windlass))} calls, {len(EXPECTED)} differences, each of them known")
