import json
from datetime import UTC, datetime, timedelta

import pytest

from shopfloor_contracts.events import LineCount, TrafficData
from shopfloor_edge.errors import JournalError
from shopfloor_edge.journal.database import connect, transaction
from shopfloor_edge.journal.ledger import enter, read_ledger, trim
from shopfloor_edge.journal.outbox import Draft, Outbox
from shopfloor_edge.ledger_view import show_ledger, table

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
SOURCE = "/sites/s/devices/d/cameras/door"
OLD, NEW = "a" * 64, "b" * 64


def traffic(minute=0, *, digest=OLD, precision="fp32", zones="0" * 12, coverage=1.0):
    return TrafficData(
        window_start=NOON + timedelta(minutes=minute),
        window_s=60,
        coverage_ratio=coverage,
        frames=600,
        model_digest=digest,
        zone_version=zones,
        backend="motion" if precision == "none" else "onnxruntime",
        precision=precision,
        lines=[LineCount(line="door")],
    )


def commit(folder, *windows):
    outbox = Outbox(folder, max_rows=1000, max_bytes=10**7)
    outbox.commit([Draft(window, SOURCE, NOON) for window in windows])
    return outbox


def test_windows_of_one_model_add_up(tmp_path):
    commit(tmp_path, traffic(0), traffic(1, coverage=0.5))

    (row,) = read_ledger(tmp_path)

    assert (row.kind, row.camera, row.windows, row.frames) == ("traffic", "door", 2, 1200)
    assert row.coverage_ratio == pytest.approx(0.75)
    assert row.last_at - row.first_at == 120


@pytest.mark.parametrize(
    "changed", [{"digest": NEW}, {"precision": "int8"}, {"zones": "1" * 12}], ids=str
)
def test_another_model_precision_or_drawing_is_another_row(tmp_path, changed):
    commit(tmp_path, traffic(0), traffic(1, **changed))

    assert [row.windows for row in read_ledger(tmp_path)] == [1, 1]


def test_an_event_that_has_been_delivered_stays_in_the_ledger(tmp_path):
    outbox = commit(tmp_path, traffic(0))

    outbox.acknowledge(1)

    assert outbox.waiting(0, 10) == []
    assert len(read_ledger(tmp_path)) == 1


def test_the_rows_that_ended_longest_ago_go_first(tmp_path):
    connection = connect(tmp_path, durable=True)
    with transaction(connection):
        for minute, digest in ((5, NEW), (0, OLD), (9, "c" * 64)):
            enter(connection, "traffic", SOURCE, traffic(minute, digest=digest))
        trim(connection, max_rows=2)

    assert {row.model_digest[0] for row in read_ledger(tmp_path)} == {"b", "c"}


def test_people_read_a_table_that_marks_degraded_figures(tmp_path):
    commit(tmp_path, traffic(0), traffic(1, precision="none", coverage=0.25))

    text = table(read_ledger(tmp_path))

    assert "onnxruntime fp32" in text
    assert "! traffic" in text
    assert "25.0%" in text
    assert "2026-11-02 12:02" in text


def test_programs_read_json(tmp_path, capsys):
    commit(tmp_path, traffic(0, coverage=0.5))

    assert show_ledger(tmp_path, as_json=True) == 0
    (row,) = json.loads(capsys.readouterr().out)["ledger"]
    assert row["coverage_ratio"] == 0.5
    assert row["model_digest"] == OLD


def test_a_new_device_says_that_nothing_was_counted(tmp_path, capsys):
    connect(tmp_path, durable=True).close()

    assert show_ledger(tmp_path, as_json=False) == 0
    assert capsys.readouterr().out == "nothing has been counted yet\n"


def test_a_folder_without_a_journal_is_named(tmp_path):
    with pytest.raises(JournalError, match=r"state\.db"):
        show_ledger(tmp_path, as_json=False)
