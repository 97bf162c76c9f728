"""The process's edges: its API, its command line, its end."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest

from component.shopfloor_ingest.conftest import only_sqlite, wait_until
from fakes.ingest_events import EPOCH

pytestmark = [pytest.mark.timeout(60)]
PROBLEM = "application/problem+json"


def run(*flags):
    return subprocess.run(
        [sys.executable, "-m", "shopfloor_ingest.app", *flags],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.mark.broker
def test_traffic_is_summed_per_bucket_camera_and_line(ingest, connect):
    ingest.start()
    link = connect()
    device = link.device
    link.say(
        device.traffic(1, window_start=EPOCH, crossings=(1, 0), coverage=1.0),
        device.traffic(2, window_start=EPOCH + timedelta(minutes=59), coverage=0.5, window_s=30),
        device.traffic(3, window_start=EPOCH + timedelta(minutes=60), crossings=(5, 6)),
        device.traffic(4, window_start=EPOCH + timedelta(minutes=120), crossings=(9, 9)),
    )
    link.wait_for_ack(4)

    query = "from=2026-03-01T12:00:00Z&to=2026-03-01T15:00:00%2B01:00&bucket=hour"
    answer = ingest.get(f"/api/v1/sites/oslo/traffic?{query}").json()

    rows = answer.pop("rows")
    assert answer == {
        "site": "oslo",
        "from": "2026-03-01T12:00:00Z",
        "to": "2026-03-01T14:00:00Z",
        "bucket": "hour",
    }
    names = {"camera": "cam-1", "line": "entrance"}
    assert rows == [
        {
            "bucket_start": "2026-03-01T12:00:00Z",
            "crossings_in": 2,
            "crossings_out": 2,
            "coverage_ratio": pytest.approx((60 * 1.0 + 30 * 0.5) / 90),
            **names,
        },
        {
            "bucket_start": "2026-03-01T13:00:00Z",
            "crossings_in": 5,
            "crossings_out": 6,
            "coverage_ratio": 1.0,
            **names,
        },
    ]


@pytest.mark.broker
def test_a_wrong_question_is_a_problem_document(ingest, connect):
    ingest.start()
    link = connect()
    link.say(link.device.traffic(1))
    link.wait_for_ack(1)
    expected = {
        "/api/v1/sites/bergen/traffic": (404, "unknown-site"),
        "/api/v1/sites/bergen/devices": (404, "unknown-site"),
        "/api/v1/sites/OSLO/devices": (422, "invalid-request"),
        "/api/v1/sites/oslo/traffic?bucket=week": (422, "invalid-request"),
        "/api/v1/sites/oslo/traffic?from=2026-03-01T12:00:00": (422, "invalid-request"),
        "/nowhere": (404, "not-found"),
    }

    for path, (status, slug) in expected.items():
        answer = ingest.get(path)

        assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), path
        assert answer.json()["type"] == f"urn:shopfloor:problem:{slug}"
    assert ingest.get("/api/v1/sites/oslo/traffic").json()["rows"] == []


@pytest.mark.broker
def test_it_ends_cleanly_when_told_to(ingest):
    ingest.start()
    assert ingest.stop() == 0
    assert ingest.logged("writer ended by a fault") == 0


@pytest.mark.broker
def test_a_refused_account_ends_it_with_one_clear_line(ingest):
    (ingest.folder / "password").write_text("wrong\n")

    ingest.start(wait=False)

    assert ingest.process.wait(10) == 2
    lines = [line for line in ingest.log.read_text().splitlines() if not line.startswith("{")]
    assert lines == ["shopfloor-ingest: broker refuses user 'ingest': Not authorized"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--config", "/nowhere.toml"), "/nowhere.toml: No such file"),
        (("--broker-port", "many"), "broker_port is 'many'"),
        (("--broker-host", "mq.example"), "a broker_ca_file for TLS is required"),
        (("--database", "mysql://x"), "expected sqlite:///path"),
        (("--database", "sqlite:////nowhere/a.db"), "folder '/nowhere' does not exist"),
        (("--http-host", "192.0.2.1"), "cannot listen on 192.0.2.1:8080"),
        (("--broker-ca-file", "/nowhere"), "broker_ca_file"),
    ],
)
def test_a_wrong_setting_ends_it_with_one_line_and_exit_2(tmp_path, flags, words):
    database = () if "--database" in flags else ("--database", f"sqlite:///{tmp_path}/a.db")

    done = run(*database, *flags)

    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert line.startswith("shopfloor-ingest: ")
    assert words in line


def test_an_unknown_key_in_the_file_names_the_nearest(tmp_path):
    file = tmp_path / "ingest.toml"
    file.write_text('broker_hots = "a"\n')

    done = run("--config", str(file))

    assert done.returncode == 2
    assert f"{file}: unknown key 'broker_hots'; did you mean 'broker_host'?" in done.stderr


def test_help_shows_every_setting_and_an_example():
    done = run("--help")

    assert done.returncode == 0
    assert "--broker-password-file" in done.stdout
    assert "example:" in done.stdout


@pytest.mark.broker
@only_sqlite
def test_a_database_that_cannot_be_opened_is_complained_about_and_retried(ingest, connect):
    (ingest.folder / "ingest.db").mkdir()

    ingest.start(wait=False)
    wait_until(lambda: ingest.health()[0] == 503, what="the complaint")
    link = connect()
    link.say(link.device.traffic(1))
    wait_until(lambda: ingest.health()[1].get("broker") == "ok", what="the broker")
    (ingest.folder / "ingest.db").rmdir()

    link.wait_for_ack(1)
