"""The commissioning report: its verdict, and that it is one harmless file."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta

from shopfloor_contracts.site import SiteFile
from shopfloor_provisioning.job import CameraSeen, Collected
from shopfloor_provisioning.report.contents import (
    CloudSees,
    Report,
    report_device,
    unreachable,
)
from shopfloor_provisioning.report.page import render, write_report

BEGAN = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
SITE = SiteFile.model_validate(
    {
        "site": "store-7",
        "device": "counter-1",
        "cameras": [
            {
                "name": "entrance",
                "uri": "rtsp://192.0.2.20/s",
                "lines": [{"name": "door", "a": [0.5, 0.2], "b": [0.5, 0.8]}],
            }
        ],
    }
)


def seen(**changes):
    values = {"camera": "entrance", "status": "live", "fps": 9.8, "snapshot": PNG}
    return CameraSeen(**(values | changes))


def collected(**changes):
    values = {
        "system": "debian 12",
        "architecture": "x86_64",
        "python": "3.11",
        "version": "0.1.0",
        "clock_offset_s": 0.2,
        "free_bytes": 20_000_000_000,
        "processes": {"vision": "running", "agent": "running"},
        "cameras": [seen()],
        "update": "off",
        "certificate": "2026-12-21 09:00 UTC",
    }
    return Collected(**(values | changes))


def device(what=None, cloud=BEGAN + timedelta(seconds=5)):
    return report_device(
        SITE,
        what or collected(),
        CloudSees(seen_at=cloud),
        since=BEGAN,
        console_url="https://192.0.2.7:8480/",
    )


def site(*devices):
    return Report(site="store-7", time_zone="UTC", made_at=BEGAN, devices=list(devices))


def failed(report):
    return {check.name for check in report.checks if not check.passed}


def test_a_site_in_order_passes():
    assert failed(device()) == set()


def test_a_camera_that_is_down_is_told_with_its_reason():
    report = device(collected(cameras=[seen(status="down", reason="refuses the password")]))

    assert failed(report) == {"camera entrance"}
    assert any(check.found == "down: refuses the password" for check in report.checks)


def test_a_camera_that_is_too_slow_is_not_in_order():
    assert failed(device(collected(cameras=[seen(fps=3.0)]))) == {"camera entrance"}


def test_a_process_that_has_ended_is_not_in_order():
    report = device(collected(processes={"vision": "running", "agent": "ended"}))

    assert failed(report) == {"process agent"}


def test_an_event_from_before_is_no_sign_of_life():
    assert failed(device(cloud=BEGAN - timedelta(seconds=1))) == {"event seen by the cloud"}


def test_a_device_that_cannot_be_asked_fails_the_site():
    assert not site(device(), unreachable("counter-2", "does not answer")).passed


def test_the_page_loads_nothing_and_runs_nothing():
    page = render(site(device()))

    assert "<script" not in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources
    assert all(source.startswith("data:") for source in sources)


def test_a_script_in_what_a_device_says_stays_text():
    evil = "<script>alert(1)</script>"

    page = render(site(device(collected(update=evil, cameras=[seen(snapshot_note=evil)]))))

    assert evil not in page
    assert "&lt;script&gt;" in page


def test_the_json_has_no_picture(tmp_path):
    page, data = write_report(site(device()), tmp_path)

    assert PNG in page.read_text()
    assert PNG not in data.read_text()
    assert json.loads(data.read_text())["devices"][0]["cameras"][0]["seen"]["fps"] == 9.8
