"""The trained judge around a network that tells only brighter from darker."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.boards import Kind, board, moved, noisy, with_defect
from fakes.differences import network, write_bundle
from shopfloor_contracts.bundles import parse_manifest
from shopfloor_contracts.errors import ZooError
from shopfloor_edge.errors import BundleError, DigestMismatchError
from shopfloor_edge.inference.onnx import OnnxBackend
from shopfloor_edge.inspection.judges.trained import (
    PIECE_PX,
    Band,
    DifferenceNet,
    TrainedJudge,
    distinct,
    looked_at,
    turned_back,
)
from shopfloor_edge.inspection.judges.windows import ROOM, cut
from shopfloor_edge.inspection.ports import Doubt, Finding, Verdict
from shopfloor_edge.inspection.registration import Reference

GOOD = board()
REFERENCE = Reference(noisy(GOOD, seed=9))


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> DifferenceNet:
    return DifferenceNet(write_bundle(tmp_path_factory.mktemp("bundle"), network()))


@pytest.mark.parametrize(
    ("kind", "defect"),
    [(Kind.OPEN, "less"), (Kind.SHORT, "more"), (Kind.COPPER, "more"), (Kind.PIN_HOLE, "less")],
)
@pytest.mark.parametrize("move", [(0, 0), (6, -4)])
def test_a_defect_is_named_where_it_is(
    net: DifferenceNet, kind: Kind, defect: str, move: tuple[int, int]
) -> None:
    bad, (x, y) = with_defect(GOOD, kind)

    judgement = TrainedJudge(REFERENCE, net).judge(noisy(moved(bad, *move)))

    assert judgement.verdict is Verdict.FAIL
    best = max(judgement.findings, key=lambda finding: finding.score)
    assert best.defect == defect
    x1, y1, x2, y2 = best.box
    assert x1 < x + move[0] < x2
    assert y1 < y + move[1] < y2


def test_a_good_part_passes(net: DifferenceNet) -> None:
    judgement = TrainedJudge(REFERENCE, net).judge(noisy(moved(GOOD, -4, 7)))

    assert (judgement.verdict, judgement.findings) == (Verdict.PASS, ())


def test_a_part_between_pass_and_fail_is_for_a_person(tmp_path: Path) -> None:
    unsure = DifferenceNet(write_bundle(tmp_path, network(sure=0.01)))
    bad, _ = with_defect(GOOD, Kind.SHORT)

    judgement = TrainedJudge(REFERENCE, unsure, Band(0.5, 0.9)).judge(noisy(bad))

    assert (judgement.verdict, judgement.doubt) == (Verdict.REVIEW, Doubt.UNSURE)
    assert judgement.findings


def test_what_the_network_calls_no_defect_passes(tmp_path: Path) -> None:
    sceptic = DifferenceNet(write_bundle(tmp_path, network(sure=0.0)))
    bad, _ = with_defect(GOOD, Kind.SHORT)

    judgement = TrainedJudge(REFERENCE, sceptic, Band(0.9, 0.95)).judge(noisy(bad))

    assert judgement.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("part", "doubt"),
    [
        (np.zeros_like(GOOD), Doubt.DARK),
        (GOOD[::-1, ::-1].copy(), Doubt.TURNED),
        (cv2.GaussianBlur(GOOD, (0, 0), 6), Doubt.BLURRED),
        (GOOD[:-1], Doubt.NO_PICTURE),
    ],
)
def test_what_cannot_be_compared_is_not_judged(
    net: DifferenceNet, part: np.ndarray, doubt: Doubt
) -> None:
    judgement = TrainedJudge(REFERENCE, net).judge(part)

    assert (judgement.verdict, judgement.doubt) == (Verdict.REVIEW, doubt)


def test_a_band_that_is_upside_down_is_refused() -> None:
    with pytest.raises(ValueError, match=r"review at 0\.6 and fail at 0\.5"):
        Band(0.6, 0.5)


def test_a_large_difference_is_looked_at_in_pieces_too() -> None:
    large = Finding((10, 20, 10 + 2 * PIECE_PX + 1, 40), "difference", 1.0)
    small = Finding((5, 5, 25, 25), "difference", 1.0)

    places = looked_at([large, small])

    assert places[0] == large.box
    assert places[-1] == small.box
    pieces = places[1:-1]
    assert len(pieces) == 3
    assert (pieces[0][0], pieces[-1][2]) == (large.box[0], large.box[2])
    assert all(left[2] == right[0] for left, right in itertools.pairwise(pieces))


@given(st.lists(st.integers(0, 9), min_size=4, max_size=4))
def test_a_box_is_turned_back_with_its_picture(sides: list[int]) -> None:
    (left, right), (top, bottom) = sorted(sides[:2]), sorted(sides[2:])
    picture = np.zeros((10, 10), np.uint8)
    picture[top : bottom + 1, left : right + 1] = 1

    ys, xs = np.nonzero(np.rot90(picture))
    turned = np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], np.float32) / 10

    expected = np.array([[left, top, right + 1, bottom + 1]], np.float32) / 10
    np.testing.assert_allclose(turned_back(turned), expected, atol=1e-6)


def test_of_overlapping_boxes_the_best_stays() -> None:
    boxes = np.array([[0, 0, 20, 20], [2, 2, 22, 22], [60, 0, 80, 20]], np.float32)

    kept = distinct(boxes, np.array([0.5, 0.9, 0.1], np.float32))

    assert kept == [1, 2]


@settings(max_examples=50, deadline=None)
@given(
    x=st.integers(-10, 300), y=st.integers(-10, 300), width=st.integers(1, 150),
    height=st.integers(1, 150), wide=st.sampled_from([1.0, 1.5]),
)  # fmt: skip
def test_a_window_shows_its_box_in_the_middle(
    x: int, y: int, width: int, height: int, wide: float
) -> None:
    box = (x, y, x + width, y + height)

    windows = cut((GOOD, GOOD), [box], 64, wide=wide)

    shares = windows.to_shares(np.array([box], np.float32))
    np.testing.assert_allclose(windows.to_part(shares)[0], box, atol=1e-2)
    np.testing.assert_allclose((shares[0, :2] + shares[0, 2:]) / 2, 0.5, atol=1e-5)
    assert (shares[0, 2:] - shares[0, :2]).max() <= 1 / ROOM / wide + 1e-5


def test_a_window_of_the_nets_size_is_cut_without_blur() -> None:
    windows = cut((GOOD, 255 - GOOD), [(100, 120, 120, 140)], 64)

    assert np.array_equal(windows.pixels[0, :, :, 0], GOOD[98:162, 78:142])
    assert np.array_equal(windows.pixels[0, :, :, 1], 255 - GOOD[98:162, 78:142])


def test_an_absent_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json: no such file"):
        DifferenceNet(tmp_path)


def test_a_changed_network_is_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path, network())
    (folder / "net.onnx").write_bytes(network(sure=1.0).SerializeToString())

    with pytest.raises(DigestMismatchError):
        DifferenceNet(folder)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (network(side=32), r"input is uint8 \[.*32, 32, 2\], expected uint8 \[N, 64, 64, 2\]"),
        (network(classes=3), r"output is \[1, 8\], expected \[1, 7\]"),
    ],
)
def test_a_network_that_is_not_as_the_manifest_says_is_refused(
    tmp_path: Path, model: object, message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        DifferenceNet(write_bundle(tmp_path, model))


def test_a_detector_does_not_judge_differences(tmp_path: Path) -> None:
    detects = {"task": "detect", "head": "yolox"}
    folder = write_bundle(tmp_path, network(), **detects)
    text = (folder / "manifest.json").read_text().replace("reference-part", "bgr")
    (folder / "manifest.json").write_text(text)

    with pytest.raises(BundleError, match="made to detect, not to classify-differences"):
        DifferenceNet(folder)


def test_a_judges_bundle_does_not_detect(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path, network())
    manifest = parse_manifest((folder / "manifest.json").read_text(), source="manifest")

    with pytest.raises(BundleError, match="made to classify-differences, not to detect"):
        OnnxBackend(manifest, folder / "net.onnx", wanted=())


@pytest.mark.parametrize("changes", [{"head": "yolox"}, {"task": "detect"}])
def test_task_head_and_colour_of_a_manifest_go_together(
    tmp_path: Path, changes: dict[str, str]
) -> None:
    folder = write_bundle(tmp_path, network(), **changes)

    with pytest.raises(ZooError, match="does not go with head"):
        parse_manifest((folder / "manifest.json").read_text(), source="manifest")
