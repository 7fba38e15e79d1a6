"""The evaluator of policies judges as IAM's documentation says, and refuses what it does not know."""

import unittest

from iam import Call, NotUnderstood, is_allowed


def statement(effect="Allow", action="s3:GetObject", resource="arn:aws:s3:::b/*", **condition):
    return {"Effect": effect, "Action": action, "Resource": resource, **({"Condition": condition} if condition else {})}


GET = Call("s3:GetObject", "arn:aws:s3:::b/k", {"aws:PrincipalTag/Team": "red"})


class EvaluatorTest(unittest.TestCase):
    def allowed(self, *statements, call=GET):
        return is_allowed(list(statements), call)

    def test_nothing_is_allowed_by_itself(self):
        self.assertFalse(self.allowed())

    def test_a_deny_wins_whatever_its_place(self):
        self.assertTrue(self.allowed(statement()))
        self.assertFalse(self.allowed(statement(), statement("Deny")))
        self.assertFalse(self.allowed(statement("Deny"), statement()))
        self.assertFalse(self.allowed(statement("Deny")))

    def test_a_deny_whose_condition_is_not_met_does_not_count(self):
        self.assertTrue(self.allowed(statement(), statement("Deny", StringEquals={"aws:PrincipalTag/Team": "blue"})))

    def test_actions_do_not_depend_on_upper_and_lower_case_and_resources_do(self):
        self.assertTrue(self.allowed(statement(action="S3:getobject")))
        self.assertFalse(self.allowed(statement(resource="arn:aws:s3:::B/*")))

    def test_wildcards_are_any_text_and_any_one_character(self):
        self.assertTrue(self.allowed(statement(action="s3:Get*", resource="arn:aws:s3:::?/k")))
        self.assertFalse(self.allowed(statement(resource="arn:aws:s3:::b/k?")))
        self.assertFalse(self.allowed(statement(resource="arn:aws:s3:::b")))

    def test_characters_that_mean_something_in_regular_expressions_mean_themselves(self):
        self.assertFalse(self.allowed(statement(resource="arn:aws:s3:::./k")))
        self.assertTrue(self.allowed(statement(resource="a+b[c]"), call=Call("s3:GetObject", "a+b[c]")))

    def test_one_of_several_actions_resources_and_values_is_enough(self):
        several = statement(action=["s3:PutObject", "s3:GetObject"], resource=["x", "arn:aws:s3:::b/k"])
        self.assertTrue(self.allowed(several))
        self.assertTrue(self.allowed(statement(StringEquals={"aws:PrincipalTag/Team": ["blue", "red"]})))

    def test_all_keys_and_all_operators_of_a_condition_have_to_be_met(self):
        met = {"aws:PrincipalTag/Team": "red"}
        self.assertTrue(self.allowed(statement(StringEquals=met, StringLike={"aws:PrincipalTag/Team": "r*"})))
        self.assertFalse(self.allowed(statement(StringEquals=met, StringLike={"aws:PrincipalTag/Team": "b*"})))
        self.assertFalse(self.allowed(statement(StringEquals={**met, "aws:ResourceTag/Team": "red"})))

    def test_a_key_that_the_request_does_not_have_meets_no_condition(self):
        self.assertFalse(self.allowed(statement(StringEquals={"aws:ResourceTag/Team": "red"})))
        self.assertFalse(self.allowed(statement(StringLike={"aws:ResourceTag/Team": "*"})))

    def test_names_of_keys_do_not_depend_on_upper_and_lower_case_and_values_do(self):
        self.assertTrue(self.allowed(statement(StringEquals={"AWS:principaltag/team": "red"})))
        self.assertFalse(self.allowed(statement(StringEquals={"aws:PrincipalTag/Team": "Red"})))

    def test_equals_takes_wildcards_for_arns_only(self):
        call = Call("s3:GetObject", "arn:aws:s3:::b/k", {"k": "arn:aws:lambda:r:1:function:f"})
        self.assertTrue(self.allowed(statement(ArnEquals={"k": "arn:aws:lambda:r:1:function:*"}), call=call))
        self.assertFalse(self.allowed(statement(StringEquals={"k": "arn:aws:lambda:r:1:function:*"}), call=call))

    def test_a_wildcard_in_an_arn_does_not_reach_into_the_next_part(self):
        call = Call("s3:GetObject", "arn:aws:s3:::b/k", {"k": "arn:aws:lambda:r:1:function:f"})
        self.assertFalse(self.allowed(statement(ArnLike={"k": "arn:aws:*:function:f"}), call=call))
        self.assertTrue(self.allowed(statement(ArnLike={"k": "arn:*:lambda:r:*:function:f"}), call=call))
        self.assertTrue(self.allowed(statement(StringLike={"k": "arn:aws:*:function:f"}), call=call))

    def test_what_it_does_not_know_is_refused(self):
        for unknown in (
            {"Effect": "Allow", "NotAction": "s3:*", "Action": "s3:*", "Resource": "*"},
            statement("Maybe"),
            statement(StringEqualsIfExists={"aws:PrincipalTag/Team": "red"}),
            statement(resource="arn:aws:s3:::${aws:username}/*"),
        ):
            with self.subTest(unknown), self.assertRaises(NotUnderstood):
                self.allowed(unknown)


if __name__ == "__main__":
    unittest.main()
