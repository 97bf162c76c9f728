"""Who may sign in: PINs, the staff file, and the commands that change it."""

import io
import json
import stat

import pytest

from shopfloor_edge.console.audit import AuditTrail
from shopfloor_edge.console.pins import complaint, hash_pin, is_pin, make_pin
from shopfloor_edge.console.store import Store
from shopfloor_edge.main import main


@pytest.mark.parametrize(
    "pin",
    ["", "12345", "1234567890123", "12345a", "١٢٣٤٥٦", "111111", "121212", "112112"],
)
def test_a_pin_that_is_no_pin_is_refused(pin):
    assert complaint(pin) != ""


@pytest.mark.parametrize("pin", ["123456", "987654", "901234", "123123", "12342010"])
def test_a_pin_that_is_guessed_first_is_refused(pin):
    assert complaint(pin) != ""


@pytest.mark.parametrize("pin", ["493027", "70418253", "203948571620"])
def test_a_pin_that_is_not_guessed_first_is_taken(pin):
    assert complaint(pin) == ""


def test_a_made_pin_is_one_that_is_taken():
    assert complaint(make_pin()) == ""


def test_a_pin_is_known_by_its_digest_only():
    kept = hash_pin("493027")

    assert "493027" not in kept
    assert kept != hash_pin("493027")
    assert is_pin("493027", kept)
    assert not is_pin("493028", kept)
    assert not is_pin("493027", None)
    assert not is_pin("493027", "scrypt$no$digest")


def run(tmp_path, *arguments):
    return main(["console", "staff", *arguments, "--state", str(tmp_path)])


def test_staff_are_added_listed_and_removed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("493027\n"))
    assert run(tmp_path, "add", "Zoë", "--role", "manager") == 0
    assert run(tmp_path, "add", "Ana", "--make-pin") == 0
    assert run(tmp_path, "remove", "zoë") == 0
    assert run(tmp_path, "list") == 0

    told = capsys.readouterr().out
    file = tmp_path / "staff.json"
    assert "Zoë: manager" in told
    assert told.splitlines()[-1] == "Ana: staff"
    assert [one["name"] for one in json.loads(file.read_text())["people"]] == ["Ana"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    store = Store(tmp_path)
    done = [row.action for row in AuditTrail(store, lambda: None).latest()]
    store.close()
    assert done == ["staff-remove", "staff-add", "staff-add"]


@pytest.mark.parametrize(
    ("pin", "arguments"),
    [
        ("111111", ["add", "Ana"]),
        ("493027", ["add", " "]),
        ("493027", ["add", "A\nB"]),
        ("", ["remove", "Nobody"]),
        ("", ["qr", "till-1", "--url", "ftp://x"]),
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path, capsys, monkeypatch, pin, arguments):
    monkeypatch.setattr("sys.stdin", io.StringIO(pin + "\n"))

    assert run(tmp_path, *arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_code_for_a_tablet_leads_to_the_console(tmp_path, capsys):
    pytest.importorskip("segno", reason="wants the extra shopfloor-edge[console]")
    picture = tmp_path / "code.svg"

    code = run(tmp_path, "qr", "till-1", "--url", "https://store:8480/", "--svg", str(picture))

    assert code == 0
    assert "https://store:8480/enrol/" in capsys.readouterr().out
    assert picture.read_text().startswith("<?xml")
