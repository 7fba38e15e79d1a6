"""Deployments that the checks look at, each with the parameters that an operator would give."""

from rendering import ACCOUNT, REGION

FUNCTION = "windlass"
FUNCTION_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{FUNCTION}"

# A secret in another account that shares it with this function.
FOREIGN_ACCOUNT = "444455556666"

SECRETS_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-1111-4111-8111-111111111111"
SECOND_SECRETS_KEY = f"arn:aws:kms:{REGION}:{FOREIGN_ACCOUNT}:key/mrk-22222222222222222222222222222222"
ADMIN_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/33333333-3333-4333-8333-333333333333"
PLUGIN_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/44444444-4444-4444-8444-444444444444"
LOG_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/55555555-5555-4555-8555-555555555555"
TOPIC_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/66666666-6666-4666-8666-666666666666"


def secret(name, account=ACCOUNT, region=REGION):
    """The ARN of a secret, with a suffix as Secrets Manager appends it."""
    return f"arn:aws:secretsmanager:{region}:{account}:secret:{name}-a1B2c3"


ADMIN_SECRET = secret("prod/redis-admin")
SECOND_ADMIN_SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:prod/broker-admin-??????"

# What AWS's own application has to be given, and nothing else.
SMALLEST = {"functionName": FUNCTION}

# The whole set of AWS's application.
AS_AWS = {
    **SMALLEST,
    "endpoint": f"https://secretsmanager.{REGION}.amazonaws.com",
    "invokingServicePrincipal": "secretsmanager.amazonaws.com",
    "vpcSubnetIds": "subnet-0123456789abcdef0,subnet-0123456789abcdef1",
    "vpcSecurityGroupIds": "sg-0fedcba9876543210,sg-0fedcba9876543211",
    "kmsKeyArn": SECRETS_KEY,
    "excludeCharacters": "/@\"'\\",
    "masterSecretArn": ADMIN_SECRET,
    "masterSecretKmsKeyArn": ADMIN_KEY,
}

# Everything narrowed, with a VPC that has no way to the internet.
NARROW = {
    **SMALLEST,
    "secretArnPatterns": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:prod/redis/*,"
    f"arn:aws:secretsmanager:{REGION}:{FOREIGN_ACCOUNT}:secret:shared/*",
    "kmsKeyArn": f"{SECRETS_KEY},{SECOND_SECRETS_KEY}",
    "masterSecretArn": f"{ADMIN_SECRET},{SECOND_ADMIN_SECRET}",
    "masterSecretKmsKeyArn": ADMIN_KEY,
    "pluginBucket": "acme-plugins",
    "pluginPrefix": "windlass/",
    "pluginKmsKeyArn": PLUGIN_KEY,
    "layerArns": f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:windlass-plugins:3",
    "architecture": "arm64",
    "memorySize": "512",
    "timeout": "300",
    "logLevel": "warn",
    "permissionsBoundaryArn": f"arn:aws:iam::{ACCOUNT}:policy/boundary",
    "rolePath": "/rotation/",
    "vpcSubnetIds": "subnet-0123456789abcdef0,subnet-0123456789abcdef1",
    "vpcId": "vpc-0123456789abcdef0",
    "egressCidr": "10.0.0.0/8",
    "createSecretsManagerEndpoint": "true",
    "createS3Endpoint": "true",
    "routeTableIds": "rtb-0123456789abcdef0",
    "logRetentionDays": "365",
    "logKmsKeyArn": LOG_KEY,
    "alarmTopicKmsKeyArn": TOPIC_KEY,
    "heartbeatSchedule": "cron(0 6 * * ? *)",
}

# Into a VPC later, with a topic that exists, plugins from a whole bucket, a heartbeat every six hours and no dashboard.
LATER_IN_A_VPC = {
    **SMALLEST,
    "networkInterfacePermissions": "always",
    "alarmTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:on-call",
    "pluginBucket": "acme-plugins",
    "dashboard": "false",
    "heartbeatSchedule": "rate(6 hours)",
    "heartbeatAlarmPeriod": "21600",
}

ALL = {"smallest": SMALLEST, "as AWS": AS_AWS, "narrow": NARROW, "later in a VPC": LATER_IN_A_VPC}
