"""What a dashboard shows, before it becomes Grafana's JSON: panels and boards."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Look(StrEnum):
    """How a panel shows its series."""

    NUMBER = "stat"
    LINES = "timeseries"


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a value turns yellow and red; ``falling`` when low values are the bad ones."""

    warn: float
    bad: float
    falling: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """One expression; ``legend`` names its series, with labels in double braces."""

    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One question and its answer. ``to`` are uids of boards, ``runbook`` an alert's name."""

    question: str
    queries: tuple[Query, ...]
    unit: str
    limits: Limits
    look: Look = Look.LINES
    to: tuple[str, ...] = ()
    runbook: str = ""
    explanation: str = ""
    width: int = 12


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard; ``variables`` map a name to the query of its values."""

    uid: str
    title: str
    panels: tuple[Panel, ...]
    variables: dict[str, str] = field(default_factory=dict)


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
