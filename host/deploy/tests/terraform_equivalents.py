"""The template's resources as the module has them: which address is which resource, and the properties that its attributes say.

Attributes that no function here reads may not be set: what the module says more than the template is an error as well.
"""

import json

# The address without its index → the name in the template. Rules of security groups are parts of their groups there, and targets of their
# rules.
RESOURCES = {
    "aws_cloudwatch_dashboard.function": "Dashboard",
    "aws_cloudwatch_event_rule.failed_rotations": "FailedRotations",
    "aws_cloudwatch_event_rule.heartbeat": "Heartbeat",
    "aws_cloudwatch_log_group.function": "LogGroup",
    "aws_cloudwatch_metric_alarm.duration": "DurationAlarm",
    "aws_cloudwatch_metric_alarm.untested": "HeartbeatUntestedAlarm",
    "aws_iam_role.function": "Role",
    "aws_lambda_function.rotation": "Function",
    "aws_lambda_function_event_invoke_config.function": "AsynchronousInvocations",
    "aws_lambda_permission.heartbeat": "HeartbeatPermission",
    "aws_lambda_permission.secrets_manager": "InvocationPermission",
    "aws_security_group.endpoint": "EndpointSecurityGroup",
    "aws_security_group.function": "FunctionSecurityGroup",
    "aws_sns_topic.failures": "Topic",
    "aws_sns_topic_policy.failures": "TopicPolicy",
    "aws_vpc_endpoint.s3": "S3Endpoint",
    "aws_vpc_endpoint.secrets_manager": "SecretsManagerEndpoint",
}
SAVED_QUERIES = {
    "failed steps, and what to do": "FailedSteps",
    "slowest steps, and what they waited for": "SlowestSteps",
    "rotations of one secret": "OneSecret",
    "plugin digests in use": "PluginDigests",
    "what plugins said": "PluginSaid",
    "secrets that do not open their service": "HeartbeatFindings",
    "secrets that no heartbeat tested": "HeartbeatUntested",
}

# What has no counterpart in the template: Terraform's own, and names that CloudFormation makes up.
OF_TERRAFORM = {"name_prefix", "tags_all", "filename", "source_code_hash", "skip_destroy"}


def as_template(resources):
    """The planned resources as the template's, name → properties, in the shape of `comparable`."""
    made, parts = {}, []
    for address, (kind, values) in resources.items():
        attributes = Attributes(address, values)
        if kind in PARTS:
            parts.append((kind, address, attributes))
        else:
            made[_name(address)] = PROPERTIES[kind](attributes)
            attributes.nothing_left()
    for kind, address, attributes in parts:
        PARTS[kind](made, address, attributes)
        attributes.nothing_left()
    return {name: comparable(properties) for name, properties in made.items()}


def _name(address):
    base, _, index = address.partition("[")
    if base == "aws_cloudwatch_query_definition.saved":
        return SAVED_QUERIES[json.loads(index.rstrip("]"))]
    if base == "aws_cloudwatch_metric_alarm.one_metric":
        return json.loads(index.rstrip("]"))
    return RESOURCES[base]


def comparable(value):
    """A value without what makes no difference: order and number of entries in a policy's lists, texts and numbers, texts of JSON."""
    if isinstance(value, dict):
        return {key: comparable(inner) for key, inner in value.items() if inner not in (None, [], {})}
    if isinstance(value, list):
        # One entry means the same as a list of it.
        return comparable(value[0]) if len(value) == 1 else sorted(map(comparable, value), key=lambda each: json.dumps(each, sort_keys=True))
    if isinstance(value, str) and value.startswith("{"):
        return comparable(json.loads(value))
    return str(value)


class Attributes:
    """The attributes of a resource that are set. Each has to be read."""

    def __init__(self, address, values):
        self.address = address
        self.left = {name: value for name, value in values.items() if value not in (None, [], {}) and name not in OF_TERRAFORM}

    def __call__(self, name):
        return self.left.pop(name, None)

    def read(self, **properties):
        """Properties by the attributes that say them."""
        return {prop: self(name) for prop, name in properties.items()}

    def block(self, name, **properties):
        """The properties that a block says which may be there once."""
        blocks = self(name)
        if not blocks:
            return None
        (block,) = blocks
        inner = Attributes(f"{self.address}.{name}", block)
        found = inner.read(**properties)
        inner.nothing_left()
        return found

    def nothing_left(self):
        # What the stand-in for the provider made up.
        for made_up in ("arn", "id"):
            self.left.pop(made_up, None)
        if self.left:
            raise AssertionError(f"{self.address} sets {', '.join(self.left)}, which the template does not")


def _function(of):
    return {
        **of.read(
            FunctionName="function_name", Description="description", Runtime="runtime", Handler="handler", Architectures="architectures",
            MemorySize="memory_size", Timeout="timeout", Role="role", Layers="layers",
        ),
        "Environment": of.block("environment", Variables="variables"),
        "LoggingConfig": of.block("logging_config", LogGroup="log_group", LogFormat="log_format"),
        "VpcConfig": of.block("vpc_config", SubnetIds="subnet_ids", SecurityGroupIds="security_group_ids"),
        "Tags": [{"Key": key, "Value": value} for key, value in of("tags").items()],
    }  # fmt: skip


