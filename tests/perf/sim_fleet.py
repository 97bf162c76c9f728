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
import asyncio
import heapq
import json
import os
import platform
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "var/bench/fleet.json"
OLD, NEW = "a" * 64, "b" * 64
WAVES = [0.02, 0.1, 0.25, 0.5, 1.0]
LOT, LOT_WAVES = 40, [0.2, 0.25, 0.34, 0.5, 1.0]
"""Devices of a lot: many small campaigns beside the large one make many decisions."""
FLEET = "region=emea,!lab"
POLLS_PER_S = 250
"""How often devices come in all; a real fleet polls once a minute, so 15,000 of them."""
CONNECTIONS = 32
"""Devices that speak at the same moment; the others' connections are not kept open."""
HISTOGRAM = [0, 20, 60, 20, 0, 0, 0, 0, 0]
SCORES = [0, 0, 0, 0, 5, 10, 20, 30, 25, 10]


class Connection:
    """HTTP/1.1 over one kept connection; a client library would cost more than the service."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._reader: asyncio.StreamReader | None = None
        self._used_s = 0.0
        self.tag = ""
        """Of the last answer."""

    async def ask(
        self, method: str, path: str, token: str, body: bytes = b"", tag: str = ""
    ) -> tuple[int, bytes]:
        # The service closes connections that are idle for 5 s.
        if self._reader is None or time.monotonic() - self._used_s > 3:
            self.close()
            self._reader, self._writer = await asyncio.open_connection(*self._address)
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: fleet\r\nauthorization: TargetToken {token}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"if-none-match: {tag}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        lines = answer.decode("latin-1").lower().split("\r\n")
        length = next((int(x.split(":")[1]) for x in lines if x.startswith("content-length")), 0)
        self._used_s = time.monotonic()
        self.tag = next((x.split(": ")[1] for x in lines if x.startswith("etag")), "")
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
    """All devices; each comes again when the service said, as connections let it."""

    def __init__(self, host: str, port: int, tokens: dict[str, str]) -> None:
        self._host, self._port, self._tokens = host, port, tokens
        self.requests: Counter[str] = Counter()
        self.latencies_s: list[float] = []
        self.worse = False
        self._tags: dict[str, str] = {}
        self._sleep_s = 1.0

    async def run(self, stop: threading.Event) -> None:
        began_s, pause_s = time.monotonic(), 8.0 / len(self._tokens)
        self._due = [(began_s + n * pause_s, name) for n, name in enumerate(self._tokens)]
        await asyncio.gather(*(self._lane(stop) for _ in range(CONNECTIONS)))

    async def _lane(self, stop: threading.Event) -> None:
        connection = Connection(self._host, self._port)
        while not stop.is_set():
            now_s = time.monotonic()
            if not self._due or self._due[0][0] > now_s:
                await asyncio.sleep(0.05)
                continue
            _, name = heapq.heappop(self._due)
            await self._device(connection, name)
            heapq.heappush(self._due, (max(now_s, time.monotonic()) + self._sleep_s, name))
        connection.close()

    async def _device(self, connection: Connection, name: str) -> None:
        path = f"/default/controller/v1/{name}"
        links = await self._ask(connection, "GET", path, name, "poll")
        if links is None:
            return
        hours, minutes, seconds = links["config"]["polling"]["sleep"].split(":")
        self._sleep_s = int(hours) * 3600.0 + int(minutes) * 60 + int(seconds)
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
        tag = self._tags.get(name, "") if kind == "poll" else ""
        status, answer = await connection.ask(method, path, self._tokens[name], sent, tag)
        self.latencies_s.append(time.perf_counter() - began_s)
        self.requests[kind] += 1
        if kind == "poll":
            self._tags[name] = connection.tag
        if status not in (200, 304, 404):
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
        answer.raise_for_status()
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


def enrol(cloud: Cloud, count: int) -> tuple[dict[str, str], list[str]]:
    """Make devices; each 250 bring a lot of ``LOT`` devices, which has a campaign of its own."""
    lots = [f"lot-{n}" for n in range(count // 250)]
    labels = [{"region": "lots", "lot": lot} for lot in lots for _ in range(LOT)]
    labels += [{"region": "emea"}] * (count - len(labels))
    wanted = [{"name": f"site{n}.door", "labels": said} for n, said in enumerate(labels)]
    tokens: dict[str, str] = {}
    for begin in range(0, count, 1000):
        tokens |= cloud.post("/devices", {"devices": wanted[begin : begin + 1000]})["tokens"]
    return tokens, lots


def rehearse(cloud: Cloud, count: int, folder: Path) -> dict:
    tokens, lots = enrol(cloud, count)
    (folder / "tokens.json").write_text(json.dumps(tokens))
    fleet = subprocess.Popen(
        [sys.executable, __file__, "--play", cloud.address, str(folder)],
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
        bad = bad_campaign(cloud, fleet, limit_s)
    finally:
        told, _ = fleet.communicate(timeout=60)
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
    parser.add_argument("--play", nargs=2, metavar=("ADDRESS", "FOLDER"))
    arguments = parser.parse_args()
    if arguments.play:
        play(*arguments.play)
        return 0
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
