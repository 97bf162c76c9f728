from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfloor_contracts.rules import QuietHours, Severity
from shopfloor_edge.notifier.domain import (
    RETRY_MAX_S,
    Manners,
    Notice,
    Reason,
    Waiting,
    has_room,
    is_quiet,
    may_go,
    reminder_due,
    retry_after_s,
)
from shopfloor_edge.notifier.texts import _WORDS, LINES_MAX, Writer

BERLIN = ZoneInfo("Europe/Berlin")
NOW = 1_763_719_200.0  # 2025-11-21 11:00 in Berlin
HOW = Manners(digest_s=20, messages_per_hour=3)


def notice(number=1, *, severity=Severity.WARNING, reason=Reason.RAISED, about="tills"):
    return Notice(
        alert_id=str(number),
        rule="long-queue",
        metric="queue-length",
        camera="entrance",
        about=about,
        severity=severity,
        raised_at=NOW + number,
        reason=reason,
        key=str(number),
    )


def waiting(*ages, severity=Severity.WARNING):
    return [Waiting(i, notice(i, severity=severity), NOW - age) for i, age in enumerate(ages)]


@pytest.mark.parametrize(
    ("clock", "quiet"),
    [("21:59", False), ("22:00", True), ("03:00", True), ("06:59", True), ("07:00", False)],
)
def test_quiet_hours_may_go_over_midnight(clock, quiet):
    now = datetime.fromisoformat(f"2026-11-02T{clock}").replace(tzinfo=BERLIN)

    assert is_quiet(now, [QuietHours(start="22:00", end="07:00")]) is quiet


def test_alerts_of_a_while_wait_for_each_other():
    assert not may_go(waiting(19, 3), NOW, HOW)
    assert may_go(waiting(20, 3), NOW, HOW)
    assert not may_go([], NOW, HOW)


def test_a_critical_alert_waits_for_nobody():
    assert may_go(waiting(0, severity=Severity.CRITICAL), NOW, HOW)


def test_no_target_gets_more_messages_an_hour_than_it_should():
    lately = [NOW - 10, NOW - 1000, NOW - 3599]

    assert not has_room(lately, NOW, HOW)
    assert has_room([*lately[:2], NOW - 3601], NOW, HOW)


def test_what_nobody_acknowledges_is_told_again_in_steady_steps():
    due = [
        t
        for t in range(0, 2000, 10)
        if reminder_due(0.0, t // 700, float(t), first_s=300, then_s=700)
    ]

    assert (due[0], due[-1]) == (300, 1990)
    assert not reminder_due(0.0, 1, 999.0, first_s=300, then_s=700)
    assert reminder_due(0.0, 1, 1000.0, first_s=300, then_s=700)


@given(st.integers(1, 10**6))
def test_the_next_try_comes_later_and_never_later_than_the_cap(failures):
    assert 0 < retry_after_s(failures) <= retry_after_s(failures + 1) <= RETRY_MAX_S


def test_a_notice_says_rule_camera_zone_and_time_of_the_site_and_leads_to_the_console():
    writer = Writer("berlin-1", "en", BERLIN, "https://door.example.org:8480")

    message = writer.write([notice()])

    assert message.title == "Warning: long-queue (berlin-1)"
    assert message.body.splitlines() == [
        "long-queue: long queue · tills · camera entrance · since 11:00",
        "Open the console: https://door.example.org:8480/",
    ]


def test_many_alerts_are_one_message_the_gravest_first():
    several = [notice(n) for n in range(1, 30)] + [notice(40, severity=Severity.CRITICAL)]

    message = Writer("berlin-1", "de", BERLIN).write(several)

    assert message.title == "Dringend: 30 Meldungen (berlin-1)"
    assert len(message.body.splitlines()) == LINES_MAX + 1
    assert message.body.endswith("und 20 weitere")


def test_a_reminder_says_that_it_is_one_and_a_camera_has_no_zone():
    message = Writer("b", "en", BERLIN).write([notice(reason=Reason.REMINDER, about="")])

    assert message.body == "long-queue: long queue · camera entrance · since 11:00 · still open"


def test_every_language_has_every_word():
    assert _WORDS["en"].keys() == _WORDS["de"].keys()
