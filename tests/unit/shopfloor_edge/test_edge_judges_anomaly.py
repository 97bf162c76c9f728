"""The one-class judge with a network that has seen good boards and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from fakes.boards import Kind, board, moved, noisy, with_defect
from fakes.differences import network, write_bundle
from shopfloor_edge.errors import BundleError, DigestMismatchError
from shopfloor_edge.inspection.judges.anomaly import AnomalyJudge, PatchNet
from shopfloor_edge.inspection.judges.trained import Band
from shopfloor_edge.inspection.ports import Doubt, Verdict
from shopfloor_edge.inspection.registration import Reference
from shopfloor_models.commands.one_class import Eyes, Wish, filled, make
from shopfloor_models.training.teacher import find_model

GOOD = board()
REFERENCE = Reference(noisy(GOOD, seed=9))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one-class")
    parts = [
        filled(noisy(moved(GOOD, at * 5 % 13 - 6, at * 7 % 13 - 6), seed=at)) for at in range(40)
    ]
    make(Eyes(find_model("person-nano")), parts, Wish("board", patches=600), out=folder)
    return folder


@pytest.fixture(scope="module")
def net(bundle: Path) -> PatchNet:
    return PatchNet(bundle)


@pytest.mark.parametrize("kind", [Kind.OPEN, Kind.SHORT, Kind.COPPER])
def test_what_no_good_part_had_is_found_where_it_is(net: PatchNet, kind: Kind) -> None:
    bad, (x, y) = with_defect(GOOD, kind)

    judgement = AnomalyJudge(REFERENCE, net).judge(noisy(moved(bad, 3, -2)))

    assert judgement.verdict in (Verdict.FAIL, Verdict.REVIEW)
    x1, y1, x2, y2 = judgement.findings[0].box
    assert x1 - 8 < x + 3 < x2 + 8
    assert y1 - 8 < y - 2 < y2 + 8
    assert judgement.findings[0].defect == "unusual"


def test_good_parts_pass(net: PatchNet) -> None:
    judge = AnomalyJudge(REFERENCE, net)

    verdicts = [judge.judge(noisy(moved(GOOD, at - 5, 4 - at), seed=90 + at)) for at in range(8)]

    assert sum(judgement.verdict is Verdict.PASS for judgement in verdicts) >= 7
    assert all(judgement.verdict is not Verdict.FAIL for judgement in verdicts)


def test_between_the_limits_a_person_decides(net: PatchNet) -> None:
    bad, _ = with_defect(GOOD, Kind.SHORT)

    judgement = AnomalyJudge(REFERENCE, net, Band(0.01, 1.0)).judge(noisy(bad))

    assert (judgement.verdict, judgement.doubt) == (Verdict.REVIEW, Doubt.UNSURE)
    assert judgement.findings


@pytest.mark.parametrize(
    ("part", "doubt"),
    [
        (np.zeros_like(GOOD), Doubt.DARK),
        (noisy(GOOD)[::-1, ::-1].copy(), Doubt.TURNED),
        (noisy(GOOD)[:-32], Doubt.NO_PICTURE),
    ],
)
def test_a_picture_that_cannot_be_judged_is_for_a_person(
    net: PatchNet, part: np.ndarray, doubt: Doubt
) -> None:
    judgement = AnomalyJudge(REFERENCE, net).judge(part)

    assert (judgement.verdict, judgement.doubt) == (Verdict.REVIEW, doubt)


def test_parts_of_another_size_than_was_learnt_are_refused(net: PatchNet) -> None:
    with pytest.raises(BundleError, match="learnt parts of 320 x 320 px, the reference is one of"):
        AnomalyJudge(Reference(noisy(GOOD)[:, :-64]), net)


def test_a_bundle_of_another_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="made to classify-differences, not to score-patches"):
        PatchNet(write_bundle(tmp_path, network()))


def test_a_file_that_was_changed_is_refused(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    with (copy / "board-fp32.onnx").open("ab") as file:
        file.write(b"more")

    with pytest.raises(DigestMismatchError):
        PatchNet(copy)
