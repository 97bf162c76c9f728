"""A cheap judge first; only what it is not sure of goes to the stronger one."""

from __future__ import annotations

from shopfloor_edge.inspection.judges.trained import Band
from shopfloor_edge.inspection.ports import Doubt, Grey, Judge, Judgement, Verdict

DOUBTFUL = Band(review_at=0.0, fail_at=0.95)
"""Of a template judge: its score is 0.95 at some hundred differing pixels."""


class Cascade:
    """Two judges as one.

    A part that the cheap judge finds nothing on passes; one with a finding at ``fail_at`` or
    above fails; between, the stronger judge decides, and what it leaves open is for a person. A
    picture that cannot be judged (dark, half, another product) is not asked about again. Set the
    cheap judge to find too much: what it overlooks, nobody looks at.

    Args:
        cheap: sees every part.
        strong: sees the doubtful ones.
        band: scores of the cheap judge's surest finding. Below ``review_at`` a part passes.
    """

    name = "cascade"

    def __init__(self, cheap: Judge, strong: Judge, band: Band = DOUBTFUL) -> None:
        self._cheap, self._strong, self._band = cheap, strong, band
        self.asked = 0
        """Parts that the stronger judge has seen."""

    def judge(self, part: Grey) -> Judgement:
        """Judge one part; see ``Judge``."""
        first = self._cheap.judge(part)
        if first.doubt not in (None, Doubt.UNSURE):
            return first
        surest = max((finding.score for finding in first.findings), default=None)
        if surest is None or surest < self._band.review_at:
            return Judgement(Verdict.PASS) if first.doubt is None else self._ask(part)
        if surest >= self._band.fail_at:
            return Judgement(Verdict.FAIL, first.findings)
        return self._ask(part)

    def _ask(self, part: Grey) -> Judgement:
        self.asked += 1
        return self._strong.judge(part)
