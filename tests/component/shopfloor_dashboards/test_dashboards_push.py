"""Boards are pushed to a Grafana over HTTP; a second push changes nothing."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest

from fakes.grafana import FakeGrafana
from shopfloor_dashboards.main import BOARDS
from shopfloor_dashboards.push import main

ROOT = Path(__file__).resolve().parents[3]
ALL = 1 + 3 + len(BOARDS) + 2
"""The folder, data sources, dashboards, contact points."""


@pytest.fixture
def grafana():
    server = FakeGrafana()
    yield server
    server.close()


@pytest.fixture
def folder(tmp_path):
    """A copy of what is pushed, that a test may change."""
    for name in ("json", "provisioning"):
        shutil.copytree(ROOT / "dashboards" / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def push(grafana, folder, monkeypatch, capsys):
    monkeypatch.setenv("GRAFANA_TOKEN", "admin-token")

    def push(*flags: str, url: str = "") -> tuple[int, str, str]:
        code = main(["--url", url or grafana.url, "--folder", str(folder), *flags])
        said = capsys.readouterr()
        return code, said.out, said.err

    return push


def test_everything_is_created_and_a_second_push_changes_nothing(push, grafana):
    first, second = push(), push()

    assert (first[0], second[0]) == (0, 0)
    assert first[1].endswith(f"{ALL} changed, 0 as they should be\n")
    assert second[1] == f"0 changed, {ALL} as they should be\n"
    assert len(grafana.writes) == ALL
    assert {kind: len(found) for kind, found in grafana.stored.items()} == {
        "folders": 1,
        "datasources": 2,
        "dashboards": len(BOARDS),
        "contact-points": 2,
    }


def test_all_boards_lie_in_the_folder_and_are_what_is_committed(push, grafana):
    push()

    for file in (ROOT / "dashboards/json").glob("*.json"):
        stored, board = grafana.stored["dashboards"][file.stem], json.loads(file.read_text())
        assert stored["meta"]["folderUid"] == "shopfloor"
        assert stored["dashboard"]["panels"] == board["panels"]


def test_a_dry_run_says_what_would_change_and_writes_nothing(push, grafana):
    code, out, _ = push("--dry-run")

    assert code == 0
    assert "create dashboard shopfloor-fleet\n" in out
    assert out.endswith(f"{ALL} would be changed, 0 as they should be\n")
    assert grafana.writes == []


@pytest.mark.parametrize(
    ("kind", "uid", "change", "said"),
    [
        ("folders", "shopfloor", {"title": "Mine"}, "change folder shopfloor"),
        (
            "datasources",
            "shopfloor-prometheus",
            {"url": "http://127.0.0.1:1"},
            "change data source shopfloor-prometheus",
        ),
        (
            "contact-points",
            "shopfloor-pager",
            {"name": "Mine"},
            "change contact point shopfloor-pager",
        ),
    ],
)
def test_what_somebody_changed_is_put_back(kind, uid, change, said, push, grafana):
    push()
    grafana.stored[kind][uid].update(change)

    code, out, _ = push("--json")

    assert code == 0
    assert json.loads(out) == {"dry_run": False, "changed": [said], "unchanged": ALL - 1}
    assert push()[1].startswith("0 changed")


def test_a_board_that_somebody_edited_or_moved_is_put_back(push, grafana):
    push()
    boards = grafana.stored["dashboards"]
    boards["shopfloor-fleet"]["dashboard"]["panels"][0]["title"] = "Mine?"
    boards["shopfloor-site"]["meta"]["folderUid"] = ""
    properties = boards["shopfloor-device"]["dashboard"]["panels"][9]["fieldConfig"]["overrides"]
    properties[0]["properties"][0]["id"] = "decimals"

    changed = json.loads(push("--json")[1])["changed"]

    assert changed == [f"change dashboard shopfloor-{name}" for name in ("device", "fleet", "site")]


def test_the_readers_password_is_sent_when_grafana_has_none(push, grafana, monkeypatch):
    push()
    monkeypatch.setenv("SHOPFLOOR_READER_PASSWORD", "hush")

    code, out, _ = push()

    assert code == 0
    assert out.startswith("change data source shopfloor-postgresql\n1 changed")
    assert grafana.stored["datasources"]["shopfloor-postgresql"]["secureJsonFields"] == {
        "password": True
    }
    assert push()[1].startswith("0 changed")


def test_a_data_source_of_the_same_name_is_told_and_not_taken_over(push, grafana):
    grafana.stored["datasources"]["old"] = {"uid": "old", "name": "Prometheus"}

    code, _, err = push()

    assert code == 2
    assert "same name already exists" in err


@pytest.mark.parametrize(
    ("token", "complaint"),
    [
        ("nobodys-token", "status 401, 'Invalid API key': the token is unknown or has expired"),
        ("viewer-token", "status 403"),
        ("", "no token, expected one in GRAFANA_TOKEN"),
        ("two words", "the token is empty or no token"),
        ("line\nfeed", "the token is empty or no token"),
    ],
)
def test_a_token_that_does_not_do_is_one_line_without_it(token, complaint, push, monkeypatch):
    monkeypatch.setenv("GRAFANA_TOKEN", token)

    code, out, err = push()

    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert complaint in err
    assert not token or token not in err


def test_a_token_is_read_from_a_file(push, tmp_path, monkeypatch):
    monkeypatch.delenv("GRAFANA_TOKEN")
    (tmp_path / "token").write_text("admin-token\n")

    assert push("--token-file", str(tmp_path / "token"))[0] == 0
    assert push("--token-file", str(tmp_path / "none"))[0] == 2


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("grafana", "the URL is none"),
        ("http://a:b:c", "the URL is none"),
        ("ftp://127.0.0.1", "the URL is none"),
        ("http://admin:hush@127.0.0.1", "the URL holds a password"),
        ("http://grafana.example", "http would show the token, expected https"),
    ],
)
def test_an_address_that_does_not_do_is_one_line_and_nothing_is_sent(url, complaint, push):
    code, _, err = push(url=url)

    assert code == 2
    assert err.count("\n") == 1
    assert complaint in err
    assert "hush" not in err


def test_nobody_at_home_is_worth_another_try(push):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    code, _, err = push(url=f"http://127.0.0.1:{port}")

    assert code == 1
    assert err.startswith(f"dashboards-push: http://127.0.0.1:{port}: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("answer", "code", "complaint"),
    [
        ((200, "<html>hello</html>"), 2, "answers, and is no Grafana"),
        ((200, "[]"), 2, "answers, and is no Grafana"),
        ((302, ""), 2, "status 302"),
        ((404, '{"message": "gone"}'), 2, "status 404, 'gone'"),
        ((503, '{"message": "x\\ny"}'), 1, "status 503, 'x y'"),
    ],
)
def test_what_is_no_grafana_is_told(answer, code, complaint, push, grafana):
    grafana.answers_instead = answer

    ended, out, err = push()

    assert (ended, out) == (code, "")
    assert complaint in err
    assert err.count("\n") == 1


def test_a_broken_file_is_named_and_nothing_is_sent(push, folder, grafana):
    (folder / "json/shopfloor-fleet.json").write_text("{")

    code, _, err = push()

    assert code == 2
    assert str(folder) in err
    assert grafana.writes == []
