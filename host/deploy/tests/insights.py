"""What a query of CloudWatch Logs Insights finds: a small evaluator of the part of the language that the template's queries use.

Knows `fields`, `filter`, `stats`, `sort`, `display` and `limit`, with `=`, `in`, `like`, `ispresent`, `and`, division, `count(*)` and the
functions that AGGREGATES lists. Anything else is refused with an error rather than guessed. Fields are those that Logs Insights
finds in a JSON line, with dots for what lies deeper, and `@timestamp`.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
"""

import re

TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[=(),\[\]/*]|[@A-Za-z_][\w@.]*|\d+(?:\.\d+)?)')


class NotUnderstood(Exception):
    """A query has something that this evaluator does not know."""


def discovered(line):
    """The fields that Logs Insights finds in a line of JSON."""
    fields = {"@timestamp": line["timestamp"]}

    def add(prefix, value):
        if isinstance(value, dict):
            for key, inner in value.items():
                add(f"{prefix}.{key}" if prefix else key, inner)
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                add(f"{prefix}.{index}", inner)
        else:
            fields[prefix] = value

    add("", line)
    return fields


def run(query, lines):
    """What a query shows: the names of its columns, and its rows, which do not have what the line did not have."""
    rows = [discovered(line) for line in lines]
    shown = ["@timestamp"]
    for command in commands(query):
        name, _, rest = command.partition(" ")
        words = tokens(rest)
        match name:
            case "filter":
                rows = [row for row in rows if condition(list(words), row)]
            case "fields" | "display":
                wanted = [expression(part) for part in split(words, ",")]
                for row in rows:
                    for field, value in [(field, value(row)) for field, value in wanted]:
                        if value is not None:
                            row[field] = value
                named = [field for field, _ in wanted]
                shown = named if name == "display" else shown + [field for field in named if field not in shown]
            case "stats":
                rows, shown = stats(words, rows)
            case "sort":
                (field, *order) = words
                if order not in ([], ["asc"], ["desc"]):
                    raise NotUnderstood(f"the order {order}")
                rows = sorted(rows, key=lambda row: (row.get(field) is not None, row.get(field)), reverse=order == ["desc"])
            case "limit":
                rows = rows[: int(words[0])]
            case _:
                raise NotUnderstood(f"the command {name}")
    return shown, [{field: row[field] for field in shown if field in row} for row in rows]


def fields_of(query):
    """The fields of lines that a query reads: all names in it that it does not make itself."""
    made, read = set(), []
    for command in commands(query):
        name, _, rest = command.partition(" ")
        words = tokens(rest)
        for index, word in enumerate(words):
            after_as = index > 0 and words[index - 1] == "as"
            if after_as:
                made.add(word)
            elif re.match(r"[@A-Za-z_]", word) and word not in WORDS and word not in made:
                read.append(word)
    return [field for field in read if field not in made]


def commands(query):
    """The commands of a query, without comments."""
    text = "\n".join(line for line in query.splitlines() if not line.lstrip().startswith("#"))
    return [" ".join(command.split()) for command in text.split("|")]


def tokens(text):
    found, at = [], 0
    while at < len(text.rstrip()):
        token = TOKEN.match(text, at)
        if token is None:
            raise NotUnderstood(f"`{text[at:]}`")
        found.append(token[1])
        at = token.end()
    return found


def split(words, separator):
    parts = [[]]
    for word in words:
        if word == separator:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def expression(words):
    """`field`, `field as name` or `field / number as name`: the name, and how to find its value."""
    match words:
        case [field]:
            return field, lambda row: row.get(field)
        case [field, "/", number, "as", name]:
            return name, lambda row: row[field] / float(number) if field in row else None
        case _:
            raise NotUnderstood(f"the expression {' '.join(words)}")


def condition(words, row):
    """Whether a row meets `test and test …`."""
    return all(test(part, row) for part in split(words, "and"))


def test(words, row):
    match words:
        case ["ispresent", "(", field, ")"]:
            return field in row
        case [field, "=", text]:
            return row.get(field) == literal(text)
        case [field, "like", text]:
            return literal(text) in str(row.get(field, ""))
        case [field, "in", "[", *values, "]"]:
            return row.get(field) in [literal(value) for (value,) in split(values, ",")]
        case _:
            raise NotUnderstood(f"the test {' '.join(words)}")


def literal(word):
    if not word.startswith('"'):
        raise NotUnderstood(f"the value {word}")
    return word[1:-1]


def stats(words, rows):
    """One row for each combination of what is after `by`. Rows without one of these fields have it empty."""
    if "by" not in words:
        raise NotUnderstood("stats without by")
    by = words.index("by")
    keys = [key for (key,) in split(words[by + 1 :], ",")]
    wanted = [aggregate(part) for part in split(words[:by], ",")]
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row.get(key) for key in keys), []).append(row)
    made = []
    for group, members in groups.items():
        row = {key: value for key, value in zip(keys, group, strict=True) if value is not None}
        made.append(row | {name: function(members) for name, function in wanted})
    return made, [*keys, *(name for name, _ in wanted)]


def aggregate(words):
    match words:
        case [function, "(", field, ")", "as", name] if function in AGGREGATES:
            return name, lambda rows: AGGREGATES[function](rows, field)
        case ["count", "(", "*", ")", "as", name]:
            return name, len
        case _:
            raise NotUnderstood(f"the statistic {' '.join(words)}")


def _values(rows, field):
    return [row[field] for row in sorted(rows, key=lambda row: row["@timestamp"]) if field in row]


AGGREGATES = {
    "earliest": lambda rows, field: _values(rows, field)[0],
    "latest": lambda rows, field: _values(rows, field)[-1],
}

# Names in a query that are no fields.
WORDS = {"and", "as", "asc", "by", "count", "desc", "in", "ispresent", "like", *AGGREGATES}
