"""The processes around ``bench_ingest``: broker, PostgreSQL, sides and generator."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import psutil
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ingest_traffic import CAMERAS

from fakes.postgresql import Cluster
from shopfloor_kit.database import open_engine, reading

HERE = Path(__file__).resolve().parent
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
START_S, DRAIN_S, POLL_S = 20, 180, 0.05
_STORED = text("SELECT sum(up_to) FROM watermarks")


@dataclass(frozen=True, slots=True)
class Run:
    """One side that took all of a generator's events."""

    events_per_s: float
    cpu_us: float
    """Of the side's processes, per event."""
    server_cpu_us: float
    """Of PostgreSQL, per event; 0 without."""


class Bed:
    """A broker and a database server of our own; each run has a broker and a database anew."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._number = folder, 0
        # Durable, as in production: what is acknowledged was flushed to the disk.
        self._cluster = Cluster(fsync="on")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cluster.stop()

    def flat_out(
        self, side: str, form: str, *, devices: int, minutes: int, replicas: int = 1
    ) -> Run:
        """Let one side take what the generator sends as fast as the broker takes it."""
        with _Stand(self._next(), self._database(side)) as stand:
            load = stand.generator(form, devices, minutes, 0)
            events = devices * minutes * CAMERAS
            expected = events // CAMERAS if side == "bare" and form == "batches" else events
            sides = [stand.side(side, expected, f"side-{n}") for n in range(replicas)]
            used = sum(map(_cpu_s, sides)) if sides else 0.0
            server = self._server_cpu_s()
            started_s = time.perf_counter()
            _go(load)
            stand.wait_for(events, sides[0])
            took_s = time.perf_counter() - started_s
            used = sum(map(_cpu_s, sides)) - used
            server = (self._server_cpu_s() - server) if side == "postgresql" else 0.0
            return Run(events / took_s, used / events * 1e6, server / events * 1e6)

    def sustained(self, rate: int, seconds: int) -> dict[str, Any]:
        """Offer ``rate`` events per second into SQLite, one event of each camera in all."""
        with _Stand(self._next(), self._database("sqlite")) as stand:
            load = stand.generator("batches", rate * seconds // CAMERAS, 1, rate)
            (ingest,) = [stand.side("sqlite", 0, "side")]
            used, rss, deepest = _cpu_s(ingest), [], 0
            started_s = time.perf_counter()
            _go(load)
            while load.poll() is None:
                time.sleep(0.2)
                due = min(seconds, time.perf_counter() - started_s) * rate
                deepest = max(deepest, round(due) - stand.stored())
                rss.append(_rss_bytes(ingest))
            sent_s, at_end = time.perf_counter() - started_s, stand.stored()
            sent = json.loads(_output(load))
            while stand.stored() < sent["events"]:
                time.sleep(0.2)
                rss.append(_rss_bytes(ingest))
            took_s = time.perf_counter() - started_s
            used = _cpu_s(ingest) - used
        return {
            "seconds": round(sent_s, 1),
            "offered_events_per_s": round(sent["events"] / sent["s"]),
            "stored_events_per_s": round(at_end / sent_s),
            "sent": sent["events"],
            "stored_at_the_end_of_sending": at_end,
            "backlog_at_the_end": sent["events"] - at_end,
            "largest_backlog": deepest,
            "all_stored_after_s": round(took_s, 1),
            "cpu_us_per_event": round(used / sent["events"] * 1e6, 1),
            "cores_used": round(used / took_s, 2),
            "generator_cores_used": round(sent["cpu_s"] / sent["s"], 3),
            "rss_mb": [round(min(rss) / 1e6), round(max(rss) / 1e6)],
        }

    def generator_alone(self, devices: int, minutes: int) -> dict[str, float]:
        """Return what the generator offers to a broker that nobody listens to."""
        with _Stand(self._next(), "") as stand:
            load = stand.generator("batches", devices, minutes, 0)
            _go(load)
            sent = json.loads(_output(load))
            load.wait(START_S)
        return {
            "events_per_s": round(sent["events"] / sent["s"]),
            "messages_per_s": round(sent["messages"] / sent["s"]),
            "cpu_us_per_event": round(sent["cpu_s"] / sent["events"] * 1e6, 2),
        }

    def _next(self) -> Path:
        self._number += 1
        folder = self._folder / str(self._number)
        folder.mkdir()
        return folder

    def _database(self, side: str) -> str:
        if side == "postgresql":
            return self._cluster.make_database()
        return f"sqlite:///{self._folder / str(self._number)}/ingest.db"

    def _server_cpu_s(self) -> float:
        server = psutil.Process(self._cluster.pid)
        return sum(sum(p.cpu_times()[:4]) for p in [server, *server.children()])


class _Stand:
    """One run: a broker, and what is connected to it; all of it ends with the run."""

    def __init__(self, folder: Path, database: str) -> None:
        self._folder, self._database = folder, database
        self._processes: list[subprocess.Popen[str]] = []
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port = listener.getsockname()[1]
        config = folder / "mosquitto.conf"
        config.write_text(
            f"listener {self._port} 127.0.0.1\nallow_anonymous true\nuser root\nlog_dest none\n"
            "set_tcp_nodelay true\nmax_queued_messages 1000000\nmax_inflight_messages 2000\n"
        )
        self._engine = reading(open_engine(database)) if database else None
        self._start([str(MOSQUITTO), "-c", str(config)])
        _until(self._listens, START_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            if process.poll() is None:
                process.terminate()
                process.wait(START_S)
        if self._engine is not None:
            self._engine.dispose()
        shutil.rmtree(self._folder, ignore_errors=True)

    def generator(self, form: str, devices: int, minutes: int, rate: int) -> subprocess.Popen[str]:
        """Start a generator; return it once its packets are made."""
        numbers = [str(number) for number in (devices, minutes, rate)]
        load = self._python("ingest_load.py", str(self._port), form, *numbers)
        _expect(load, "ready")
        return load

    def side(self, side: str, expected: int, client_id: str) -> subprocess.Popen[str]:
        """Start one side; return it once it is subscribed."""
        address = self._folder / f"{client_id}.address"
        name = "sql" if side in ("sqlite", "postgresql") else side
        flags = [str(self._port), str(expected), self._database, str(address), client_id]
        process = self._python("ingest_sides.py", name, *flags)
        if side == "bare":
            _expect(process, "subscribed")
        else:
            _until(lambda: _healthy(address), START_S)
        return process

    def wait_for(self, events: int, side: subprocess.Popen[str]) -> None:
        """Wait until the side has taken all: it says so, or its database does."""
        if side.args[2] in ("bare", "null"):  # type: ignore[index]
            _expect(side, "done")
        else:
            _until(lambda: self.stored() >= events, DRAIN_S)

    def stored(self) -> int:
        """Return how many events of outboxes are stored without a gap before them."""
        assert self._engine is not None
        try:
            with self._engine.connect() as connection:
                return int(connection.execute(_STORED).scalar() or 0)
        except SQLAlchemyError:
            return 0  # not yet prepared

    def _python(self, script: str, *flags: str) -> subprocess.Popen[str]:
        return self._start([sys.executable, str(HERE / script), *flags])

    def _start(self, argv: list[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._processes.append(process)
        return process

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError:
            return False
        return True


def _go(load: subprocess.Popen[str]) -> None:
    assert load.stdin is not None
    load.stdin.write("go\n")
    load.stdin.flush()


def _expect(process: subprocess.Popen[str], word: str) -> None:
    found = _output(process)
    if found != word:
        raise SystemExit(f"{process.args}: says {found!r}, expected {word!r}")


def _output(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _healthy(address: Path) -> bool:
    if not address.exists():
        return False
    try:
        return httpx.get(f"http://{address.read_text().strip()}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def _rss_bytes(process: subprocess.Popen[str]) -> int:
    return int(psutil.Process(process.pid).memory_info().rss)


def _cpu_s(process: subprocess.Popen[str]) -> float:
    times = psutil.Process(process.pid).cpu_times()
    return float(times.user + times.system)


def _until(condition: Any, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {within_s} s in vain")
        time.sleep(POLL_S)
