"""Signing in: what lets a person in, and what does not."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from fakes.console_site import PIN, ConsoleSite, csrf
from shopfloor_edge.console.attempts import Attempts, Source
from shopfloor_edge.console.guard import COOKIE, TABLET_COOKIE

WRONG = "111222"


class Clock:
    def __init__(self):
        self.now = datetime.now(UTC)

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def site(tmp_path, clock):
    site = ConsoleSite(tmp_path / "state", clock=clock)
    yield site
    site.close()


def enrol(site, client):
    link = "/enrol/" + site.desk.tablets.invite("till-1")
    answer = client.post(link, data={"csrf": csrf(client.get(link).text)})
    assert answer.status_code == 303
    return link


def actions(site):
    return [row.action for row in site.desk.audit.latest()]


def test_a_person_signs_in_with_name_and_pin(site):
    client = site.client("Ana")

    answer = client.get("/")

    assert answer.status_code == 200
    assert "Ana" in answer.text
    assert actions(site) == ["sign-in"]


@pytest.mark.parametrize("path", ["/", "/health", "/live", "/pictures/entrance.jpg", "/nowhere"])
def test_nothing_is_shown_to_whoever_is_not_signed_in(site, path):
    answer = site.client(None).get(path)

    assert answer.status_code in (303, 401)
    assert answer.headers.get("location", "/sign-in").startswith("/sign-in")


@pytest.mark.parametrize(("name", "pin"), [("Ana", WRONG), ("Nobody", PIN), ("", ""), ("Ana", "")])
def test_a_wrong_name_or_pin_is_refused_and_audited(site, name, pin):
    client = site.client(None)

    answer = site.sign_in(client, name, pin)

    assert answer.status_code == 401
    assert COOKIE not in client.cookies
    assert actions(site) == ["sign-in-refused"]


@pytest.mark.attack("guessing a PIN")
def test_guessing_a_pin_waits_longer_and_longer(site, clock):
    client = site.client(None)
    waits = []

    for _ in range(8):
        answer = site.sign_in(client, "Ana", WRONG)
        while answer.status_code == 429:
            waits.append(int(answer.headers["retry-after"]))
            clock.now += timedelta(seconds=waits[-1])
            answer = site.sign_in(client, "Ana", WRONG)

    assert waits == [15, 30, 60]


@pytest.mark.attack("the right PIN among guesses")
def test_the_right_pin_is_refused_too_while_a_guesser_waits(site):
    client = site.client(None)
    for _ in range(5):
        site.sign_in(client, "Ana", WRONG)

    assert site.sign_in(client, "Ana", PIN).status_code == 429


@pytest.mark.attack("locking the staff out")
def test_who_guesses_from_outside_locks_nobody_out_of_the_store_s_tablets(site):
    tablet, stranger = site.client(None), site.client(None)
    enrol(site, tablet)
    for _ in range(30):
        site.sign_in(stranger, "Ana", WRONG)

    assert site.sign_in(stranger, "Ana", PIN).status_code == 429
    assert site.sign_in(tablet, "Ana", PIN).status_code == 303


@pytest.mark.attack("guessing names")
def test_one_address_cannot_try_many_names(site):
    client = site.client(None)

    codes = [site.sign_in(client, f"name-{n}", WRONG).status_code for n in range(24)]

    assert codes[:20] == [401] * 20
    assert set(codes[20:]) == {429}


@pytest.mark.attack("session fixation")
def test_a_cookie_that_was_planted_before_signing_in_is_worth_nothing_after(site):
    client = site.client(None)
    client.cookies.set(COOKIE, "planted-by-somebody-else", domain="127.0.0.1")

    site.sign_in(client, "Ana", PIN)

    cookies = {cookie.value for cookie in client.cookies.jar if cookie.name == COOKIE}
    assert site.desk.sessions.find("planted-by-somebody-else", used=True) is None
    assert any(site.desk.sessions.find(cookie, used=True) for cookie in cookies)


def test_signing_in_again_ends_the_session_before(site):
    client = site.client("Ana")
    before = client.cookies[COOKIE]

    client.post(
        "/sign-in",
        data={"csrf": csrf(client.get("/").text), "name": "Ben", "pin": PIN},
    )

    assert client.cookies[COOKIE] != before
    assert site.desk.sessions.find(before, used=True) is None


def test_a_session_s_cookie_is_kept_from_scripts_and_other_sites(site):
    client = site.client(None)

    answer = site.sign_in(client, "Ana", PIN)

    (cookie,) = [c for c in answer.headers.get_list("set-cookie") if c.startswith(COOKIE)]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    rows = sqlite3.connect(site.state / "state.db").execute("SELECT digest FROM console_sessions")
    assert client.cookies[COOKIE] not in {digest for (digest,) in rows}
    rows.connection.close()


def test_a_session_ends_when_it_is_idle_signed_out_or_old(site, clock):
    idle, out = site.client("Ana"), site.client("Ben")

    out.post("/sign-out", data={"csrf": csrf(out.get("/").text)})
    clock.now += timedelta(minutes=31)

    assert idle.get("/").status_code == 303
    assert out.get("/").status_code == 303


def test_no_session_outlasts_a_working_day(site, clock):
    client = site.client(None)
    enrol(site, client)
    site.sign_in(client, "Ana", PIN)
    codes = []

    for _ in range(29):
        clock.now += timedelta(minutes=30)
        codes.append(client.get("/healthz").status_code)
        codes.append(client.get("/", headers={"accept": "text/html"}).status_code)

    assert codes[:-2] == [200] * 56
    assert codes[-1] == 303


def test_who_is_removed_from_the_staff_is_signed_out(site):
    client = site.client("Ana")

    site.desk.staff.change(lambda people: [one for one in people if one.name != "Ana"])

    assert client.get("/").status_code == 303


@pytest.mark.parametrize(("name", "code"), [("Ana", 403), ("Ben", 200), ("Ines", 200), (None, 303)])
@pytest.mark.attack("a role that is too low")
def test_a_role_that_is_too_low_is_refused(site, name, code):
    answer = site.client(name).get("/health/rollback/model")

    assert answer.status_code == code


@pytest.mark.attack("a forged form (CSRF)")
def test_a_form_without_its_token_is_refused_and_audited(site):
    client = site.client("Ana")

    answers = [
        client.post("/sign-out"),
        client.post("/sign-out", data={"csrf": "of-another-page"}),
        client.post("/sign-out", headers={"x-csrf-token": csrf(site.client("Ben").get("/").text)}),
        client.post(
            "/sign-out",
            data={"csrf": csrf(client.get("/").text)},
            headers={"sec-fetch-site": "cross-site"},
        ),
    ]

    assert [answer.status_code for answer in answers] == [403] * 4
    assert client.get("/").status_code == 200
    assert actions(site).count("form-refused") == 4


@pytest.mark.attack("a sign-in form of another site")
def test_a_sign_in_form_of_another_site_is_refused(site):
    client = site.client(None)

    answer = client.post("/sign-in", data={"name": "Ana", "pin": PIN})

    assert answer.status_code == 403


@pytest.mark.attack("a tablet link used twice")
def test_an_enrolment_link_works_once(site):
    first, second = site.client(None), site.client(None)
    link = enrol(site, first)

    again = second.post(link, data={"csrf": csrf(second.get(link).text)})

    assert TABLET_COOKIE in first.cookies
    assert again.status_code == 403
    assert TABLET_COOKIE not in second.cookies


def test_an_enrolment_link_is_worth_nothing_after_a_while(site, clock):
    client = site.client(None)
    link = "/enrol/" + site.desk.tablets.invite("till-1")
    clock.now += timedelta(minutes=16)

    answer = client.post(link, data={"csrf": csrf(client.get(link).text)})

    assert answer.status_code == 403


def test_names_are_offered_on_an_enrolled_tablet_only(site):
    tablet = site.client(None)
    enrol(site, tablet)

    assert "Ines" in tablet.get("/sign-in").text
    assert "Ines" not in site.client(None).get("/sign-in").text


def test_a_removed_tablet_is_a_stranger_and_its_people_are_signed_out(site):
    tablet, manager = site.client(None), site.client("Ben")
    enrol(site, tablet)
    site.sign_in(tablet, "Ana", PIN)
    (listed,) = site.desk.tablets.listed()

    form = {"csrf": csrf(manager.get("/health").text)}
    manager.post(f"/health/tablets/{listed.digest}/remove", data=form)

    assert tablet.get("/").status_code == 303
    assert "Ines" not in tablet.get("/sign-in").text


def test_many_addresses_together_try_no_more_than_a_few():
    attempts = Attempts(lambda: datetime(2026, 11, 21, tzinfo=UTC))

    waits = [attempts.begin(Source(f"fe80::{n}"), f"name-{n}") for n in range(200)]

    assert sum(not wait for wait in waits) == 60
    assert not attempts.begin(Source("fe80::1", tablet="till-1"), "Ana")


@pytest.mark.parametrize("place", ["//evil.example", "/\\evil.example", "https://evil.example"])
@pytest.mark.attack("being led to another site")
def test_signing_in_leads_to_no_other_site(site, place):
    client = site.client(None)
    form = {"csrf": csrf(client.get("/sign-in").text), "name": "Ana", "pin": PIN, "next": place}

    assert client.post("/sign-in", data=form).headers["location"] == "/"


@pytest.mark.attack("a huge form")
def test_a_form_that_is_far_too_large_is_refused(site):
    client = site.client("Ana")

    answer = client.post("/sign-out", data={"csrf": csrf(client.get("/").text), "x": "x" * 300_000})

    assert answer.status_code == 413


def test_every_answer_keeps_other_scripts_out(site):
    client = site.client("Ana")

    for path in ("/", "/sign-in", "/static/shopfloor.js", "/nowhere", "/offline"):
        headers = client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff", path


def test_a_changed_row_of_the_audit_trail_is_found(site):
    site.client("Ana")
    site.client("Ben")
    assert site.desk.audit.broken_at() is None
    database = sqlite3.connect(site.state / "state.db", isolation_level=None)

    with pytest.raises(sqlite3.IntegrityError):
        database.execute("UPDATE console_audit SET actor = 'Ben' WHERE number = 1")
    database.execute("DROP TRIGGER console_audit_no_update")
    database.execute("UPDATE console_audit SET actor = 'Ben' WHERE number = 1")
    database.close()

    assert site.desk.audit.broken_at() == 1
    assert site.desk.audit.broken_at(last=1) is None


def test_the_newest_rows_of_the_audit_trail_are_checked_alone(site):
    for name in ("Ana", "Ben", "Ines"):
        site.client(name)
    database = sqlite3.connect(site.state / "state.db", isolation_level=None)
    database.execute("DROP TRIGGER console_audit_no_update")
    database.execute("UPDATE console_audit SET actor = 'Ana' WHERE number = 3")
    database.close()

    assert site.desk.audit.broken_at(last=1) == 3
    assert site.desk.audit.broken_at(last=100) == 3


@pytest.mark.attack("a broken staff file")
def test_a_staff_file_that_is_not_understood_lets_nobody_in(site):
    client = site.client("Ana")
    (site.state / "staff.json").write_text(json.dumps({"people": [{"name": "Eve"}]}))

    assert client.get("/").status_code == 503
