"""The command's errors and exit codes, before any device is reached."""

import fcntl

import pytest

from shopfloor_provisioning.app import main

STORE = """
site = "store-7"
[cloud]
broker_host = "mqtt.example.org"
[[devices]]
name = "counter-1"
address = "192.0.2.7"
{more}
[[devices.cameras]]
name = "entrance"
uri = "rtsp://192.0.2.20/s"
"""


@pytest.fixture
def run(tmp_path, capsys):
    def run(*words, more=""):
        (tmp_path / "store-7.toml").write_text(STORE.format(more=more))
        places = ["--sites", str(tmp_path), "--var", str(tmp_path / "var")]
        code = main([*words, *places])
        return code, capsys.readouterr().err.splitlines()

    return run


def test_a_site_that_is_not_there_is_told_with_those_that_are(run):
    code, (line,) = run("plan", "store-8")

    assert code == 2
    assert line.endswith("store-8.toml: no such file; sites there: store-7")


def test_a_missing_secret_is_told_before_anything_is_done(run, monkeypatch):
    monkeypatch.delenv("SHOPFLOOR_SECRET_DOOR", raising=False)

    code, (line,) = run("apply", "store-7", more='password_secret = "DOOR"')

    assert code == 2
    assert "secrets are missing: set SHOPFLOOR_SECRET_DOOR" in line


def test_a_device_that_is_not_in_the_file_is_told_with_those_that_are(run):
    code, (line,) = run("status", "store-7", "--device", "counter-2")

    assert code == 2
    assert "no device is named counter-2; there are counter-1" in line


def test_a_device_elsewhere_is_not_destroyed_without_a_word(run):
    code, (line,) = run("destroy", "store-7")

    assert code == 2
    assert line.endswith("of counter-1 would be removed: say --yes")


def test_every_problem_of_a_file_is_a_line(run):
    code, lines = run("plan", "store-7", more='color = "red"\nporrt = 1')

    assert code == 2
    assert len(lines) == 2
    assert all(line.startswith("shopfloor-site: ") for line in lines)


def test_two_commands_on_one_site_do_not_meet(run, tmp_path):
    (tmp_path / "var").mkdir()
    with (tmp_path / "var/.store-7.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        code, (line,) = run("apply", "store-7")

    assert code == 2
    assert "another command is at work on it" in line
