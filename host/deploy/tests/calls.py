"""Calls to AWS and whether the role of a deployment has to allow them.

The allowed ones are those that the function makes (`host/src/secrets.rs`, `host/src/plugin/objects/s3.rs`) or that Lambda and Secrets
Manager make in its name; the denied ones are what a mistake in the code, a hostile plugin that got out, or whoever may change secrets could
try. Which condition keys a call comes with is from the pages of
https://docs.aws.amazon.com/service-authorization/latest/reference/ for Secrets Manager, KMS, EC2, and
https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html for lambda:SourceFunctionArn.
"""

from iam import Call
from parameter_sets import (
    ADMIN_KEY,
    ADMIN_SECRET,
    AS_AWS,
    FOREIGN_ACCOUNT,
    FUNCTION,
    FUNCTION_ARN,
    LATER_IN_A_VPC,
    NARROW,
    PLUGIN_KEY,
    SECOND_SECRETS_KEY,
    SECRETS_KEY,
    SMALLEST,
    secret,
)
from rendering import ACCOUNT, REGION

OTHER_FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:another"
OTHER_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/99999999-9999-4999-8999-999999999999"
LOG = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/{FUNCTION}:log-stream:2026/01/01/[$LATEST]0"
VIA_SECRETS_MANAGER = f"secretsmanager.{REGION}.amazonaws.com"
VIA_S3 = f"s3.{REGION}.amazonaws.com"
INTERFACES = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
]


def on_secret(action, arn, function=FUNCTION_ARN, label=None):
    """A call about a secret whose rotation function is `function`, if it has one."""
    context = {}
    if function:
        context["secretsmanager:resource/AllowRotationLambdaArn"] = function
    if label:
        context["secretsmanager:VersionStage"] = label
    return Call(f"secretsmanager:{action}", arn, context)


def with_key(action, key, of, via=VIA_SECRETS_MANAGER, name="SecretARN"):
    """A use of a key, by a service in the function's name, for one secret or object."""
    return Call(f"kms:{action}", key, {"kms:ViaService": via, f"kms:EncryptionContext:{name}": of})


def about_object(action, bucket, key):
    return Call(f"s3:{action}", f"arn:aws:s3:::{bucket}/{key}")


def about_log(action, resource=LOG):
    return Call(f"logs:{action}", resource)


