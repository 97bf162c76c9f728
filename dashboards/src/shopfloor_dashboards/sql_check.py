"""Whether the SQL of a dashboard answers on a real PostgreSQL. Findings are sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shopfloor_dashboards.macros import MacroError, TimeRange, expand
from shopfloor_dashboards.panels import Source

UNIT_OF_ENDING = {
    "_s": "s",
    "_ms": "ms",
    "_ratio": "percentunit",
    "_bytes": "bytes",
    "_c": "celsius",
    "_at": "dateTimeFromNow",
}
"""A column's name ends with its unit; a name without any of these has none."""


_CARRIED = re.compile(r"\$\{__data\.fields\.(\w+)\}")


@dataclass(frozen=True, slots=True)
class Answer:
    """Columns and rows of one query."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


Ask = Callable[[str], Answer]
"""Runs one query as the reader's role. Raises ``ValueError``: the database refuses it."""


def sql_findings(text: str, ask: Ask, range_: TimeRange) -> list[str]:
    """Return what is wrong with the SQL of one dashboard, by running all of it."""
    board = json.loads(text)
    findings: list[str] = []
    variables = _values(board, ask, range_, findings)
    for panel in board["panels"]:
        for target in panel["targets"]:
            if "rawSql" in target:
                findings += _panel_findings(panel, target, variables, ask, range_)
    return findings


def _values(
    board: Mapping[str, Any], ask: Ask, range_: TimeRange, findings: list[str]
) -> dict[str, str]:
    """Fill the variables in their order: "All" where that is allowed, else the first value."""
    found: dict[str, str] = {}
    for variable in board["templating"]["list"]:
        name, query = variable["name"], variable.get("query", "")
        if variable["type"] == "custom":
            found[name] = query.split(",")[0].split(":")[-1].strip()
        elif variable["type"] == "query":
            asked = variable["datasource"]["type"] == Source.POSTGRESQL
            first = _first(name, query, found, ask, range_, findings) if asked else ".*"
            found[name] = variable["allValue"] if variable.get("includeAll") else first
    return found


def _first(
    name: str,
    query: str,
    variables: Mapping[str, str],
    ask: Ask,
    range_: TimeRange,
    findings: list[str],
) -> str:
    try:
        rows = ask(expand(query, variables, range_)).rows
    except ValueError as e:
        findings.append(f"variable {name}: {e}")
        return ""
    if not rows:
        findings.append(f"variable {name}: no values")
        return ""
    return str(rows[0][0])


def _panel_findings(
    panel: Mapping[str, Any],
    target: Mapping[str, Any],
    variables: Mapping[str, str],
    ask: Ask,
    range_: TimeRange,
) -> Iterator[str]:
    where = f"{panel['title']} {target['refId']}"
    try:
        answer = ask(expand(target["rawSql"], variables, range_))
    except (MacroError, ValueError) as e:
        yield f"{where}: {e}"
        return
    numbers = [
        column
        for place, column in enumerate(answer.columns)
        if any(isinstance(row[place], int | float) for row in answer.rows)
    ]
    if not [column for column in numbers if column != "time"]:
        yield f"{where}: no number in {len(answer.rows)} rows"
    if target["format"] == "time_series" and list(answer.columns[:2]) != ["time", "metric"]:
        yield f"{where}: columns are {list(answer.columns)}, expected time, metric and a number"
    yield from _unit_findings(where, panel["fieldConfig"], answer.columns)
    for link in panel["fieldConfig"]["defaults"].get("links", ()):
        for column in set(_CARRIED.findall(link["url"])) - set(answer.columns):
            yield f"{where}: a link takes {column!r} along, which is not in the answer"


def _unit_findings(where: str, config: Mapping[str, Any], columns: Sequence[str]) -> Iterator[str]:
    own = {
        override["matcher"]["options"]: setting["value"]
        for override in config["overrides"]
        for setting in override["properties"]
        if setting["id"] == "unit"
    }
    for column in own.keys() - set(columns):
        yield f"{where}: column {column!r} has a unit and is not in the answer"
    for column in columns:
        ending = next((e for e in UNIT_OF_ENDING if column.endswith(e)), None)
        unit = own.get(column, config["defaults"].get("unit"))
        if ending is not None and unit != UNIT_OF_ENDING[ending]:
            yield f"{where}: {column} is shown as {unit!r}"
        if ending is None and unit in UNIT_OF_ENDING.values() and _alone(columns, column):
            yield f"{where}: {column} is shown as {unit!r}, and its name has no such ending"


def _alone(columns: Sequence[str], column: str) -> bool:
    """Whether ``column`` is the one that a panel's unit is for: the last, beside its names."""
    return column == columns[-1]