def _alarm(of):
    single = of.read(Namespace="namespace", MetricName="metric_name", Statistic="statistic", Period="period")
    dimensions = _dimensions(of("dimensions"))
    return {
        **single,
        **of.read(
            AlarmName="alarm_name", AlarmDescription="alarm_description", EvaluationPeriods="evaluation_periods", Threshold="threshold",
            ComparisonOperator="comparison_operator", TreatMissingData="treat_missing_data", AlarmActions="alarm_actions",
        ),
        "Dimensions": dimensions,
        "Metrics": [_metric(query) for query in of("metric_query") or []],
    }  # fmt: skip


def _metric(query):
    of = Attributes("metric_query", query)
    found = of.read(Id="id", Label="label", Expression="expression", ReturnData="return_data")
    stat = of.block("metric", Namespace="namespace", MetricName="metric_name", Dimensions="dimensions", Period="period", Stat="stat")
    of.nothing_left()
    if stat:
        metric = {"Namespace": stat["Namespace"], "MetricName": stat["MetricName"], "Dimensions": _dimensions(stat["Dimensions"])}
        found["MetricStat"] = {"Metric": metric, "Period": stat["Period"], "Stat": stat["Stat"]}
    return found


def _dimensions(dimensions):
    return [{"Name": name, "Value": value} for name, value in (dimensions or {}).items()]


def _query(of):
    return of.read(Name="name", LogGroupNames="log_group_names", QueryString="query_string")


def _event_rule(of):
    of("name")
    return of.read(Description="description", EventPattern="event_pattern", ScheduleExpression="schedule_expression", State="state")


def _endpoint(of):
    return of.read(
        ServiceName="service_name", VpcEndpointType="vpc_endpoint_type", VpcId="vpc_id", SubnetIds="subnet_ids",
        SecurityGroupIds="security_group_ids", PrivateDnsEnabled="private_dns_enabled", RouteTableIds="route_table_ids",
    )  # fmt: skip


PROPERTIES = {
    "aws_cloudwatch_dashboard": lambda of: of.read(DashboardName="dashboard_name", DashboardBody="dashboard_body"),
    "aws_cloudwatch_event_rule": _event_rule,
    "aws_cloudwatch_log_group": lambda of: of.read(LogGroupName="name", RetentionInDays="retention_in_days", KmsKeyId="kms_key_id"),
    "aws_cloudwatch_metric_alarm": _alarm,
    "aws_cloudwatch_query_definition": _query,
    "aws_iam_role": lambda of: of.read(Path="path", PermissionsBoundary="permissions_boundary", AssumeRolePolicyDocument="assume_role_policy"),
    "aws_lambda_function": _function,
    "aws_lambda_function_event_invoke_config": lambda of: of.read(
        FunctionName="function_name", Qualifier="qualifier", MaximumRetryAttempts="maximum_retry_attempts",
        MaximumEventAgeInSeconds="maximum_event_age_in_seconds",
    ),
    "aws_lambda_permission": lambda of: of.read(
        FunctionName="function_name", Action="action", Principal="principal", SourceAccount="source_account", SourceArn="source_arn"
    ),
    "aws_security_group": lambda of: of.read(GroupDescription="description", VpcId="vpc_id"),
    "aws_sns_topic": lambda of: of.read(KmsMasterKeyId="kms_master_key_id"),
    "aws_sns_topic_policy": lambda of: {"Topics": [of("arn")], "PolicyDocument": of("policy")},
    "aws_vpc_endpoint": _endpoint,
}  # fmt: skip


def _target(made, address, of):
    rule = made[RESOURCES[address.partition("[")[0].replace("event_target", "event_rule")]]
    of("rule")
    retry = of.block("retry_policy", MaximumRetryAttempts="maximum_retry_attempts", MaximumEventAgeInSeconds="maximum_event_age_in_seconds")
    rule["Targets"] = [{**of.read(Id="target_id", Arn="arn", Input="input"), "RetryPolicy": retry}]


def _role_policy(made, address, of):
    of("role")
    made["Role"]["Policies"] = [of.read(PolicyName="name", PolicyDocument="policy")]


def _group_rule(direction):
    def rule(made, address, of):
        of("security_group_id")
        group = made["EndpointSecurityGroup" if ".endpoint" in address else "FunctionSecurityGroup"]
        group[direction] = [
            of.read(
                Description="description", IpProtocol="ip_protocol", FromPort="from_port", ToPort="to_port", CidrIp="cidr_ipv4",
                SourceSecurityGroupId="referenced_security_group_id",
            )
        ]  # fmt: skip

    return rule


PARTS = {
    "aws_cloudwatch_event_target": _target,
    "aws_iam_role_policy": _role_policy,
    "aws_vpc_security_group_egress_rule": _group_rule("SecurityGroupEgress"),
    "aws_vpc_security_group_ingress_rule": _group_rule("SecurityGroupIngress"),
}
