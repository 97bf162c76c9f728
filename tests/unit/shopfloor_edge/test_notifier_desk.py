import uuid
from zoneinfo import ZoneInfo

import pytest

from fakes.notice_site import SITE, commit, raised
from shopfloor_contracts.alerts import AlertState
from shopfloor_contracts.feedback import FeedbackAction
from shopfloor_contracts.rules import Severity
from shopfloor_contracts.site import parse_site
from shopfloor_edge.errors import NoticeDelayedError
from shopfloor_edge.journal.alertbook import AlertBook
from shopfloor_edge.notifier.desk import Desk, Lane
from shopfloor_edge.notifier.domain import HOUR_S
from shopfloor_edge.notifier.queue import NoticeQueue
from shopfloor_edge.notifier.texts import Writer

NOW = 1_763_719_200.0  # 2025-11-21 11:00 in Berlin
TARGET = """
[console]
escalate_s = 300
{console}
[notify]
digest_s = 20
messages_per_hour = 3
remind_s = 600
reminders = 2
{notify}
[[notify.targets]]
name = "phone"
kind = "ntfy"
hosts = ["localhost"]
url_file = "/nowhere"
"""


class Phone:
    """Takes messages, or does not."""

    def __init__(self):
        self.messages, self.down = [], False

    def send(self, message):
        if self.down:
            raise NoticeDelayedError("no network")
        self.messages.append(message)


class Bed:
    """A desk with a phone; opened again as after a crash."""

    def __init__(self, folder, *, console="", notify="", severity=Severity.INFO):
        text = SITE + TARGET.format(console=console, notify=notify)
        self.site = parse_site(text, source="test")
        self.folder, self.severity, self.phone = folder, severity, Phone()
        self.book = self.queue = None
        self.open()

    def open(self):
        self.close()
        self.book = AlertBook(self.folder)
        self.queue = NoticeQueue(self.folder, max_waiting=self.site.notify.max_waiting)
        writer = Writer("berlin-1", "en", ZoneInfo("Europe/Berlin"))
        lanes = [Lane("phone", self.severity, self.phone)]
        self.desk = Desk(self.site, self.book, self.queue, writer, lanes)

    def close(self):
        if self.book is not None:
            self.book.close()
            self.queue.close()

    def at(self, after_s):
        self.desk.step(NOW + after_s)
        return len(self.phone.messages)

    def act(self, action, number=1, *, after_s=0.0, until=None):
        self.book.act(str(uuid.UUID(int=number)), action, by="anna", at=NOW + after_s, until=until)


@pytest.fixture
def beds(tmp_path):
    opened = []

    def make(**settings):
        bed = Bed(tmp_path, **settings)
        opened.append(bed)
        bed.at(0)
        return bed

    yield make
    for bed in opened:
        bed.close()


def test_an_alert_is_told_once(beds, tmp_path):
    bed = beds()
    commit(tmp_path, raised(1, NOW))

    told = [bed.at(t) for t in (1, 2, 22, 60, 120)]

    assert told == [0, 0, 1, 1, 1]


def test_what_was_raised_before_anybody_asked_for_notices_is_not_told(tmp_path):
    commit(tmp_path, raised(1, NOW - 100))
    bed = Bed(tmp_path)

    told = bed.at(0) + bed.at(60)

    bed.close()
    assert told == 0


def test_alerts_of_a_while_are_one_message(beds, tmp_path):
    bed = beds()
    commit(tmp_path, *[raised(n, NOW + n) for n in range(1, 6)])
    bed.at(6)

    bed.at(30)

    [message] = bed.phone.messages
    assert message.title == "Warning: 5 alerts (berlin-1)"


def test_what_is_acknowledged_in_time_is_not_told(beds, tmp_path):
    bed = beds()
    commit(tmp_path, raised(1, NOW), raised(2, NOW + 1))
    bed.at(2)
    bed.act(FeedbackAction.ACKNOWLEDGED, 1, after_s=5)
    commit(tmp_path, raised(2, NOW + 6, state=AlertState.CLEARED))

    assert bed.at(60) == 0
    assert bed.queue.counters()["settled_in_time"] == 2


def test_an_alert_that_nobody_acknowledges_is_told_again_until_enough(beds, tmp_path):
    bed = beds()
    commit(tmp_path, raised(1, NOW, severity=Severity.CRITICAL))

    told = [bed.at(t) for t in (1, 299, 310, 600, 910, 1600, 5000)]

    assert told == [1, 1, 2, 2, 3, 3, 3]
    assert "still open" in bed.phone.messages[1].body


def test_acknowledging_ends_the_reminders(beds, tmp_path):
    bed = beds()
    commit(tmp_path, raised(1, NOW, severity=Severity.CRITICAL))
    bed.at(1)
    bed.act(FeedbackAction.ACKNOWLEDGED, after_s=60)

    assert bed.at(400) == 1


def test_the_devices_own_escalation_is_no_news_of_its_own(beds, tmp_path):
    bed = beds()
    commit(tmp_path, raised(1, NOW, severity=Severity.CRITICAL))
    bed.at(1)
    bed.act(FeedbackAction.ESCALATED, after_s=290)

    assert [bed.at(295), bed.at(305)] == [1, 2]


