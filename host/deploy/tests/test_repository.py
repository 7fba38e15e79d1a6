"""What is published to the Serverless Application Repository has only what that takes, and is otherwise the template."""

import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from rendering import template
from repository import SUPPORTED, for_repository, left_out


class RepositoryTest(unittest.TestCase):
    def test_it_has_only_types_that_the_repository_lists(self):
        self.assertEqual({resource["Type"] for resource in for_repository()["Resources"].values()}, SUPPORTED)

    def test_endpoints_and_saved_queries_are_what_is_left_out(self):
        types = {name: template()["Resources"][name]["Type"] for name in left_out()}
        self.assertEqual({*types.values()}, {"AWS::EC2::VPCEndpoint", "AWS::Logs::QueryDefinition", "AWS::EC2::SecurityGroup"})
        self.assertEqual(
            template()["Parameters"].keys() - for_repository()["Parameters"].keys(),
            {"createSecretsManagerEndpoint", "createS3Endpoint", "routeTableIds"},
        )

    def test_what_stays_is_as_it_was(self):
        published = for_repository()
        for section in ("Parameters", "Rules", "Conditions", "Resources", "Outputs"):
            for name, value in published[section].items():
                self.assertEqual(value, template()[section][name])

    def test_the_linter_has_nothing_to_say(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "repository.json")
            published = for_repository()
            # As `aws cloudformation package` leaves it.
            published["Resources"]["Function"]["Properties"]["Code"] = {"S3Bucket": "acme-deployments", "S3Key": "windlass.zip"}
            file.write_text(json.dumps(published))
            done = subprocess.run(
                [Path(sys.executable).parent / "cfn-lint", "--", file], capture_output=True, text=True, timeout=300, check=False
            )
            self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_its_metadata_is_what_the_api_takes(self):
        # https://docs.aws.amazon.com/serverlessrepo/latest/devguide/applications.html#applications-model-createapplicationinput
        metadata = for_repository()["Metadata"]["AWS::ServerlessRepo::Application"]
        self.assertRegex(metadata["Author"], r"^[a-z0-9](([a-z0-9]|-(?!-))*[a-z0-9])?$")
        self.assertRegex(metadata["Name"], r"^[a-zA-Z0-9-]{1,140}$")
        self.assertTrue(1 <= len(metadata["Description"]) <= 256)
        self.assertLessEqual(len(metadata["Labels"]), 10)
        for label in metadata["Labels"]:
            self.assertTrue(re.fullmatch(r"[a-zA-Z0-9+\-_:/@]{1,127}", label), label)
        self.assertRegex(metadata["SemanticVersion"], r"^\d+\.\d+\.\d+$")


if __name__ == "__main__":
    unittest.main()
