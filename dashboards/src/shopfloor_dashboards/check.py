"""Whether a dashboard, as the JSON that Grafana gets, says what it claims. Findings are sentences.

What needs a Prometheus that scrapes is in ``silent_panels``, what needs a PostgreSQL in
``sql_check``; all else reads files only.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shopfloor_dashboards.declared import BUILT_IN, exported_metrics
from shopfloor_dashboards.promql import metric_names

UNITS = frozenset(
    {"short", "none", "s", "ms", "percentunit", "eps", "ops", "bool_yes_no", "bytes", "celsius"}
    | {"dateTimeFromNow"}
)
"""Ids of Grafana's units that our boards use; an unknown id is shown as text behind the number."""

_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_DATA_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class PanelExpression:
    """One query of one panel, with its variables filled in."""

    where: str
    text: str
    unit: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a dashboard may refer to."""

    boards: frozenset[str]
    runbooks: frozenset[str]
    metrics: frozenset[str]


def surroundings(root: Path) -> Surroundings:
    """Return what exists in the checkout at ``root``."""
    rules = "\n".join(file.read_text() for file in (root / "cloud/prometheus/rules").glob("*.yml"))
    recorded = frozenset(re.findall(r"record: (\S+)", rules))
    return Surroundings(
        boards=frozenset(file.stem for file in (root / "dashboards/json").glob("*.json")),
        runbooks=frozenset(file.stem for file in (root / "docs/runbooks").glob("*.md")),
        metrics=exported_metrics() | BUILT_IN | recorded,
    )


def check(text: str, around: Surroundings) -> list[str]:
    """Return what is wrong with one dashboard, without asking anybody."""
    board = json.loads(text)
    found = list(_panel_findings(board, around))
    found += [finding for query in expressions(text) for finding in _query_findings(query, around)]
    return found


def expressions(text: str) -> list[PanelExpression]:
    """Return every PromQL query; a variable that Grafana fills in matches everything."""
    return [
        PanelExpression(
            f"{panel['title']} {target['refId']}",
            _VARIABLE.sub(_fill, target["expr"]),
            panel["fieldConfig"]["defaults"].get("unit", ""),
        )
        for panel in json.loads(text)["panels"]
        for target in panel["targets"]
        if "expr" in target
    ]


def unparsable(queries: Sequence[PanelExpression]) -> list[str]:
    """Return the queries that promtool does not parse, with its reason."""
    rules = [{"record": f"query:{n}", "expr": query.text} for n, query in enumerate(queries)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "queries.yml"
        # JSON is YAML.
        file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
        ended = subprocess.run(
            ["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False
        )
    if ended.returncode == 0:
        return []
    said = ended.stdout + ended.stderr
    broken = sorted({int(n) for n in re.findall(r'"query:(\d+)"', said)})
    named = [f"{queries[n].where}: {queries[n].text!r} does not parse" for n in broken]
    return named or [said.strip()]


def silent_panels(address: str, queries: Sequence[PanelExpression]) -> list[str]:
    """Return the queries without a finite value at ``address``, a Prometheus' ``host:port``."""
    return [
        f"{query.where}: {query.text!r} returns no data"
        for query in queries
        if not any(math.isfinite(value) for value in _ask(address, query.text))
    ]


def _ask(address: str, expression: str) -> list[float]:
    asked = urllib.parse.urlencode({"query": expression})
    url = f"http://{address}/api/v1/query?{asked}"
    with urllib.request.urlopen(url, timeout=_DATA_TIMEOUT_S) as answer:
        result = json.load(answer)["data"]["result"]
    return [float(series["value"][1]) for series in result]


def _fill(variable: re.Match[str]) -> str:
    return "1m" if variable.group(1) == "__rate_interval" else ".*"


def _panel_findings(board: dict[str, Any], around: Surroundings) -> Iterator[str]:
    identities = [panel["id"] for panel in board["panels"]]
    if len(identities) != len(set(identities)):
        yield f"{board['title']}: two panels have one id"
    for panel in board["panels"]:
        title, defaults = panel["title"], panel["fieldConfig"]["defaults"]
        if not title.endswith("?"):
            yield f"{title}: the title is no question"
        for unit in (defaults.get("unit"), *_column_units(panel)):
            if unit not in UNITS:
                yield f"{title}: unit is {unit!r}, expected one of {sorted(UNITS)}"
        edges = [step["value"] for step in defaults.get("thresholds", {}).get("steps", ())]
        if len(edges) < 3 or edges[0] is not None or edges[1:] != sorted(edges[1:]):
            yield f"{title}: thresholds are {edges}, expected null and two rising values"
        for link in defaults.get("links", ()):
            yield from _link_findings(title, link["url"], around)


def _column_units(panel: dict[str, Any]) -> list[str]:
    return [
        setting["value"]
        for override in panel["fieldConfig"]["overrides"]
        for setting in override["properties"]
        if setting["id"] == "unit"
    ]


def _link_findings(title: str, url: str, around: Surroundings) -> Iterator[str]:
    page = re.fullmatch(r"\$\{runbooks\}/(.*)\.md", url)
    board = re.match(r"/d/([\w-]+)\?", url)
    if page is None and board is None:
        yield f"{title}: link {url!r} leads neither to a board nor to a runbook"
    if page is not None and page.group(1) not in around.runbooks:
        yield f"{title}: there is no runbook {page.group(1)!r}"
    if board is not None and board.group(1) not in around.boards:
        yield f"{title}: there is no board {board.group(1)!r}"


def _query_findings(query: PanelExpression, around: Surroundings) -> Iterator[str]:
    names = metric_names(query.text)
    for name in sorted(names - around.metrics):
        yield f"{query.where}: {name} is exported by nobody"
    seconds = any(re.search(r"_seconds(_bucket|:max)?$", name) for name in names)
    ratio = any(re.search(r"(_|:)ratio(\d+[mh])?$", name) for name in names)
    scaled = " / " in query.text
    if seconds and query.unit != "s":
        yield f"{query.where}: seconds are shown as {query.unit!r}"
    if query.unit == "s" and not seconds:
        yield f"{query.where}: {sorted(names)} are shown as seconds"
    if ratio and not scaled and query.unit != "percentunit":
        yield f"{query.where}: a ratio is shown as {query.unit!r}"
    if query.unit == "percentunit" and not (ratio or scaled):
        yield f"{query.where}: {sorted(names)} are shown as a share"
