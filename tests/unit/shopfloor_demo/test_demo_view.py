"""The terminal view fits its terminal and says what the figures say."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from shopfloor_contracts.events import CameraStatus
from shopfloor_demo import view
from shopfloor_demo.cloud_view import Stored
from shopfloor_demo.report import Measured, build_report
from shopfloor_edge.journal.state import CameraRow, State

LIVE = CameraRow(
    camera="entrance",
    status=CameraStatus.LIVE,
    reason="",
    fps=9.9,
    people=3,
    crossings_in=15,
    crossings_out=11,
    frames=795,
    shed=0,
    video_bytes=10_178_539,
    first_count_at=1003.7,
    updated_at=1080.0,
)
COUNTERS = {"events_committed": 6, "uplink_bytes": 5672, "outbox_rows": 2, "outbox_bytes": 1400}


def snapshot(cameras=(LIVE,), people=(0, 1, 3), counters=COUNTERS):
    return view.Snapshot(
        device="demo-store/counter-1",
        line="walkway",
        elapsed_s=42.0,
        expected_s=84.5,
        started_at=1000.0,
        window_s=60.0,
        state=State(list(cameras), counters),
        stored=Stored(events=4, crossings_in=9, crossings_out=7),
        people=people,
    )


def drawn(columns, now):
    console = Console(width=columns, file=io.StringIO(), force_terminal=False)
    console.print(view.panel(now, columns=columns))
    return console.file.getvalue()


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_every_figure_is_shown_whole(columns):
    text = drawn(columns, snapshot(people=tuple(range(60))))

    assert "…" not in text
    assert max(map(len, text.splitlines())) <= min(columns - 2, 120)
    for figure in (
        "15 in  11 out",
        "9.9 fps",
        "2 waiting",
        "4 events stored",
        "5.7 kB",
        "1 : 1,795",
    ):
        assert figure in text


def test_before_the_first_frame_the_camera_is_starting():
    assert "starting" in drawn(80, snapshot(cameras=(), people=()))


def test_before_the_first_window_ends_the_reader_is_told_how_long_it_is():
    assert "no event yet, a window is 60 s long" in drawn(80, snapshot(counters={}))


def test_a_plain_line_carries_the_same_figures():
    line = view.plain_line(snapshot())

    assert line.startswith("00:42 of 01:24  entrance live, 9.9 fps, 3 in view, in 15 out 11")
    assert "6 events committed, 2 waiting, 4 stored" in line


@pytest.mark.parametrize(
    ("people", "width", "expected"),
    [
        ((), 3, "   "),
        ((0, 4), 3, " ▁█"),
        ((0, 0, 8, 4), 2, "▁█"),
        ((9, 0, 0, 0, 0), 3, "█▁▁"),
    ],
)
def test_bars_group_from_the_newest_backwards(people, width, expected):
    assert view.bars(people, width) == expected


def test_the_report_has_the_promised_keys_and_no_complaint(tmp_path):
    measured = Measured(1000.0, duration_s=84.0, vision_cpu_s=11.0, scene=tmp_path / "none.png")
    state = State([LIVE], {**COUNTERS, "outbox_rows": 0})

    report = build_report(state, Stored(events=6, duplicates=1), measured)
    report.write(tmp_path / "report.json")

    written = json.loads((tmp_path / "report.json").read_text())
    assert report.complaints == []
    assert written["uplink_ratio"] == 1794.5
    assert written["first_count_s"] == 3.7
    assert {"frames", "duration_s", "crossings_in", "crossings_out"} < set(written)
    assert {"events_committed", "events_stored", "events_duplicate"} < set(written)
    assert {"uplink_bytes", "video_bytes", "vision_cpu_s"} < set(written)


def test_a_missing_event_and_an_empty_line_are_complaints(tmp_path):
    measured = Measured(1000.0, duration_s=84.0, vision_cpu_s=11.0, scene=tmp_path / "none.png")

    report = build_report(State([], COUNTERS), Stored(events=5), measured)

    assert report.complaints == [
        "nobody crossed the line",
        "5 events are stored, 6 were committed",
    ]
