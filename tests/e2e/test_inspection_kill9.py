"""A station that is killed in mid-part: every part is in the totals once, and the line hears."""

import json
import os
import random
import signal
import sqlite3
import time

import pytest

from fakes.station_files import StationFiles
from shopfloor_contracts.events import Kind
from shopfloor_edge.journal.outbox import Outbox

KILLS, PARTS_BETWEEN = 5, 6


@pytest.fixture
def files(tmp_path):
    return StationFiles(tmp_path)


def end(station):
    station.terminate()
    station.wait(20)


def test_no_part_is_counted_twice_or_lost_when_the_station_is_killed(files):
    chance, fed = random.Random(3), 0
    station = files.start()
    try:
        for _ in range(KILLS):
            for _ in range(PARTS_BETWEEN):
                fed += 1
                files.feed(fed, files.good)
            files.wait_counted(fed - chance.randint(1, PARTS_BETWEEN - 1))
            station.kill()
            station.wait(20)
            assert files.counted() <= fed
            station = files.start()
        files.wait_counted(fed)
    finally:
        end(station)

    totals = files.totals()

    assert files.counted() == fed
    assert totals.get("fail", 0) == totals.get("review", 0) == 0
    assert totals.get("missed", 0) <= KILLS
    with sqlite3.connect(files.state / "state.db") as book:
        (parts, distinct) = book.execute(
            "SELECT COUNT(*), COUNT(DISTINCT number) FROM parts"
        ).fetchone()
    assert parts == distinct


def test_the_windows_that_were_sent_add_up_to_the_parts_over_kills(files):
    station, fed = files.start(), 12
    try:
        for number in range(1, fed + 1):
            files.feed(number, files.bad if number == 5 else files.good)
            if number in (4, 8):
                files.wait_counted(number - 1)
                os.kill(station.pid, signal.SIGKILL)
                station.wait(20)
                station = files.start()
        files.wait_counted(fed)
        deadline_s = time.monotonic() + 10
        while sent(files) != fed and time.monotonic() < deadline_s:
            time.sleep(0.1)
    finally:
        end(station)

    assert sent(files) == fed


def sent(files):
    outbox = Outbox(files.state, max_rows=1000, max_bytes=10**7)
    windows = [w.event.data for w in outbox.waiting(0, 1000) if w.kind is Kind.INSPECTION]
    outbox.close()
    return sum(window.parts + window.missed for window in windows)


def test_a_stopped_line_is_still_stopped_after_a_kill_until_a_person_restarts_it(files):
    station = files.start()
    try:
        for number in range(1, 16):
            files.feed(number, files.bad)
        files.wait_counted(15)
        before = line_of(files)
        station.kill()
        station.wait(20)
        station = files.start()
        files.feed(16, files.good)
        files.wait_counted(16)
        after = line_of(files)
    finally:
        end(station)

    assert (before, after) == ("stopped", "stopped")


def line_of(files):
    with sqlite3.connect(files.state / "state.db") as book:
        (known,) = book.execute("SELECT known FROM stations").fetchone()
    return json.loads(known)["guard"]["state"]
