"""Writes `aws_provider_schema.json`: what the Terraform provider hashicorp/aws knows of the resources that the module uses.

    provider_schema.py PACKAGE      PACKAGE is the unpacked npm package @cdktf/provider-aws

The package is made from the provider's own schema. Names, types, what is required, what a block is and whether it may occur several times
are in its declarations. What is lost in them: whether an optional attribute is computed as well if nobody sets it, conflicts between
attributes, and the provider's own checks of values.
"""

import json
import re
import sys
from pathlib import Path

SCHEMA = Path(__file__).with_name("aws_provider_schema.json")

RESOURCES = [
    "aws_cloudwatch_dashboard",
    "aws_cloudwatch_event_rule",
    "aws_cloudwatch_event_target",
    "aws_cloudwatch_log_group",
    "aws_cloudwatch_metric_alarm",
    "aws_cloudwatch_query_definition",
    "aws_iam_role",
    "aws_iam_role_policy",
    "aws_lambda_function",
    "aws_lambda_function_event_invoke_config",
    "aws_lambda_permission",
    "aws_security_group",
    # Of the example in the module's README.
    "aws_secretsmanager_secret",
    "aws_secretsmanager_secret_rotation",
    "aws_sns_topic",
    "aws_sns_topic_policy",
    # Likewise.
    "aws_sns_topic_subscription",
    "aws_vpc_endpoint",
    "aws_vpc_security_group_egress_rule",
    "aws_vpc_security_group_ingress_rule",
]
DATA_SOURCES = ["aws_caller_identity", "aws_partition", "aws_region"]

# How the package's code lists an attribute or a block.
ENTRY = re.compile(r'(\w+): \{\s*value: [^\n]*\n\s*isBlock: (\w+),\s*type: "(\w+)",\s*storageClassType: "(\w+)"')

SCALARS = {"string": "string", "number": "number", "boolean": "bool", "any": "bool"}


class Declarations:
    """The declarations of one resource."""

    def __init__(self, folder):
        self.types = (folder / "index.d.ts").read_text()
        self.code = (folder / "index.js").read_text()

    def block(self, interface, top=False):
        """Attributes and blocks of an interface."""
        body = re.search(rf"export interface {interface}\b[^{{]*\{{(.*?)\n\}}", self.types, re.DOTALL)[1]
        declared = {
            snake: (optional == "", kind)
            for snake, optional, kind in re.findall(r"#(\w+) \w+#\w+\}.*?\*/\s*readonly \w+(\??): ([^;]+?);\n", body + "\n", re.DOTALL)
        }
        start = "synthesizeHclAttributes()" if top else f"function {interface[0].lower()}{interface[1:]}ToHclTerraform(struct)"
        _, _, rest = self.code.partition(start)
        attributes, blocks = {}, {}
        entries, _, _ = rest.partition("remove undefined attributes")
        for name, is_block, kind, stored in ENTRY.findall(entries):
            required, declared_type = declared[name]
            if is_block == "true":
                inner = re.match(r"\w+", declared_type)[0]
                single = "[]" not in declared_type
                nesting = "single" if kind == "struct" else kind
                blocks[name] = {"nesting": nesting, **({"most": 1} if single else {}), **self.block(inner)}
            else:
                attributes[name] = {"type": _type(kind, stored), ("required" if required else "optional"): True}
        if top:
            resource = self.code[self.code.index("extends cdktf.Terraform") :]
            for name, getter in re.findall(
                r"// (\w+) - computed: true, optional: false, required: false\s*get \w+\(\) \{\s*return this\.get(\w+)Attribute\(", resource
            ):
                if getter in ("String", "Number", "Boolean"):
                    attributes[name] = {"type": SCALARS[getter.lower()], "computed": True}
            # Every resource has it, and the declarations call it optional.
            attributes.setdefault("id", {"type": "string", "optional": True})["computed"] = True
        return {"attributes": attributes, "blocks": blocks}


def _type(kind, stored):
    if kind == "simple":
        return SCALARS[stored]
    element = re.fullmatch(r"(string|number|boolean)(List|Map)", stored)
    if element is None:
        raise SystemExit(f"a {kind} of {stored}: teach this script")
    return [kind, SCALARS[element[1]]]


def _interface(folder, name):
    camel = "".join(part.capitalize() for part in name.removeprefix("aws_").split("_"))
    return Declarations(folder).block(camel + "Config", top=True)


def main(package):
    version = re.search(r"hashicorp/aws provider version (\S+)", (package / "README.md").read_text())[1]
    made_by = json.loads((package / "package.json").read_text())
    folder = lambda name, prefix="": package / "lib" / (prefix + name.removeprefix("aws_").replace("_", "-"))
    schema = {
        "source": f"npm package {made_by['name']} {made_by['version']} ({made_by['license']})",
        "provider": version,
        "resources": {name: _interface(folder(name), name) for name in RESOURCES},
        "data_sources": {name: _interface(folder(name, "data-aws-"), f"data_aws_{name.removeprefix('aws_')}") for name in DATA_SOURCES},
    }
    SCHEMA.write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
