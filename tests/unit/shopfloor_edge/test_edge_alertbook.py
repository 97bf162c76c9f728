import uuid
from datetime import UTC, datetime, timedelta

import pytest

from shopfloor_contracts.alerts import AlertData, AlertState
from shopfloor_contracts.feedback import FeedbackAction, Verdict
from shopfloor_contracts.rules import Severity
from shopfloor_edge.errors import AlertUnknownError, JournalError
from shopfloor_edge.journal import alerts
from shopfloor_edge.journal.alertbook import AlertBook, keep_evidence, read_verdicts
from shopfloor_edge.journal.alerts import Standing
from shopfloor_edge.journal.database import connect, transaction
from shopfloor_edge.journal.outbox import Draft, Outbox
from shopfloor_edge.vision.recorder import RETRY_S, Recorder

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
NOON_S = NOON.timestamp()
SOURCE = "/sites/s/devices/d/cameras/door"


def alert(number=1, state=AlertState.RAISED, *, after_s=0.0, rule="queue-long", track=None):
    return AlertData(
        alert_id=uuid.UUID(int=number),
        rule=rule,
        metric="queue-length",
        about="till",
        state=state,
        severity=Severity.WARNING,
        at=NOON + timedelta(seconds=after_s),
        since=NOON,
        value=7.0,
        threshold=5.0,
        track=track,
    )


def commit(folder, *data):
    outbox = Outbox(folder, max_rows=100_000, max_bytes=10**9)
    outbox.commit([Draft(one, SOURCE, one.at) for one in data])
    outbox.close()


def feedback(folder):
    outbox = Outbox(folder, max_rows=100_000, max_bytes=10**9)
    found = [w.event for w in outbox.waiting(0, 1000) if w.kind == "feedback"]
    outbox.close()
    return found


@pytest.fixture
def book(tmp_path):
    opened = AlertBook(tmp_path)
    yield opened
    opened.close()


def act(book, action, number=1, *, by="anna", after_s=30.0, until=None):
    return book.act(str(uuid.UUID(int=number)), action, by=by, at=NOON_S + after_s, until=until)


def test_a_raised_alert_is_in_the_book_when_its_event_is_committed(book, tmp_path):
    commit(tmp_path, alert())

    [row] = book.open(10)

    assert (row.rule, row.camera, row.about, row.state) == ("queue-long", "door", "till", "open")
    assert (row.raised_at, row.cleared_at, row.severity) == (NOON_S, None, Severity.WARNING)


