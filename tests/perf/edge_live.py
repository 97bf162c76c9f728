"""The vision process beside real RTSP cameras: its memory, and how late its figures are."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import edge_footage

START_S, WATCH_S = 60.0, 20.0
_BUCKET = re.compile(r'shopfloor_vision_latency_seconds_bucket\{.*le="([^"]+)"\} (\S+)')


@dataclass(frozen=True, slots=True)
class Live:
    """What was measured."""

    rss_mb: float
    p50_ms: float
    p99_ms: float


def run_live(clip: Path, *, cameras: int) -> Live:
    """Measure memory with many cameras and latency with one."""
    with _camera(clip) as address:
        with _vision(address, cameras) as (process, port):
            _wait_until_all_give(port, cameras)
            time.sleep(WATCH_S)
            rss_mb = _rss_mb(process.pid)
        with _vision(address, 1) as (_, port):
            _wait_until_all_give(port, 1)
            time.sleep(WATCH_S)
            buckets = _buckets(_scrape(port))
    return Live(rss_mb, 1000 * quantile(buckets, 0.5), 1000 * quantile(buckets, 0.99))


def quantile(buckets: list[tuple[float, float]], share: float) -> float:
    """Return the quantile of cumulative ``(upper bound, count)``, linear within a bucket."""
    wanted = share * buckets[-1][1]
    low_s = before = 0.0
    for bound_s, count in buckets:
        if count >= wanted and count > before:
            if bound_s == float("inf"):
                return low_s
            return low_s + (bound_s - low_s) * (wanted - before) / (count - before)
        low_s, before = bound_s, count
    return low_s


@contextmanager
def _camera(clip: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "address"
        fps, module = str(edge_footage.FPS), (sys.executable, "-m")
        process = subprocess.Popen(
            [
                *module,
                "shopfloor_demo.camera",
                str(clip),
                "--fps",
                fps,
                "--address-file",
                str(note),
            ],
            stdout=subprocess.DEVNULL,
        )
        try:
            deadline_s = time.monotonic() + START_S
            while not note.exists() and time.monotonic() < deadline_s:
                time.sleep(0.05)
            yield note.read_text().strip()
        finally:
            _end(process)


@contextmanager
def _vision(address: str, cameras: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
        free.close()
        site = Path(folder) / "site.toml"
        site.write_text(_site(address, cameras, port))
        state, module = Path(folder) / "state", (sys.executable, "-m", "shopfloor_edge.main")
        process = subprocess.Popen(
            [*module, "--log-level", "warning", "vision", "--site", site, "--state", state]
        )
        try:
            yield process, port
        finally:
            _end(process)


def _site(address: str, cameras: int, port: int) -> str:
    text = f'site = "bench"\ndevice = "here"\n[metrics]\nport = {port}\n'
    for number in range(cameras):
        text += f'[[cameras]]\nname = "c{number}"\nuri = "{address}"\nfps = 5\n'
        for line in edge_footage.lines():
            text += f'[[cameras.lines]]\nname = "{line.name}"\n'
            text += f"a = {json.dumps(line.a)}\nb = {json.dumps(line.b)}\n"
    return text


def _wait_until_all_give(port: int, cameras: int) -> None:
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s:
        try:
            live = re.findall(r'camera_state\{.*status="live"\} 1\.0', _scrape(port))
        except OSError:
            live = []
        if len(live) == cameras:
            return
        time.sleep(0.2)
    raise SystemExit(f"bench-edge: {cameras} cameras were not live after {START_S:.0f} s")


def _scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
        return str(reply.read().decode())


def _buckets(text: str) -> list[tuple[float, float]]:
    return [(float(bound), float(count)) for bound, count in _BUCKET.findall(text)]


def _rss_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    return int(found[1]) / 1024 if found else 0.0


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
