"""What Grafana makes of a SQL query before a database sees it: variables first, then macros. Pure.

The rules are those of Grafana's PostgreSQL data source: a macro is ``$name(argument, …)``, and
its arguments hold no closing bracket.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::raw)?\}|(\w+)\b(?!\())")
_MACRO = re.compile(r"\$(\w+)\(([^)]*)\)")

_LEFT = re.compile(r"\$[\w{][^\s)]{0,30}")


class MacroError(ValueError):
    """A variable or a macro that Grafana would not know."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The board's range, in epoch seconds."""

    start_s: int
    end_s: int


def expand(sql: str, variables: Mapping[str, str], range_: TimeRange) -> str:
    """Return ``sql`` as the database gets it.

    Raises:
        MacroError: with the name that nobody knows, or what stands there instead of an argument.
    """

    def variable(found: re.Match[str]) -> str:
        name = found.group(1) or found.group(2)
        if name not in variables:
            raise MacroError(f"variable {name!r} is not of this board")
        # Inside a literal a quote would end it; Grafana doubles it in the same way.
        return variables[name].replace("'", "''")

    def macro(found: re.Match[str]) -> str:
        return _macro(found.group(1), found.group(2).strip(), range_)

    expanded = _MACRO.sub(macro, _VARIABLE.sub(variable, sql))
    left = _LEFT.search(expanded)
    if left is not None:
        raise MacroError(f"{left.group()!r} is neither a variable nor a macro")
    return expanded


def _macro(name: str, argument: str, range_: TimeRange) -> str:
    if name == "__unixEpochFilter" and argument:
        return f"{argument} >= {range_.start_s} AND {argument} <= {range_.end_s}"
    if name == "__unixEpochFrom" and not argument:
        return str(range_.start_s)
    if name == "__unixEpochTo" and not argument:
        return str(range_.end_s)
    raise MacroError(f"macro {name}({argument}) is none that our boards use")
