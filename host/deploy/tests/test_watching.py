"""What is watched is there: the sample lines are metrics as CloudWatch reads them, alarms and dashboard show metrics that the lines carry, the
saved queries find what they are for, and the guide says the same."""

import json
import re
import unittest
from datetime import datetime

import insights
import watching
from parameter_sets import ALL, LATER_IN_A_VPC, NARROW, SMALLEST
from rendering import ACCOUNT, REGION, TEMPLATE, Rendering
from samples import LINES, kind, metrics

# Lambda's own: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
OF_LAMBDA = {("AWS/Lambda", name, ("FunctionName",)) for name in ("Invocations", "Errors", "Throttles", "Duration")}

# What each saved query has to find in the sample lines: which of its columns, and the values in it.
FOUND = {
    "failed steps, and what to do": ("error_type", ["Windlass.HeartbeatSelectsNothing", "Windlass.PluginNotFound", "Windlass.Unreachable"]),
    "slowest steps, and what they waited for": ("total_ms", [5060.607, 114.14, 74.056, 72.277, 48.412, 45.029, 44.171]),
    "rotations of one secret": ("step", ["createSecret", "setSecret", "testSecret", "finishSecret", None]),
    "plugin digests in use": ("steps", [2, 4]),
    "what plugins said": ("message", ["the server keeps its users in no ACL file: it forgets the new password when it restarts"]),
    "secrets that do not open their service": ("heartbeat", ["unclear", "unreachable", "drift"]),
    "secrets that no heartbeat tested": ("reason", ["rotation under way", None]),
}


class SampleLinesTest(unittest.TestCase):
    def test_there_is_one_of_every_kind(self):
        heartbeats = [f"heartbeat {what}" for what in ("ok", "drift", "unreachable", "unclear", "skipped")]
        self.assertEqual({kind(line) for line in LINES}, {"step done", "step failed", "plugin", *heartbeats, "heartbeat done", "heartbeat failed"})

    def test_each_is_the_embedded_metric_format_where_it_carries_metrics(self):
        for line in LINES:
            if "_aws" not in line:
                continue
            with self.subTest(line["message"], at=line["timestamp"]):
                self.assertEqual(line["_aws"]["Timestamp"], int(datetime.fromisoformat(line["timestamp"]).timestamp() * 1000))
                for directive in line["_aws"]["CloudWatchMetrics"]:
                    for dimension in sum(directive["Dimensions"], []):
                        self.assertIsInstance(line[dimension], str)
                    for metric in directive["Metrics"]:
                        self.assertIsInstance(line[metric["Name"]], int | float)
                        self.assertIn(metric["Unit"], ("Count", "Milliseconds"))

    def test_a_step_is_done_or_failed_and_its_time_is_that_of_host_and_plugin(self):
        for line in LINES:
            if "host_us" in line:
                self.assertEqual(line["host_us"] + line["plugin_us"], line["duration_us"])
                self.assertLessEqual(line["secrets_manager_us"] + line["loading_us"], line["host_us"])
                self.assertLessEqual(line["service_us"], line["plugin_us"])
                self.assertEqual((line["StepsDone"], line["StepsFailed"]), (1, 0) if line["message"] == "step done" else (0, 1))
                self.assertAlmostEqual(line["StepDuration"] * 1000, line["duration_us"])

    def test_a_heartbeat_counts_its_secrets(self):
        (done,) = [line for line in LINES if line["message"] == "heartbeat done"]
        for what in ("ok", "drift", "unreachable", "unclear", "skipped"):
            counted = sum(line.get("heartbeat") == what for line in LINES)
            self.assertEqual((done[what], done[f"Heartbeat{what.capitalize()}"]), (counted, counted))


def written_out(rows):
    """The rows of a widget without the short forms for what stands in the row before.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html#CloudWatch-Dashboard-Properties-Metrics-Array-Format
    """
    before = []
    for row in rows:
        texts = [part for part in row if isinstance(part, str)]
        if texts[:1] == ["..."]:
            texts = before[: len(before) - len(texts) + 1] + texts[1:]
        before = [before[at] if part == "." else part for at, part in enumerate(texts)]
        yield before + [part for part in row if not isinstance(part, str)]


class MetricsTest(unittest.TestCase):
    def known(self):
        return metrics().keys() | OF_LAMBDA

    def test_every_alarm_looks_at_a_metric_that_there_is(self):
        for parameters in ALL.values():
            for name, resource in Rendering(**parameters).resources().items():
                if resource["Type"] != "AWS::CloudWatch::Alarm":
                    continue
                alarm = resource["Properties"]
                single = [alarm] if "MetricName" in alarm else []
                for metric in single + [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each]:
                    dimensions = tuple(each["Name"] for each in metric["Dimensions"])
                    self.assertIn((metric["Namespace"], metric["MetricName"], dimensions), self.known(), name)

    def test_everything_that_the_dashboard_draws_is_there(self):
        drawn = [row for widget in watching.dashboard()["widgets"] for row in written_out(widget["properties"].get("metrics", []))]
        self.assertGreater(len(drawn), 20)
        for row in drawn:
            if isinstance(row[0], dict):
                schema, name = re.search(r"\{([^}]*)\} MetricName=\"(\w+)\"", row[0]["expression"]).groups()
                namespace, *dimensions = schema.split(",")
            else:
                namespace, name, *rest = [part for part in row if isinstance(part, str)]
                dimensions = rest[::2]
            self.assertIn((namespace, name, tuple(dimensions)), self.known())

    def test_every_metric_of_the_function_is_drawn(self):
        body = json.dumps(watching.dashboard())
        for _, name, _ in metrics():
            # How long a heartbeat took is for the alarm that misses it.
            self.assertEqual(name in body, name != "HeartbeatDuration", name)


