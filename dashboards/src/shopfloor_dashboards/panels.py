"""What a dashboard shows, before it becomes Grafana's JSON: panels and boards."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Look(StrEnum):
    """How a panel shows its series."""

    NUMBER = "stat"
    LINES = "timeseries"
    BARS = "barchart"
    """One bar per row: the first column names it."""
    TABLE = "table"


class Source(StrEnum):
    """Whom a query asks, by Grafana's type of data source."""

    PROMETHEUS = "prometheus"
    POSTGRESQL = "grafana-postgresql-datasource"


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a value turns yellow and red; ``falling`` when low values are the bad ones."""

    warn: float
    bad: float
    falling: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """One question to a data source; ``legend`` names its series, with labels in double braces.

    SQL names its series itself: by a text column ``metric``, beside ``time`` and one number.
    """

    expression: str
    legend: str = ""
    source: Source = Source.PROMETHEUS


@dataclass(frozen=True, slots=True)
class Panel:
    """One question and its answer. ``to`` are uids of boards, ``runbook`` an alert's name."""

    question: str
    queries: tuple[Query, ...]
    unit: str
    limits: Limits
    look: Look = Look.LINES
    to: tuple[str, ...] = ()
    carry: tuple[str, ...] = ("site",)
    """Labels, or columns of a table, that a link to another board takes along."""
    runbook: str = ""
    explanation: str = ""
    width: int = 12
    height: int = 8
    units: dict[str, str] = field(default_factory=dict)
    """Columns of a table that have another unit than ``unit``."""


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard; ``variables`` and ``tables`` map a name to the query of its values.

    Attributes:
        variables: asked of Prometheus; all values are ``.*``.
        tables: asked of PostgreSQL; all values are ``.*``.
        single: names of ``tables`` that have exactly one value.
        choices: fixed values, in Grafana's form ``text : value, …``; the first one is taken.
        since: how far a freshly opened board looks back.
        refresh: how often it asks again.
    """

    uid: str
    title: str
    panels: tuple[Panel, ...]
    variables: dict[str, str] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    single: frozenset[str] = frozenset()
    choices: dict[str, str] = field(default_factory=dict)
    since: str = "now-6h"
    refresh: str = "30s"

    @property
    def sources(self) -> frozenset[Source]:
        """Whom its panels and variables ask."""
        asked = {query.source for panel in self.panels for query in panel.queries}
        return frozenset(asked | ({Source.POSTGRESQL} if self.tables else set()))


def number(question: str, expression: str, unit: str, limits: Limits, **more: str) -> Panel:
    """Return a panel of one large number; ``more`` are ``to``, ``runbook``, ``explanation``."""
    to = (more["to"],) if "to" in more else ()
    query = Query(expression, more.get("legend", ""))
    return Panel(
        question,
        (query,),
        unit,
        limits,
        look=Look.NUMBER,
        to=to,
        runbook=more.get("runbook", ""),
        explanation=more.get("explanation", ""),
        width=6,
        height=4,
    )


def lines(question: str, queries: dict[str, str], unit: str, limits: Limits, **more: str) -> Panel:
    """Return a panel over time; ``queries`` map legend to expression."""
    to = (more["to"],) if "to" in more else ()
    return Panel(
        question,
        tuple(Query(expression, legend) for legend, expression in queries.items()),
        unit,
        limits,
        to=to,
        runbook=more.get("runbook", ""),
        explanation=more.get("explanation", ""),
    )


def asked(
    look: Look, question: str, sql: str, unit: str, limits: Limits, **more: str | dict[str, str]
) -> Panel:
    """Return a panel over one SQL query.

    ``more`` are ``to``, ``carry`` (names with blanks between), ``runbook``, ``explanation`` and
    ``units`` (of a table's columns).
    """
    small = look is Look.NUMBER
    units = more.get("units", {})
    return Panel(
        question,
        (Query(sql.strip(), source=Source.POSTGRESQL),),
        unit,
        limits,
        look=look,
        to=(str(more["to"]),) if "to" in more else (),
        carry=tuple(str(more.get("carry", "site")).split()),
        runbook=str(more.get("runbook", "")),
        explanation=str(more.get("explanation", "")),
        width=6 if small else 12,
        height=4 if small else 8,
        units=units if isinstance(units, dict) else {},
    )
