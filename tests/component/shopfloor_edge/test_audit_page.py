"""The page *Audit* over a real server: blind while it goes on, measured when it is done."""

from __future__ import annotations

import re
import sqlite3

import pytest

from fakes.audit_room import NOON_S, keep_clips
from fakes.console_site import ConsoleSite, csrf
from shopfloor_contracts.audits import AuditData
from shopfloor_edge.journal.audits import AuditSums, read_audit_sums
from shopfloor_edge.journal.ledger import read_audited
from shopfloor_edge.journal.outbox import Outbox
from shopfloor_edge.ledger_view import show_ledger

pytestmark = pytest.mark.timeout(90)
COUNTS = [0, 1, 2, 3, 1, 0, 2, 4, 1, 0, 2, 1]


@pytest.fixture
def site(tmp_path):
    site = ConsoleSite(tmp_path / "state")
    yield site
    site.close()


def begin(client, subject="entrance/line/door", size=10):
    form = {"csrf": csrf(client.get("/audit").text), "subject": subject, "size": size}
    answer = client.post("/audit", data=form)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def answer_all(client, place, seen):
    """Answer every clip; ``seen`` gives the form of one, by its page."""
    pages = []
    while 'class="card answers"' in (page := client.get(place).text):
        pages.append(page)
        action = re.search(r'action="(/audit/\d+/\d+)"', page)[1]
        reply = client.post(action, data={"csrf": csrf(page), **seen(page)})
        assert reply.status_code == 303, reply.text
    return pages, page


def count_of(site, page):
    """What the device had counted in the clip of a page."""
    clip = re.search(r"/audit/clips/([\w-]+)\.(?:webp|jpg)", page)[1]
    with sqlite3.connect(site.state / "state.db") as connection:
        row = connection.execute("SELECT people FROM audit_clips WHERE clip = ?", (clip,))
        return int(row.fetchone()[0])


def test_a_person_who_sees_what_was_counted_measures_a_hundred_percent(site):
    keep_clips(site.state, site.site.cameras[0], COUNTS)
    client = site.client()

    pages, result = answer_all(
        client, begin(client), lambda page: {"in": count_of(site, page), "out": 0}
    )

    (row,) = read_audited(site.state)
    assert len(pages) == 10
    assert "100.0 % right" in result
    assert (row.accuracy, row.camera, row.subject, row.clips) == (1.0, "entrance", "door", 10)
    assert row.low < 0.95
    assert "100.0 % right" in client.get("/audit").text


def test_what_was_missed_lowers_the_figure_and_is_shown_when_all_is_answered(site):
    keep_clips(site.state, site.site.cameras[0], COUNTS)
    client = site.client()

    _, result = answer_all(
        client, begin(client), lambda page: {"in": count_of(site, page) + 1, "out": 0}
    )

    (row,) = read_audited(site.state)
    assert (row.missed, row.false_items) == (10, 0)
    assert row.accuracy < 0.75
    assert "Where you and the device differ" in result


def test_the_pages_of_an_audit_tell_nothing_of_the_count(site):
    keep_clips(site.state, site.site.cameras[0], [33] * 12)
    client = site.client()
    place = begin(client)

    pages, _ = answer_all(client, place, lambda _: {"in": 3, "out": 0})

    said = [re.sub(r"data-drawn=\"[^\"]*\"|\?v=\w+|\d{8}T\d{6}", "", page) for page in pages]
    assert len(said) == 10
    assert not any(re.search(r'(value|data-\w+)="33"|>\s*33\s*<', page) for page in said)


def test_a_finished_audit_is_an_event_without_pixels_or_names(site):
    keep_clips(site.state, site.site.cameras[0], COUNTS)
    client = site.client()
    answer_all(client, begin(client), lambda page: {"in": count_of(site, page), "out": 0})

    outbox = Outbox(site.state, max_rows=100, max_bytes=1_000_000)
    (waiting,) = outbox.waiting(0, 10)
    outbox.close()

    data = waiting.event.data
    assert isinstance(data, AuditData)
    assert (data.subject, data.clips, data.accuracy) == ("door", 10, 1.0)
    assert data.design.eligible == 12
    assert "Ana" not in waiting.event.model_dump_json()


def test_a_second_audit_draws_other_clips_and_adds_to_the_first(site):
    keep_clips(site.state, site.site.cameras[0], [1] * 20)
    client = site.client()
    for seen in (1, 2):
        answer_all(client, begin(client), lambda _, seen=seen: {"in": seen, "out": 0})

    (row,) = read_audited(site.state)
    with sqlite3.connect(site.state / "state.db") as connection:
        used = [clip for (clip,) in connection.execute("SELECT clip FROM audit_answers")]

    assert (row.audits, row.clips, len(set(used))) == (2, 20, 20)
    assert row.accuracy == pytest.approx(20 / 30)
    assert "No clips yet" in client.get("/audit").text


