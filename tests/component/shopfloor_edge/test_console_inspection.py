"""The page *Inspection*: what it shows of a line, and what people say on it."""

import json
import re

import pytest

from fakes.console_site import ConsoleSite, csrf
from fakes.line_book import fill_book
from shopfloor_edge.journal.part_views import EVIDENCE_FOLDER
from shopfloor_edge.journal.parts import PartBook, read_overrules


@pytest.fixture
def site(tmp_path):
    site = ConsoleSite(tmp_path / "state")
    yield site
    site.close()


def say(client, part, said, station="aoi"):
    token = csrf(client.get("/inspection").text)
    form = {"csrf": token, "said": said}
    return client.post(f"/inspection/{station}/parts/{part}", data=form)


def commands(site):
    book = PartBook(site.state, "aoi", max_rows=100, max_bytes=10**6)
    found = book.take_commands()
    book.close()
    return found


def test_a_device_without_a_station_says_so(site):
    answer = site.client().get("/inspection")

    assert answer.status_code == 200
    assert "No inspection station" in answer.text


def test_the_page_is_in_the_menu_where_there_is_a_station(site):
    client = site.client()
    before = client.get("/").text

    fill_book(site.state, "p")

    assert 'href="/inspection"' not in before
    assert 'href="/inspection"' in client.get("/").text


def test_the_line_its_parts_and_golden_parts_are_shown(site):
    fill_book(site.state, "p" * 40 + "fr")

    text = site.client().get("/inspection").text

    assert "The line runs" in text
    assert "All judged rightly" in text
    assert re.findall(r'id="part-(\d+)"', text) == ["42", "41"]
    assert "mousebite" in text
    assert "the judge is unsure" in text


def test_a_burst_of_defects_is_told_first(site):
    fill_book(site.state, "p" * 40 + "f" * 30)

    text = site.client().get("/inspection").text

    assert "The line stands" in text
    assert text.count('class="card part"') == 12
    assert "before=59" in text
    assert 'id="part-58"' in site.client().get("/inspection?before=59").text


def test_misjudged_golden_parts_are_named(site):
    fill_book(site.state, "p", misjudged=("bad.png: pass, expected fail",))

    text = site.client().get("/inspection").text

    assert "The line is held" in text
    assert "bad.png: pass, expected fail" in text


def test_one_tap_says_what_a_part_was_and_gives_a_rate(site):
    fill_book(site.state, "pppf")
    client = site.client("Ana")

    answer = say(client, 4, "good")

    assert answer.status_code == 303
    [said] = read_overrules(site.state, "aoi")
    assert (said.part, said.verdict, said.good, said.by) == (4, "fail", True, "Ana")
    page = client.get("/inspection").text
    assert "(1 of 1)" in page
    assert 'id="part-4"' not in page
    with site.desk.store.reading() as connection:
        query = "SELECT detail FROM console_audit WHERE action = 'overrule'"
        (detail,) = connection.execute(query).fetchone()
    assert json.loads(detail) == {"station_said": "fail", "person_said": "good"}


def test_what_was_said_can_be_taken_back_until_it_is_reported(site):
    fill_book(site.state, "ff")
    client = site.client()
    say(client, 1, "good")
    say(client, 2, "good")
    book = PartBook(site.state, "aoi", max_rows=100, max_bytes=10**6)
    book._quick.execute("UPDATE overrules SET counted = 1 WHERE part = 2")
    book.close()

    answers = [say(client, part, "undo").status_code for part in (1, 2)]

    assert answers == [303, 409]
    assert [said.part for said in read_overrules(site.state, "aoi")] == [2]


@pytest.mark.parametrize(
    ("part", "said", "status"), [(1, "well", 400), (9, "good", 404), (2, "bad", 409)]
)
def test_what_cannot_be_said_is_refused(site, part, said, status):
    fill_book(site.state, "ff")
    client = site.client()
    say(client, 2, "good")

    assert say(client, part, said).status_code == status
    assert len(read_overrules(site.state, "aoi")) == 1


@pytest.mark.parametrize("path", ["/inspection?station=x", "/inspection/pictures/aoi/7",
                                  "/inspection/pictures/..%2Faoi/1", "/inspection/pictures/x/1",
                                  "/inspection/state?station=x"])  # fmt: skip
def test_an_unknown_station_or_part_is_not_found(site, path):
    fill_book(site.state, "ff")

    assert site.client().get(path).status_code == 404


def test_a_picture_that_was_pushed_out_is_said_to_be_gone(site):
    fill_book(site.state, "ff")
    client = site.client()
    kept = client.get("/inspection/pictures/aoi/1")
    next((site.state / EVIDENCE_FOLDER / "aoi").glob("*1.jpg")).unlink()

    assert kept.headers["content-type"] == "image/jpeg"
    assert client.get("/inspection/pictures/aoi/1").status_code == 404
    assert "no longer kept" in client.get("/inspection").text


def test_only_a_manager_commands_the_line(site):
    fill_book(site.state, "p")
    answers = []
    for name in ("Ana", "Ben"):
        client = site.client(name)
        text = client.get("/inspection").text
        answers.append(
            (
                'value="restart"' in text,
                client.post(
                    "/inspection/aoi/line", data={"csrf": csrf(text), "command": "stop"}
                ).status_code,
            )
        )

    assert answers == [(False, 403), (True, 303)]
    assert commands(site) == [("stop", "Ben")]


def test_an_unknown_command_is_refused(site):
    fill_book(site.state, "p")
    client = site.client("Ben")
    token = csrf(client.get("/inspection").text)

    answer = client.post("/inspection/aoi/line", data={"csrf": token, "command": "explode"})

    assert answer.status_code == 400
    assert commands(site) == []


def test_with_several_stations_one_is_chosen(site):
    fill_book(site.state, "pf", station="aoi")
    fill_book(site.state, "rr", station="press")

    text = site.client().get("/inspection?station=press").text

    assert 'href="/inspection?station=aoi"' in text
    assert "/inspection/press/parts/2" in text
