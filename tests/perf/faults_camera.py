"""``make faults-camera``: how soon a camera is seen again after each fault, and what leaks.

Real RTSP cameras in child processes, the real reader and supervisor in this one. Recovery is from
the moment when the camera (or its cable, or the right password) is back until a new frame is here.
Writes ``var/bench/faults-camera.json``; ends with 1 when a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests"))

from fakes.rtsp import RtspCameras, rtsp_cameras, write_clip  # noqa: E402
from shopfloor_contracts.events import CameraStatus  # noqa: E402
from shopfloor_contracts.site import CameraSpec  # noqa: E402
from shopfloor_demo.processes import free_port, wait_until  # noqa: E402
from shopfloor_edge.cameras.choose import CameraOpener  # noqa: E402
from shopfloor_edge.cameras.mailbox import Bell  # noqa: E402
from shopfloor_edge.cameras.supervisor import CameraReport, CameraSupervisor  # noqa: E402

PROMISE_S = 5.0
MEMORY_GROWTH_MAX = 0.05
"""Of the resident set after the warm-up; the allocator alone breathes by two or three percent."""
LONG_S = 60.0
FPS = 20
USER, PASSWORD = "viewer", "right-one"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault and its recovery."""

    kind: str
    recovery_s: float
    said: str
    """Status and reason while it lasted."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What this process holds."""

    descriptors: int
    threads: int
    rss_bytes: int


class Bench:
    """One supervised camera behind a relay, and the means to harm it."""

    def __init__(self, cameras: RtspCameras, clips: dict[str, Path], folder: Path) -> None:
        self.cameras, self.clips, self.folder = cameras, clips, folder
        self.faults: list[Fault] = []

    def measure(
        self,
        kind: str,
        camera: CameraSupervisor,
        harm: Callable[[], None],
        mend: Callable[[], None],
    ) -> None:
        """Harm, wait until it is noticed, mend, wait for the next frame of a new connection."""
        connects = camera.report.connects
        harm()
        wait_until(
            lambda: (
                camera.report.status is not CameraStatus.LIVE or camera.report.connects > connects
            ),
            timeout_s=LONG_S,
            what=f"notice of {kind}",
            interval_s=0.01,
        )
        said = _said(camera.report)
        mend()
        self.note(kind, camera, connects, said=said)

    def note(self, kind: str, camera: CameraSupervisor, connects: int, *, said: str) -> None:
        """Measure from now until the camera is live on a new connection."""
        back_s = time.monotonic()
        wait_until(
            lambda: camera.report.connects > connects and camera.report.status is CameraStatus.LIVE,
            timeout_s=LONG_S,
            what=f"recovery from {kind}",
            interval_s=0.01,
        )
        self.faults.append(Fault(kind, round(time.monotonic() - back_s, 3), said))


@contextmanager
def supervised(spec: CameraSpec, *, live: bool = True) -> Iterator[CameraSupervisor]:
    """Run a supervisor as vision does."""
    camera = CameraSupervisor(
        spec.name, CameraOpener(spec), is_file=False, fps=spec.fps, bell=Bell()
    )
    camera.start()
    try:
        if live:
            wait_until(
                lambda: camera.report.status is CameraStatus.LIVE,
                timeout_s=LONG_S,
                what="first frame",
            )
        yield camera
    finally:
        camera.stop()


def process_faults(bench: Bench, *, times: int) -> None:
    """Kill -9, SIGTERM and SIGSTOP of the camera's process."""
    uri = bench.cameras.start("a", bench.clips["small"], fps=FPS)
    processes = bench.cameras.processes
    with supervised(CameraSpec(name="a", uri=uri)) as camera:
        for _ in range(times):
            again = lambda: bench.cameras.start("a", bench.clips["small"], fps=FPS)  # noqa: E731
            bench.measure("kill -9", camera, lambda: processes.kill9("a"), again)
            bench.measure("SIGTERM", camera, lambda: processes.stop("a"), again)
            bench.measure(
                "freeze",
                camera,
                lambda: os.kill(processes.pid("a"), signal.SIGSTOP),
                lambda: os.kill(processes.pid("a"), signal.SIGCONT),
            )


