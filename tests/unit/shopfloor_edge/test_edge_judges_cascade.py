"""Which parts of a cascade's cheap judge the stronger one sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from shopfloor_edge.inspection.judges.cascade import Cascade
from shopfloor_edge.inspection.judges.trained import Band
from shopfloor_edge.inspection.ports import Doubt, Finding, Grey, Judgement, Verdict

PART = np.zeros((8, 8), np.uint8)
BAND = Band(review_at=0.3, fail_at=0.9)


@dataclass
class Says:
    """A judge with one answer, that counts how often it is asked."""

    judgement: Judgement
    name: str = "says"
    asked: int = 0

    def judge(self, part: Grey) -> Judgement:
        self.asked += 1
        return self.judgement


def found(score: float, *, defect: str = "difference") -> Judgement:
    return Judgement(Verdict.FAIL, (Finding((1, 1, 4, 4), defect, score),))


NAMED = found(0.99, defect="short")


def test_a_part_without_findings_passes_at_once() -> None:
    strong = Says(NAMED)

    judgement = Cascade(Says(Judgement(Verdict.PASS)), strong, BAND).judge(PART)

    assert judgement.verdict is Verdict.PASS
    assert strong.asked == 0


@pytest.mark.parametrize(("score", "asked"), [(0.9, 0), (0.89, 1), (0.3, 1), (0.29, 0)])
def test_only_the_doubtful_go_to_the_stronger_judge(score: float, asked: int) -> None:
    strong = Says(NAMED)
    cascade = Cascade(Says(found(score)), strong, BAND)

    judgement = cascade.judge(PART)

    assert (strong.asked, cascade.asked) == (asked, asked)
    expected = {0.29: Verdict.PASS}.get(score, Verdict.FAIL)
    assert judgement.verdict is expected
    assert (judgement == NAMED) is bool(asked)


def test_the_surest_finding_decides() -> None:
    both = Judgement(Verdict.FAIL, found(0.1).findings + found(0.95).findings)

    assert Cascade(Says(both), Says(NAMED), BAND).judge(PART) == both


def test_what_the_stronger_judge_leaves_open_is_for_a_person() -> None:
    unsure = Judgement(Verdict.REVIEW, doubt=Doubt.UNSURE)

    assert Cascade(Says(found(0.5)), Says(unsure), BAND).judge(PART) == unsure


@pytest.mark.parametrize("doubt", [doubt for doubt in Doubt if doubt is not Doubt.UNSURE])
def test_a_picture_that_cannot_be_judged_is_not_asked_about_again(doubt: Doubt) -> None:
    strong = Says(Judgement(Verdict.PASS))

    judgement = Cascade(Says(Judgement(Verdict.REVIEW, doubt=doubt)), strong, BAND).judge(PART)

    assert (judgement.verdict, judgement.doubt) == (Verdict.REVIEW, doubt)
    assert strong.asked == 0


def test_a_cheap_judge_that_is_unsure_is_never_a_silent_pass() -> None:
    unsure = Says(Judgement(Verdict.REVIEW, doubt=Doubt.UNSURE))

    assert Cascade(unsure, Says(NAMED), BAND).judge(PART) == NAMED