def test_what_the_disk_refuses_is_in_neither_book_nor_outbox(book, tmp_path):
    outbox = Outbox(tmp_path, max_rows=100, max_bytes=10**7)

    def refuse(connection):
        alerts.enter(connection, SOURCE, alert())
        connection.execute("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(JournalError):
        outbox.commit([Draft(alert(), SOURCE, NOON)], refuse)

    assert (book.open(10), outbox.waiting(0, 10)) == ([], [])
    outbox.close()


def test_alert_and_event_wait_together_for_a_disk_that_refuses_and_then_come_once(book, tmp_path):
    now_s = [0.0]
    recorder = Recorder(tmp_path, max_rows=100, max_bytes=10**7, clock=lambda: now_s[0])
    disk = connect(tmp_path, durable=True)
    full = "CREATE TRIGGER full BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'full'); END"
    disk.execute(full)
    recorder.record([Draft(alert(), SOURCE, NOON)])
    refused = book.open(10)

    disk.execute("DROP TRIGGER full")
    now_s[0] += RETRY_S + 1
    recorder.record([])

    assert (refused, [row.rule for row in book.open(10)]) == ([], ["queue-long"])
    assert (recorder.committed, recorder.close()) == (1, 0)


def test_an_alert_whose_condition_went_by_settles_itself_without_a_verdict(book, tmp_path):
    commit(tmp_path, alert(), alert(state=AlertState.CLEARED, after_s=90))

    [row] = book.settled(10)

    assert (book.open(10), row.state, row.verdict) == ([], Standing.RESOLVED, Verdict.NONE)
    assert (row.by, row.cleared_at) == ("", NOON_S + 90)
    assert feedback(tmp_path) == []


def test_a_verdict_outlives_the_end_of_the_condition(book, tmp_path):
    commit(tmp_path, alert())
    act(book, FeedbackAction.WRONG)

    commit(tmp_path, alert(state=AlertState.CLEARED, after_s=90))

    [row] = book.settled(10)
    assert (row.state, row.by, row.cleared_at) == (Standing.WRONG, "anna", NOON_S + 90)


def test_a_rule_left_raised_by_a_process_that_ended_is_cleared_by_the_next(book, tmp_path):
    commit(tmp_path, alert(1), alert(2, after_s=60))

    assert [uuid.UUID(row.alert_id).int for row in book.open(10)] == [2]


def test_each_person_under_a_rule_has_an_alert_of_their_own(book, tmp_path):
    commit(tmp_path, alert(1, track=4), alert(2, track=5))

    assert len(book.open(10)) == 2


def test_a_noisy_rule_is_no_alert_of_its_own(book, tmp_path):
    commit(tmp_path, alert(state=AlertState.NOISY))

    assert book.open(10) == []


@pytest.mark.parametrize(
    ("action", "state", "verdict"),
    [
        (FeedbackAction.ACKNOWLEDGED, Standing.ACKNOWLEDGED, Verdict.NONE),
        (FeedbackAction.SNOOZED, Standing.SNOOZED, Verdict.NONE),
        (FeedbackAction.RESOLVED, Standing.RESOLVED, Verdict.RIGHT),
        (FeedbackAction.WRONG, Standing.WRONG, Verdict.WRONG),
    ],
)
def test_an_action_is_kept_and_told_to_the_cloud_without_a_name(
    action, state, verdict, book, tmp_path
):
    commit(tmp_path, alert())

    row = act(book, action, until=NOON_S + 600)

    [event] = feedback(tmp_path)
    [done] = book.actions(row.alert_id)
    assert (row.state, row.verdict, row.by) == (state, verdict, "anna")
    assert (event.data.action, event.data.verdict, event.data.after_s) == (action, verdict, 30.0)
    assert (event.source, "anna" in event.model_dump_json()) == (SOURCE, False)
    assert (done.action, done.by, done.at) == (action, "anna", NOON_S + 30)


def test_the_same_action_by_two_tablets_is_one(book, tmp_path):
    commit(tmp_path, alert())

    act(book, FeedbackAction.ACKNOWLEDGED)
    row = act(book, FeedbackAction.ACKNOWLEDGED, by="ben")

    assert (row.by, len(feedback(tmp_path)), len(book.actions(row.alert_id))) == ("anna", 1, 1)


def test_a_settled_alert_cannot_be_acknowledged_but_its_verdict_can_be_put_right(book, tmp_path):
    commit(tmp_path, alert())
    act(book, FeedbackAction.WRONG)

    still = act(book, FeedbackAction.ACKNOWLEDGED)
    mended = act(book, FeedbackAction.RESOLVED)

    assert (still.state, mended.verdict) == (Standing.WRONG, Verdict.RIGHT)
    told = [(event.data.verdict, event.data.replaces) for event in feedback(tmp_path)]
    assert told == [("wrong", "none"), ("right", "wrong")]


def test_what_nobody_acknowledged_is_escalated_once(book, tmp_path):
    commit(tmp_path, alert())

    act(book, FeedbackAction.ESCALATED, by="", after_s=300)
    row = act(book, FeedbackAction.ESCALATED, by="", after_s=400)

    assert (row.state, row.escalated_at) == (Standing.OPEN, NOON_S + 300)
    assert len(feedback(tmp_path)) == 1


def test_a_snoozed_alert_wakes_when_its_time_is_over(book, tmp_path):
    commit(tmp_path, alert())
    act(book, FeedbackAction.SNOOZED, until=NOON_S + 600)

    early, woken = book.wake(NOON_S + 599), book.wake(NOON_S + 600)

    assert (early, woken, book.open(1)[0].state) == (0, 1, Standing.OPEN)


def test_an_unknown_alert_is_refused_and_nothing_is_told(book, tmp_path):
    with pytest.raises(AlertUnknownError, match="no alert"):
        book.act("'; DROP TABLE alerts", FeedbackAction.WRONG, by="anna", at=NOON_S)

    assert feedback(tmp_path) == []


def test_a_reader_with_a_cursor_sees_each_change_once(book, tmp_path):
    commit(tmp_path, alert(1), alert(2, rule="other"))
    first = book.since(0)
    act(book, FeedbackAction.WRONG)

    second = book.since(first[-1].changed)

    assert [uuid.UUID(row.alert_id).int for row in first] == [1, 2]
    assert [(uuid.UUID(row.alert_id).int, row.state) for row in second] == [(1, "wrong")]
    assert book.since(book.cursor()) == []


def test_the_clip_of_an_alert_is_found_once_it_is_there(book, tmp_path):
    commit(tmp_path, alert())
    cursor = book.cursor()

    keep_evidence(connect(tmp_path, durable=False), [str(uuid.UUID(int=1))], "evidence/a.webp")

    [row] = book.since(cursor)
    assert row.evidence == "evidence/a.webp"


def test_verdicts_are_counted_by_when_the_alerts_were_raised(book, tmp_path):
    commit(tmp_path, *(alert(n, rule=f"r-{n}", after_s=60 * n) for n in range(1, 6)))
    for number, action in ((1, "wrong"), (2, "resolved"), (3, "wrong"), (4, "acknowledged")):
        act(book, FeedbackAction(action), number, after_s=1000)

    found = read_verdicts(tmp_path, from_s=NOON_S + 120, to_s=NOON_S + 301)

    assert (found.right, found.wrong) == (1, 1)


def test_a_settled_alert_goes_after_its_days_an_open_one_stays(book, tmp_path):
    commit(tmp_path, alert(1), alert(2, rule="other"))
    act(book, FeedbackAction.WRONG, 1)
    later = alerts.KEPT_DAYS * alerts.DAY_S + 1

    commit(tmp_path, alert(3, rule="third", after_s=later))

    assert book.settled(10) == []
    assert {uuid.UUID(row.alert_id).int for row in book.open(10)} == {2, 3}
    assert book.actions(str(uuid.UUID(int=1))) == []


def test_beyond_the_limit_of_rows_settled_ones_go_first(book, tmp_path):
    commit(tmp_path, *(alert(n, rule=f"r-{n}", after_s=n) for n in range(1, 6)))
    act(book, FeedbackAction.WRONG, 4)
    connection = connect(tmp_path, durable=True)

    with transaction(connection):
        alerts.trim(connection, NOON_S, max_rows=3)

    assert {uuid.UUID(row.alert_id).int for row in book.open(10)} == {2, 3, 5}
    assert book.settled(10) == []


def test_ten_thousand_open_alerts_are_counted_and_paged(book, tmp_path):
    commit(tmp_path, *(alert(n, rule=f"r-{n}", after_s=n) for n in range(1, 10_001)))

    page = book.open(50, offset=9_950)

    assert book.counts() == {Standing.OPEN: 10_000}
    assert [uuid.UUID(row.alert_id).int for row in page] == list(range(50, 0, -1))
