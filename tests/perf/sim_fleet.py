"""A fleet of simulated devices against one campaigns process: var/bench/fleet.json.

The devices are asyncio clients of a process of their own, each with one kept connection, that
speak DDI and report evidence as an updater does: download, shadow, trial, closed. The first
campaign rolls out in five waves to its end; the second one's model misses people from its second
wave on, and has to be stopped and taken back by itself.

    python tests/perf/sim_fleet.py [--devices 5000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "var/bench/fleet.json"
OLD, NEW = "a" * 64, "b" * 64
WAVES = [0.02, 0.1, 0.25, 0.5, 1.0]
CONNECTIONS = 64
"""Devices that speak at the same moment; the others' connections are not kept open."""
HISTOGRAM = [0, 20, 60, 20, 0, 0, 0, 0, 0]
SCORES = [0, 0, 0, 0, 5, 10, 20, 30, 25, 10]


class Connection:
    """HTTP/1.1 over one kept connection; a client library would cost more than the service."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._reader: asyncio.StreamReader | None = None

    async def ask(self, method: str, path: str, token: str, body: bytes = b"") -> tuple[int, bytes]:
        if self._reader is None:
            self._reader, self._writer = await asyncio.open_connection(*self._address)
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: fleet\r\nauthorization: TargetToken {token}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        lines = answer.decode("latin-1").lower().split("\r\n")
        length = next((int(x.split(":")[1]) for x in lines if x.startswith("content-length")), 0)
        return int(lines[0].split()[1]), await self._reader.readexactly(length)

    def close(self) -> None:
        if self._reader is not None:
            self._writer.close()


def feedback(execution: str, finished: str = "none") -> bytes:
    return json.dumps(
        {"id": "1", "status": {"execution": execution, "result": {"finished": finished}}}
    ).encode()


def report(seq: int, phase: str, *, worse: bool) -> bytes:
    missed = 12 if worse else 0
    pair = {"camera": "door", "line": "in", "agreed": 60 - missed, "only_old": missed}
    pair["only_new"] = 0 if worse else seq % 2
    figures = {"frames": 100, "inference_histogram": HISTOGRAM, "score_histogram": SCORES}
    return json.dumps(
        {
            "seq": seq,
            "phase": phase,
            "digest": NEW,
            "base": OLD,
            "began_at": "2026-03-02T12:00:00Z",
            "ended_at": "2026-03-02T13:00:00Z",
            "observed_s": 3600.0,
            "counts": [pair] if phase == "shadow" else [],
            "old": figures,
            "new": figures,
        }
    ).encode()


class Fleet:
    """All devices; they come as often as ``CONNECTIONS`` connections let them."""

    def __init__(self, host: str, port: int, tokens: dict[str, str]) -> None:
        self._host, self._port, self._tokens = host, port, tokens
        self.requests: Counter[str] = Counter()
        self.latencies_s: list[float] = []
        self.worse_from: datetime | None = None
        self.worse = False

    async def run(self, stop: threading.Event) -> None:
        names = list(self._tokens)
        lanes = [names[n::CONNECTIONS] for n in range(CONNECTIONS)]
        await asyncio.gather(*(self._lane(lane, stop) for lane in lanes))

    async def _lane(self, names: list[str], stop: threading.Event) -> None:
        connection = Connection(self._host, self._port)
        while not stop.is_set():
            for name in names:
                if stop.is_set():
                    break
                await self._device(connection, name)
            await asyncio.sleep(1.0)
        connection.close()

    async def _device(self, connection: Connection, name: str) -> None:
        path = f"/default/controller/v1/{name}"
        links = await self._ask(connection, "GET", path, name, "poll")
        if links is None:
            return
        links = links["_links"]
        if "configData" in links:
            said = {"mode": "merge", "data": {"capabilities": "onnx-fp32"}}
            await self._ask(connection, "PUT", f"{path}/configData", name, "configData", said)
        if "cancelAction" in links:
            number = links["cancelAction"]["href"].rsplit("/", 1)[1]
            place = f"{path}/cancelAction/{number}/feedback"
            await self._ask(
                connection, "POST", place, name, "feedback", feedback("closed", "success")
            )
        if "deploymentBase" in links:
            number = links["deploymentBase"]["href"].rsplit("/", 1)[1]
            await self._install(connection, f"{path}/deploymentBase/{number}", name)

    async def _install(self, connection: Connection, place: str, name: str) -> None:
        found = await self._ask(connection, "GET", place, name, "deploymentBase")
        if found is None:
            return
        chunk = found["deployment"]["chunks"][0]
        back = any(item["key"] == "shopfloor.rollback" for item in chunk["metadata"])
        worse = chunk["version"].startswith("3") and self.worse
        steps: list[tuple[str, bytes]] = [("feedback", feedback("download"))]
        if not back:
            steps.append(("feedback", feedback("downloaded")))
            steps.append(("evidence", report(1, "shadow", worse=worse)))
            steps.append(("evidence", report(2, "shadow", worse=worse)))
            steps.append(("evidence", report(3, "trial", worse=worse)))
        steps.append(("feedback", feedback("closed", "success")))
        for kind, body in steps:
            await self._ask(connection, "POST", f"{place}/{kind}", name, kind, body)

    async def _ask(self, connection, method, path, name, kind, body: object = b""):
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        began_s = time.perf_counter()
        status, answer = await connection.ask(method, path, self._tokens[name], sent)
        self.latencies_s.append(time.perf_counter() - began_s)
        self.requests[kind] += 1
        if status not in (200, 404):
            raise SystemExit(f"{method} {path}: {status} {answer[:200]!r}")
        return json.loads(answer) if status == 200 and answer else None


def play(address: str, folder: str) -> None:
    """The devices' process: runs until its standard input ends; tells its figures then."""
    host, port = address.rsplit(":", 1)
    fleet = Fleet(host, int(port), json.loads((Path(folder) / "tokens.json").read_text()))
    stop = threading.Event()

    def listen() -> None:
        for line in sys.stdin:
            fleet.worse = line.strip() == "worse"
        stop.set()

    threading.Thread(target=listen, daemon=True).start()
    asyncio.run(fleet.run(stop))
    slowest = sorted(fleet.latencies_s)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    told = {
        "requests": dict(fleet.requests),
        "request_ms_p50": round(1000 * slowest[len(slowest) // 2], 1),
        "request_ms_p99": round(1000 * slowest[int(len(slowest) * 0.99)], 1),
        "devices_cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
    }
    print(json.dumps(told))


class Cloud:
    """One campaigns process, and a person with a token."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "shopfloor_campaigns.app"]
        database = ["--database", f"sqlite:///{folder}/campaigns.db"]
        made = subprocess.run(
            [*command, "token", "bench", "approver", *database], check=True, capture_output=True
        )
        token = made.stdout.decode().strip()
        place = folder / "address"
        with (folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                [*command, *database, "--http-port", "0", "--address-file", str(place)], stderr=log
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
        answer.raise_for_status()
        return answer.json()

    def campaign(self, name: str) -> dict:
        return self.client.get(f"/campaigns/{name}").json()

    def devices(self, name: str) -> list[dict]:
        found: list[dict] = []
        after: str | None = ""
        while after is not None:
            page = self.client.get(f"/campaigns/{name}/devices?limit=1000&after={after}").json()
            found += page["devices"]
            after = page["next"]
        return found

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mb(self) -> float:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(x.split()[1]) for x in lines if x.startswith("VmHWM")) / 1024


def plan(name: str, version: str) -> dict:
    build = {
        "path": f"model/person-nano/{version}/onnx-fp32",
        "hardware": ["onnx-fp32"],
        "sha256": NEW,
        "size_bytes": 4_000_000,
    }
    return {
        "name": name,
        "selector": "region=emea,!lab",
        "update": {"kind": "model", "name": "person-nano", "version": version, "builds": [build]},
        "waves": [f"{100 * share:g}%" for share in WAVES],
        "approval": False,
        "gates": [
            {"gate": "install-success", "limit": 0.95, "minimum": 1},
            {"gate": "count-difference", "limit": 0.05, "minimum": 1000},
            {"gate": "latency-p99", "limit": 100, "minimum": 1000},
            {"gate": "score-drift", "limit": 0.2, "minimum": 1000},
        ],
    }


def decisions_s(campaign: dict, devices: list[dict]) -> list[float]:
    """Return, per wave that was passed, the seconds from its last device's end to its decision."""
    found = []
    for wave in campaign["waves"]:
        if wave["status"] != "passed":
            continue
        ends = [_at(d["ended_at"]) for d in devices if d["wave"] == wave["number"]]
        found.append((_at(wave["decided_at"]) - max(ends)).total_seconds())
    return found


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def wait_for(cloud: Cloud, name: str, wanted, limit_s: float) -> dict:
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        found = cloud.campaign(name)
        if wanted(found):
            return found
        time.sleep(0.5)
    raise SystemExit(f"{name} is {found['status']} in wave {found['wave']} after {limit_s:.0f} s")


def measure(count: int, folder: Path) -> dict:
    cloud = Cloud(folder)
    try:
        return rehearse(cloud, count, folder)
    finally:
        cloud.process.send_signal(signal.SIGTERM)
        cloud.process.wait(30)


def rehearse(cloud: Cloud, count: int, folder: Path) -> dict:
    tokens: dict[str, str] = {}
    for begin in range(0, count, 1000):
        names = [f"site{n}.door" for n in range(begin, min(begin + 1000, count))]
        wanted = [{"name": name, "labels": {"region": "emea"}} for name in names]
        tokens |= cloud.post("/devices", {"devices": wanted})["tokens"]
    (folder / "tokens.json").write_text(json.dumps(tokens))
    fleet = subprocess.Popen(
        [sys.executable, __file__, "--play", cloud.address, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    limit_s = 120 + count / 5
    try:
        while any(
            d["attributes"] == {} for d in cloud.client.get("/devices?limit=1000").json()["devices"]
        ):
            time.sleep(0.5)
        time.sleep(2 + count / 1000)
        cloud.post("/campaigns", plan("good", "2.0"))
        began_s, cpu_s = time.monotonic(), cloud.cpu_s()
        cloud.post("/campaigns/good/start")
        good = wait_for(cloud, "good", lambda c: c["status"] != "running", limit_s)
        took_s, cpu_s = time.monotonic() - began_s, cloud.cpu_s() - cpu_s
        devices = cloud.devices("good")
        decided_s = decisions_s(good, devices)
        bad, bad_devices = bad_campaign(cloud, fleet, limit_s)
    finally:
        told, _ = fleet.communicate(timeout=60)
    states = Counter(device["state"] for device in bad_devices)
    return {
        "devices": len(devices),
        "decision_s_p99": round(max(decided_s), 3),
        "devices_per_s": round(len(devices) / took_s, 1),
        "rss_mb": round(cloud.rss_mb(), 1),
        "bad_wave_stopped": bad["status"] == "stopped"
        and [w["status"] for w in bad["waves"]][:3] == ["passed", "failed", "waiting"]
        and states["committed"] == sum(bad["waves"][0]["devices"].values()),
        "waves": [sum(wave["devices"].values()) for wave in good["waves"]],
        "decisions_s": [round(s, 3) for s in decided_s],
        "rollout_s": round(took_s, 1),
        "cloud_cpu_s": round(cpu_s, 1),
        "cloud_cpu_ms_per_device": round(1000 * cpu_s / len(devices), 2),
        "bad_wave": {"reason": bad["reason"], "states": dict(states)},
        "fleet": json.loads(told),
    }


def bad_campaign(cloud: Cloud, fleet: subprocess.Popen, limit_s: float):
    cloud.post("/campaigns", plan("bad", "3.0"))
    cloud.post("/campaigns/bad/start")
    wait_for(cloud, "bad", lambda c: c["waves"][0]["decided_at"], limit_s)
    assert fleet.stdin is not None
    fleet.stdin.write("worse\n")
    fleet.stdin.flush()
    settled = {"rolled-back", "cancelled", "rollback-failed", "waiting", "committed", "failed"}
    bad = wait_for(
        cloud,
        "bad",
        lambda c: (
            c["status"] != "running" and all(set(wave["devices"]) <= settled for wave in c["waves"])
        ),
        limit_s,
    )
    return bad, cloud.devices("bad")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=5000)
    parser.add_argument("--play", nargs=2, metavar=("ADDRESS", "FOLDER"))
    arguments = parser.parse_args()
    if arguments.play:
        play(*arguments.play)
        return 0
    with tempfile.TemporaryDirectory(prefix="sim-fleet-") as folder:
        found = measure(arguments.devices, Path(folder))
    found["machine"] = {"cpu": cpu_model(), "cores": os.cpu_count()}
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
