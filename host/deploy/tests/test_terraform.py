"""The Terraform module takes what the template takes, refuses what it refuses, and makes the same resources, as Terraform itself plans them."""

import json
import re
import shutil
import unittest

from parameter_sets import ALL, NARROW, SMALLEST
from rendering import Rendering, template
from terraform import LISTS, MODULE, Terraform, snake_case, variable, variables
from terraform_equivalents import RESOURCES, SAVED_QUERIES, as_template, comparable
from test_template import BROKEN, VALUES

OUTPUTS = {
    "RotationLambdaARN": "rotation_lambda_arn",
    "RoleArn": "role_arn",
    "SecurityGroupId": "security_group_id",
    "LogGroupName": "log_group_name",
    "TopicArn": "topic_arn",
}

# A variable in the module: its name and what is said of it.
DECLARATION = r'^variable "(\w+)" \{\n(.*?)^\}'

# What the module's variable says and the template does not.
OF_THE_MODULE = {"package"}

# Parameters without which a value that is right stands alone.
RIGHT_WITHOUT = {"alarmTopicArn": ["alarmTopicKmsKeyArn"]}


class ModuleTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.terraform = cls.enterClassContext(Terraform())
        cls.plans = {name: cls.terraform.plan(parameters) for name, parameters in ALL.items()}
        cls.maxDiff = None

    def test_it_is_written_as_terraform_formats_it(self):
        self.assertEqual(self.terraform.run("fmt", "-check", "-recursive", "-diff"), "")

    def test_every_deployment_has_the_template_s_resources_with_its_properties(self):
        for name, parameters in ALL.items():
            made = as_template(self.plans[name][0])
            rendering = Rendering(**parameters)
            wanted = {each: comparable(resource.get("Properties", {})) for each, resource in rendering.resources().items()}
            # The zip is a file here, and the format is Lambda's default.
            del wanted["Function"]["Code"]
            wanted["Function"]["LoggingConfig"]["LogFormat"] = "Text"
            self.assertEqual(sorted(made), sorted(wanted), name)
            for resource in wanted:
                with self.subTest(deployment=name, resource=resource):
                    self.assertEqual(made[resource], wanted[resource])

    def test_the_example_in_its_guide_is_valid(self):
        (example,) = re.findall(r"^```hcl\n(.*?)^```", (MODULE / "README.md").read_text(), re.MULTILINE | re.DOTALL)
        example, replaced = re.subn('source = ".*"', 'source = "../"', example)
        self.assertEqual(replaced, 1)
        folder = self.terraform.path / "example"
        folder.mkdir()
        self.addCleanup(shutil.rmtree, folder)
        (folder / "main.tf").write_text(f'{example}\nresource "aws_secretsmanager_secret" "app" {{}}\n')
        self.terraform.run("init", "-backend=false", folder="example")
        self.assertIn("The configuration is valid", self.terraform.run("validate", "-no-color", folder="example"))

    def test_the_log_outlives_the_module_as_it_does_the_stack(self):
        resources, _ = self.plans["smallest"]
        self.assertIs(resources["aws_cloudwatch_log_group.function"][1]["skip_destroy"], True)

    def test_its_outputs_are_the_template_s(self):
        for name, parameters in ALL.items():
            _, outputs = self.plans[name]
            wanted = {OUTPUTS[output]: value for output, value in Rendering(**parameters).outputs().items()}
            self.assertEqual({output: value for output, value in outputs.items() if value is not None}, wanted, name)

    def test_every_value_that_the_template_refuses_is_refused_and_every_other_taken(self):
        runs = {}
        for name, (wrong, right) in VALUES.items():
            for value in wrong:
                # A list that is empty is none with an empty entry; what is no number or boolean is refused by its type.
                if self.types[snake_case(name)] in ("bool", "number") and isinstance(variable(name, value), str):
                    continue
                runs[f"refuses {name} {value!r}"] = ({**variables(NARROW), snake_case(name): variable(name, value)}, [snake_case(name)])
            for value in right:
                without = {**NARROW, **{other: "" for other in RIGHT_WITHOUT.get(name, [])}}
                runs[f"takes {name} {value!r}"] = ({**variables(without), snake_case(name): variable(name, value)}, [])
        for rule, examples in BROKEN.items():
            for index, (parameters, _) in enumerate(examples):
                (reason,) = Rendering(**SMALLEST, **parameters).refused()
                runs[f"refuses {rule} {index}"] = (variables({**SMALLEST, **parameters}), self.saying(reason))
        self.assertGreater(len(runs), 120)
        blocks = [
            f"run {json.dumps(f'case_{index}')} {{\n  command = plan\n  variables {{\n"
            + "".join(f"    {key} = {hcl(value)}\n" for key, value in {**values, 'package': 'windlass.zip'}.items())
            + f"  }}\n  expect_failures = [{', '.join(f'var.{name}' for name in refused)}]\n}}\n"
            for index, (values, refused) in enumerate(runs.values())
        ]
        cases = self.terraform.path / "cases.tftest.hcl"
        cases.write_text("\n".join(blocks))
        self.addCleanup(cases.unlink)
        try:
            self.terraform.run("test", "-no-color")
        except AssertionError as error:
            names = list(runs)
            self.fail(re.sub(r"case_(\d+)", lambda index: names[int(index[1])], str(error)))

    @staticmethod
    def saying(reason):
        """The variable whose validation says what a rule of the template says."""
        parameter = re.compile(rf"\b({'|'.join(template()['Parameters'])})\b")
        message = parameter.sub(lambda name: snake_case(name[0]), reason).replace("this stack", "this module")
        text = (MODULE / "variables.tf").read_text()
        return [name for name, body in re.findall(DECLARATION, text, re.MULTILINE | re.DOTALL) if f'error_message = "{message}"' in body]

    types = dict(re.findall(r'^variable "(\w+)" \{\n  description = .*\n  type        = (\w+)', (MODULE / "variables.tf").read_text(), re.MULTILINE))


class VariablesTest(unittest.TestCase):
    text = (MODULE / "variables.tf").read_text()

    def test_it_has_the_template_s_parameters_with_their_defaults(self):
        declared = dict(re.findall(DECLARATION, self.text, re.MULTILINE | re.DOTALL))
        self.assertEqual(sorted(declared), sorted({*OF_THE_MODULE, *map(snake_case, template()["Parameters"])}))
        for name, parameter in template()["Parameters"].items():
            default = re.search(r"^  default +?= (.*)$", declared[snake_case(name)], re.MULTILINE)
            wanted = hcl(variable(name, str(parameter["Default"]))) if "Default" in parameter else None
            self.assertEqual(default and default[1], wanted, name)

    def test_lists_are_lists(self):
        self.assertEqual(len(LISTS), 8)
        self.assertEqual(sorted(re.findall(r'variable "(\w+)" \{\n.*\n  type +?= list', self.text)), sorted(map(snake_case, LISTS)))

    def test_every_resource_of_the_template_has_its_counterpart(self):
        alarms = {name for name, resource in template()["Resources"].items() if resource["Type"] == "AWS::CloudWatch::Alarm"}
        self.assertEqual({*RESOURCES.values(), *SAVED_QUERIES.values(), *alarms}, set(template()["Resources"]))


def hcl(value):
    """A value as Terraform's language writes it."""
    return json.dumps(value).replace("${", "$${")


if __name__ == "__main__":
    unittest.main()
