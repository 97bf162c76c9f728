"""A real Alertmanager with our routes: who is told, and what a site that is down explains."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
pytestmark = [
    pytest.mark.skipif(
        ALERTMANAGER is None,
        reason="wants alertmanager: apt-get install prometheus-alertmanager",
    ),
    pytest.mark.timeout(60),
]


class Webhook:
    """Takes notifications; keeps the alert names of each, by the receiver's path."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in body["alerts"]:
                    labels = alert["labels"]
                    said = (self.path, labels["alertname"], labels.get("site", ""))
                    webhook.told.append(said)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_args) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_error) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


def post(address: str, alerts) -> None:
    body = [{"labels": labels} for labels in alerts]
    httpx.post(f"http://{address}/api/v2/alerts", json=body).raise_for_status()


def wait_until(condition, *, within_s: float = 20.0):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            found = condition()
        except httpx.TransportError:
            found = None
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("did not happen in time")


@contextmanager
def alertmanager(folder: Path, webhook: Webhook):
    """Run it with our file; only the addresses, the pauses and the quiet hours are others."""
    text = (ROOT / "cloud/alertmanager/alertmanager.yml").read_text()
    text = text.replace("127.0.0.1:9095", f"127.0.0.1:{webhook.server.server_port}")
    text = re.sub(r"group_wait: \S+", "group_wait: 1s", text)
    text = text.replace("        mute_time_intervals: [quiet-hours]\n", "")
    config = folder / "alertmanager.yml"
    config.write_text(text)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    command = [
        str(ALERTMANAGER),
        f"--config.file={config}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_until(lambda: httpx.get(f"http://{address}/-/ready").is_success)
            yield address
        finally:
            process.kill()
            process.wait()


def labels(name: str, severity: str, site: str = "", scope: str = "site"):
    given = {"alertname": name, "severity": severity, "scope": scope}
    return given | ({"site": site} if site else {})


def test_a_site_that_is_down_is_told_once_and_the_watchdog_always(tmp_path):
    with Webhook() as webhook, alertmanager(tmp_path, webhook) as address:
        post(
            address,
            [
                labels("SiteDown", "critical", "oslo"),
                labels("DeviceOffline", "warning", "oslo"),
                labels("CamerasLost", "warning", "oslo"),
                labels("SiteBlind", "critical", "oslo"),
                labels("CamerasLost", "warning", "bergen"),
                labels("Watchdog", "none", scope="ingest"),
            ],
        )
        wait_until(lambda: len(set(webhook.told)) >= 3)
        held = httpx.get(f"http://{address}/api/v2/alerts").json()

    assert set(webhook.told) == {
        ("/pager", "SiteDown", "oslo"),
        ("/operators", "CamerasLost", "bergen"),
        ("/watchdog", "Watchdog", ""),
    }
    inhibited = {
        (alert["labels"]["alertname"], alert["labels"]["site"])
        for alert in held
        if alert["status"]["inhibitedBy"]
    }
    assert inhibited == {("DeviceOffline", "oslo"), ("CamerasLost", "oslo"), ("SiteBlind", "oslo")}
