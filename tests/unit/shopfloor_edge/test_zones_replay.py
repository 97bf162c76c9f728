"""Foot points of the last minutes: bounded numbers, counted again as the counters count."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfloor_contracts.site import SiteFile, parse_site
from shopfloor_edge.analytics.replay import Footprint, replay
from shopfloor_edge.console.footsteps import footprints, trails
from shopfloor_edge.slots.site_text import site_text
from shopfloor_edge.vision.footsteps import FILE_BYTES_MAX, KEEP_S, Footsteps

SIZE = (640, 480)
HALL = {"hall": [(0.4, 0.0), (1.0, 0.0), (1.0, 1.0), (0.4, 1.0)]}
LINE = {"door": ((0.5, 0.1), (0.5, 0.9))}


def walk(footsteps, start_s=1000.0, *, tracks=1, steps=60):
    """``tracks`` people go from left to right in six seconds, then nobody for two."""
    for step in range(steps):
        points = np.array([[64 + 8.0 * step, 200 + 20 * n] for n in range(tracks)])
        ids = np.arange(1, tracks + 1)
        footsteps.add(ids, points, size=SIZE, at_s=start_s + step / 10)
    for step in range(20):
        footsteps.add(ids[:0], points[:0], size=SIZE, at_s=start_s + steps / 10 + step / 10)
    footsteps.close()


def test_what_was_recorded_is_counted_as_it_was_walked(tmp_path):
    walk(Footsteps(tmp_path, "hall"), tracks=3)

    trial = replay(footprints(tmp_path, "hall"), LINE, HALL)

    line, zone = trial.lines["door"], trial.zones["hall"]
    # From left to right in the picture is against the arrow of a line that is drawn downwards.
    assert (line.crossings_in, line.crossings_out) == (0, 3)
    assert (zone.people_max, zone.people_last) == (3, 0)
    assert trial.observed_s == pytest.approx(7.0, abs=1.1)
    assert zone.people_s == pytest.approx(3 * 3.6, abs=0.7)


def test_a_line_turned_round_counts_the_other_way(tmp_path):
    walk(Footsteps(tmp_path, "hall"))
    a, b = LINE["door"]

    trial = replay(footprints(tmp_path, "hall"), {"door": (b, a)}, {})

    assert (trial.lines["door"].crossings_in, trial.lines["door"].crossings_out) == (1, 0)


def test_only_the_last_minutes_are_kept(tmp_path):
    footsteps = Footsteps(tmp_path, "hall")
    for minute in range(40):
        footsteps.add(np.array([1]), np.ones((1, 2)), size=SIZE, at_s=60.0 * minute)

    files = list((tmp_path / "tracks" / "hall").iterdir())
    footsteps.close()

    assert len(files) <= KEEP_S / 60 + 1
    assert min(int(path.stem) for path in files) >= 39 - KEEP_S / 60


def test_a_clock_that_was_set_back_leaves_no_file_of_the_future(tmp_path):
    footsteps = Footsteps(tmp_path, "hall")
    for at_s in (90_000.0, 30_000.0):
        footsteps.add(np.array([1]), np.ones((1, 2)), size=SIZE, at_s=at_s)
    footsteps.close()

    (path,) = (tmp_path / "tracks" / "hall").iterdir()

    assert int(path.stem) == 500


def test_a_crowd_does_not_fill_the_disk(tmp_path):
    footsteps, ids = Footsteps(tmp_path, "hall"), np.arange(5000)
    for frame in range(40):
        footsteps.add(ids, np.ones((5000, 2)), size=SIZE, at_s=100 + frame / 100)
    footsteps.close()

    (path,) = (tmp_path / "tracks" / "hall").iterdir()

    assert path.stat().st_size <= FILE_BYTES_MAX


def test_a_torn_line_is_passed_over(tmp_path):
    walk(Footsteps(tmp_path, "hall"))
    (path, *_) = sorted((tmp_path / "tracks" / "hall").iterdir())
    text = path.read_text()
    path.write_text(text + '[1006.5, [[1, 0.\n{"size": 3}\nnull\n["x", []]\n')

    found = list(footprints(tmp_path, "hall"))

    assert len(found) == len([line for line in text.splitlines() if line.startswith("[")])


def test_a_full_disk_does_not_stop_the_counting(tmp_path):
    (tmp_path / "tracks").write_text("no folder")
    footsteps = Footsteps(tmp_path, "hall")

    footsteps.add(np.array([1]), np.ones((1, 2)), size=SIZE, at_s=5.0)

    assert list(footprints(tmp_path, "hall")) == []


def test_trails_are_few_points_of_each_way(tmp_path):
    walk(Footsteps(tmp_path, "hall"), tracks=2)

    (first, second) = trails(list(footprints(tmp_path, "hall")))

    assert 20 <= len(first) <= 35
    assert (first[0], first[-1]) == ((0.1, 0.4167), (0.8375, 0.4167))
    assert first != second


def test_nothing_but_numbers_is_written(tmp_path):
    walk(Footsteps(tmp_path, "hall"), tracks=2)
    (path, *_) = (tmp_path / "tracks" / "hall").iterdir()

    lines = [json.loads(line) for line in path.read_text().splitlines()]

    assert lines[0] == {"size": [640, 480]}
    assert all(len(person) == 3 for _, people in lines[1:] for person in people)


def test_an_empty_recording_has_no_figures():
    trial = replay([], LINE, HALL)

    assert (trial.frames, trial.first_s, trial.lines["door"].crossings_in) == (0, None, 0)


def test_time_that_nobody_looked_is_not_observed():
    still = np.array([[0.5, 0.5]])
    prints = [Footprint(at, SIZE, np.array([1]), still) for at in (0.0, 1.0, 60.0, 61.0)]

    trial = replay(prints, {}, HALL)

    assert (trial.observed_s, trial.zones["hall"].people_s) == (2.0, 2.0)


SHARES = st.floats(0.0, 1.0)


@given(
    uri=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    expects=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    x=st.floats(0.0, 0.4),
    y=st.floats(0.0, 0.4),
    heat=st.booleans(),
)
def test_a_site_is_written_as_a_text_that_reads_as_the_same_site(uri, expects, x, y, heat):
    site = SiteFile.model_validate(
        {
            "site": "oslo",
            "device": "door",
            "window_s": 30,
            "cameras": [
                {
                    "name": "hall",
                    "uri": uri,
                    "heat": heat,
                    "lines": [{"name": "a", "a": (x, y), "b": (x + 0.5, y)}],
                    "slots": [{"name": "s", "box": (x, y, x + 0.5, y + 0.5), "expects": expects}],
                }
            ],
            "rules": [{"name": "r", "camera": "hall", "metric": "slot-empty", "slot": "s"}],
        }
    )

    text = site_text(site, comment='drawn\nby "nobody" \x7f')

    assert parse_site(text, source="test") == site
    assert text.splitlines()[0].startswith("# drawn by")
