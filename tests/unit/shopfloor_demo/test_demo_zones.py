from __future__ import annotations

import numpy as np
import pytest

from shopfloor_demo.zones import People, annotated, compare

SQUARE, ELSEWHERE = (500.0, 300.0), (20.0, 20.0)


def people(*places, first=1):
    return People(np.arange(len(places)) + first, np.array(places).reshape(-1, 2))


def clip(*, frames=100, number=1):
    """One person who stands in the square for ten seconds and leaves."""
    return [people(SQUARE, first=number)] * frames + [people(ELSEWHERE, first=number)] * 10


def test_the_same_tracks_have_no_error():
    result = compare("square", clip(), clip(number=8))

    assert (result["visits_truth"], result["visits_counted"]) == (1, 1)
    errors = [result[key] for key in result if "error" in key]
    assert errors == [0.0] * 5
    assert result["histogram_counted"] == result["histogram_truth"] == [0, 1, 0, 0, 0, 0, 0, 0]


def test_who_is_not_seen_is_missing_from_everything():
    half = [people()] * 50 + clip(frames=50)

    result = compare("square", clip(), half)

    assert result["people_error"] == pytest.approx(-0.5)
    assert result["people_per_frame_error"] == pytest.approx(0.455, abs=1e-3)
    assert result["dwell_mean_error"] == pytest.approx(-0.5, abs=0.01)


def test_annotated_frames_and_pixels_count_from_one(tmp_path):
    path = tmp_path / "gt.txt"
    path.write_text("1,7,101,51,40,100,1,-1,-1,-1\n3,7,101,51,40,100,1,-1,-1,-1\n")

    frames = list(annotated(path))

    assert [frame.ids.tolist() for frame in frames] == [[7], [], [7]]
    assert frames[0].points.tolist() == [[120.0, 150.0]]
