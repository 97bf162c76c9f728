"""The template judge on drawn boards: what it finds, passes, and refuses to judge."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import boards
from fakes.boards import Kind, board, moved, noisy, with_defect
from shopfloor_edge.inspection.judges.template import TemplateJudge, Tolerance
from shopfloor_edge.inspection.ports import Doubt, Verdict
from shopfloor_edge.inspection.registration import SEARCH_PX, Placement, Reference, shifted

GOOD = board()
JUDGE = TemplateJudge(Reference(noisy(GOOD, seed=9)))


def refused(part: np.ndarray) -> Doubt | None:
    judgement = JUDGE.judge(part)
    assert judgement.verdict is Verdict.REVIEW
    assert not judgement.findings
    return judgement.doubt


@settings(max_examples=40, deadline=None)
@given(
    dx=st.integers(-SEARCH_PX + 2, SEARCH_PX - 2),
    dy=st.integers(-SEARCH_PX + 2, SEARCH_PX - 2),
    seed=st.integers(0, 99),
)
def test_a_good_part_passes_wherever_it_lies(dx: int, dy: int, seed: int) -> None:
    part = noisy(moved(GOOD, dx, dy), seed)

    judgement = JUDGE.judge(part)

    assert (judgement.verdict, judgement.doubt) == (Verdict.PASS, None)


@settings(max_examples=40, deadline=None)
@given(dx=st.integers(-SEARCH_PX, SEARCH_PX), dy=st.integers(-SEARCH_PX, SEARCH_PX))
def test_a_part_is_found_where_it_lies(dx: int, dy: int) -> None:
    placed = Reference(GOOD).place(moved(GOOD, dx, dy))

    assert isinstance(placed, Placement)
    assert (-placed.dx, -placed.dy) == (dx, dy)
    assert placed.unlike < 0.1


@settings(max_examples=60, deadline=None)
@given(
    dx=st.integers(-20, 20), dy=st.integers(-20, 20), height=st.integers(21, 40),
    width=st.integers(21, 40),
)  # fmt: skip
def test_a_shift_moves_pixels_and_repeats_the_border(
    dx: int, dy: int, height: int, width: int
) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (height, width)).astype(np.uint8)

    out = shifted(picture, dx, dy)

    rows = np.clip(np.arange(height) - dy, 0, height - 1)
    columns = np.clip(np.arange(width) - dx, 0, width - 1)
    assert np.array_equal(out, picture[np.ix_(rows, columns)])


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("move", [(0, 0), (5, -3)])
def test_a_defect_of_each_kind_is_found_where_it_is(kind: Kind, move: tuple[int, int]) -> None:
    bad, (x, y) = with_defect(GOOD, kind)
    x, y = x + move[0], y + move[1]

    judgement = JUDGE.judge(noisy(moved(bad, *move)))

    assert judgement.verdict is Verdict.FAIL
    (finding,) = judgement.findings
    x1, y1, x2, y2 = finding.box
    assert x1 < x < x2
    assert y1 < y < y2
    assert max(x2 - x1, y2 - y1) <= 50
    assert 0.5 <= finding.score <= 1
    assert finding.defect == "difference"


def test_two_defects_are_two_findings() -> None:
    bad, _ = with_defect(with_defect(GOOD, Kind.PIN_HOLE)[0], Kind.SHORT)

    judgement = JUDGE.judge(noisy(bad))

    assert len(judgement.findings) == 2


def test_an_edge_within_the_tolerance_is_no_defect() -> None:
    thicker = cv2.dilate(GOOD, np.ones((3, 3), np.uint8))

    assert JUDGE.judge(noisy(thicker)).verdict is Verdict.PASS
    strict = TemplateJudge(Reference(noisy(GOOD)), Tolerance(edge_px=1, move_px=1))
    assert strict.judge(noisy(thicker)).verdict is not Verdict.PASS


@pytest.mark.parametrize(("by", "verdict"), [(4, Verdict.PASS), (12, Verdict.FAIL)])
def test_a_place_that_lies_a_little_off_by_itself_is_no_defect(by: int, verdict: Verdict) -> None:
    pad = np.s_[boards.SIZE - 80 : boards.SIZE - 20, boards.SIZE - 80 : boards.SIZE - 16]
    part = GOOD.copy()
    part[pad] = moved(np.ascontiguousarray(GOOD[pad]), -by, 0)

    assert JUDGE.judge(noisy(part)).verdict is verdict


def test_no_part_is_not_passed() -> None:
    empty = noisy(np.full_like(GOOD, boards.BARE))

    assert refused(empty) is Doubt.NO_PART


def test_a_part_that_is_upside_down_is_not_passed() -> None:
    assert refused(noisy(GOOD[::-1, ::-1].copy())) is Doubt.TURNED


def test_another_product_is_not_passed() -> None:
    assert refused(noisy(board(seed=5).T.copy())) is Doubt.OTHER_PRODUCT


@pytest.mark.parametrize("seed", range(2, 8))
def test_a_product_of_the_same_family_is_not_passed(seed: int) -> None:
    assert JUDGE.judge(noisy(board(seed))).verdict is not Verdict.PASS


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_half_a_part_is_not_passed(side: str) -> None:
    half = {
        "left": moved(GOOD, boards.SIZE // 2, 0),
        "right": moved(GOOD, -boards.SIZE // 2, 0),
        "top": moved(GOOD, 0, boards.SIZE // 2),
        "bottom": moved(GOOD, 0, -boards.SIZE // 2),
    }[side]

    assert refused(noisy(half)) is Doubt.HALF_PART


def test_two_parts_at_once_are_not_passed() -> None:
    small = cv2.resize(GOOD, (boards.SIZE // 2, boards.SIZE), interpolation=cv2.INTER_AREA)

    assert refused(noisy(np.hstack([small, small]))) is Doubt.OTHER_PRODUCT


def test_light_that_is_off_is_not_passed() -> None:
    assert refused((noisy(GOOD) * 0.02).astype(np.uint8)) is Doubt.DARK


def test_a_dirty_lens_is_not_passed() -> None:
    assert refused(cv2.GaussianBlur(noisy(GOOD), (0, 0), 6)) is Doubt.BLURRED


@pytest.mark.parametrize("shape", [(boards.SIZE, boards.SIZE - 1), (64, 64), (0, 0)])
def test_a_picture_of_another_size_is_not_passed(shape: tuple[int, int]) -> None:
    assert refused(np.full(shape, 128, np.uint8)) is Doubt.NO_PICTURE


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), low=st.integers(0, 200), spread=st.integers(1, 255))
def test_no_noise_is_ever_passed(seed: int, low: int, spread: int) -> None:
    random = np.random.default_rng(seed)
    part = random.integers(low, min(256, low + spread), GOOD.shape).astype(np.uint8)

    assert refused(part) is not None


def test_a_plain_reference_wants_a_threshold() -> None:
    plain = np.full((64, 64), 200, np.uint8)

    with pytest.raises(ValueError, match=r"contrast of 0\.0 of 255, expected 4 or a threshold"):
        Reference(plain)


def test_a_blot_on_a_plain_surface_is_found() -> None:
    plain = np.full((64, 64), 200, np.uint8)
    judge = TemplateJudge(Reference(plain, threshold=100.0))
    blot = plain.copy()
    blot[30:36, 30:36] = 20

    assert judge.judge(plain).verdict is Verdict.PASS
    assert judge.judge(blot).verdict is Verdict.FAIL
    assert judge.judge(np.zeros_like(plain)).doubt is Doubt.DARK
