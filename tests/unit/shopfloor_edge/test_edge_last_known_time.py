"""A clock without a battery revives nothing that has expired."""

from datetime import UTC, datetime, timedelta

from shopfloor_edge.agent.updater.clock import LastKnownTime

SEEN = datetime(2026, 3, 2, 12, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def test_after_a_restart_in_1970_the_time_is_the_last_that_was_known(tmp_path):
    LastKnownTime(tmp_path / "clock", lambda: SEEN).now()

    assert LastKnownTime(tmp_path / "clock", lambda: EPOCH).now() == SEEN


def test_a_clock_that_is_right_again_is_believed(tmp_path):
    later = SEEN + timedelta(days=1)
    LastKnownTime(tmp_path / "clock", lambda: SEEN).now()

    assert LastKnownTime(tmp_path / "clock", lambda: later).now() == later


def test_a_damaged_file_means_the_machines_clock(tmp_path):
    (tmp_path / "clock").write_text("soon")

    assert LastKnownTime(tmp_path / "clock", lambda: SEEN).now() == SEEN
