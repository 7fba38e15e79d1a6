"""The template fails early on parameters that cannot be meant, and its resources are what they are meant to be."""

import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from parameter_sets import ALL, AS_AWS, FUNCTION_ARN, LATER_IN_A_VPC, NARROW, SMALLEST
from rendering import ACCOUNT, REGION, TEMPLATE, Rendering, template
from samples import metrics

# https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_available-rotation-templates.html
PARAMETERS_OF_AWS = [
    "endpoint",
    "functionName",
    "invokingServicePrincipal",
    "vpcSubnetIds",
    "vpcSecurityGroupIds",
    "kmsKeyArn",
    "excludeCharacters",
    "masterSecretArn",
    "masterSecretKmsKeyArn",
]

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-1111-4111-8111-111111111111"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:prod/app-a1B2c3"

# Values that a parameter has to refuse, and values that it has to take.
VALUES = {
    "endpoint": (["http://secretsmanager.example.com", "secretsmanager.example.com", "https://a/b"], ["https://vpce-1.example.com:443/"]),
    "functionName": (["", "a b", "windlass:live", "arn:aws:lambda:eu-west-1:123456789012:function:a", "a" * 65], ["a", "My_function-2"]),
    "invokingServicePrincipal": (["", "*", "secretsmanager", ACCOUNT], ["secretsmanager.amazonaws.com.cn"]),
    "vpcSubnetIds": (["subnet-1", "subnet-0123456789abcdef0, subnet-0123456789abcdef1", "vpc-0123456789abcdef0", ","], ["subnet-01234567"]),
    "vpcSecurityGroupIds": (["default", "sg-0123456789abcdef0,"], ["sg-01234567,sg-0123456789abcdef0"]),
    "kmsKeyArn": (["alias/aws/secretsmanager", KEY.replace("key/", "alias/"), "*", f"{KEY}, {KEY}", f"{KEY}*"], [f"{KEY},{KEY}"]),
    "excludeCharacters": (["ü", "a\nb", "a\tb"], ["/@\"'\\ ", " %+~`#$&*()|[]{}:;<>?!'/@\"\\"]),
    "masterSecretArn": (["prod/app", f"{SECRET}*", SECRET[:-7], "*", f"{SECRET[:-6]}?????"], [f"{SECRET[:-6]}??????", f"{SECRET},{SECRET}"]),
    "masterSecretKmsKeyArn": (["alias/a", "*"], [KEY]),
    "secretArnPatterns": (
        ["*", "prod/*", f"arn:aws:secretsmanager:*:{ACCOUNT}:secret:*", f"arn:aws:secretsmanager:{REGION}:*:secret:*", f"{SECRET}, {SECRET}"],
        [f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:*", f"{SECRET},{SECRET[:-6]}??????"],
    ),
    "pluginBucket": (["Bucket", "s3://bucket", "bucket/", "a", "bucket*", "*"], ["my.bucket-2"]),
    "pluginPrefix": (["windlass", "/windlass/", "*/", "a?/", "/"], ["windlass/", "a/b_c/d.e/"]),
    "pluginKmsKeyArn": (["alias/aws/s3", "*", f"{KEY},{KEY}"], [KEY]),
    "layerArns": (
        ["plugins", f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:plugins"],
        [",".join([f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:plugins:{version}" for version in range(1, 6)])],
    ),
    "architecture": (["aarch64", ""], ["arm64"]),
    "memorySize": (["64", "10241", "256MB"], ["128", "10240"]),
    "timeout": (["10", "901", "", "1m"], ["30", "900"]),
    "logLevel": (["trace", "INFO", ""], ["debug"]),
    "permissionsBoundaryArn": (["boundary", f"arn:aws:iam::{ACCOUNT}:role/a"], ["arn:aws:iam::aws:policy/PowerUserAccess"]),
    "rolePath": (["", "rotation", "/rotation", "rotation/"], ["/a/b/"]),
    "vpcId": (["vpc-1", "subnet-0123456789abcdef0"], ["vpc-01234567"]),
    "egressCidr": (["10.0.0.0", "10.0.0.0/33", "any"], ["10.0.0.0/8", "192.0.2.1/32"]),
    "networkInterfacePermissions": (["never", ""], ["always"]),
    "createSecretsManagerEndpoint": (["yes", "True", ""], ["false"]),
    "createS3Endpoint": (["yes", "1"], ["false"]),
    "routeTableIds": (["rtb-1", "rtb-0123456789abcdef0 rtb-0123456789abcdef1"], ["rtb-01234567,rtb-0123456789abcdef0"]),
    "logRetentionDays": (["0", "2", "forever"], ["1", "3653"]),
    "logKmsKeyArn": (["alias/logs"], [KEY]),
    "alarmTopicArn": (["on-call", f"arn:aws:sns:{REGION}:{ACCOUNT}:on-call.fifo"], [f"arn:aws:sns:{REGION}:{ACCOUNT}:on-call"]),
    "alarmTopicKmsKeyArn": (["alias/aws/sns"], [KEY]),
    "dashboard": (["yes", "True", ""], ["false"]),
    "heartbeatSchedule": (
        ["daily", "1 day", "rate(1 days)", "rate(0 days)", "rate(2 day)", "rate(2 days)", "rate(25 hours)", "rate(1440 minutes)", "rate(30 seconds)", "cron(0 6 * * ?)", "cron(0  6 * * ? *)", "0 6 * * ? *"],
        ["rate(1 day)", "rate(24 hours)", "rate(12 hours)", "rate(10 minutes)", "rate(720 minutes)", "cron(0 6 * * ? *)", "cron(0/30 8-18 ? * MON-FRI *)"],
    ),
    "heartbeatAlarmPeriod": (["0", "60", "1 day", "172800"], ["3600", "86400"]),
}

# A rule, parameters that break it, and how its message begins.
BROKEN = {
    "AGroupThatIsMadeNeedsTheVpc": [({"vpcSubnetIds": "subnet-01234567"}, "Give vpcId")],
    "GroupsNeedSubnets": [({"vpcSecurityGroupIds": "sg-01234567"}, "Give vpcSubnetIds")],
    "AnInterfaceEndpointNeedsSubnetsAndTheVpc": [
        ({"createSecretsManagerEndpoint": "true", "vpcId": "vpc-01234567"}, "Give vpcSubnetIds"),
        (
            {"createSecretsManagerEndpoint": "true", "vpcSubnetIds": "subnet-01234567", "vpcSecurityGroupIds": "sg-01234567"},
            "Give vpcId",
        ),
    ],
    "AGatewayEndpointNeedsRouteTablesAndTheVpc": [
        ({"createS3Endpoint": "true", "vpcId": "vpc-01234567"}, "Give routeTableIds"),
        ({"createS3Endpoint": "true", "routeTableIds": "rtb-01234567"}, "Give vpcId"),
    ],
    "APrefixNeedsItsBucket": [({"pluginPrefix": "windlass/"}, "Give pluginBucket"), ({"pluginKmsKeyArn": KEY}, "Give pluginBucket")],
    "AKeyOfAdminSecretsNeedsThem": [({"masterSecretKmsKeyArn": KEY}, "Give masterSecretArn")],
    "AKeyOfTheTopicNeedsThatItIsMade": [
        ({"alarmTopicKmsKeyArn": KEY, "alarmTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:on-call"}, "Leave alarmTopicArn"),
    ],
}


class ParametersTest(unittest.TestCase):
    def test_it_has_the_parameters_of_the_application_that_it_replaces_with_the_same_ones_required(self):
        parameters = template()["Parameters"]
        self.assertEqual([name for name in PARAMETERS_OF_AWS if name not in parameters], [])
        self.assertEqual([name for name, parameter in parameters.items() if "Default" not in parameter], ["functionName"])

    def test_each_is_described_constrained_used_and_shown_in_a_group(self):
        groups = template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        shown = [name for group in groups for name in group["Parameters"]]
        self.assertEqual(sorted(shown), sorted(template()["Parameters"]))
        used = json.dumps([template()["Resources"], template()["Conditions"]])
        for name, parameter in template()["Parameters"].items():
            with self.subTest(name):
                self.assertGreater(len(parameter["Description"]), 20)
                self.assertTrue({"AllowedPattern", "AllowedValues", "MinValue"} & parameter.keys())
                self.assertIn("ConstraintDescription" if "AllowedPattern" in parameter else "Default", parameter)
                self.assertRegex(used, rf'"Ref": "{name}"|\${{{name}}}')

    def test_values_that_cannot_be_meant_are_refused_and_others_are_not(self):
        self.assertEqual(VALUES.keys(), template()["Parameters"].keys())
        for name, (wrong, right) in VALUES.items():
            for value in wrong:
                with self.subTest(name, refuses=value):
                    reasons = Rendering(**{**NARROW, name: value}).refused()
                    self.assertTrue(any(reason.startswith(f"{name}:") for reason in reasons), reasons)
            for value in right:
                with self.subTest(name, takes=value):
                    reasons = Rendering(**{**NARROW, name: value}).refused()
                    self.assertFalse(any(reason.startswith(f"{name}:") for reason in reasons), reasons)

    def test_parameters_that_need_each_other_are_refused_alone(self):
        self.assertEqual(BROKEN.keys(), template()["Rules"].keys())
        for rule, examples in BROKEN.items():
            for parameters, message in examples:
                with self.subTest(rule, parameters=parameters):
                    (reason,) = Rendering(**SMALLEST, **parameters).refused()
                    self.assertTrue(reason.startswith(message), reason)

    def test_the_deployments_that_are_looked_at_are_not_refused(self):
        for name, parameters in ALL.items():
            self.assertEqual(Rendering(**parameters).refused(), [], name)


class ResourcesTest(unittest.TestCase):
    def test_the_linter_has_nothing_to_say_about_any_deployment(self):
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for name, parameters in ALL.items():
                resources = Rendering(**parameters).resources()
                resources["Function"]["Properties"]["Code"] = {"S3Bucket": "acme-deployments", "S3Key": "windlass.zip"}
                files.append(Path(folder, f"{name.replace(' ', '-')}.json"))
                files[-1].write_text(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}))
            lint = Path(sys.executable).parent / "cfn-lint"
            done = subprocess.run([lint, "--regions", REGION, "--", *files], capture_output=True, text=True, timeout=300, check=False)
            self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_every_deployment_has_a_lambda_that_is_unreserved_and_runs_no_event_twice(self):
        for parameters in ALL.values():
            rendering = Rendering(**parameters)
            properties = rendering.properties("Function")
            self.assertEqual((properties["Runtime"], properties["Handler"]), ("provided.al2023", "bootstrap"))
            self.assertNotIn("ReservedConcurrentExecutions", properties)
            self.assertNotIn("DeadLetterConfig", properties)
            asynchronous = rendering.properties("AsynchronousInvocations")
            self.assertEqual((asynchronous["FunctionName"], asynchronous["Qualifier"]), (parameters["functionName"], "$LATEST"))
            self.assertEqual(asynchronous["MaximumRetryAttempts"], 0)
            self.assertNotIn("DestinationConfig", asynchronous)

    def test_a_schedule_sends_the_heartbeat_to_the_function_and_that_rule_alone_may(self):
        for parameters in (NARROW, LATER_IN_A_VPC):
            rendering = Rendering(**parameters)
            rule = rendering.properties("Heartbeat")
            self.assertEqual((rule["ScheduleExpression"], rule["State"]), (parameters["heartbeatSchedule"], "ENABLED"))
            (target,) = rule["Targets"]
            self.assertEqual((target["Arn"], json.loads(target["Input"])), (FUNCTION_ARN, {"windlass": "heartbeat"}))
            permission = rendering.properties("HeartbeatPermission")
            self.assertEqual((permission["Principal"], permission["Action"]), ("events.amazonaws.com", "lambda:InvokeFunction"))
            self.assertEqual(permission["SourceArn"], f"arn:aws:events:{REGION}:{ACCOUNT}:rule/made-up-heartbeat")

    def test_without_a_schedule_there_is_nothing_of_the_heartbeat(self):
        for parameters in (SMALLEST, AS_AWS):
            rendering = Rendering(**parameters)
            left = [name for name in rendering.resources() if name.startswith("Heartbeat")]
            # Saved queries do nothing until somebody runs them.
            self.assertEqual(left, ["HeartbeatFindings", "HeartbeatUntested"])
            self.assertNotIn("ListForHeartbeat", [statement["Sid"] for statement in rendering.statements()])

    def test_the_heartbeat_alarms_go_off_at_any_drift_at_two_unreachable_periods_and_when_none_comes(self):
        rendering = Rendering(**LATER_IN_A_VPC)
        alarms = {name: rendering.properties(f"Heartbeat{name}Alarm") for name in ("Drift", "Unreachable", "Missing")}
        for name, periods, comparison, missing in [
            ("Drift", 1, "GreaterThanOrEqualToThreshold", "notBreaching"),
            ("Unreachable", 2, "GreaterThanOrEqualToThreshold", "notBreaching"),
            ("Missing", 2, "LessThanThreshold", "breaching"),
        ]:
            alarm = alarms[name]
            self.assertEqual((alarm["EvaluationPeriods"], alarm["ComparisonOperator"], alarm["Threshold"]), (periods, comparison, 1), name)
            self.assertEqual((alarm["TreatMissingData"], alarm["Period"]), (missing, "21600"), name)
            # CloudWatch looks back seven days at most, and one day with periods of less than an hour:
            # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
            for seconds in template()["Parameters"]["heartbeatAlarmPeriod"]["AllowedValues"]:
                self.assertLessEqual(seconds * periods, 7 * 86400 if seconds >= 3600 else 86400)

    def test_what_three_heartbeats_in_a_row_could_not_test_sets_off_an_alarm(self):
        alarm = Rendering(**LATER_IN_A_VPC).properties("HeartbeatUntestedAlarm")
        self.assertEqual((alarm["EvaluationPeriods"], alarm["ComparisonOperator"], alarm["Threshold"]), (3, "GreaterThanOrEqualToThreshold", 1))
        self.assertEqual(alarm["TreatMissingData"], "notBreaching")
        *metrics, expression = alarm["Metrics"]
        self.assertEqual(expression["Expression"], " + ".join(metric["Id"] for metric in metrics))
        looked_at = [metric["MetricStat"] for metric in metrics]
        self.assertEqual([(of["Metric"]["MetricName"], of["Stat"], of["Period"]) for of in looked_at], [("HeartbeatUnclear", "Sum", "21600"), ("HeartbeatSkipped", "Sum", "21600")])
        for seconds in template()["Parameters"]["heartbeatAlarmPeriod"]["AllowedValues"]:
            self.assertLessEqual(seconds * 3, 7 * 86400 if seconds >= 3600 else 86400)

    def test_its_variables_are_those_that_the_function_reads(self):
        config = (TEMPLATE.parents[1] / "src/config.rs").read_text()
        variables = Rendering(**AS_AWS).properties("Function")["Environment"]["Variables"]
        self.assertEqual(len(variables), 3)
        for name in variables:
            self.assertIn(f'"{name}"', config)

    def test_what_is_left_out_is_not_there_at_all(self):
        rendering = Rendering(**SMALLEST)
        properties = rendering.properties("Function")
        self.assertEqual(properties["Environment"]["Variables"], {"WINDLASS_LOG": "info"})
        self.assertEqual({"Layers", "VpcConfig"} & properties.keys(), set())
        self.assertNotIn("PermissionsBoundary", rendering.properties("Role"))
        self.assertEqual([name for name in rendering.resources() if "Endpoint" in name or "SecurityGroup" in name], [])

    def test_the_boundary_and_the_path_reach_the_role(self):
        role = Rendering(**NARROW).properties("Role")
        self.assertEqual((role["PermissionsBoundary"], role["Path"]), (NARROW["permissionsBoundaryArn"], "/rotation/"))

    def test_secrets_manager_of_this_account_alone_may_invoke_it(self):
        permission = Rendering(**SMALLEST).properties("InvocationPermission")
        self.assertEqual(permission["Principal"], "secretsmanager.amazonaws.com")
        self.assertEqual((permission["Action"], permission["SourceAccount"]), ("lambda:InvokeFunction", ACCOUNT))

    def test_it_writes_the_log_that_is_kept_as_long_as_was_said(self):
        rendering = Rendering(**NARROW)
        group = rendering.resources()["LogGroup"]
        self.assertEqual((group["DeletionPolicy"], group["UpdateReplacePolicy"]), ("RetainExceptOnCreate", "Retain"))
        self.assertEqual((group["Properties"]["RetentionInDays"], group["Properties"]["KmsKeyId"]), ("365", NARROW["logKmsKeyArn"]))
        name = rendering.properties("Function")["LoggingConfig"]["LogGroup"]
        self.assertEqual(name, group["Properties"]["LogGroupName"])
        (statement,) = [each for each in rendering.statements() if each["Sid"] == "WriteOwnLog"]
        self.assertTrue(statement["Resource"].endswith(f":log-group:{name}:*"))

    def test_security_groups_that_are_made_let_nothing_in_but_the_function_at_the_endpoint(self):
        made = Rendering(**NARROW)
        self.assertNotIn("SecurityGroupIngress", made.properties("FunctionSecurityGroup"))
        (egress,) = made.properties("FunctionSecurityGroup")["SecurityGroupEgress"]
        self.assertEqual((egress["IpProtocol"], egress["CidrIp"]), ("tcp", "10.0.0.0/8"))
        own = made.properties("Function")["VpcConfig"]["SecurityGroupIds"]
        (ingress,) = made.properties("EndpointSecurityGroup")["SecurityGroupIngress"]
        self.assertEqual([ingress["SourceSecurityGroupId"]], own)
        given = Rendering(**{**NARROW, "vpcSecurityGroupIds": AS_AWS["vpcSecurityGroupIds"]})
        self.assertNotIn("FunctionSecurityGroup", given.resources())
        (ingress,) = given.properties("EndpointSecurityGroup")["SecurityGroupIngress"]
        self.assertIn(ingress["SourceSecurityGroupId"], given.properties("Function")["VpcConfig"]["SecurityGroupIds"])

    def test_the_topic_that_is_made_takes_messages_of_the_rule_and_the_alarms_only(self):
        rendering = Rendering(**SMALLEST)
        rule, alarms = rendering.properties("TopicPolicy")["PolicyDocument"]["Statement"]
        self.assertEqual((rule["Principal"], alarms["Principal"]), ({"Service": "events.amazonaws.com"}, {"Service": "cloudwatch.amazonaws.com"}))
        self.assertEqual(rule["Condition"], {"ArnEquals": {"aws:SourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/made-up"}})
        self.assertEqual(alarms["Condition"]["StringEquals"], {"aws:SourceAccount": ACCOUNT})
        self.assertNotIn("TopicPolicy", Rendering(**SMALLEST, alarmTopicArn=f"arn:aws:sns:{REGION}:{ACCOUNT}:on-call").resources())

    def test_everything_that_alarms_says_so_to_the_topic(self):
        for parameters in ALL.values():
            rendering = Rendering(**parameters)
            topic = rendering.parameters["alarmTopicArn"] or rendering.outputs()["TopicArn"]
            (target,) = rendering.properties("FailedRotations")["Targets"]
            heard = [target["Arn"]]
            alarms = [each["Properties"] for each in rendering.resources().values() if each["Type"] == "AWS::CloudWatch::Alarm"]
            for alarm in alarms:
                heard += alarm["AlarmActions"]
            self.assertEqual(heard, [topic] * (8 if rendering.parameters["heartbeatSchedule"] else 4))

    def test_the_duration_alarm_goes_off_above_four_fifths_of_the_timeout(self):
        for timeout in (30, 120, 900):
            alarm = Rendering(**SMALLEST, timeout=timeout).properties("DurationAlarm")
            (expression,) = [metric["Expression"] for metric in alarm["Metrics"] if "Expression" in metric]
            name, seconds, ten = expression.split(" / ")
            self.assertEqual(name, "longest")
            percent = timeout * 1000 * 0.8 / int(seconds) / int(ten)
            self.assertEqual((percent, alarm["Threshold"], alarm["ComparisonOperator"]), (80, 80, "GreaterThanThreshold"))

    def test_outputs_name_function_role_security_group_log_and_topic(self):
        self.assertEqual(list(Rendering(**NARROW).outputs()), ["RotationLambdaARN", "RoleArn", "SecurityGroupId", "LogGroupName", "TopicArn"])
        self.assertNotIn("SecurityGroupId", Rendering(**AS_AWS).outputs())


class GuideTest(unittest.TestCase):
    """The guide has a row for everything that the template has, and for nothing else."""

    guide = TEMPLATE.with_name("README.md").read_text()

    def rows(self, heading):
        _, _, rest = self.guide.partition(f"\n## {heading}\n")
        section, _, _ = rest.partition("\n## ")
        return re.findall(r"^\| `([A-Za-z0-9]+)` \|", section, re.MULTILINE)

    def test_it_has_every_parameter_with_its_default(self):
        self.assertEqual(sorted(self.rows("Parameters")), sorted(template()["Parameters"]))
        for name, parameter in template()["Parameters"].items():
            default = str(parameter.get("Default", "required"))
            shown = {"": "empty", "required": "required"}.get(default, f"`{default}`")
            self.assertIn(f"\n| `{name}` | {shown} |", self.guide)

    def test_it_explains_every_statement_of_the_role(self):
        statements = {statement["Sid"] for parameters in ALL.values() for statement in Rendering(**parameters).statements()}
        self.assertEqual(sorted(self.rows("What the role allows")), sorted(statements))

    def test_it_has_a_first_move_for_every_type_of_error_once(self):
        failures = set(re.findall(r"`(Windlass\.\w+)`", TEMPLATE.parents[1].joinpath("FAILURES.md").read_text()))
        self.assertGreater(len(failures), 40)
        _, _, rest = self.guide.partition("\n## Troubleshooting\n")
        section, _, _ = rest.partition("\n## ")
        rows = re.findall(r"^\| `(Windlass\.\w+)` \| (.+) \| (.+) \|$", section, re.MULTILINE)
        named = [name for name, _, _ in rows]
        self.assertEqual((sorted(failures - set(named)), len(named)), ([], len(set(named))))

    def test_its_links_into_itself_lead_somewhere(self):
        headings = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", self.guide, re.MULTILINE)}
        self.assertEqual([link for link in re.findall(r"\]\(#([^)]+)\)", self.guide) if link not in headings], [])

    def test_it_names_every_alarm(self):
        alarms = [name for name, resource in template()["Resources"].items() if resource["Type"] == "AWS::CloudWatch::Alarm"]
        self.assertEqual(sorted(self.rows("Watching it")), sorted(alarms + [name for _, name, _ in metrics()]))

    def test_it_names_every_output(self):
        for output in template()["Outputs"]:
            self.assertIn(f"`{output}`", self.guide)


if __name__ == "__main__":
    unittest.main()
