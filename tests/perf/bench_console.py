"""The staff's console on this machine: the first page, 20 tablets, 10,000 alerts.

Starts ``shopfloor-edge console`` as a process over a state folder of its own, raises alerts as
vision does (through the outbox), and listens with real HTTP streams. Writes
``var/bench/console.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from fakes.console_site import (  # noqa: E402
    PIN,
    SITE,
    alert_data,
    camera_row,
    csrf,
    write_staff,
)
from shopfloor_edge.journal.outbox import Draft, Outbox  # noqa: E402
from shopfloor_edge.journal.state import StateWriter  # noqa: E402

SOURCE = "/sites/store-1/devices/door/cameras/entrance"


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tablets", type=int, default=20)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--out", type=Path, default=ROOT / "var/bench/console.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), arguments.tablets, arguments.pages)
    found = {"machine": machine(), "tablets": arguments.tablets} | found
    for name, value in found.items():
        print(f"{name:32} {value}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def measure(folder: Path, tablets: int, pages: int) -> dict[str, object]:
    """Return every figure."""
    state = folder / "state"
    write_staff(state)
    see(state)
    process, url = start(folder)
    try:
        with httpx.Client(base_url=url, timeout=30) as client:
            sign_in(client)
            raise_alerts(state, range(1, 13))
            found = first_page(client, pages)
            found |= with_tablets(client, state, tablets=tablets, pages=pages)
            raise_alerts(state, range(1000, 11_000))
            found["page_ms_p95_10000_alerts"] = timed(client, pages // 4)[1]
            found["console_rss_mib"] = rss_mib(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
    return found


def start(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start the process; return it and its address."""
    site, address = folder / "store.toml", folder / "address"
    site.write_text(SITE + "\n[console]\nport = 0\n")
    command = [sys.executable, "-m", "shopfloor_edge.main", "--log-level", "warning", "console"]
    command += ["--site", str(site), "--state", str(folder / "state")]
    process = subprocess.Popen([*command, "--address-file", str(address)])
    end = time.monotonic() + 60
    while not address.exists():
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit("the console did not start")
        time.sleep(0.05)
    return process, address.read_text().strip()


def sign_in(client: httpx.Client) -> None:
    """Sign in as a member of the staff."""
    form = {"csrf": csrf(client.get("/sign-in").text), "name": "Ana", "pin": PIN}
    answer = client.post("/sign-in", data=form)
    assert answer.status_code == 303, answer.text


def first_page(client: httpx.Client, pages: int) -> dict[str, object]:
    """Return the time and the bytes of *Now* with twelve alerts, and of all that it loads."""
    p50, p95 = timed(client, pages)
    page = client.get("/")
    files = set(re.findall(r'"(/static/[^"]+)"', page.text))
    sent = [int(client.get(file).headers["content-length"]) for file in files]
    return {
        "first_page_ms_p50": p50,
        "first_page_ms_p95": p95,
        "first_page_html_bytes": len(page.content),
        "first_page_transferred_bytes": len(page.content) + sum(sent),
        "first_page_requests": 1 + len(files),
    }


def timed(client: httpx.Client, pages: int) -> tuple[float, float]:
    """Return p50 and p95 of getting the page, in milliseconds."""
    took = []
    for _ in range(pages):
        began = time.perf_counter()
        assert client.get("/").status_code == 200
        took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return round(took[len(took) // 2], 1), round(took[int(len(took) * 0.95)], 1)


def with_tablets(
    client: httpx.Client, state: Path, *, tablets: int, pages: int
) -> dict[str, object]:
    """Return how soon every tablet hears of an alert, and the page's time meanwhile."""
    heard: list[tuple[float, str]] = []
    threads = [Tablet(client, heard) for _ in range(tablets)]
    for thread in threads:
        assert thread.listening.wait(30)
    delays = []
    for number in range(100, 120):
        see(state)
        raised = time.monotonic()
        (alert,) = raise_alerts(state, [number])
        while sum(alert in data for _, data in heard) < tablets:
            assert time.monotonic() - raised < 30, "a tablet did not hear of an alert"
            time.sleep(0.005)
        delays.append(max(at for at, data in heard if alert in data) - raised)
    delays.sort()
    p50, p95 = timed(client, pages)
    return {
        "alert_to_last_tablet_s_p50": round(delays[len(delays) // 2], 3),
        "alert_to_last_tablet_s_max": round(delays[-1], 3),
        "page_ms_p50_with_tablets": p50,
        "page_ms_p95_with_tablets": p95,
    }


class Tablet(threading.Thread):
    """One open page's stream."""

    def __init__(self, client: httpx.Client, heard: list[tuple[float, str]]) -> None:
        super().__init__(daemon=True)
        self._url, self._cookies, self._heard = client.base_url, client.cookies, heard
        self.listening = threading.Event()
        self.start()

    def run(self) -> None:
        """Listen until the server ends it."""
        with (
            httpx.Client(base_url=self._url, cookies=self._cookies, timeout=30) as client,
            client.stream("GET", "/live") as answer,
        ):
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    self._heard.append((time.monotonic(), line))
                    self.listening.set()


def see(state: Path) -> None:
    """Write the cameras' state, as vision does."""
    writer = StateWriter(state)
    now_s = datetime.now(UTC).timestamp()
    writer.write([camera_row(name, now_s) for name in ("entrance", "aisle")])
    writer.close()


def raise_alerts(state: Path, numbers: range | list[int]) -> list[str]:
    """Commit alerts as vision does."""
    data = [alert_data(number) for number in numbers]
    outbox = Outbox(state, max_rows=200_000, max_bytes=10**9)
    outbox.commit([Draft(one, SOURCE, one.at) for one in data])
    outbox.close()
    return [str(one.alert_id) for one in data]


def rss_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    (line,) = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return round(int(line) / 1024, 1)


def machine() -> str:
    """Return the CPU and the number of cores."""
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return f"{found[1] if found else 'unknown CPU'}, {os.cpu_count()} cores"


if __name__ == "__main__":
    sys.exit(main())
