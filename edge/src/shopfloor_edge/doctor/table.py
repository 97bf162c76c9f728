"""Findings as plain text for a terminal, and as JSON for a machine. Pure."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby

from shopfloor_edge.doctor.findings import Finding, Level, is_healthy

MARKS = {Level.OK: "✓", Level.ABSENT: "·", Level.WARN: "!", Level.BAD: "✗"}
MIN_WIDTH, MAX_WIDTH = 60, 110


def as_text(findings: Sequence[Finding], *, width: int) -> str:
    """Return a block per area, a line per finding, what to do below it, and a summary."""
    width = max(MIN_WIDTH, min(MAX_WIDTH, width))
    column = max((len(finding.name) for finding in findings), default=0)
    lines: list[str] = []
    for area, group in groupby(findings, key=lambda finding: finding.area):
        lines += [area] + [line for finding in group for line in _lines(finding, column, width)]
        lines.append("")
    return "\n".join([*lines, _summary(findings)]) + "\n"


def as_json(findings: Sequence[Finding]) -> str:
    """Return one object: ``healthy`` and ``findings``."""
    rows = [asdict(finding) for finding in findings]
    return json.dumps({"healthy": is_healthy(findings), "findings": rows}, indent=2) + "\n"


def _lines(finding: Finding, column: int, width: int) -> list[str]:
    head = f"  {MARKS[finding.level]} {finding.name:<{column}}  "
    indent = " " * len(head)
    lines = textwrap.wrap(
        finding.found,
        width,
        initial_indent=head,
        subsequent_indent=indent,
        break_on_hyphens=False,
    ) or [head.rstrip()]
    if finding.remedy:
        lines += textwrap.wrap(
            finding.remedy,
            width,
            initial_indent=f"{indent}→ ",
            subsequent_indent=f"{indent}  ",
            break_on_hyphens=False,
        )
    return lines


def _summary(findings: Sequence[Finding]) -> str:
    bad = sum(finding.level is Level.BAD for finding in findings)
    warned = sum(finding.level is Level.WARN for finding in findings)
    if bad:
        return f"not healthy: {_counted(bad, 'thing')} to mend, {_counted(warned, 'warning')}"
    return f"healthy, {_counted(warned, 'warning')}" if warned else "healthy"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
