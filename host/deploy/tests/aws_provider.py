"""A stand-in for the Terraform provider hashicorp/aws: Terraform itself asks it for the schema and for a plan, and it knows no AWS.

It serves the schema of `aws_provider_schema.json`, so that Terraform checks every name, type and block of the module as with the provider, and
plans what the module says. Attributes that AWS would fill get the values that `rendering.py` has for them, or stay unknown. It does not
know which values the provider refuses, and it applies nothing.

The protocol is https://github.com/hashicorp/terraform/blob/main/docs/plugin-protocol/tfplugin5.proto, over a connection that Terraform is told
of in TF_REATTACH_PROVIDERS: https://developer.hashicorp.com/terraform/plugin/debugging
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import grpc
import msgpack
from provider_schema import SCHEMA
from rendering import ACCOUNT, ATTRIBUTES, REFERENCES, REGION
from wire import entry, field, fields

KNOWN = json.loads(SCHEMA.read_text())

# What msgpack has in the place of a value that is known after apply only.
UNKNOWN = msgpack.ExtType(0, b"\0")

NESTING = {"single": 1, "list": 2, "set": 3}


def _schema(block):
    return field(2, _block(block))


def _block(block):
    encoded = b""
    for name, attribute in block["attributes"].items():
        flags = [attribute.get(flag, False) for flag in ("required", "optional", "computed")]
        encoded += field(
            2, field(1, name) + field(2, json.dumps(attribute["type"])) + b"".join(field(4 + index, flag) for index, flag in enumerate(flags))
        )
    for name, inner in block["blocks"].items():
        most = 0 if inner["nesting"] == "single" else inner.get("most", 0)
        encoded += field(3, field(1, name) + field(2, _block(inner)) + field(3, NESTING[inner["nesting"]]) + field(5, most))
    return encoded


def _made_up(kind, planned):
    """What AWS would answer, for attributes that the module refers to."""
    parameters = {"functionName": planned.get("function_name")}
    match kind:
        case "aws_lambda_function":
            return {"arn": ATTRIBUTES["Function.Arn"].format(**parameters)}
        case "aws_iam_role":
            return {"arn": ATTRIBUTES["Role.Arn"], "id": "made-up-role"}
        case "aws_security_group":
            of_endpoint = "-endpoint-" in planned["name_prefix"]
            return {"id": ATTRIBUTES["EndpointSecurityGroup.GroupId" if of_endpoint else "FunctionSecurityGroup.GroupId"]}
        case "aws_cloudwatch_event_rule":
            name = "Heartbeat" if planned["schedule_expression"] else "FailedRotations"
            return {"arn": ATTRIBUTES[f"{name}.Arn"], "name": name}
        case "aws_sns_topic":
            return {"arn": REFERENCES["Topic"]}
    return {}


READ = {
    "aws_caller_identity": {"account_id": ACCOUNT},
    "aws_partition": {"partition": "aws", "dns_suffix": "amazonaws.com"},
    "aws_region": {"region": REGION},
}


def _unpacked(dynamic):
    return msgpack.unpackb(fields(dynamic)[1], strict_map_key=False)


def _packed(value):
    return field(1, msgpack.packb(value))


def _get_schema(_):
    answer = field(1, _schema({"attributes": {"region": {"type": "string", "optional": True}}, "blocks": {}}))
    for number, kinds in ((2, "resources"), (3, "data_sources")):
        for name, block in KNOWN[kinds].items():
            answer += entry(number, name, _schema(block))
    return answer


def _prepare(request):
    return field(1, fields(request)[1])


def _plan(request):
    asked = fields(request)
    kind = asked[1].decode()
    proposed = _unpacked(asked[3])
    # A resource that goes away.
    if proposed is None:
        return field(1, asked[3])
    made_up = _made_up(kind, proposed)
    for name, attribute in KNOWN["resources"][kind]["attributes"].items():
        if proposed[name] is None and (attribute.get("computed") or name in made_up):
            proposed[name] = made_up.get(name, UNKNOWN)
    # As the provider does: it may fill what the schema does not call computed.
    return field(1, _packed(proposed)) + field(5, True)


def _read(request):
    asked = fields(request)
    kind = asked[1].decode()
    values = {name: None for name in KNOWN["data_sources"][kind]["attributes"]} | READ[kind]
    return field(1, _packed(values))


METHODS = {
    "GetSchema": _get_schema,
    "PrepareProviderConfig": _prepare,
    "ValidateResourceTypeConfig": lambda _: b"",
    "ValidateDataSourceConfig": lambda _: b"",
    "Configure": lambda _: b"",
    "PlanResourceChange": _plan,
    "ReadDataSource": _read,
    "Stop": lambda _: b"",
}


class Provider:
    """The provider, as long as the context lasts. `environment` tells Terraform where it is."""

    def __enter__(self):
        self.server = grpc.server(ThreadPoolExecutor(max_workers=8))
        handlers = {name: grpc.unary_unary_rpc_method_handler(lambda request, _, method=method: method(request)) for name, method in METHODS.items()}
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tfplugin5.Provider", handlers),))
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        reattach = {
            "registry.terraform.io/hashicorp/aws": {
                "Protocol": "grpc",
                "ProtocolVersion": 5,
                "Pid": os.getpid(),
                # It is not Terraform's to end it.
                "Test": True,
                "Addr": {"Network": "tcp", "String": f"127.0.0.1:{port}"},
            }
        }
        self.environment = {"TF_REATTACH_PROVIDERS": json.dumps(reattach)}
        return self

    def __exit__(self, *_):
        self.server.stop(grace=None).wait()
