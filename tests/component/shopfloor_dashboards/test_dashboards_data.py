"""Every query of every dashboard returns data from a Prometheus that scrapes our exporters."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, start_http_server

from fakes.fleet import Fleet, accepted, alert, heartbeat
from fakes.ingest_events import FakeDevice
from shopfloor_campaigns.adapters.metrics import CampaignMeter, DeviceCollector
from shopfloor_contracts.events import CameraStatus
from shopfloor_contracts.rules import Severity
from shopfloor_dashboards.check import expressions, silent_panels
from shopfloor_edge.vision.metrics import CameraFigures, Fate, VisionMetrics
from shopfloor_ingest.domain.devices import DeviceStatus
from shopfloor_ingest.usecases import Outcome
from shopfloor_registry.adapters.metrics import TrustExpiry

ROOT = Path(__file__).resolve().parents[3]
QUERIES = [
    query
    for file in sorted((ROOT / "dashboards/json").glob("*.json"))
    for query in expressions(file.read_text())
]
PROMETHEUS = shutil.which("prometheus")
pytestmark = [
    pytest.mark.skipif(PROMETHEUS is None, reason="wants prometheus: apt-get install prometheus"),
    pytest.mark.timeout(90),
]


def now():
    return datetime.now(UTC)


class Scenario:
    """A fleet with one healthy site, one without devices, and a device that watches two cameras."""

    def __init__(self, folder: Path) -> None:
        self.fleet = Fleet(folder, now=now)
        self.fleet.meter.watch(queue_depth=lambda: 3, connected=lambda: True)
        self.fleet.meter.watch_database(lambda: True)
        said = heartbeat(12, rows_waiting=5, dropped=1)
        self.fleet.add("oslo", "door", seen_at=now() + timedelta(hours=1), said=said)
        self.fleet.add("bergen", "door", status=DeviceStatus.OFFLINE, said=said, seen_at=now())
        self.updates = CollectorRegistry()
        self.campaigns = CampaignMeter(self.updates)
        devices = {("nano-2", 1, "committed"): 5, ("nano-2", 2, "trial"): 7}
        statuses = {"nano-2": "running", "nano-1": "stopped"}
        self.updates.register(DeviceCollector(lambda: devices, lambda: statuses))
        expiries = {"root": now() + timedelta(days=400), "targets": now() + timedelta(days=90)}
        self.updates.register(TrustExpiry(lambda: expiries))
        self.vision = VisionMetrics(["cam-1", "cam-2"])
        self.vision.runs_on("onnxruntime", "float32", degraded=False)
        self._seq = 0

    def step(self) -> None:
        """Let a moment pass: every counter moves."""
        self._seq += 1
        device = FakeDevice("oslo")
        event = device.traffic(1).model_copy(update={"time": now()})
        events = [accepted(event, device, received_at=now())]
        events.append(alert("oslo", Severity.WARNING, seq=self._seq, at=now()))
        outcome = Outcome(Counter(traffic=1, alert=1), Counter(schema=1), duplicates=1, dropped=1)
        self.fleet.meter.batch_stored(4, outcome, 0.01)
        self.fleet.meter.write_failed()
        self.fleet.meter.committed(events, now())
        self.fleet.figures.take(events)
        for result in ("committed", "committed", "failed"):
            self.campaigns.ended("nano-2", result)
        self.campaigns.verdict("count-difference", "fail")
        for camera in ("cam-1", "cam-2"):
            for fate in Fate:
                self.vision.looked(camera, fate, inference_s=0.02, crossings=1)
            self.vision.latency(camera, 0.1)
        self.vision.describe([self._figures("cam-1"), self._figures("cam-2")], load_ratio=0.9)

    def _figures(self, camera: str) -> CameraFigures:
        n = self._seq
        status = CameraStatus.STALLED if n % 4 == 3 else CameraStatus.LIVE
        return CameraFigures(camera, status, n, n, n, 1, gated_ratio=0.5, frame_age_s=0.1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def configuration(folder: Path, ports: dict[str, int]) -> Path:
    content = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ROOT / "cloud/prometheus/rules/*.yml")],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
            for job, port in ports.items()
        ],
    }
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(content))
    return file


@contextmanager
def exported(*registries):
    servers = [start_http_server(0, addr="127.0.0.1", registry=each)[0] for each in registries]
    try:
        yield [server.server_port for server in servers]
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


@contextmanager
def prometheus(folder: Path, config: Path):
    port = free_port()
    command = [
        str(PROMETHEUS),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    log = (folder / "prometheus.log").open("wb")
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        log.close()


def findings_within(address: str, *, seconds: float) -> list[str]:
    """Ask until every query has data, or the time is over; return what has none."""
    deadline, waiting = time.monotonic() + seconds, QUERIES
    while waiting and time.monotonic() < deadline:
        try:
            silent = set(silent_panels(address, waiting))
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
            continue
        waiting = [q for q in waiting if any(line.startswith(q.where) for line in silent)]
        time.sleep(0.2)
    return [f"{query.where}: {query.text}" for query in waiting]


def test_every_query_of_every_dashboard_returns_data(tmp_path):
    scenario, stop = Scenario(tmp_path), threading.Event()

    def play() -> None:
        while not stop.wait(0.2):
            scenario.step()

    player = threading.Thread(target=play)
    registries = (scenario.fleet.registry, scenario.vision.registry, scenario.updates)
    with exported(*registries) as ports:
        jobs = ("ingest", "vision", "campaigns")
        config = configuration(tmp_path, dict(zip(jobs, ports, strict=True)))
        player.start()
        try:
            with prometheus(tmp_path, config) as address:
                silent = findings_within(address, seconds=40)
                # A panel that asks for nothing is caught: a series that is right but for a label.
                typo = QUERIES[1].__class__("typo", 'shopfloor_fleet_devices{site="Oslo"}', "short")
                caught = silent_panels(address, [typo])
        finally:
            stop.set()
            player.join()

    assert silent == []
    assert len(caught) == 1
