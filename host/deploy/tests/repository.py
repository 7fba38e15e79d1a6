"""Prints the template as the Serverless Application Repository takes it: without the types of resources that its list does not have, and
without the parameters, conditions and rules that are then left for nothing.

The list is that of https://docs.aws.amazon.com/serverlessrepo/latest/devguide/list-supported-resources.html as AWS published its source on
GitHub last, on 2021-02-08 (awsdocs/aws-serverlessrepo-developer-guide, 5e8664b). It has been prolonged since; a type that is on
it now can be added to SUPPORTED.
"""

import copy
import json
import re

from rendering import template

# Of the list, those that the template uses.
SUPPORTED = {
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::EC2::SecurityGroup",
    "AWS::Events::Rule",
    "AWS::IAM::Role",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Function",
    "AWS::Lambda::Permission",
    "AWS::Logs::LogGroup",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
}

# Of use with an endpoint only, which the repository does not take.
FOR_WHAT_IS_LEFT_OUT = {"EndpointSecurityGroup"}


def left_out():
    """The resources that the repository does not take, by name."""
    return {
        name for name, resource in template()["Resources"].items() if resource["Type"] not in SUPPORTED or name in FOR_WHAT_IS_LEFT_OUT
    }


def for_repository():
    """The template with these left out."""
    made = copy.deepcopy(template())
    # It takes templates of the Serverless Application Model, which begin so.
    made["Transform"] = "AWS::Serverless-2016-10-31"
    for name in left_out():
        del made["Resources"][name]
    conditions = _used(made["Conditions"], [made["Resources"], made["Outputs"]])
    made["Conditions"] = {name: condition for name, condition in made["Conditions"].items() if name in conditions}
    text = json.dumps([made["Resources"], made["Conditions"], made["Outputs"]])
    gone = [name for name in made["Parameters"] if not re.search(rf'"Ref": "{name}"|\${{{name}}}', text)]
    for name in gone:
        del made["Parameters"][name]
    made["Rules"] = {name: rule for name, rule in made["Rules"].items() if not any(f'"Ref": "{each}"' in json.dumps(rule) for each in gone)}
    interface = made["Metadata"]["AWS::CloudFormation::Interface"]
    for group in interface["ParameterGroups"]:
        group["Parameters"] = [name for name in group["Parameters"] if name not in gone]
    return made


def _used(conditions, users):
    """The conditions that are used, by others that are used as well."""
    used, text = set(), json.dumps(users)
    while True:
        more = {name for name in conditions if re.search(rf'"Condition": "{name}"|"Fn::If": \["{name}"', text)} - used
        if not more:
            return used
        used |= more
        text = json.dumps([conditions[name] for name in more])


if __name__ == "__main__":
    print(json.dumps(for_repository(), indent=1, ensure_ascii=False))