def test_clips_that_nobody_could_judge_weigh_nothing_and_are_told(site):
    keep_clips(site.state, site.site.cameras[0], [1] * 10)
    client = site.client()
    said = iter([{"unsure": 1}] * 4 + [{"in": 1, "out": 0}] * 6)

    _, result = answer_all(client, begin(client), lambda _: next(said))

    (row,) = read_audited(site.state)
    assert (row.clips, row.accuracy) == (6, 1.0)
    assert "4 clips could not be judged" in result


@pytest.mark.parametrize(
    "form", [{}, {"in": "-1", "out": "0"}, {"in": "x", "out": ""}, {"in": "5"}]
)
def test_an_answer_that_is_none_is_asked_again(site, form):
    keep_clips(site.state, site.site.cameras[0], COUNTS)
    client = site.client()
    place = begin(client)
    page = client.get(place).text
    action = re.search(r'action="(/audit/\d+/\d+)"', page)[1]

    reply = client.post(action, data={"csrf": csrf(page), **form})

    assert reply.status_code == 400
    assert "as a number from 0 to 99" in reply.text
    assert "Clip 1 of 10" in reply.text


def test_zones_are_asked_for_people_and_slots_for_what_stands_there(site):
    _, aisle = site.site.cameras
    keep_clips(site.state, aisle, [0] * 10, slot="correct")
    client = site.client()

    _, result = answer_all(client, begin(client, "aisle/slot/milk"), lambda _: {"state": "empty"})

    (row,) = read_audited(site.state)
    assert (row.sort, row.missed, row.accuracy) == ("slot", 10, 0.0)
    assert "The right product" in result


def test_a_clip_that_is_gone_counts_as_one_that_nobody_could_judge(site):
    keep_clips(site.state, site.site.cameras[0], [1] * 10)
    client = site.client()
    place = begin(client)
    for path in (site.state / "audits").glob("*.webp"):
        path.unlink()

    result = client.get(place).text

    (row,) = read_audited(site.state)
    assert row.accuracy is None
    assert "Nothing to count" in result


@pytest.mark.parametrize(
    "name", ["../state.db", "20261102T120000-entrance.db", "..%2f..%2fstaff.json", "x.webp"]
)
def test_only_clips_are_handed_out(site, name):
    keep_clips(site.state, site.site.cameras[0], [1])
    client = site.client()

    assert client.get(f"/audit/clips/{name}").status_code in (404, 400)
    assert client.get("/audit/clips/20261102T120000-entrance.webp").status_code == 200
    stranger = site.client(None)
    assert stranger.get("/audit/clips/20261102T120000-entrance.webp").status_code in (303, 401)


def test_the_report_stands_alone_and_says_how_it_was_drawn(site):
    keep_clips(site.state, site.site.cameras[0], COUNTS)
    client = site.client()
    place = begin(client)
    answer_all(client, place, lambda page: {"in": count_of(site, page), "out": 0})

    page, data = client.get(f"{place}/report.html"), client.get(f"{place}/report.json")

    assert page.headers["content-disposition"].startswith("attachment")
    assert not re.search(r'(src|href)="', page.text)
    assert "100.0 % right" in page.text
    report = data.json()
    assert report["measured"]["accuracy"] == 1.0
    assert len(report["audits"][0]["clips"]) == 10
    assert all(0 < clip["probability"] <= 1 for clip in report["audits"][0]["clips"])
    assert "Ana" not in data.text + page.text


def test_the_ledger_says_what_people_measured(site, capsys):
    keep_clips(site.state, site.site.cameras[0], COUNTS)
    client = site.client()
    answer_all(client, begin(client), lambda page: {"in": count_of(site, page), "out": 0})

    show_ledger(site.state, as_json=True)

    assert '"accuracy": 1.0' in capsys.readouterr().out


def test_audits_of_clips_since_a_trial_began_are_its_evidence(site):
    keep_clips(site.state, site.site.cameras[0], [1] * 10)
    client = site.client()
    answer_all(client, begin(client), lambda _: {"in": 2, "out": 0})

    since, later = (read_audit_sums(site.state, from_s=at, to_s=4e9) for at in (NOON_S, NOON_S + 1))

    assert since == AuditSums(agreed=10, missed=10)
    assert later == AuditSums()


def test_an_audit_can_be_dropped_and_its_clips_drawn_again(site):
    keep_clips(site.state, site.site.cameras[0], COUNTS)
    client = site.client()
    place = begin(client)

    client.post(f"{place}/discard", data={"csrf": csrf(client.get(place).text)})

    assert client.get(place).status_code == 404
    assert "12 clips wait" in client.get("/audit").text
