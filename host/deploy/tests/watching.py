"""What the guide shows of watching the function: sample lines of its log, what the saved queries find in them, and the dashboard.

    watching.py lines        one line of the log of every kind
    watching.py queries      the saved queries, each with its rows from the sample lines
    watching.py widgets      what the dashboard shows, row by row
    watching.py dashboard    the dashboard as JSON
"""

import json
import sys

from insights import run
from parameter_sets import FUNCTION, SMALLEST
from rendering import Rendering
from samples import LINES, kind

# The text of an error is too long for a column.
LONG = "error"


def queries():
    """The saved queries, as (name, text), in the order of the template."""
    resources = Rendering(**SMALLEST).resources().values()
    saved = [resource["Properties"] for resource in resources if resource["Type"] == "AWS::Logs::QueryDefinition"]
    return [(query["Name"].removeprefix(f"{FUNCTION}/"), query["QueryString"]) for query in saved]


def dashboard():
    return json.loads(Rendering(**SMALLEST).properties("Dashboard")["DashboardBody"])


def example(query):
    """A query with a value in the place of the one that the reader has to fill in."""
    return query.replace('"NAME"', '"prod/redis/app"')


def show_lines():
    shown = {}
    for line in LINES:
        shown.setdefault(kind(line), line)
    return "\n\n".join(f"{name}\n{json.dumps(line, ensure_ascii=False)}" for name, line in shown.items())


def show_queries():
    return "\n\n".join(f"{name}\n{table(*run(example(query), LINES))}" for name, query in queries())


def show_widgets():
    widgets = [{"row": widget["y"], "columns": f"{widget['x']}-{widget['x'] + widget['width']}", **content(widget)} for widget in dashboard()["widgets"]]
    return table(["row", "columns", "widget", "shows"], widgets)


def content(widget):
    """The title of a widget and what is drawn or listed in it."""
    properties = widget["properties"]
    if widget["type"] == "text":
        heading, _, text = properties["markdown"].partition("\n")
        return {"widget": heading.lstrip("# "), "shows": text}
    if widget["type"] == "alarm":
        return {"widget": properties["title"], "shows": "; ".join(arn.rsplit("-", 1)[-1] for arn in properties["alarms"])}
    if widget["type"] == "log":
        return {"widget": properties["title"], "shows": "the rows of the saved query"}
    drawn = [drawing(row) for row in properties["metrics"]]
    lines = [line["label"] for line in properties.get("annotations", {}).get("horizontal", [])]
    return {"widget": properties["title"], "shows": "; ".join(drawn + lines)}


def drawing(row):
    """What a line of a diagram is called: its label, or its metric, or that there is one for each value of a dimension."""
    options = row[-1] if isinstance(row[-1], dict) else {}
    if "expression" in options:
        return "one line for each " + options["expression"].partition("}")[0].rpartition(",")[2]
    return options.get("label") or row[1]


def table(columns, rows):
    """Rows in columns, what is too long for one below its row. A column without values is left out."""
    columns = [column for column in columns if column != LONG and any(column in row for row in rows)]
    cells = [[short(row.get(field, "")) for field in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    lines = []
    for row, values in zip([{}, *rows], [columns, *cells], strict=True):
        lines.append("  " + "  ".join(value.ljust(width) for value, width in zip(values, widths, strict=True)).rstrip())
        if LONG in row:
            lines.append(f"    {LONG}: {row[LONG]}")
    return "\n".join(lines)


def short(value):
    """A value that fits into a column: numbers with one digit, the beginnings of digests and versions, secrets by name, times to the second."""
    if isinstance(value, float):
        return f"{value:.1f}"
    text = str(value)
    if text.startswith("arn:"):
        return text.split(":", 6)[-1]
    if text.startswith("sha256:") or text.count("-") == 4:
        return f"{text[:13]}…"
    return f"{text[:19]}Z" if text.endswith("Z") and "T" in text else text


SHOW = {
    "lines": show_lines,
    "queries": show_queries,
    "widgets": show_widgets,
    "dashboard": lambda: json.dumps(dashboard(), indent=1, ensure_ascii=False),
}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in SHOW:
        sys.exit(f"host/deploy/check: --show takes one of {', '.join(SHOW)}")
    print(SHOW[sys.argv[1]]())
