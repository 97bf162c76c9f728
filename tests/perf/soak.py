"""``make soak``: the real vision process on eight RTSP cameras for ``MINUTES``, faults mixed in.

Real footage (``vtest.avi`` at 320 x 240) into ``shopfloor-edge vision``; every few seconds a
camera is killed, stopped or frozen, and comes back. Writes ``var/bench/soak.json``; ends with 1
when memory grows by more than two per cent after the warm-up, or a camera is stuck at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests"))

from fakes.rtsp import RtspCameras, rtsp_cameras  # noqa: E402
from shopfloor_contracts.events import CameraStatus  # noqa: E402
from shopfloor_demo.clips import find_vtest, places  # noqa: E402
from shopfloor_demo.gst import Gst  # noqa: E402
from shopfloor_demo.processes import Processes, wait_until  # noqa: E402
from shopfloor_edge.errors import JournalError  # noqa: E402
from shopfloor_edge.journal.state import read_state  # noqa: E402

CAMERAS = 8
FPS = 5
GROWTH_MAX = 0.02
WARM_UP_RATIO = 0.3
"""Of the run: models, arenas, pools of decoders and the first reconnects have grown by then."""
SAMPLE_S = 2.0
AWAY_S = (0.5, 8.0)
QUIET_END_S = 15.0
"""Without new faults, so that a camera which is not back by then is stuck."""
FRESH_S = 5.0
_SMALL = (
    "filesrc name=source ! decodebin ! videoconvert ! videoscale ! videorate "
    "! video/x-raw,format=I420,width=320,height=240,framerate={fps}/1 ! x264enc bframes=0 "
    "key-int-max=10 speed-preset=veryfast ! video/x-h264,profile=main ! h264parse "
    "config-interval=-1 ! video/x-h264,stream-format=byte-stream ! filesink name=sink"
)


@dataclass(slots=True)
class Course:
    """What was seen on the way."""

    rss_bytes: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)


class Vandal:
    """Harms one camera at a time and mends it later. Random, with a seed."""

    def __init__(
        self, cameras: RtspCameras, clip: Path, names: list[str], *, every_s: float
    ) -> None:
        self._cameras, self._clip, self._names = cameras, clip, names
        self._every_s = every_s
        self._random = random.Random(0)
        self._mend_at_s: dict[str, tuple[float, str]] = {}
        self._next_s = every_s

    def work(self, now_s: float, course: Course, *, more: bool) -> None:
        """Mend what is due, and harm another camera while ``more``."""
        for name, (at_s, kind) in list(self._mend_at_s.items()):
            if now_s >= at_s or not more:
                self._mend(name, kind)
                del self._mend_at_s[name]
        if not more or now_s < self._next_s:
            return
        self._next_s = now_s + self._every_s
        name = self._random.choice([n for n in self._names if n not in self._mend_at_s])
        kind = self._random.choice(["kill -9", "SIGTERM", "freeze"])
        self._harm(name, kind)
        course.faults[kind] = course.faults.get(kind, 0) + 1
        self._mend_at_s[name] = (now_s + self._random.uniform(*AWAY_S), kind)

    def _harm(self, name: str, kind: str) -> None:
        processes = self._cameras.processes
        if kind == "freeze":
            os.kill(processes.pid(name), signal.SIGSTOP)
        elif kind == "SIGTERM":
            processes.stop(name)
        else:
            processes.kill9(name)

    def _mend(self, name: str, kind: str) -> None:
        if kind == "freeze":
            os.kill(self._cameras.processes.pid(name), signal.SIGCONT)
        else:
            self._cameras.start(name, self._clip, fps=FPS)


def soak(minutes: float, folder: Path, *, fault_every_s: float) -> tuple[Course, list[str]]:
    """Run it; return the course, and the cameras that are not live at the end."""
    clip = _footage(folder / "vtest.h264")
    names = [f"cam{number}" for number in range(CAMERAS)]
    course = Course()
    with rtsp_cameras(folder / "cameras") as cameras, Processes(folder / "logs") as processes:
        uris = {name: cameras.start(name, clip, fps=FPS) for name in names}
        site, state = _site(folder, uris), folder / "state"
        argv = [sys.executable, "-m", "shopfloor_edge.main", "vision", "--site", str(site)]
        pid = processes.start("vision", [*argv, "--state", str(state)])
        wait_until(lambda: not _not_live(state, names), timeout_s=90, what="eight live cameras")
        vandal = Vandal(cameras, clip, names, every_s=fault_every_s)
        _watch(minutes, psutil.Process(pid), vandal, course)
        processes.check("vision")
        stuck = _not_live(state, names)
        code = processes.stop("vision")
        if code != 0:
            raise AssertionError(f"vision ended with {code}")
    return course, stuck


def _watch(minutes: float, process: psutil.Process, vandal: Vandal, course: Course) -> None:
    begun_s = time.monotonic()
    lasts_s = minutes * 60
    while (now_s := time.monotonic() - begun_s) < lasts_s:
        vandal.work(now_s, course, more=now_s < lasts_s - QUIET_END_S)
        if now_s >= len(course.rss_bytes) * SAMPLE_S:
            course.rss_bytes.append(process.memory_info().rss)
            course.descriptors.append(process.num_fds())
            course.threads.append(process.num_threads())
        time.sleep(0.1)


def _not_live(state: Path, names: list[str]) -> list[str]:
    try:
        rows = {row.camera: row for row in read_state(state).cameras}
    except JournalError:
        return names
    return [
        name
        for name in names
        if name not in rows
        or rows[name].status is not CameraStatus.LIVE
        or rows[name].frames == 0
        or time.time() - rows[name].updated_at > FRESH_S
    ]


def _site(folder: Path, uris: dict[str, str]) -> Path:
    text = 'site = "soak"\ndevice = "d"\nwindow_s = 10\n'
    for name, uri in uris.items():
        text += f'[[cameras]]\nname = "{name}"\nuri = "{uri}"\nfps = 2\n'
        text += 'lines = [{ name = "l", a = [0.45, 0.24], b = [0.45, 0.56] }]\n'
        text += 'zones = [{ name = "z", polygon = [[0, 0], [1, 0], [1, 1], [0, 1]] }]\n'
    path = folder / "site.toml"
    path.write_text(text)
    return path


def _footage(target: Path) -> Path:
    source = find_vtest(places(os.environ, REPOSITORY), say=print)
    Gst.init(None)
    pipeline = Gst.parse_launch(_SMALL.format(fps=FPS))
    pipeline.get_by_name("source").set_property("location", str(source))
    pipeline.get_by_name("sink").set_property("location", str(target))
    pipeline.set_state(Gst.State.PLAYING)
    ends = Gst.MessageType.EOS | Gst.MessageType.ERROR
    message = pipeline.get_bus().timed_pop_filtered(120 * Gst.SECOND, ends)
    pipeline.set_state(Gst.State.NULL)
    if message is None or message.type != Gst.MessageType.EOS:
        raise AssertionError("vtest.avi was not converted")
    return target


def growth_ratio(samples: list[int]) -> float:
    """Return how much the median of the last tenth exceeds that of a tenth after the warm-up."""
    begin, width = int(len(samples) * WARM_UP_RATIO), max(1, len(samples) // 10)
    first, last = samples[begin : begin + width], samples[-width:]
    return _median(last) / _median(first) - 1


def _median(samples: list[int]) -> int:
    return sorted(samples)[len(samples) // 2]


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def main(argv: list[str] | None = None) -> int:
    """Soak, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--fault-every-s", type=float, default=5.0, help="inf for none")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "var/bench/soak.json")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="shopfloor-soak-") as name:
        course, stuck = soak(arguments.minutes, Path(name), fault_every_s=arguments.fault_every_s)
    growth = growth_ratio(course.rss_bytes)
    print(f"{_cpu()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{CAMERAS} cameras, {arguments.minutes:g} minutes, faults {course.faults}")
    for what, values in (
        ("memory MB", [one // 1_000_000 for one in course.rss_bytes]),
        ("descriptors", course.descriptors),
        ("threads", course.threads),
    ):
        tenths = [values[len(values) * part // 10] for part in range(10)] + values[-1:]
        print(f"{what:<12} " + " ".join(f"{value:>5}" for value in tenths))
    print(f"memory {growth:+.2%} after the warm-up (at most {GROWTH_MAX:.0%}), stuck: {stuck}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    figures = {
        "machine": {"cpu": _cpu(), "cores": os.cpu_count()},
        "minutes": arguments.minutes,
        "rss_growth_ratio": round(growth, 4),
        "stuck": len(stuck),
        "faults": course.faults,
    }
    arguments.out.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if growth <= GROWTH_MAX and not stuck else 1


if __name__ == "__main__":
    sys.exit(main())
