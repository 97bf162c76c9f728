"""Boards of our own, and what the inspection demo says of a run."""

import numpy as np
import pytest

from shopfloor_demo.boards import DEFECTS, as_seen, draw_board, spoil
from shopfloor_demo.conveyor import Line, Seen
from shopfloor_demo.inspection import build_report
from shopfloor_demo.inspection_picture import Limits, draw_picture
from shopfloor_demo.parts_supply import BURST_AT, Part, Supply, products
from shopfloor_edge.inspection.judges.template import TemplateJudge
from shopfloor_edge.inspection.ports import Verdict
from shopfloor_edge.inspection.registration import Reference


def line_of(verdicts, bad=()):
    parts = [
        Seen(Part(n, "board", np.zeros((1, 1), np.uint8), n in bad), 0.0, verdict, 10.0)
        for n, verdict in enumerate(verdicts, start=1)
    ]
    return Line(parts)


def test_the_same_number_draws_the_same_board():
    assert np.array_equal(draw_board(3).picture, draw_board(3).picture)
    assert not np.array_equal(draw_board(3).picture, draw_board(4).picture)


@pytest.mark.parametrize("seed", range(6))
def test_drawn_boards_are_judged_rightly_without_training(seed):
    rng = np.random.default_rng(seed)
    board = draw_board(seed)
    judge = TemplateJudge(Reference(as_seen(board.picture, rng)))

    good = [judge.judge(as_seen(board.picture, rng)).verdict for _ in range(5)]
    bad = [judge.judge(as_seen(spoil(board, rng, 1)[0], rng)).verdict for _ in range(5)]

    assert set(good) == {Verdict.PASS}
    assert set(bad) == {Verdict.FAIL}


def test_a_spoilt_board_says_what_is_wrong_with_it():
    picture, kinds = spoil(draw_board(1), np.random.default_rng(0), 4)

    assert len(kinds) == 4
    assert set(kinds) <= set(DEFECTS)
    assert (picture != draw_board(1).picture).any()


def test_without_a_mirror_the_line_runs_on_drawn_boards(tmp_path):
    names = [product.name for product in products(tmp_path)]

    assert all(name.startswith("drawn-") for name in names)


def test_a_burst_begins_when_it_is_due():
    supply = Supply(products(None))

    parts = [supply.next() for _ in range(BURST_AT + 30)]

    before = sum(part.is_bad for part in parts[: BURST_AT - 1])
    assert before <= 3
    assert sum(part.is_bad for part in parts[BURST_AT - 1 :]) >= 4


def test_a_report_counts_escapes_and_what_was_never_said():
    line = line_of(["pass", "pass", "fail", "fail", ""], bad={2, 3})

    report = build_report(line, seconds=1.5, boards="drawn")

    assert (report.parts, report.defects_injected) == (5, 2)
    assert (report.escapes, report.false_rejects) == (1, 1)
    assert report.verdicts == {"pass": 2, "fail": 2, "review": 0, "missed": 1}
    assert report.complaints == ["the line was not stopped"]


def test_the_picture_of_a_run_without_parts_can_be_drawn(tmp_path):
    picture = draw_picture(Line(), Limits(10, 20), tmp_path)

    assert picture.shape == (900, 1400, 3)
