"""What *Health* says of a device."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from fakes.console_site import SITE, camera_row
from shopfloor_contracts.events import CameraStatus
from shopfloor_contracts.rules import QuietHours
from shopfloor_contracts.site import parse_site
from shopfloor_edge.console.drawing import drawing_of
from shopfloor_edge.console.findings import Level, findings_of, worst
from shopfloor_edge.console.hours import is_quiet
from shopfloor_edge.console.sites import Sites
from shopfloor_edge.discipline import Discipline
from shopfloor_edge.journal.database import connect
from shopfloor_edge.journal.outbox import Outbox
from shopfloor_edge.journal.state import StateWriter

NOW = datetime.now(UTC)
FOLLOWED = Discipline(synchronised=True, error_s=0.01)


def site(text=""):
    return parse_site(SITE + text, source="tests")


def see(folder, *, at=NOW):
    writer = StateWriter(folder)
    writer.write([camera_row(name, at.timestamp()) for name in ("entrance", "aisle")])
    writer.close()


def look(folder, told=None, clock=FOLLOWED, now=NOW):
    findings = findings_of(told or site(), folder, now, lambda: clock)
    return {finding.name: finding for finding in findings}


def test_a_device_that_was_just_set_up_says_what_is_missing(tmp_path):
    connect(tmp_path, durable=False).close()

    found = look(tmp_path)

    assert found["cameras"].text == "cameras_never"
    assert found["cloud"].text == "cloud_never"
    assert worst(list(found.values())) is Level.BAD


def test_a_device_that_works_is_good(tmp_path):
    see(tmp_path, at=datetime.now(UTC))
    outbox = Outbox(tmp_path, max_rows=100, max_bytes=10**6)
    outbox.acknowledge(0)
    outbox.close()

    found = look(tmp_path, told=site("\n[updates]\nreserve_bytes = 0\n"), now=datetime.now(UTC))

    assert {name: one.level for name, one in found.items() if name != "disk"} == {
        "cameras": Level.GOOD,
        "cloud": Level.GOOD,
        "outbox": Level.GOOD,
        "clock": Level.GOOD,
    }


def test_cameras_that_nobody_watches_are_bad_however_live_they_were(tmp_path):
    see(tmp_path, at=NOW - timedelta(minutes=5))

    assert look(tmp_path)["cameras"].text == "cameras_blind"


def test_a_camera_that_is_down_is_named(tmp_path):
    writer = StateWriter(tmp_path)
    rows = [camera_row(name, NOW.timestamp()) for name in ("entrance", "aisle")]
    rows[1] = replace(rows[1], status=CameraStatus.ABSENT)
    writer.write(rows)
    writer.close()

    found = look(tmp_path)["cameras"]

    assert (found.level, found.values["down"]) == (Level.WARN, "aisle")


def test_a_full_outbox_and_a_full_disk_are_told(tmp_path):
    see(tmp_path)
    database = connect(tmp_path, durable=False)
    database.execute("UPDATE counters SET value = 95 WHERE name = 'outbox_rows'")
    database.close()
    told = site("\n[outbox]\nmax_rows = 100\n\n[updates]\nreserve_bytes = 1000000000000\n")

    found = look(tmp_path, told)

    assert found["outbox"].text == "outbox_full"
    assert found["disk"].text == "disk_full"


@pytest.mark.parametrize(
    ("clock", "text"),
    [
        (None, "clock_unknown"),
        (Discipline(synchronised=False, error_s=16.0), "clock_alone"),
        (Discipline(synchronised=True, error_s=3.0), "clock_off"),
    ],
)
def test_a_clock_that_may_be_wrong_is_told(tmp_path, clock, text):
    see(tmp_path)

    found = look(tmp_path, clock=clock)["clock"]

    assert (found.text, found.level) == (text, Level.WARN)


@pytest.mark.parametrize(
    ("at", "quiet"),
    [(time(21, 59), False), (time(22), True), (time(3), True), (time(6), False), (time(12), True)],
)
def test_quiet_hours_go_over_midnight(at, quiet):
    hours = [QuietHours(start="22:00", end="06:00"), QuietHours(start="12:00", end="13:00")]

    assert is_quiet(hours, at) is quiet


def test_what_an_alert_is_about_is_drawn():
    told = site()

    assert drawing_of(told, "entrance", "door").points == "20.00,70.00 80.00,70.00"
    assert drawing_of(told, "aisle", "milk").closed
    assert drawing_of(told, "aisle", "gone") is None
    assert drawing_of(told, "gone", "milk") is None


def test_the_console_without_slots_has_the_provisioned_site(tmp_path):
    assert Sites(site(), tmp_path).current() == site()