def test_a_snoozed_alert_is_told_again_when_it_wakes(beds, tmp_path):
    bed = beds()
    commit(tmp_path, raised(1, NOW, severity=Severity.CRITICAL))
    bed.at(1)
    bed.act(FeedbackAction.SNOOZED, after_s=10, until=NOW + 1000)
    while_asleep = bed.at(500)
    bed.book.wake(NOW + 1000)

    assert [while_asleep, bed.at(1001)] == [1, 2]


def test_in_quiet_hours_nothing_goes_and_afterwards_what_is_still_open(beds, tmp_path):
    bed = beds(console='quiet = [{ start = "10:30", end = "12:00" }]')
    commit(tmp_path, raised(1, NOW, severity=Severity.CRITICAL), raised(2, NOW))
    bed.at(100)
    bed.act(FeedbackAction.RESOLVED, 2, after_s=200)

    told = [bed.at(200), bed.at(3599), bed.at(3600)]

    assert told == [0, 0, 1]
    assert "Critical: long-queue" in bed.phone.messages[0].title


def test_a_target_that_gets_enough_in_an_hour_gets_the_rest_as_one(beds, tmp_path):
    bed = beds(notify="", severity=Severity.INFO)
    for n in range(1, 8):
        commit(tmp_path, raised(n, NOW + n * 40, severity=Severity.CRITICAL))
        bed.at(n * 40)

    before = len(bed.phone.messages)
    bed.at(HOUR_S + 45)

    assert (before, len(bed.phone.messages)) == (3, 4)
    assert "7 alerts" in bed.phone.messages[3].title


def test_a_target_hears_only_what_is_grave_enough(beds, tmp_path):
    bed = beds(severity=Severity.CRITICAL)
    commit(tmp_path, raised(1, NOW))

    assert bed.at(100) == 0


def test_while_a_target_is_down_it_is_tried_ever_less_often_and_nothing_is_lost(beds, tmp_path):
    bed = beds(notify="max_waiting = 100")
    bed.phone.down = True
    commit(tmp_path, raised(1, NOW, severity=Severity.CRITICAL))
    bed.at(1)
    first = bed.desk.lanes[0].not_before
    bed.at(7)
    second = bed.desk.lanes[0].not_before
    bed.phone.down = False

    told = [bed.at(16), bed.at(18)]

    assert (first, second) == (NOW + 1 + 5, NOW + 7 + 10)
    assert told == [0, 1]


def test_what_waits_outlives_the_process(beds, tmp_path):
    bed = beds()
    bed.phone.down = True
    commit(tmp_path, raised(1, NOW, severity=Severity.CRITICAL))
    bed.at(1)
    bed.open()
    bed.phone.down = False

    assert [bed.at(2), bed.at(3)] == [1, 1]


def test_what_was_told_is_not_told_again_after_a_restart(beds, tmp_path):
    bed = beds()
    commit(tmp_path, raised(1, NOW, severity=Severity.CRITICAL))
    bed.at(1)
    bed.open()

    assert bed.at(60) == 1


def test_a_notice_that_cannot_go_for_a_day_is_dropped_and_counted(beds, tmp_path):
    bed = beds(notify="give_up_s = 3600")
    bed.phone.down = True
    commit(tmp_path, raised(1, NOW, severity=Severity.CRITICAL))
    bed.at(1)
    bed.phone.down = False
    bed.queue.remind(str(uuid.UUID(int=1)), NOW)
    bed.queue.remind(str(uuid.UUID(int=1)), NOW)

    assert bed.at(3700) == 0
    assert bed.queue.counters()["given_up"] == 1


def test_when_too_many_wait_the_oldest_of_the_least_grave_go(beds, tmp_path):
    bed = beds(notify="max_waiting = 10")
    bed.phone.down = True
    grave = [raised(n, NOW, severity=Severity.CRITICAL) for n in range(1, 4)]
    commit(tmp_path, *grave, *[raised(n, NOW) for n in range(4, 31)])

    bed.at(1)

    kept = [int(uuid.UUID(one.notice.alert_id)) for one in bed.queue.waiting("phone")]
    assert kept == [1, 2, 3, *range(24, 31)]
    assert bed.queue.counters()["dropped"] == 20


def test_ten_thousand_alerts_are_one_message_and_no_storm_of_reminders(beds, tmp_path):
    bed = beds()
    commit(tmp_path, *[raised(n, NOW) for n in range(1, 10_001)])

    bed.at(1)
    told = [bed.at(t) for t in (30, 60, 90, 300, 400, 500)]

    assert told == [1, 1, 1, 1, 2, 2]
    assert "2000 alerts" in bed.phone.messages[0].title
    assert bed.queue.counters()["dropped"] == 8000


def test_no_words_of_people_and_no_address_are_in_a_notice(beds, tmp_path):
    bed = beds()
    commit(tmp_path, raised(1, NOW, severity=Severity.CRITICAL))
    bed.at(1)

    [message] = bed.phone.messages
    for hidden in ("Anna", "10.0.0.7", "secret", "7.0"):
        assert hidden not in message.title + message.body
