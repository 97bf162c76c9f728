"""Totals of one station in one window. Whole numbers only, so that they can be kept as text."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from shopfloor_edge.inspection.ports import Judgement, Verdict

_FIELDS = {Verdict.PASS: "passed", Verdict.FAIL: "failed", Verdict.REVIEW: "reviewed"}


@dataclass(slots=True)
class Tally:
    """What happened since ``start_s``."""

    start_s: float
    """Seconds since the epoch, where the window begins."""
    buckets: int
    """Of the latency histogram."""
    covered_s: float = 0.0
    """Of the window, the time in which the station watched."""
    passed: int = 0
    failed: int = 0
    reviewed: int = 0
    missed: int = 0
    escapes: int = 0
    false_rejects: int = 0
    confirmed: int = 0
    stops: int = 0
    defects: dict[str, list[int]] = field(default_factory=dict)
    """Per class: parts that have it, places on them."""
    doubts: dict[str, int] = field(default_factory=dict)
    latency: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with empty buckets."""
        self.latency = self.latency or [0] * self.buckets

    def judged(self, judgement: Judgement, latency_ms: float, edges: tuple[int, ...]) -> None:
        """Count one part that got its verdict in time."""
        name = _FIELDS[judgement.verdict]
        setattr(self, name, getattr(self, name) + 1)
        self.latency[bisect_right(edges, latency_ms)] += 1
        for finding in judgement.findings:
            self.defects.setdefault(finding.defect, [0, 0])[1] += 1
        for defect in {finding.defect for finding in judgement.findings}:
            self.defects[defect][0] += 1
        if judgement.doubt is not None:
            self.doubts[judgement.doubt] = self.doubts.get(judgement.doubt, 0) + 1

    @property
    def parts(self) -> int:
        """Parts with a verdict."""
        return self.passed + self.failed + self.reviewed
