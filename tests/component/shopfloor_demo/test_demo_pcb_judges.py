"""The template judge on real boards of DeepPCB's training list."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from shopfloor_demo.pcb import THRESHOLD, Pair, pairs
from shopfloor_demo.pcb_scores import Marks, score
from shopfloor_edge.inspection.judges.template import TemplateJudge
from shopfloor_edge.inspection.ports import Doubt, Verdict
from shopfloor_edge.inspection.registration import Reference

FOLDER = Path(os.environ.get("SHOPFLOOR_MIRROR") or "../shared") / "data" / "deeppcb"
PARTS = 24
pytestmark = [
    pytest.mark.mirror,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="wants deeppcb from SHOPFLOOR_MIRROR"),
]


@pytest.fixture(scope="module")
def boards() -> list[Pair]:
    return list(islice(pairs(FOLDER, "train"), PARTS))


def judge_of(pair: Pair) -> TemplateJudge:
    return TemplateJudge(Reference(pair.reference, THRESHOLD))


def marks(boxes: np.ndarray) -> Marks:
    found = boxes.astype(np.float32).reshape(-1, 4)
    return Marks(found, np.zeros(len(found), np.int64), np.ones(len(found), np.float32))


def test_defects_of_real_boards_are_found(boards: list[Pair]) -> None:
    judged = [judge_of(pair).judge(pair.part) for pair in boards]

    assert {judgement.verdict for judgement in judged} == {Verdict.FAIL}
    result = score(
        [
            (marks(np.array([finding.box for finding in judgement.findings])), marks(pair.boxes))
            for pair, judgement in zip(boards, judged, strict=True)
        ]
    )
    assert result.labelled >= 5 * PARTS
    assert result.f >= 0.9


def test_good_boards_that_moved_pass(boards: list[Pair]) -> None:
    random = np.random.default_rng(1)

    verdicts = {
        judge_of(pair).judge(np.roll(pair.reference, random.integers(-8, 9, 2), (0, 1))).verdict
        for pair in boards
    }

    assert verdicts == {Verdict.PASS}


def test_no_other_picture_of_a_board_is_passed(boards: list[Pair]) -> None:
    doubts: dict[str, set[Doubt | None]] = {}
    for number, pair in enumerate(boards):
        half = cv2.copyMakeBorder(pair.part[:, :320], 0, 0, 320, 0, cv2.BORDER_CONSTANT, value=0)
        pictures = {
            "turned": pair.part[::-1, ::-1].copy(),
            "other": boards[(number + 7) % PARTS].part,
            "dark": (pair.part * 0.02).astype(np.uint8),
            "none": np.full_like(pair.part, 200),
            "half": half,
            "dirty": cv2.GaussianBlur(pair.part, (0, 0), 6),
        }
        judge = judge_of(pair)
        for kind, picture in pictures.items():
            judgement = judge.judge(picture)
            assert judgement.verdict is not Verdict.PASS, (pair.name, kind)
            doubts.setdefault(kind, set()).add(judgement.doubt)

    assert doubts["turned"] == {Doubt.TURNED}
    assert doubts["dark"] == {Doubt.DARK}
    assert doubts["none"] == {Doubt.NO_PART}
    assert doubts["dirty"] == {Doubt.BLURRED}
    assert doubts["half"] <= {Doubt.HALF_PART, Doubt.BLURRED}