class DashboardTest(unittest.TestCase):
    def test_no_widget_covers_another_and_all_fit_the_grid(self):
        taken = set()
        for widget in watching.dashboard()["widgets"]:
            self.assertLessEqual(widget["x"] + widget["width"], 24)
            cells = {
                (x, y)
                for x in range(widget["x"], widget["x"] + widget["width"])
                for y in range(widget["y"], widget["y"] + widget["height"])
            }
            self.assertFalse(taken & cells, widget["properties"])
            taken |= cells

    def test_its_tables_ask_what_the_saved_queries_ask(self):
        saved = {" ".join(query.split()) for _, query in watching.queries()}
        asked = [widget["properties"]["query"] for widget in watching.dashboard()["widgets"] if widget["type"] == "log"]
        self.assertEqual(len(asked), 3)
        for query in asked:
            source, _, rest = query.partition(" | ")
            self.assertEqual(source, "SOURCE '/aws/lambda/windlass'")
            self.assertIn(" ".join(rest.split()), saved)

    def test_it_shows_every_alarm_of_its_deployment(self):
        for parameters in (SMALLEST, NARROW):
            rendering = Rendering(**parameters)
            alarms = [each["Properties"]["AlarmName"] for each in rendering.resources().values() if each["Type"] == "AWS::CloudWatch::Alarm"]
            body = json.loads(rendering.properties("Dashboard")["DashboardBody"])
            (widget,) = [widget["properties"] for widget in body["widgets"] if widget["type"] == "alarm"]
            self.assertEqual(sorted(widget["alarms"]), sorted(f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}" for name in alarms))

    def test_it_shows_the_timeout_in_the_unit_of_the_durations(self):
        body = json.loads(Rendering(**{**SMALLEST, "timeout": "300"}).properties("Dashboard")["DashboardBody"])
        (line,) = [each for widget in body["widgets"] for each in widget["properties"].get("annotations", {}).get("horizontal", [])]
        self.assertEqual(line["value"], 300_000)

    def test_it_can_be_left_out(self):
        self.assertNotIn("Dashboard", Rendering(**LATER_IN_A_VPC).resources())


class QueriesTest(unittest.TestCase):
    def test_each_reads_only_fields_that_lines_have(self):
        known = set().union(*(insights.discovered(line) for line in LINES))
        for name, query in watching.queries():
            read = insights.fields_of(query)
            self.assertTrue(read, name)
            self.assertEqual([field for field in read if field not in known], [], name)

    def test_each_finds_what_it_is_for(self):
        self.assertEqual([name for name, _ in watching.queries()], list(FOUND))
        for name, query in watching.queries():
            column, values = FOUND[name]
            columns, rows = insights.run(watching.example(query), LINES)
            self.assertIn(column, columns)
            self.assertEqual([row.get(column) for row in rows], values, name)

    def test_a_query_that_the_evaluator_does_not_know_is_refused(self):
        unknown = ["parse @message /x/", "filter a > 1", "filter a = 1", "filter a or b", "stats max(a) as b by c", "fields a + b as c", "sort a up"]
        for query in unknown:
            with self.subTest(query), self.assertRaises(insights.NotUnderstood):
                insights.run(query, LINES)

    def test_a_field_that_no_line_has_is_noticed(self):
        self.assertEqual(insights.fields_of('filter messsage = "step done" | fields a / 10 as b | sort b desc'), ["messsage", "a"])


class GuideTest(unittest.TestCase):
    guide = TEMPLATE.with_name("README.md").read_text()

    def test_it_shows_what_the_queries_find_as_it_comes(self):
        shown = f"```console\n$ host/deploy/check --show queries\n{watching.show_queries()}\n```"
        self.assertTrue(shown in self.guide, f"put this into the guide:\n\n{shown}")

    def test_it_shows_the_widgets_of_the_dashboard(self):
        shown = f"```console\n$ host/deploy/check --show widgets\n{watching.show_widgets()}\n```"
        self.assertTrue(shown in self.guide, f"put this into the guide:\n\n{shown}")

    def test_it_shows_lines_of_the_log_as_they_are(self):
        lines = (TEMPLATE.parent / "samples/log.jsonl").read_text().splitlines()
        _, _, section = self.guide.partition("### The log\n")
        shown = re.findall(r"^\{.*\}$", section.partition("\n### ")[0], re.MULTILINE)
        self.assertEqual({kind(json.loads(line)) for line in shown}, {"step done", "step failed", "plugin", "heartbeat drift", "heartbeat done"})
        for line in shown:
            self.assertIn(line, lines)

    def test_it_has_every_metric_with_its_unit_and_dimensions(self):
        rows = re.findall(r"^\| `(\w+)` \| (\w+) \| `([\w`, ]+)` \|", self.guide, re.MULTILINE)
        shown = {("Windlass", name, tuple(dimensions.split("`, `"))): unit for name, unit, dimensions in rows}
        self.assertEqual(shown, metrics())


if __name__ == "__main__":
    unittest.main()
