"""The function's role allows what a rotation needs and nothing of what it must not do."""

import copy
import unittest

from calls import JUDGED
from iam import is_allowed, several
from parameter_sets import ALL
from rendering import Rendering


def verdicts(statements, name):
    """Which of a deployment's calls the statements allow, in the order of the table."""
    _, allowed, denied = JUDGED[name]
    return [is_allowed(statements, call) for _, call in allowed + denied]


class RoleTest(unittest.TestCase):
    def test_every_deployment_is_judged(self):
        self.assertEqual(JUDGED.keys(), ALL.keys())

    def test_each_call_of_the_table_gets_its_verdict(self):
        for name, (parameters, allowed, denied) in JUDGED.items():
            statements = Rendering(**parameters).statements()
            for what, call in allowed:
                with self.subTest(deployment=name, function=what):
                    self.assertTrue(is_allowed(statements, call), f"denied: {call}")
            for what, call in denied:
                with self.subTest(deployment=name, function=what):
                    self.assertFalse(is_allowed(statements, call), f"allowed: {call}")

    def test_no_call_is_judged_twice(self):
        for name, (_, allowed, denied) in JUDGED.items():
            calls = [(call.action, call.resource, tuple(sorted(call.context.items()))) for _, call in allowed + denied]
            self.assertEqual([call for call in set(calls) if calls.count(call) > 1], [], name)

    def test_every_statement_has_a_name_of_its_own(self):
        for parameters in ALL.values():
            names = [statement["Sid"] for statement in Rendering(**parameters).statements()]
            self.assertEqual(len(names), len(set(names)))

    def test_no_action_has_a_wildcard(self):
        for parameters in ALL.values():
            for statement in Rendering(**parameters).statements():
                for action in several(statement["Action"]):
                    self.assertNotIn("*", action)

    def test_only_lambda_may_take_the_role(self):
        (statement,) = Rendering(**ALL["narrow"]).properties("Role")["AssumeRolePolicyDocument"]["Statement"]
        self.assertEqual(statement["Principal"], {"Service": "lambda.amazonaws.com"})
        self.assertNotIn("ManagedPolicyArns", Rendering(**ALL["narrow"]).properties("Role"))


class EveryPartOfThePolicyCountsTest(unittest.TestCase):
    """The table would notice if a part of the policy were lost: each of these changes has to change a verdict of some deployment."""

    def every_change(self, change):
        """Where `change` can be made and what it makes, over all deployments, by a name that says which part was changed."""
        changed = {}
        for name, (parameters, _, _) in JUDGED.items():
            statements = Rendering(**parameters).statements()
            for part, mutant in change(statements):
                noticed = verdicts(mutant, name) != verdicts(statements, name)
                changed[part] = changed.get(part, False) or noticed
        self.assertTrue(changed)
        return [part for part, noticed in changed.items() if not noticed]

    def test_a_statement_that_is_left_out_is_noticed(self):
        def leave_out(statements):
            for statement in statements:
                yield statement["Sid"], [other for other in statements if other is not statement]

        self.assertEqual(self.every_change(leave_out), [])

    def test_an_action_that_is_left_out_is_noticed(self):
        def leave_out(statements):
            for index, statement in enumerate(statements):
                for action in several(statement["Action"]):
                    mutant = copy.deepcopy(statements)
                    mutant[index]["Action"] = [other for other in several(statement["Action"]) if other != action]
                    yield (statement["Sid"], action), mutant

        self.assertEqual(self.every_change(leave_out), [])

    def test_a_condition_that_is_left_out_is_noticed(self):
        def leave_out(statements):
            for index, statement in enumerate(statements):
                for operator, tests in statement.get("Condition", {}).items():
                    for key in tests:
                        mutant = copy.deepcopy(statements)
                        del mutant[index]["Condition"][operator][key]
                        yield (statement["Sid"], operator, key), mutant

        self.assertEqual(self.every_change(leave_out), [])

    def test_a_resource_that_becomes_everything_is_noticed(self):
        def widen(statements):
            for index, statement in enumerate(statements):
                if statement["Resource"] != "*":
                    mutant = copy.deepcopy(statements)
                    mutant[index]["Resource"] = "*"
                    yield statement["Sid"], mutant

        self.assertEqual(self.every_change(widen), [])

    def test_an_action_that_becomes_the_whole_service_is_noticed(self):
        def widen(statements):
            for index, statement in enumerate(statements):
                if statement["Effect"] == "Allow":
                    mutant = copy.deepcopy(statements)
                    service = several(statement["Action"])[0].split(":")[0]
                    mutant[index]["Action"] = f"{service}:*"
                    yield statement["Sid"], mutant

        # Its condition on the label is met by no other call that is not allowed anyway: GetSecretValue alone has the key as well.
        self.assertEqual(self.every_change(widen), ["PromoteOwn"])


if __name__ == "__main__":
    unittest.main()