def rotation_of(arn):
    """The calls of one whole rotation of a secret, as `host/src/secrets.rs` makes them."""
    return [
        ("reads labels and tags", on_secret("DescribeSecret", arn)),
        *((f"reads {label}", on_secret("GetSecretValue", arn, label=label)) for label in ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS")),
        ("stores the pending value", on_secret("PutSecretValue", arn)),
        ("promotes it", on_secret("UpdateSecretVersionStage", arn, label="AWSCURRENT")),
    ]


def never(arn):
    """Calls that no deployment allows, whatever secret they are about."""
    return [
        ("promotes a secret that another function rotates", on_secret("UpdateSecretVersionStage", arn, OTHER_FUNCTION, "AWSCURRENT")),
        ("promotes a secret that nobody rotates", on_secret("UpdateSecretVersionStage", arn, None, "AWSCURRENT")),
        ("moves AWSPENDING of a secret that another function rotates", on_secret("UpdateSecretVersionStage", arn, OTHER_FUNCTION, "AWSPENDING")),
        ("moves AWSPENDING of its own secret", on_secret("UpdateSecretVersionStage", arn, label="AWSPENDING")),
        ("moves AWSPREVIOUS of its own secret", on_secret("UpdateSecretVersionStage", arn, label="AWSPREVIOUS")),
        ("moves no label in particular", on_secret("UpdateSecretVersionStage", arn)),
        ("reads a secret that another function rotates", on_secret("GetSecretValue", arn, OTHER_FUNCTION, "AWSCURRENT")),
        ("reads a secret that nobody rotates", on_secret("GetSecretValue", arn, None, "AWSCURRENT")),
        ("reads one that an alias of itself rotates", on_secret("GetSecretValue", arn, f"{FUNCTION_ARN}:live", "AWSCURRENT")),
        ("describes a secret that another function rotates", on_secret("DescribeSecret", arn, OTHER_FUNCTION)),
        ("writes to a secret that another function rotates", on_secret("PutSecretValue", arn, OTHER_FUNCTION)),
        *(
            (f"calls {action} on its own secret", on_secret(action, arn))
            for action in (
                "CancelRotateSecret",
                "DeleteResourcePolicy",
                "DeleteSecret",
                "PutResourcePolicy",
                "ReplicateSecretToRegions",
                "RotateSecret",
                "TagResource",
                "UntagResource",
                "UpdateSecret",
            )
        ),
        ("reads many secrets at once", Call("secretsmanager:BatchGetSecretValue", "*")),
        ("creates a secret", on_secret("CreateSecret", arn, None)),
        ("asks for a random password, which it makes itself", Call("secretsmanager:GetRandomPassword", "*")),
        ("uses a key of nobody's", with_key("Decrypt", OTHER_KEY, arn)),
        ("reads from another bucket", about_object("GetObject", "other-plugins", "windlass/redis.wasm")),
        ("makes a log group", about_log("CreateLogGroup", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/{FUNCTION}")),
        ("writes another function's log", about_log("PutLogEvents", LOG.replace(FUNCTION, "another"))),
        ("writes the log of a function whose name begins with its own", about_log("PutLogEvents", LOG.replace(FUNCTION, f"{FUNCTION}-2"))),
        ("reads its own log", about_log("GetLogEvents")),
        ("takes another role", Call("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/other")),
        ("changes its own code", Call("lambda:UpdateFunctionCode", FUNCTION_ARN)),
        ("opens a security group", Call("ec2:AuthorizeSecurityGroupIngress", f"arn:aws:ec2:{REGION}:{ACCOUNT}:security-group/sg-0fedcba9")),
    ]


LISTING = [("lists secrets for a heartbeat", Call("secretsmanager:ListSecrets", "*"))]
LOGGING = [("makes a log stream", about_log("CreateLogStream")), ("writes its log", about_log("PutLogEvents"))]
HAVING_INTERFACES = [(f"has Lambda call {action}", Call(action, "*")) for action in INTERFACES]
CODE_WITH_INTERFACES = [(f"calls {action} itself", Call(action, "*", {"lambda:SourceFunctionArn": FUNCTION_ARN})) for action in INTERFACES]

OWN = secret("prod/redis/app")
SHARED = secret("shared/broker", FOREIGN_ACCOUNT)

# A deployment's parameters, the calls that its role allows, and calls that it denies.
JUDGED = {
    "smallest": (
        SMALLEST,
        [*rotation_of(OWN), *LOGGING],
        [
            *never(OWN),
            *LISTING,
            *((f"{what}, in another account", call) for what, call in rotation_of(SHARED)),
            *((f"{what}, in another region", call) for what, call in rotation_of(secret("prod/redis/app", region="us-east-1"))),
            ("reads an admin secret that nobody bound", on_secret("GetSecretValue", ADMIN_SECRET, None, "AWSCURRENT")),
            ("uses a key that it was not given", with_key("Decrypt", SECRETS_KEY, OWN)),
            ("reads plugins from a bucket that it was not given", about_object("GetObject", "acme-plugins", "windlass/redis.wasm")),
            *HAVING_INTERFACES,
            *CODE_WITH_INTERFACES,
        ],
    ),
    "as AWS": (
        AS_AWS,
        [
            *rotation_of(OWN),
            *LOGGING,
            *HAVING_INTERFACES,
            ("has Secrets Manager decrypt a value", with_key("Decrypt", SECRETS_KEY, OWN)),
            ("has Secrets Manager encrypt a value", with_key("GenerateDataKey", SECRETS_KEY, OWN)),
            ("reads the admin secret", on_secret("GetSecretValue", ADMIN_SECRET, None, "AWSCURRENT")),
            ("has Secrets Manager decrypt the admin secret", with_key("Decrypt", ADMIN_KEY, ADMIN_SECRET)),
        ],
        [
            *never(OWN),
            *LISTING,
            *CODE_WITH_INTERFACES,
            ("uses the key itself", Call("kms:Decrypt", SECRETS_KEY, {"kms:EncryptionContext:SecretARN": OWN})),
            ("uses the key through another service", with_key("Decrypt", SECRETS_KEY, OWN, VIA_S3)),
            ("uses the key for a foreign secret", with_key("Decrypt", SECRETS_KEY, SHARED)),
            ("uses the key for nothing in particular", Call("kms:Decrypt", SECRETS_KEY, {"kms:ViaService": VIA_SECRETS_MANAGER})),
            ("encrypts with the key itself", with_key("Encrypt", SECRETS_KEY, OWN)),
            ("reads an earlier admin value", on_secret("GetSecretValue", ADMIN_SECRET, None, "AWSPREVIOUS")),
            ("reads an admin value by version alone", on_secret("GetSecretValue", ADMIN_SECRET, None)),
            ("reads another admin secret", on_secret("GetSecretValue", secret("prod/broker-admin"), None, "AWSCURRENT")),
            ("describes the admin secret", on_secret("DescribeSecret", ADMIN_SECRET, None)),
            ("writes the admin secret", on_secret("PutSecretValue", ADMIN_SECRET, None)),
            ("promotes the admin secret", on_secret("UpdateSecretVersionStage", ADMIN_SECRET, None, "AWSCURRENT")),
            ("has another key decrypt the admin secret", with_key("Decrypt", OTHER_KEY, ADMIN_SECRET)),
            ("uses the admin key for a rotated secret", with_key("Decrypt", ADMIN_KEY, OWN)),
            ("uses the admin key itself", Call("kms:Decrypt", ADMIN_KEY, {"kms:EncryptionContext:SecretARN": ADMIN_SECRET})),
            ("encrypts with the admin key", with_key("GenerateDataKey", ADMIN_KEY, ADMIN_SECRET)),
        ],
    ),
    "narrow": (
        NARROW,
        [
            *rotation_of(OWN),
            *((f"{what}, of the account that shares it", call) for what, call in rotation_of(SHARED)),
            *LOGGING,
            *LISTING,
            *HAVING_INTERFACES,
            ("has Secrets Manager encrypt a value", with_key("GenerateDataKey", SECRETS_KEY, OWN)),
            ("has Secrets Manager decrypt a value of the other account", with_key("Decrypt", SECOND_SECRETS_KEY, SHARED)),
            ("reads the first admin secret", on_secret("GetSecretValue", ADMIN_SECRET, None, "AWSCURRENT")),
            ("reads the second admin secret, whatever its suffix", on_secret("GetSecretValue", secret("prod/broker-admin"), None, "AWSCURRENT")),
            ("has Secrets Manager decrypt the second admin secret", with_key("Decrypt", ADMIN_KEY, secret("prod/broker-admin"))),
            ("reads a plugin", about_object("GetObject", "acme-plugins", "windlass/redis.wasm")),
            ("reads a version of a plugin", about_object("GetObjectVersion", "acme-plugins", "windlass/redis.wasm")),
            (
                "has S3 decrypt a plugin",
                with_key("Decrypt", PLUGIN_KEY, "arn:aws:s3:::acme-plugins/windlass/redis.wasm", VIA_S3, "aws:s3:arn"),
            ),
            ("has S3 decrypt with a bucket key", with_key("Decrypt", PLUGIN_KEY, "arn:aws:s3:::acme-plugins", VIA_S3, "aws:s3:arn")),
        ],
        [
            *never(OWN),
            *CODE_WITH_INTERFACES,
            *((f"{what}, of a secret that no pattern covers", call) for what, call in rotation_of(secret("prod/mysql/app"))),
            *((f"{what}, of a name that only begins alike", call) for what, call in rotation_of(secret("prod/redis-other"))),
            *((f"{what}, of an account that shares nothing", call) for what, call in rotation_of(secret("shared/x", "777788889999"))),
            ("uses the key for a secret that no pattern covers", with_key("Decrypt", SECRETS_KEY, secret("prod/mysql/app"))),
            ("reads an admin secret with a longer name", on_secret("GetSecretValue", secret("prod/broker-admin-old"), None, "AWSCURRENT")),
            ("reads beside the prefix", about_object("GetObject", "acme-plugins", "other/redis.wasm")),
            ("reads a prefix that only begins alike", about_object("GetObject", "acme-plugins", "windlass-other/redis.wasm")),
            ("writes a plugin", about_object("PutObject", "acme-plugins", "windlass/redis.wasm")),
            ("deletes a plugin", about_object("DeleteObject", "acme-plugins", "windlass/redis.wasm")),
            ("lists the bucket", Call("s3:ListBucket", "arn:aws:s3:::acme-plugins")),
            (
                "has S3 decrypt beside the prefix",
                with_key("Decrypt", PLUGIN_KEY, "arn:aws:s3:::acme-plugins/other/x.wasm", VIA_S3, "aws:s3:arn"),
            ),
            (
                "uses the plugins' key itself",
                Call("kms:Decrypt", PLUGIN_KEY, {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::acme-plugins"}),
            ),
            ("has S3 encrypt with the plugins' key", with_key("GenerateDataKey", PLUGIN_KEY, "arn:aws:s3:::acme-plugins", VIA_S3, "aws:s3:arn")),
            ("has S3 decrypt with another key", with_key("Decrypt", OTHER_KEY, "arn:aws:s3:::acme-plugins", VIA_S3, "aws:s3:arn")),
            ("uses the plugins' key for a secret", with_key("Decrypt", PLUGIN_KEY, OWN)),
        ],
    ),
    "later in a VPC": (
        LATER_IN_A_VPC,
        [
            *rotation_of(OWN),
            *LOGGING,
            *LISTING,
            *HAVING_INTERFACES,
            ("reads a plugin anywhere in the bucket", about_object("GetObject", "acme-plugins", "redis.wasm")),
        ],
        [
            *never(OWN),
            *CODE_WITH_INTERFACES,
            ("reads from a bucket whose name begins alike", about_object("GetObject", "acme-plugins-2", "redis.wasm")),
        ],
    ),
}