def absent_at_start(bench: Bench, *, times: int) -> None:
    """A camera that is switched on after the device."""
    for number in range(times):
        name = f"late{number}"
        with supervised(
            CameraSpec(name=name, uri=bench.cameras.address(name)), live=False
        ) as camera:
            wait_until(
                lambda camera=camera: camera.report.status is CameraStatus.ABSENT,
                timeout_s=LONG_S,
                what="absence",
            )
            time.sleep(3.0 + number)
            said = _said(camera.report)
            bench.cameras.start(name, bench.clips["small"], fps=FPS)
            bench.note("absent at start", camera, 0, said=said)


def changed_size(bench: Bench) -> None:
    """The picture's size changes in mid-stream: the longest silence is the recovery."""
    clips = bench.clips
    uri = bench.cameras.start("size", clips["small"], "--then", clips["large"], fps=FPS)
    with supervised(CameraSpec(name="size", uri=uri, fps=60)) as camera:
        sizes, last_s, longest_s = {camera.report.size}, time.monotonic(), 0.0
        frames = 0
        while frames < 6 * FPS:
            if camera.mailbox.take() is not None:
                now_s = time.monotonic()
                longest_s, last_s, frames = max(longest_s, now_s - last_s), now_s, frames + 1
                sizes.add(camera.report.size)
            time.sleep(0.002)
        if len(sizes) < 2:
            raise AssertionError(f"the size did not change: {sizes}")
        bench.faults.append(Fault("size change", round(longest_s, 3), _said(camera.report)))


def rubbish_pictures(bench: Bench) -> None:
    """The camera's encoder sends rubbish until somebody restarts it."""
    clip = bench.clips["long"]
    uri = bench.cameras.start("rubbish", clip, "--corrupt-from", 1, fps=FPS)
    with supervised(CameraSpec(name="rubbish", uri=uri), live=False) as camera:
        wait_until(
            lambda: camera.report.status is CameraStatus.STALLED, timeout_s=LONG_S, what="stall"
        )
        said = _said(camera.report)
        bench.cameras.processes.stop("rubbish")
        connects = camera.report.connects
        bench.cameras.start("rubbish", clip, fps=FPS)
        bench.note("rubbish in pictures", camera, connects, said=said)


def refused(bench: Bench, *, times: int) -> None:
    """A wrong password, then the right one in the password file."""
    path = bench.folder / "password"
    uri = bench.cameras.start(
        "locked", bench.clips["small"], "--user", USER, "--password", PASSWORD, fps=FPS
    )
    spec = CameraSpec(name="locked", uri=uri, username=USER, password_file=str(path))
    for _ in range(times):
        path.write_text("wrong-one")
        with supervised(spec, live=False) as camera:
            wait_until(
                lambda camera=camera: camera.report.status is CameraStatus.MISCONFIGURED,
                timeout_s=LONG_S,
                what="refusal",
            )
            said = _said(camera.report)
            path.write_text(PASSWORD)
            bench.note("wrong password", camera, 0, said=said)


def cable_faults(bench: Bench, *, flaps: int) -> tuple[Resources, Resources]:
    """Noise on the wire, and many quick flaps; what is held before and after."""
    uri = bench.cameras.start("far", bench.clips["small"], fps=FPS)
    port = free_port()
    far_port = uri.rsplit(":", 1)[1].split("/")[0]
    argv = [sys.executable, str(REPOSITORY / "tests" / "fakes" / "relay.py"), str(port), far_port]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as relay:
        _obeyed(relay, None)
        spec = CameraSpec(name="far", uri=f"rtsp://127.0.0.1:{port}/stream")
        with supervised(spec) as camera:
            for _ in range(5):
                bench.measure("noise", camera, lambda: _obeyed(relay, "noise"), lambda: None)
            _flap(bench, camera, relay, times=10)
            before = _resources()
            _flap(bench, camera, relay, times=flaps)
            after = _resources()
            print(f"while flapping: {_said(camera.report)}")
        relay.stdin.close()
        relay.terminate()
    return before, after


