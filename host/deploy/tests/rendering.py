"""The template as CloudFormation would see it with given parameters.

Knows the functions that the template uses and stops at any other. What only a deployed resource could tell (`Fn::GetAtt`, `Ref` to a
resource) becomes a text of the same shape, so that a linter and a policy evaluator can read it.
"""

import functools
import re
from pathlib import Path

import yaml

TEMPLATE = Path(__file__).resolve().parent.parent / "template.yaml"

ACCOUNT = "123456789012"
REGION = "eu-west-1"

PSEUDO_PARAMETERS = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::URLSuffix": "amazonaws.com",
}

# What resources answer once they exist, in the shape that AWS gives it.
ATTRIBUTES = {
    "Function.Arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{{functionName}}",
    "Role.Arn": f"arn:aws:iam::{ACCOUNT}:role/made-up",
    "FunctionSecurityGroup.GroupId": "sg-0123456789abcdef0",
    "EndpointSecurityGroup.GroupId": "sg-0123456789abcdef1",
    "FailedRotations.Arn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/made-up",
    "Heartbeat.Arn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/made-up-heartbeat",
}
REFERENCES = {
    "Function": "{functionName}",
    "LogGroup": "/aws/lambda/{functionName}",
    "Topic": f"arn:aws:sns:{REGION}:{ACCOUNT}:made-up",
}

NO_VALUE = object()


class CloudFormationLoader(yaml.SafeLoader):
    """YAML with the short forms of CloudFormation's functions."""


def _function(loader, name, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if name in ("Ref", "Condition"):
        return {name: value}
    return {f"Fn::{name}": value.split(".", 1) if name == "GetAtt" else value}


CloudFormationLoader.add_multi_constructor("!", _function)


@functools.cache
def template():
    """The template as it is written, functions in their long form. Not to be changed."""
    return yaml.load(TEMPLATE.read_text(), CloudFormationLoader)


class Rendering:
    """The template with values for its parameters."""

    def __init__(self, **parameters):
        self.written = template()
        declared = self.written["Parameters"]
        unknown = parameters.keys() - declared.keys()
        if unknown:
            raise KeyError(f"the template has no parameter {', '.join(sorted(unknown))}")
        self.parameters = {}
        for name, declaration in declared.items():
            if name not in parameters and "Default" not in declaration:
                raise KeyError(f"the parameter {name} has no default: give it a value")
            self.parameters[name] = str(parameters.get(name, declaration.get("Default")))

    def refused(self):
        """Why CloudFormation would refuse the parameters: their own constraints, and the assertions of rules that do not hold."""
        reasons = [
            f"{name}: {declaration.get('ConstraintDescription', 'not allowed')}"
            for name, declaration in self.written["Parameters"].items()
            if not self._fits(self.parameters[name], declaration)
        ]
        for rule in self.written["Rules"].values():
            if self.value(rule["RuleCondition"]):
                reasons += [each["AssertDescription"] for each in rule["Assertions"] if not self.value(each["Assert"])]
        return reasons

    @staticmethod
    def _fits(value, declaration):
        if "AllowedValues" in declaration and value not in map(str, declaration["AllowedValues"]):
            return False
        if declaration["Type"] == "Number":
            if not re.fullmatch(r"\d+", value):
                return False
            number = int(value)
            return declaration.get("MinValue", number) <= number <= declaration.get("MaxValue", number)
        return re.fullmatch(declaration.get("AllowedPattern", ".*"), value) is not None

    def resources(self):
        """The resources whose conditions hold, rendered."""
        return {
            name: {
                key: self.value(value) if key == "Properties" else value for key, value in resource.items() if key != "Condition"
            }
            for name, resource in self.written["Resources"].items()
            if "Condition" not in resource or self.condition(resource["Condition"])
        }

    def properties(self, resource):
        """The rendered properties of a resource."""
        return self.resources()[resource]["Properties"]

    def outputs(self):
        """The outputs whose conditions hold, rendered."""
        return {
            name: self.value(output["Value"])
            for name, output in self.written["Outputs"].items()
            if "Condition" not in output or self.condition(output["Condition"])
        }

    def statements(self):
        """The statements of the function's role."""
        (policy,) = self.properties("Role")["Policies"]
        return policy["PolicyDocument"]["Statement"]

    def condition(self, name):
        return self.value(self.written["Conditions"][name])

    def value(self, node):
        """A node with its functions applied."""
        if isinstance(node, list):
            return [value for value in map(self.value, node) if value is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (name, argument), = node.items()
            if name == "Ref":
                return self._reference(argument)
            if name == "Condition" and isinstance(argument, str):
                return self.condition(argument)
            if name.startswith("Fn::"):
                return self._function(name, argument)
        rendered = {key: self.value(value) for key, value in node.items()}
        return {key: value for key, value in rendered.items() if value is not NO_VALUE}

    def _reference(self, name):
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in PSEUDO_PARAMETERS:
            return PSEUDO_PARAMETERS[name]
        if name in self.parameters:
            return self.parameters[name]
        return REFERENCES[name].format(**self.parameters)

    def _named(self, name):
        """What stands in a text as `${name}`, which is a reference or, with a dot, an attribute."""
        return ATTRIBUTES[name].format(**self.parameters) if "." in name else self._reference(name)

    def _function(self, name, argument):
        match name:
            case "Fn::If":
                condition, then, otherwise = argument
                return self.value(then if self.condition(condition) else otherwise)
            case "Fn::Equals":
                left, right = self.value(argument)
                return left == right
            case "Fn::Not":
                (condition,) = self.value(argument)
                return not condition
            case "Fn::And":
                return all(self.value(argument))
            case "Fn::Or":
                return any(self.value(argument))
            case "Fn::Split":
                separator, text = self.value(argument)
                return text.split(separator)
            case "Fn::Select":
                index, values = self.value(argument)
                return values[int(index)]
            case "Fn::Sub":
                text, own = argument if isinstance(argument, list) else (argument, {})
                own = self.value(own)
                return re.sub(r"\$\{([^}]+)\}", lambda name: own[name[1]] if name[1] in own else self._named(name[1]), text)
            case "Fn::GetAtt":
                return self._named(".".join(argument))
        raise NotImplementedError(f"the template uses {name}, which this renderer does not know: teach it, or use another function")
