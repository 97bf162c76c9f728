"""A browser asks for notices on the console."""

import pytest

from fakes.console_site import SITE, ConsoleSite, csrf
from shopfloor_contracts.site import parse_site
from shopfloor_edge.journal.pushes import PUBLIC_KEY_FILE, PushBook

PUSH = """
[notify.web_push]
key_file = "/nowhere"
contact = "mailto:it@example.org"
hosts = ["push.example"]
"""
FORM = {"endpoint": "https://push.example/abc", "p256dh": "key", "auth": "secret"}


@pytest.fixture
def site(tmp_path):
    site = ConsoleSite(tmp_path / "state", parse_site(SITE + PUSH, source="tests"))
    yield site
    site.close()


def kept(site):
    book = PushBook(site.state)
    try:
        return [one.endpoint for one in book.all()]
    finally:
        book.close()


def post(client, path="/push", **changed):
    return client.post(path, data={**FORM, "csrf": csrf(client.get("/").text), **changed})


def test_the_key_is_there_once_the_notifier_has_written_it(site):
    client = site.client()
    before = client.get("/push/key").status_code
    (site.state / PUBLIC_KEY_FILE).write_text("BPublic\n")

    assert (before, client.get("/push/key").json()) == (404, {"key": "BPublic"})


def test_a_browser_is_kept_and_taken_away_and_both_are_audited(site):
    client = site.client()

    added = post(client).status_code, kept(site)
    removed = post(client, "/push/remove").status_code, kept(site)

    assert added == (204, ["https://push.example/abc"])
    assert removed == (204, [])
    assert {"push-added", "push-removed"} <= {row.action for row in site.desk.audit.latest()}


@pytest.mark.parametrize(
    "changed",
    [
        {"endpoint": "https://evil.example/abc"},
        {"endpoint": "https://[broken"},
        {"endpoint": "https://push.example/" + "x" * 1000},
        {"p256dh": ""},
        {"auth": "x" * 300},
    ],
)
def test_what_is_no_subscription_at_a_named_service_is_refused(site, changed):
    assert post(site.client(), **changed).status_code == 400
    assert kept(site) == []


def test_nobody_subscribes_without_signing_in_or_without_the_forms_token(site):
    stranger = site.client(None)

    assert stranger.post("/push", data=FORM).status_code in (303, 401, 403)
    assert site.client().post("/push", data=FORM).status_code == 403
    assert kept(site) == []