def _flap(
    bench: Bench, camera: CameraSupervisor, relay: subprocess.Popen[str], *, times: int
) -> None:
    for _ in range(times):
        bench.measure("flap", camera, lambda: _obeyed(relay, "cut"), lambda: _obeyed(relay, "join"))


def _obeyed(relay: subprocess.Popen[str], command: str | None) -> None:
    if command is not None:
        relay.stdin.write(f"{command}\n")
        relay.stdin.flush()
    if not relay.stdout.readline():
        raise AssertionError("the relay is gone")


def _resources() -> Resources:
    # The old pipeline's threads end a moment after the new one's first frame.
    time.sleep(1.0)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return Resources(
        len(list(Path("/proc/self/fd").iterdir())),
        int(status["Threads"]),
        int(status["VmRSS"].split()[0]) * 1024,
    )


def _said(report: CameraReport) -> str:
    return f"{report.status}: {report.reason}" if report.reason else str(report.status)


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def main(argv: list[str] | None = None) -> int:
    """Run every fault, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="of every fault but flaps")
    parser.add_argument("--flaps", type=int, default=100)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "var/bench/faults-camera.json")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="shopfloor-faults-") as name:
        folder = Path(name)
        clips = {
            "small": write_clip(folder / "small.h264", fps=FPS),
            # One whole picture in ten seconds is a stall, one in two is a slow camera.
            "long": write_clip(folder / "long.h264", frames=10 * FPS, fps=FPS),
            "large": write_clip(folder / "large.h264", size=(320, 240), fps=FPS),
        }
        with rtsp_cameras(folder / "cameras") as cameras:
            bench = Bench(cameras, clips, folder)
            process_faults(bench, times=arguments.times)
            absent_at_start(bench, times=arguments.times)
            refused(bench, times=arguments.times)
            changed_size(bench)
            rubbish_pictures(bench)
            before, after = cable_faults(bench, flaps=arguments.flaps)
    return _report(bench.faults, before, after, arguments.out)


def _report(faults: list[Fault], before: Resources, after: Resources, out: Path) -> int:
    kinds = list(dict.fromkeys(fault.kind for fault in faults))
    print(f"\n{_cpu()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print(f"{'fault':<22} {'times':>5} {'median s':>9} {'worst s':>8}  said")
    for kind in kinds:
        some = [fault for fault in faults if fault.kind == kind]
        took_s = [fault.recovery_s for fault in some]
        said = some[0].said[:70]
        print(
            f"{kind:<22} {len(some):>5} {statistics.median(took_s):>9.2f} "
            f"{max(took_s):>8.2f}  {said}"
        )
    ordered = sorted(fault.recovery_s for fault in faults)
    p99 = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
    growth = after.rss_bytes / before.rss_bytes - 1
    leaks = (
        max(0, after.descriptors - before.descriptors)
        + max(0, after.threads - before.threads)
        + (growth > MEMORY_GROWTH_MAX)
    )
    print(
        f"\nrecovery p99 {p99:.2f} s (promised {PROMISE_S:g}); before the last flaps {before}, "
        f"after {after}, memory {growth:+.1%}; leaks {leaks}"
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    figures = {
        "machine": {"cpu": _cpu(), "cores": os.cpu_count()},
        "faults": [asdict(fault) for fault in faults],
        "recovery_s_p99": p99,
        "leaks": leaks,
        "resources": {"before": asdict(before), "after": asdict(after)},
    }
    out.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if p99 <= PROMISE_S and leaks == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
