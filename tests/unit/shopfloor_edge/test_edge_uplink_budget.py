import json
from datetime import UTC, datetime

import pytest

from shopfloor_contracts.aggregates import HEAT_COLUMNS, HEAT_ROWS, HeatData
from shopfloor_contracts.batches import pack
from shopfloor_contracts.events import CameraStatus, Kind
from shopfloor_edge.agent.meter import UplinkMeter, kinds_that_wait
from shopfloor_edge.journal.outbox import Draft
from shopfloor_edge.journal.state import CameraRow, read_state
from shopfloor_edge.journal.usage import KEPT_DAYS, VIDEO, Used, read_usage
from shopfloor_edge.main import main
from unit.shopfloor_edge.test_edge_outbox import (
    SOURCE,
    WINDOW,
    occupancy,
    open_outbox,
    sequences,
    traffic,
)


@pytest.fixture
def outbox(tmp_path):
    outbox = open_outbox(tmp_path, max_rows=5)
    yield outbox
    outbox.close()


def heat():
    cells = [[0.0] * HEAT_COLUMNS for _ in range(HEAT_ROWS)]
    data = HeatData(**WINDOW, observed_s=60, people_s=0, cells_s=cells)
    return Draft(data, SOURCE, datetime(2026, 1, 1, 0, 1, tzinfo=UTC))


def camera(video_bytes):
    return CameraRow(
        camera="c", status=CameraStatus.LIVE, reason="", fps=10, people=0, crossings_in=0,
        crossings_out=0, frames=0, shed=0, video_bytes=video_bytes, first_count_at=None,
        updated_at=0.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "waiting"),
    [
        (79, set()),
        (80, {Kind.HEAT}),
        (90, {Kind.HEAT, Kind.OCCUPANCY, Kind.DWELL, Kind.QUEUE, Kind.SHELF}),
        (10_000, {*Kind} - {Kind.ALERT, Kind.BIRTH, Kind.DEATH, Kind.HEARTBEAT}),
    ],
)
def test_heat_waits_first_and_an_alert_never(sent, waiting):
    assert kinds_that_wait(sent, 100) == waiting


def test_without_a_budget_nothing_waits():
    assert kinds_that_wait(10**12, None) == frozenset()


def test_a_kind_that_waits_leaves_no_gap_and_comes_later(outbox):
    outbox.commit([traffic()])
    outbox.hold({Kind.HEAT})
    outbox.commit([traffic(), heat(), traffic()])
    assert sequences(outbox) == [(0, 1), (1, 2), (2, 3)]

    assert outbox.hold([]) == 1

    assert [w.kind for w in outbox.waiting(0, 9)] == [*[Kind.TRAFFIC] * 3, Kind.HEAT]
    assert sequences(outbox) == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_what_waits_counts_and_is_dropped_first_and_the_cloud_sees_the_gap(outbox, tmp_path):
    outbox.hold({Kind.HEAT})
    outbox.commit([heat(), *[traffic() for _ in range(4)]])

    dropped = outbox.commit([occupancy()])

    assert dropped == 1
    outbox.commit([])
    assert outbox.hold([]) == 0
    assert read_state(tmp_path).outbox_rows == 5
    outbox.acknowledge(5)
    outbox.commit([traffic()])
    assert sequences(outbox) == [(5, 7)]


def test_each_kind_is_metered_and_the_shares_add_up(outbox):
    outbox.commit([traffic(), occupancy(), heat()])
    events = [waiting.event for waiting in outbox.waiting(0, 9)]
    meter, wire_bytes = UplinkMeter(), len(pack(events))

    meter.sent(events, wire_bytes)

    used = meter.take()
    assert sum(u.wire_bytes for u in used.values()) == wire_bytes
    assert all(u.events == 1 and u.raw_bytes > 100 and u.wire_bytes > 0 for u in used.values())
    assert meter.take() == {}


def test_the_video_that_is_replaced_is_counted_over_restarts_of_vision():
    meter = UplinkMeter()

    for total in (1000, 1500, 200):
        meter.video([camera(total)])

    assert meter.take()[VIDEO] == Used(0, 700, 0)


def test_days_are_kept_apart_and_old_ones_forgotten(outbox, tmp_path):
    for day in range(KEPT_DAYS + 5):
        outbox.count_used(f"2026-{1 + day // 28:02}-{1 + day % 28:02}", {"heat": Used(1, 10, 2)})

    total = outbox.count_used("2026-02-17", {"heat": Used(1, 10, 2)})

    assert total == 4
    assert len(read_usage(tmp_path)[0]) == KEPT_DAYS


def test_the_command_shows_what_was_sent_beside_the_video(outbox, tmp_path, capsys):
    outbox.count_used("2026-01-01", {"heat": Used(2, 5000, 120), VIDEO: Used(0, 9_000_000, 0)})
    outbox.hold({Kind.HEAT})

    assert main(["uplink", "--state", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert main(["uplink", "--state", str(tmp_path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)

    assert "9,000,000" in text
    assert "heat wait for tomorrow" in text
    assert shown["held"] == ["heat"]
    assert {row["kind"] for row in shown["uplink"]} == {"heat", "video"}
