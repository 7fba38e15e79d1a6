"""The sample lines of the log, as `samples/log.jsonl` has them: one of every kind that the function writes. The guide shows them, the saved
queries are run over them, and the metrics of the dashboard and the alarms have to be in them.

Every value in them is made up.
"""

import json

from rendering import TEMPLATE

LINES = [json.loads(line) for line in (TEMPLATE.parent / "samples/log.jsonl").read_text().splitlines()]


def kind(line):
    """What a line is about: `step done`, `heartbeat drift`, `plugin`."""
    if line.get("target") == "plugin":
        return "plugin"
    return f"{line['message']} {line['heartbeat']}" if "heartbeat" in line else line["message"]


def metrics():
    """The metrics that the lines carry, as (namespace, name, dimensions) → unit.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    found = {}
    for line in LINES:
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            for dimensions in directive["Dimensions"]:
                for metric in directive["Metrics"]:
                    found[directive["Namespace"], metric["Name"], tuple(dimensions)] = metric["Unit"]
    return found
