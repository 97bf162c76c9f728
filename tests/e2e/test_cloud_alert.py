"""A camera of a real site dies: who ought to know is told within a minute, by the whole cloud."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import httpx
import pytest

from fakes.cloud import cloud, wants_cloud
from fakes.detector import make_zoo, zoo_environment
from fakes.rtsp import rtsp_cameras, write_clip
from fakes.webhook import Webhook
from shopfloor_dashboards.check import check, expressions, silent_panels, surroundings
from shopfloor_demo.processes import Processes, wait_until
from shopfloor_stack.configs import SCRAPED

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "var" / "e2e" / "cloud.json"
LIMIT_S = 60.0
SITE = """\
site = "oslo"
device = "door"
window_s = 10

{uplink}

[[cameras]]
name = "entrance"
uri = "{uri}"
lines = [{{ name = "door", a = [0.5, 0.0], b = [0.5, 1.0] }}]
"""

pytestmark = [wants_cloud, pytest.mark.gstreamer, pytest.mark.broker, pytest.mark.timeout(300)]


def ask(address: str, query: str):
    answer = httpx.get(f"http://{address}/api/v1/query", params={"query": query})
    return answer.raise_for_status().json()["data"]["result"]


def targets(address: str) -> dict[str, str]:
    found = httpx.get(f"http://{address}/api/v1/targets").raise_for_status().json()
    return {t["labels"]["job"]: t["health"] for t in found["data"]["activeTargets"]}


def valid_dashboards(address: str) -> list[str]:
    """Return the dashboards without a finding, all of whose queries this Prometheus takes."""
    valid, around = [], surroundings(ROOT)
    for file in sorted((ROOT / "dashboards/json").glob("*.json")):
        # A query that Prometheus does not take raises an HTTPError here.
        silent_panels(address, expressions(file.read_text()))
        if not check(file.read_text(), around):
            valid.append(file.stem)
    return valid


def start_device(folder: Path, processes: Processes, site: Path) -> None:
    environment = zoo_environment(make_zoo(folder / "zoo"), folder / "cache")
    for name in ("vision", "agent"):
        argv = [sys.executable, "-m", "shopfloor_edge.main", name, "--site", str(site)]
        processes.start(name, [*argv, "--state", str(folder / "state")], env=environment)


def test_a_camera_that_dies_is_told_within_a_minute(tmp_path):
    with (
        Webhook() as webhook,
        cloud(SHOPFLOOR_WEBHOOK=webhook.address) as here,
        rtsp_cameras(tmp_path / "cameras") as cameras,
        Processes(tmp_path / "logs") as processes,
    ):
        up = here.run("up")
        assert up.returncode == 0, up.stderr
        uplink = here.run("device", "oslo", "door").stdout
        uri = cameras.start("entrance", write_clip(tmp_path / "clip.h264", frames=200))
        site = tmp_path / "site.toml"
        site.write_text(SITE.format(uplink=uplink, uri=uri))
        start_device(tmp_path, processes, site)
        prometheus = here.address("prometheus")
        live = 'shopfloor_fleet_cameras{site="oslo",status="live"} == 1'
        wait_until(lambda: bool(ask(prometheus, live)), timeout_s=90, what="camera that is live")
        jobs = dict.fromkeys(SCRAPED, "up")
        wait_until(lambda: targets(prometheus) == jobs, timeout_s=60, what="target that is up")
        assert webhook.heard("CameraGone") == []

        killed_s = time.monotonic()
        cameras.processes.kill9("entrance")
        told = webhook.wait_for("CameraGone", site="oslo", within_s=2 * LIMIT_S)

        assert told is not None, "nobody was told"
        alert_s = told.at_s - killed_s
        valid = valid_dashboards(prometheus)
        health = targets(prometheus)
        report = {
            "targets_up": sum(state == "up" for state in health.values()),
            "targets": len(health),
            "alert_s": round(alert_s, 1),
            "dashboards_valid": len(valid),
        }
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(json.dumps(report, indent=1) + "\n")
        print(json.dumps(report))
        assert (told.path, told.status) == ("/sites", "firing")
        assert alert_s < LIMIT_S
        assert health == jobs
        assert valid == sorted(file.stem for file in (ROOT / "dashboards/json").glob("*.json"))
        assert webhook.heard("CamerasLost") == []
