"""The devices of ``sim_fleet.py``: asyncio clients that poll, install, and report evidence."""

from __future__ import annotations

import asyncio
import heapq
import json
import resource
import sys
import threading
import time
from collections import Counter
from pathlib import Path

OLD, NEW = "a" * 64, "b" * 64
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


if __name__ == "__main__":
    play(*sys.argv[1:3])
