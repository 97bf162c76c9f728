"""A fleet of simulated devices against one campaigns process: var/bench/fleet.json.

The devices are asyncio clients of a process of their own, each with one kept connection, that
speak DDI and report evidence as an updater does: download, shadow, trial, closed. The first
campaign rolls out in five waves to its end; the second one's model misses people from its second
wave on, and has to be stopped and taken back by itself. Beside the first one small campaigns run,
so that there are enough decisions for a percentile.

    python tests/perf/sim_fleet.py [--devices 5000]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import httpx
from simulated_devices import HISTOGRAM, NEW, SCORES

ROOT = Path(__file__).resolve().parents[2]
PLAYER = Path(__file__).with_name("simulated_devices.py")
OUT = ROOT / "var/bench/fleet.json"
WAVES = [0.02, 0.1, 0.25, 0.5, 1.0]
LOT, LOT_WAVES = 40, [0.2, 0.25, 0.34, 0.5, 1.0]
"""Devices of a lot: many small campaigns beside the large one make many decisions."""
FLEET = "region=emea,!lab"
LAB = 50
"""Of so many devices of the region one is a laboratory's, and no campaign may reach it."""
POLLS_PER_S = 250
"""How often devices come in all; a real fleet polls once a minute, so 15,000 of them."""


class Cloud:
    """One campaigns process, and a person with a token."""

    def __init__(self, folder: Path, poll_s: int) -> None:
        command = [sys.executable, "-m", "shopfloor_campaigns.app"]
        self.database = folder / "campaigns.db"
        database = ["--database", f"sqlite:///{folder}/campaigns.db"]
        made = subprocess.run(
            [*command, "token", "bench", "approver", *database], check=True, capture_output=True
        )
        token = made.stdout.decode().strip()
        place = folder / "address"
        listen = ["--http-port", "0", "--poll-s", str(poll_s)]
        with (folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                [*command, *database, *listen, "--address-file", str(place)],
                stderr=log,
            )
        while not place.exists():
            time.sleep(0.05)
        self.address = place.read_text().strip()
        headers = {"authorization": f"Bearer {token}"}
        self.client = httpx.Client(
            base_url=f"http://{self.address}/api/v1", headers=headers, timeout=120
        )

    def post(self, path: str, body: object = None) -> dict:
        answer = self.client.post(path, json=body)
        if answer.is_error:
            raise SystemExit(f"POST {path} is answered {answer.status_code}: {answer.text}")
        return answer.json()

    def campaign(self, name: str) -> dict:
        return self.client.get(f"/campaigns/{name}").json()

    def rows(self, query: str) -> list[tuple]:
        """Read the database beside the process."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mb(self) -> float:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(x.split()[1]) for x in lines if x.startswith("VmHWM")) / 1024


def plan(name: str, version: str, selector: str = FLEET, minimum: int = 1000) -> dict:
    build = {
        "path": f"model/person-nano/{version}/onnx-fp32",
        "hardware": ["onnx-fp32"],
        "sha256": NEW,
        "size_bytes": 4_000_000,
    }
    shares = WAVES if selector == FLEET else LOT_WAVES
    return {
        "name": name,
        "selector": selector,
        "update": {"kind": "model", "name": "person-nano", "version": version, "builds": [build]},
        "waves": [f"{100 * share:g}%" for share in shares],
        "approval": False,
        "gates": [
            {"gate": "install-success", "limit": 0.95, "minimum": 1},
            {"gate": "count-difference", "limit": 0.05, "minimum": minimum},
            {"gate": "latency-p99", "limit": 100, "minimum": minimum},
            {"gate": "score-drift", "limit": 0.2, "minimum": minimum},
        ],
    }


def decisions_s(cloud: Cloud) -> list[float]:
    """Return, for every look at a gate, the seconds from when it was due to when it was stored.

    Due: the stored sample reaches the minimum or twice that of the look before, or the wave's last
    device has ended.
    """
    samples: dict[tuple, list[tuple[int, Counter[str]]]] = defaultdict(list)
    evidence = (
        "SELECT a.campaign, a.wave, a.round, e.at, e.body FROM evidence e "
        "JOIN actions a ON a.id = e.action WHERE NOT a.undo ORDER BY e.at"
    )
    for campaign, wave, round_, at, body in cloud.rows(evidence):
        of = samples[campaign, wave, round_]
        found = Counter(of[-1][1] if of else {})
        said = json.loads(body)
        found["count-difference"] += sum(x["agreed"] + x["only_old"] for x in said["counts"])
        found["latency-p99"] += sum(HISTOGRAM)
        found["score-drift"] += sum(SCORES)
        of.append((at, found))
    ends = {
        tuple(row[:3]): row[3]
        for row in cloud.rows(
            "SELECT campaign, wave, round, max(closed_at) FROM actions WHERE NOT undo "
            "GROUP BY campaign, wave, round"
        )
    }
    looks = cloud.rows(
        "SELECT campaign, wave, round, gate, sample, minimum, at FROM verdicts ORDER BY id"
    )
    wanted: dict[tuple, int] = {}
    delays = []
    for *place, gate, sample, minimum, at in looks:
        key = tuple(place)
        enough = wanted.get((*key, gate), minimum)
        wanted[*key, gate] = minimum if sample < minimum else 2 * sample
        reached = next((t for t, found in samples[key] if found[gate] >= enough), at)
        due = min(at, ends[key]) if gate == "install-success" else min(reached, ends[key])
        delays.append((at - due) / 1000)
    return delays


def wait_for(cloud: Cloud, name: str, wanted, limit_s: float) -> dict:
    """Wait without asking often: every look costs the service something."""
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        found = cloud.campaign(name)
        if wanted(found):
            return found
        time.sleep(1)
    raise SystemExit(f"{name} is {found['status']} in wave {found['wave']} after {limit_s:.0f} s")


def measure(count: int, folder: Path) -> dict:
    poll_s = max(10, count // POLLS_PER_S)
    cloud = Cloud(folder, poll_s)
    try:
        return rehearse(cloud, count, folder) | {"poll_s": poll_s}
    finally:
        cloud.process.send_signal(signal.SIGTERM)
        cloud.process.wait(30)


def labels_of(count: int) -> tuple[list[dict[str, str]], list[str]]:
    """Return the devices' labels, and the lots.

    Each 250 devices bring a lot of ``LOT`` devices, which has a campaign of its own.
    """
    lots = [f"lot-{n}" for n in range(count // 250)]
    labels = [{"region": "lots", "lot": lot} for lot in lots for _ in range(LOT)]
    rest = count - len(labels)
    labels += [{"region": "emea"} | ({} if n % LAB else {"lab": "yes"}) for n in range(rest)]
    return labels, lots


def enrol(cloud: Cloud, count: int) -> tuple[dict[str, str], list[str]]:
    labels, lots = labels_of(count)
    wanted = [{"name": f"site{n}.door", "labels": said} for n, said in enumerate(labels)]
    tokens: dict[str, str] = {}
    for begin in range(0, count, 1000):
        tokens |= cloud.post("/devices", {"devices": wanted[begin : begin + 1000]})["tokens"]
    return tokens, lots


def rehearse(cloud: Cloud, count: int, folder: Path) -> dict:
    tokens, lots = enrol(cloud, count)
    (folder / "tokens.json").write_text(json.dumps(tokens))
    fleet = subprocess.Popen(
        [sys.executable, str(PLAYER), cloud.address, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    limit_s = 120 + count / 20
    try:
        while cloud.rows("SELECT count(*) FROM devices WHERE attributes IS NULL") != [(0,)]:
            time.sleep(0.5)
        idle_cpu_s = -cloud.cpu_s()
        time.sleep(10)
        idle_cpu_s += cloud.cpu_s()
        for lot in lots:
            cloud.post("/campaigns", plan(lot, "2.0", f"lot={lot}", 500))
        cloud.post("/campaigns", plan("good", "2.0"))
        began_s, cpu_s = time.monotonic(), cloud.cpu_s()
        for name in ("good", *lots):
            cloud.post(f"/campaigns/{name}/start")
        for name in ("good", *lots):
            done = wait_for(cloud, name, lambda c: c["status"] != "running", limit_s)
            if done["status"] != "done":
                raise SystemExit(f"{name} is {done['status']}: {done['reason']}")
        took_s, cpu_s = time.monotonic() - began_s, cloud.cpu_s() - cpu_s
        good = cloud.campaign("good")
        reached = cloud.rows(
            "SELECT count(*) FROM jobs JOIN devices ON devices.name = jobs.device "
            "WHERE devices.labels LIKE '%\"lab\"%'"
        )
        if reached != [(0,)]:
            raise SystemExit(f"{reached[0][0]} devices of the laboratory were reached")
        bad = bad_campaign(cloud, fleet, limit_s)
    finally:
        told, _ = fleet.communicate(timeout=60 + count / 50)
    decided_s = sorted(decisions_s(cloud))
    states: Counter[str] = Counter()
    for wave in bad["waves"]:
        states.update(wave["devices"])
    return {
        "devices": count,
        "decision_s_p99": round(decided_s[int(len(decided_s) * 0.99)], 3),
        "devices_per_s": round(count / took_s, 1),
        "rss_mb": round(cloud.rss_mb(), 1),
        "bad_wave_stopped": bad["status"] == "stopped"
        and [w["status"] for w in bad["waves"]][:3] == ["passed", "failed", "waiting"]
        and states["committed"] == sum(bad["waves"][0]["devices"].values()),
        "waves": [sum(wave["devices"].values()) for wave in good["waves"]],
        "campaigns": len(lots) + 2,
        "decisions": len(decided_s),
        "decision_s_p50": decided_s[len(decided_s) // 2],
        "decision_s_max": decided_s[-1],
        "rollout_s": round(took_s, 1),
        "cloud_cpu_s": round(cpu_s, 1),
        "cloud_cpu_ms_per_device": round(1000 * cpu_s / count, 2),
        "idle_cpu_ratio": round(idle_cpu_s / 10, 3),
        "bad_wave": {"reason": bad["reason"], "states": dict(states)},
        "fleet": json.loads(told),
    }


def bad_campaign(cloud: Cloud, fleet: subprocess.Popen, limit_s: float) -> dict:
    cloud.post("/campaigns", plan("bad", "3.0"))
    cloud.post("/campaigns/bad/start")
    wait_for(cloud, "bad", lambda c: c["waves"][0]["decided_at"], limit_s)
    assert fleet.stdin is not None
    fleet.stdin.write("worse\n")
    fleet.stdin.flush()
    settled = {"rolled-back", "cancelled", "rollback-failed", "waiting", "committed", "failed"}
    return wait_for(
        cloud,
        "bad",
        lambda c: (
            c["status"] != "running" and all(set(wave["devices"]) <= settled for wave in c["waves"])
        ),
        limit_s,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=5000, help="500 or more")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sim-fleet-") as folder:
        found = measure(arguments.devices, Path(folder))
    load = round(os.getloadavg()[1], 1)
    found["machine"] = {"cpu": cpu_model(), "cores": os.cpu_count(), "load_5min": load}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(found, indent=2) + "\n")
    for key, value in found.items():
        print(f"{key:24} {value}")
    return 0 if found["bad_wave_stopped"] and found["decision_s_p99"] <= 1 else 1


def cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((x.split(": ")[1] for x in lines if x.startswith("model name")), platform.machine())


if __name__ == "__main__":
    sys.exit(main())
