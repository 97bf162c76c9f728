"""Which metrics a PromQL expression reads. No parser: promtool says whether it parses."""

from __future__ import annotations

import re

_STRING = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'')
_SELECTOR = re.compile(r"\{[^{}]*\}|\[[^\[\]]*\]")
_LABELS = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)")
_NAME = re.compile(r"(?<![\w:.$])([A-Za-z_:][\w:]*)(?!\s*\()(?![\w:])")
_KEYWORDS = frozenset(
    {"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "start", "end"}
    | {"group_left", "group_right", "inf", "nan"}
)


def metric_names(expression: str) -> frozenset[str]:
    """Return the names of the series that ``expression`` selects."""
    bare = _LABELS.sub(" ", _STRING.sub('""', expression))
    # A subquery's range holds no name either, once its quotes and braces are gone.
    bare = _SELECTOR.sub(" ", _SELECTOR.sub(" ", bare))
    names = (found.group(1) for found in _NAME.finditer(bare))
    return frozenset(name for name in names if name.lower() not in _KEYWORDS)
