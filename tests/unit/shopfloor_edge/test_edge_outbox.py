import sqlite3
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shopfloor_contracts.events import LineCount, OccupancyData, TrafficData, ZoneOccupancy
from shopfloor_edge.errors import JournalError
from shopfloor_edge.journal.database import transaction
from shopfloor_edge.journal.outbox import Draft, Outbox
from shopfloor_edge.journal.state import read_state

WINDOW = {
    "window_start": datetime(2026, 1, 1, tzinfo=UTC),
    "window_s": 60,
    "coverage_ratio": 1.0,
    "frames": 600,
    "model_digest": "0" * 64,
    "zone_version": "0" * 12,
}
SOURCE = "/sites/s/devices/d/cameras/c"


def traffic(people=1):
    data = TrafficData(**WINDOW, lines=[LineCount(line="door", crossings_in=people)])
    return Draft(data, SOURCE, datetime(2026, 1, 1, 0, 1, tzinfo=UTC))


def occupancy():
    zone = ZoneOccupancy(
        zone="till", people_s=1, observed_s=60, people_max=1, histogram_s=[60] + [0] * 7
    )
    data = OccupancyData(**WINDOW, zones=[zone])
    return Draft(data, SOURCE, datetime(2026, 1, 1, 0, 1, tzinfo=UTC))


def open_outbox(folder, **limits):
    return Outbox(folder, **({"max_rows": 1000, "max_bytes": 1_000_000} | limits))


def sequences(outbox, after=0):
    return [(row.event.prevseq, row.seq) for row in outbox.waiting(after, 1000)]


def test_events_are_numbered_and_chained(tmp_path):
    outbox = open_outbox(tmp_path)

    outbox.commit([traffic(), occupancy()])
    outbox.commit([traffic()])

    assert sequences(outbox) == [(0, 1), (1, 2), (2, 3)]
    outbox.close()


def test_the_same_event_has_the_same_id_every_time(tmp_path):
    outbox = open_outbox(tmp_path)
    outbox.commit([traffic()])

    ids = {outbox.waiting(0, 1)[0].event.id for _ in range(3)}

    assert len(ids) == 1
    outbox.close()


def test_numbers_go_on_after_a_restart_and_an_empty_outbox(tmp_path):
    outbox = open_outbox(tmp_path)
    outbox.commit([traffic(), traffic()])
    outbox.acknowledge(2)
    outbox.close()

    outbox = open_outbox(tmp_path)
    outbox.commit([traffic()])

    assert sequences(outbox) == [(2, 3)]
    outbox.close()


def test_a_new_outbox_is_another_stream(tmp_path):
    first, second = open_outbox(tmp_path / "a"), open_outbox(tmp_path / "b")

    assert first.position().stream != second.position().stream
    first.close()
    second.close()


def test_the_oldest_of_the_lowest_priority_goes_first_and_is_counted(tmp_path):
    outbox = open_outbox(tmp_path, max_rows=3)
    outbox.commit([traffic(), occupancy(), traffic(), occupancy()])

    dropped = outbox.commit([traffic()])

    assert dropped == 1
    assert sequences(outbox) == [(0, 1), (1, 3), (3, 5)]
    assert read_state(tmp_path).counters["outbox_dropped"] == 2
    outbox.close()


def test_the_outbox_is_bounded_in_bytes(tmp_path):
    outbox = open_outbox(tmp_path, max_bytes=2000)

    outbox.commit([traffic() for _ in range(20)])

    state = read_state(tmp_path)
    assert 0 < state.outbox_bytes <= 2000
    assert state.outbox_rows + state.counters["outbox_dropped"] == 20
    outbox.close()


def test_a_failed_commit_keeps_nothing(tmp_path):
    outbox = open_outbox(tmp_path)
    outbox.commit([traffic()])
    pages = outbox._connection.execute("PRAGMA page_count").fetchone()[0]
    outbox._connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(JournalError, match="full"):
        outbox.commit([traffic() for _ in range(200)])

    assert sequences(outbox) == [(0, 1)]
    outbox._connection.execute("PRAGMA max_page_count = 100000")
    outbox.commit([traffic()])
    assert sequences(outbox) == [(0, 1), (1, 2)]
    outbox.close()


def test_an_event_that_is_no_longer_understood_does_not_stop_the_others(tmp_path):
    outbox = open_outbox(tmp_path)
    outbox.commit([traffic(), traffic(), traffic()])
    outbox._connection.execute("UPDATE outbox SET event = '{}' WHERE seq = 2")

    assert sequences(outbox) == [(0, 1), (1, 3)]
    assert read_state(tmp_path).counters["outbox_dropped"] == 1
    outbox.close()


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "state.db").write_bytes(b"not a database, but long enough to be looked at" * 50)

    with pytest.raises(JournalError, match=r"state\.db"):
        open_outbox(tmp_path)


def test_a_locked_file_is_a_journal_error(tmp_path):
    outbox = open_outbox(tmp_path)
    outbox._connection.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)

    with transaction(other), pytest.raises(JournalError, match="locked"):
        outbox.commit([traffic()])

    other.close()
    outbox.close()


class OutboxMachine(RuleBasedStateMachine):
    """Whatever is committed is either waiting, acknowledged or counted as dropped."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        self.outbox = open_outbox(self.path, max_rows=10)
        self.committed = self.acked = 0

    @rule(drafts=st.lists(st.sampled_from([traffic, occupancy]), min_size=1, max_size=6))
    def commit(self, drafts):
        self.outbox.commit([draft() for draft in drafts])
        self.committed += len(drafts)

    @precondition(lambda self: self.committed > self.acked)
    @rule(data=st.data())
    def acknowledge(self, data):
        self.acked = data.draw(st.integers(self.acked, self.committed))
        self.outbox.acknowledge(self.acked)

    @rule()
    def restart(self):
        self.outbox.close()
        self.outbox = open_outbox(self.path, max_rows=10)

    @invariant()
    def every_event_is_accounted_for(self):
        counters = read_state(self.path).counters
        waiting = sequences(self.outbox)
        assert counters.get("events_committed", 0) == self.committed
        accounted = counters.get("events_acked", 0) + counters.get("outbox_dropped", 0)
        assert accounted + len(waiting) == self.committed
        assert counters["outbox_rows"] == len(waiting) <= 10

    @invariant()
    def the_chain_has_no_hole(self):
        previous = self.acked
        for prevseq, seq in sequences(self.outbox):
            assert prevseq == previous < seq
            previous = seq

    def teardown(self):
        self.outbox.close()
        self.folder.cleanup()


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
