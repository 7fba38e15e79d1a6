"""The jobs of an operator, done with the AWS CLI against moto's server: the stack is made, changed, listed, moved and given an endpoint.

moto is no AWS. What it does not do is not shown here, but by other tests or not at all:

- It neither checks AllowedPattern, AllowedValues and Rules nor asks for capabilities (test_template.py evaluates the former).
- It makes no alarms, no topic policy, no saved queries and no configuration of asynchronous invocations (the alarms are given to it by
  PutMetricAlarm below), sends no events to SNS, and takes the log away with its stack.
- Of a function it forgets layers, architecture, tags and the log group; of a role that a change set changes it keeps the old policy.
- It enforces no policy (test_role.py judges the role), and invokes no function without Docker.
- Of a stack that a change set made it reports no outputs (they are looked at in one that was made at once), and of a change set that only
  gives other parameters no changes.
"""

import ast
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer
from parameter_sets import ALL, LATER_IN_A_VPC, NARROW
from rendering import ACCOUNT, REGION, TEMPLATE, Rendering
from repository import for_repository

AWS = os.environ.get("WINDLASS_AWS_CLI") or str(Path(sys.executable).parent / "aws")


# A line for every request would hide what a test says.
for name in ("werkzeug", "moto"):
    logging.getLogger(name).setLevel(logging.ERROR)


class StackTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # moto's backends belong to the process, so that a class begins with what its tests make.
        cls.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        cls.server.start()
        cls.addClassCleanup(cls.server.stop)
        _, port = cls.server.get_host_and_port()
        cls.endpoint = f"http://127.0.0.1:{port}"
        cls.environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.devnull,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ACCESS_KEY_ID": "made-up",
            "AWS_SECRET_ACCESS_KEY": "made-up",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_PAGER": "",
            "AWS_ENDPOINT_URL": cls.endpoint,
            # What moto cannot do, it cannot do the fourth time either.
            "AWS_MAX_ATTEMPTS": "1",
        }
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        # The template names its zip, licence and guide by their places in the repository.
        deploy = cls.folder / "host/deploy"
        deploy.mkdir(parents=True)
        for name in ("template.yaml", "README.md"):
            shutil.copy(TEMPLATE.with_name(name), deploy)
        shutil.copy(TEMPLATE.parents[2] / "LICENSE", cls.folder)
        cls.zip(content="first")
        cls.aws("s3", "mb", "s3://acme-deployments")
        cls.packaged = cls.package()

    @classmethod
    def zip(cls, content):
        """A zip in the place of the function's: no test runs it."""
        with zipfile.ZipFile(cls.folder / "windlass.zip", "w") as made_up:
            made_up.writestr("bootstrap", f"#!/bin/sh\n# {content}\n")

    @classmethod
    def package(cls, template="template.yaml"):
        packaged = cls.folder / f"packaged-{len(list(cls.folder.glob('packaged-*')))}.yaml"
        cls.aws(
            "cloudformation", "package", "--template-file", str(cls.folder / "host/deploy" / template),
            "--s3-bucket", "acme-deployments", "--output-template-file", str(packaged),
        )  # fmt: skip
        return packaged

    @classmethod
    def aws(cls, *arguments):
        """What the AWS CLI answers, as Python values."""
        done = subprocess.run([AWS, *arguments], env=cls.environment, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise AssertionError(f"aws {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            return done.stdout

    @classmethod
    def client(cls, service):
        """A client for what is no job of an operator but a test's own: it is much faster than the AWS CLI."""
        made_up = {"aws_access_key_id": "made-up", "aws_secret_access_key": "made-up"}
        return boto3.client(service, endpoint_url=cls.endpoint, region_name=REGION, **made_up)

    def change(self, stack, name, parameters, kind="UPDATE", packaged=None):
        """Makes a change set and executes it. moto has to be told the kind even where it is the default of AWS, UPDATE. A parameter whose
        value is None keeps the one that it has."""
        says = {key: {"UsePreviousValue": True} if value is None else {"ParameterValue": value} for key, value in parameters.items()}
        overrides = json.dumps([{"ParameterKey": key, **how} for key, how in says.items()])
        self.aws(
            "cloudformation", "create-change-set", "--stack-name", stack, "--change-set-name", name, "--change-set-type", kind,
            "--template-body", f"file://{packaged or self.packaged}", "--parameters", overrides, "--capabilities", "CAPABILITY_IAM",
        )  # fmt: skip
        self.aws("cloudformation", "wait", "change-set-create-complete", "--stack-name", stack, "--change-set-name", name)
        self.aws("cloudformation", "execute-change-set", "--stack-name", stack, "--change-set-name", name)
        (described,) = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        self.assertEqual(described["StackStatus"], f"{kind}_COMPLETE")

    def create(self, stack, **parameters):
        """Makes a stack at once, for a test of something else."""
        self.client("cloudformation").create_stack(
            StackName=stack,
            TemplateBody=self.packaged.read_text(),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )

    def resource(self, stack, name):
        """The name that a resource of a stack got."""
        # Not describe_stack_resource: moto stumbles over resources whose conditions do not hold.
        resources = self.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
        return next(each["PhysicalResourceId"] for each in resources if each.get("LogicalResourceId") == name)

    def vpc(self):
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
        routes = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        return vpc, subnet, routes

    def listed(self, name):
        """The function as `list-functions` shows it."""
        (function,) = [each for each in self.aws("lambda", "list-functions")["Functions"] if each["FunctionName"] == name]
        return function

    def function(self, name):
        return self.client("lambda").get_function_configuration(FunctionName=name)

    def test_packaging_puts_the_zip_the_licence_and_the_guide_into_the_bucket(self):
        text = self.packaged.read_text()
        self.assertNotIn("windlass.zip", text)
        self.assertIn("S3Bucket: acme-deployments", text)
        for property_of_the_repository in ("LicenseUrl", "ReadmeUrl"):
            self.assertRegex(text, rf"{property_of_the_repository}: s3://acme-deployments/[0-9a-f]{{32}}")

    def test_what_is_packaged_is_small_enough_to_be_given_as_a_file(self):
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
        self.assertLessEqual(len(self.packaged.read_bytes()), 51_200)

    def test_what_is_published_can_be_packaged_and_makes_the_function(self):
        (self.folder / "host/deploy/repository.json").write_text(json.dumps(for_repository()))
        packaged = self.package("repository.json")
        self.assertRegex(packaged.read_text(), r"ReadmeUrl: s3://acme-deployments/[0-9a-f]{32}")
        self.change("published", "first", {"functionName": "published"}, "CREATE", packaged)
        self.assertEqual(self.listed("published")["Runtime"], "provided.al2023")

    def test_one_change_set_makes_a_function_that_list_functions_shows_and_the_next_one_changes_it(self):
        parameters = {"functionName": "made", "memorySize": "512", "excludeCharacters": "/@"}
        self.change("made", "first", parameters, "CREATE")
        function = self.listed("made")
        self.assertEqual((function["Runtime"], function["Handler"]), ("provided.al2023", "bootstrap"))
        self.assertEqual((function["MemorySize"], function["Timeout"]), (512, 120))
        self.assertEqual(function["Environment"]["Variables"], {"WINDLASS_LOG": "info", "EXCLUDE_CHARACTERS": "/@"})
        self.assertNotIn("VpcConfig", function)
        self.change("made", "second", {**dict.fromkeys(parameters), "timeout": "300"})
        function = self.listed("made")
        self.assertEqual((function["MemorySize"], function["Timeout"]), (512, 300))

    def test_secrets_manager_of_this_account_only_may_invoke_it(self):
        self.create("invoked", functionName="invoked")
        policy = json.loads(self.client("lambda").get_policy(FunctionName="invoked")["Policy"])
        (statement,) = policy["Statement"]
        self.assertEqual(statement["Principal"], {"Service": "secretsmanager.amazonaws.com"})
        self.assertEqual(statement["Action"], "lambda:InvokeFunction")
        ((key, account),) = statement["Condition"]["StringEquals"].items()
        self.assertEqual((key.lower(), account), ("aws:sourceaccount", ACCOUNT))

    def test_its_outputs_name_function_role_and_topic(self):
        self.create("named", functionName="named")
        (stack,) = self.client("cloudformation").describe_stacks(StackName="named")["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        self.assertEqual(outputs["RotationLambdaARN"], self.function("named")["FunctionArn"])
        self.assertEqual(outputs["RoleArn"], self.function("named")["Role"])
        self.assertEqual(outputs["TopicArn"], self.resource("named", "Topic"))

    def test_a_new_zip_upgrades_the_function_and_the_old_template_rolls_it_back(self):
        self.create("upgraded", functionName="upgraded")
        before = self.function("upgraded")["CodeSha256"]
        self.zip(content="second")
        self.change("upgraded", "second-zip", {"functionName": "upgraded"}, packaged=self.package())
        self.assertNotEqual(self.function("upgraded")["CodeSha256"], before)
        self.change("upgraded", "first-zip", {"functionName": "upgraded"}, packaged=self.packaged)
        self.assertEqual(self.function("upgraded")["CodeSha256"], before)

    def test_update_function_configuration_moves_it_into_a_vpc(self):
        self.create("moved", functionName="moved", networkInterfacePermissions="always")
        vpc, subnet, _ = self.vpc()
        group = self.client("ec2").create_security_group(VpcId=vpc, GroupName="moved", Description="moved")["GroupId"]
        self.aws(
            "lambda", "update-function-configuration", "--function-name", "moved",
            "--vpc-config", f"SubnetIds={subnet},SecurityGroupIds={group}",
        )  # fmt: skip
        config = self.function("moved")["VpcConfig"]
        self.assertEqual((config["SubnetIds"], config["SecurityGroupIds"]), ([subnet], [group]))

    def test_create_vpc_endpoint_gives_its_vpc_an_endpoint(self):
        vpc, subnet, _ = self.vpc()
        made = self.aws(
            "ec2", "create-vpc-endpoint", "--vpc-id", vpc, "--vpc-endpoint-type", "Interface",
            "--service-name", f"com.amazonaws.{REGION}.secretsmanager", "--subnet-ids", subnet, "--private-dns-enabled",
        )["VpcEndpoint"]  # fmt: skip
        (found,) = self.client("ec2").describe_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])["VpcEndpoints"]
        self.assertEqual((found["VpcId"], found["SubnetIds"], found["PrivateDnsEnabled"]), (vpc, [subnet], True))

    def test_the_stack_itself_makes_the_function_in_a_vpc_with_both_endpoints(self):
        vpc, subnet, routes = self.vpc()
        self.create(
            "inside",
            functionName="inside",
            vpcSubnetIds=subnet,
            vpcId=vpc,
            egressCidr="10.0.0.0/8",
            createSecretsManagerEndpoint="true",
            createS3Endpoint="true",
            routeTableIds=routes,
        )
        ec2 = self.client("ec2")
        config = self.function("inside")["VpcConfig"]
        group, endpoint_group = self.resource("inside", "FunctionSecurityGroup"), self.resource("inside", "EndpointSecurityGroup")
        self.assertEqual((config["SubnetIds"], config["SecurityGroupIds"]), ([subnet], [group]))
        (of_function,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
        self.assertEqual(of_function["IpPermissions"], [])
        (of_endpoint,) = ec2.describe_security_groups(GroupIds=[endpoint_group])["SecurityGroups"]
        (inbound,) = of_endpoint["IpPermissions"]
        self.assertEqual([pair["GroupId"] for pair in inbound["UserIdGroupPairs"]], [group])
        self.assertEqual((inbound["FromPort"], inbound["ToPort"], inbound["IpRanges"]), (443, 443, []))
        endpoints = ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["VpcEndpoints"]
        interface, gateway = sorted(endpoints, key=lambda endpoint: endpoint["VpcEndpointType"], reverse=True)
        self.assertEqual((interface["ServiceName"], interface["SubnetIds"]), (f"com.amazonaws.{REGION}.secretsmanager", [subnet]))
        self.assertEqual((gateway["ServiceName"], gateway["RouteTableIds"]), (f"com.amazonaws.{REGION}.s3", [routes]))

    def test_the_role_that_is_made_is_the_one_that_is_judged(self):
        vpc, subnet, routes = self.vpc()
        for index, (name, parameters) in enumerate(ALL.items()):
            with self.subTest(deployment=name):
                stack, function = f"role-{index}", f"role-{index}"
                inside = {"vpcSubnetIds": subnet, "vpcId": vpc, "routeTableIds": routes} if parameters is NARROW else {}
                # moto looks for layers, and there is none.
                judged = {**parameters, "functionName": function, "layerArns": ""}
                self.create(stack, **{**judged, **inside})
                policy = self.client("iam").get_role_policy(RoleName=self.resource(stack, "Role"), PolicyName="windlass")
                # moto keeps a template's document as Python writes it.
                document = ast.literal_eval(policy["PolicyDocument"])
                # For AWS::NoValue in a list it leaves None, which CloudFormation drops.
                statements = [statement for statement in document["Statement"] if statement is not None]
                self.assertEqual(statements, Rendering(**judged).statements())

    def test_the_rule_hears_of_failures_and_of_nothing_else(self):
        self.create("heard", functionName="heard")
        events, sqs, rule = self.client("events"), self.client("sqs"), self.resource("heard", "FailedRotations")
        (target,) = events.list_targets_by_rule(Rule=rule)["Targets"]
        self.assertEqual(target["Arn"], self.resource("heard", "Topic"))
        # moto cannot send events to SNS, so that a queue takes the topic's place, and other tests' rules are not to hear of it.
        for each in events.list_rules()["Rules"]:
            others = [other["Id"] for other in events.list_targets_by_rule(Rule=each["Name"])["Targets"]]
            events.remove_targets(Rule=each["Name"], Ids=others)
        queue = sqs.create_queue(QueueName="heard")["QueueUrl"]
        events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:heard"}])
        service, call = "AWS Service Event via CloudTrail", "AWS API Call via CloudTrail"
        for kind, name in [
            (service, "RotationStarted"),
            (service, "RotationFailed"),
            (service, "RotationSucceeded"),
            (call, "RotationFailed"),
            (call, "RotateSecret"),
            (service, "RotationAbandoned"),
            (service, "TestRotationFailed"),
            (service, "TestRotationSucceeded"),
        ]:
            detail = {"eventSource": "secretsmanager.amazonaws.com", "eventName": name}
            events.put_events(Entries=[{"Source": "aws.secretsmanager", "DetailType": kind, "Detail": json.dumps(detail)}])
        heard = []
        while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                event = json.loads(message["Body"])
                heard.append((event["detail-type"], event["detail"]["eventName"]))
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        self.assertEqual(sorted(heard), [(service, name) for name in ("RotationAbandoned", "RotationFailed", "TestRotationFailed")])

    def test_a_schedule_has_the_rule_that_sends_the_heartbeat_to_the_function(self):
        self.create("beating", functionName="beating", heartbeatSchedule="rate(1 day)")
        events, rule = self.client("events"), self.resource("beating", "Heartbeat")
        self.assertEqual(events.describe_rule(Name=rule)["ScheduleExpression"], "rate(1 day)")
        (target,) = events.list_targets_by_rule(Rule=rule)["Targets"]
        self.assertEqual((target["Arn"], target["Input"]), (self.function("beating")["FunctionArn"], '{"windlass":"heartbeat"}'))
        policy = json.loads(self.client("lambda").get_policy(FunctionName="beating")["Policy"])
        (statement,) = [each for each in policy["Statement"] if each["Principal"] == {"Service": "events.amazonaws.com"}]
        ((key, arn),) = statement["Condition"]["ArnLike"].items()
        self.assertEqual((key.lower(), arn), ("aws:sourcearn", events.describe_rule(Name=rule)["Arn"]))

    def test_it_has_a_dashboard_unless_it_is_to_have_none(self):
        self.create("seen", functionName="seen")
        self.create("unseen", functionName="unseen", dashboard="false")
        cloudwatch = self.client("cloudwatch")
        body = json.loads(cloudwatch.get_dashboard(DashboardName="seen")["DashboardBody"])
        self.assertEqual(body, json.loads(Rendering(functionName="seen").properties("Dashboard")["DashboardBody"]))
        self.assertNotIn("unseen", [each["DashboardName"] for each in cloudwatch.list_dashboards()["DashboardEntries"]])

    def test_cloudwatch_takes_the_alarms_as_they_are_rendered(self):
        cloudwatch, rendering = self.client("cloudwatch"), Rendering(**LATER_IN_A_VPC)
        for name in [name for name, resource in rendering.resources().items() if resource["Type"] == "AWS::CloudWatch::Alarm"]:
            with self.subTest(alarm=name):
                alarm = rendering.properties(name)
                # CloudFormation makes numbers of parameters.
                for has_period in [alarm, *(metric.get("MetricStat", {}) for metric in alarm.get("Metrics", []))]:
                    if "Period" in has_period:
                        has_period["Period"] = int(has_period["Period"])
                cloudwatch.put_metric_alarm(**alarm)
                (alarm,) = cloudwatch.describe_alarms(AlarmNames=[alarm["AlarmName"]])["MetricAlarms"]
                self.assertEqual(alarm["AlarmActions"], rendering.properties(name)["AlarmActions"])


if __name__ == "__main__":
    unittest.main()
