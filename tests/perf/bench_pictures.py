"""``make bench-pictures``: what live pictures cost a camera while nobody looks, and somebody does.

Real frames of ``vtest.avi`` at ten a second of its own clock, each with eight boxes, through
vision's own ``LivePictures`` on one thread; beside it the decoding of the same frames, which any
camera pays for. CPU time, the median of the rounds; writes ``var/bench/pictures.json``.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_demo.clips import find_vtest, places
from shopfloor_demo.settings import REPOSITORY
from shopfloor_edge.cameras.ports import Planes
from shopfloor_edge.vision.pictures import LEARN_PICTURES, LEARN_S, WANTED, LivePictures

FPS, ROUNDS = 10.0, 5
EPOCH_S = 1_700_000_000.0
REPORT = REPOSITORY / "var" / "bench" / "pictures.json"


def main() -> int:
    """Measure, print, write."""
    cv2.setNumThreads(1)
    clip = find_vtest(places(os.environ, REPOSITORY), say=lambda text: print(text, file=sys.stderr))
    begun_s = time.process_time()
    frames = read(clip)
    decode_ms = (time.process_time() - begun_s) * 1000 * FPS / len(frames)
    rounds = [(cost(frames, looked=False), cost(frames, looked=True)) for _ in range(ROUNDS)]
    idle_ms, looked_ms = (statistics.median(column) for column in zip(*rounds, strict=True))
    report = {
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "frames": len(frames),
        "decode_ms_per_camera_s": round(decode_ms, 2),
        "nobody_looks_ms_per_camera_s": round(idle_ms, 3),
        "somebody_looks_ms_per_camera_s": round(looked_ms, 3),
        "nobody_looks_to_decode": round(idle_ms / decode_ms, 4),
        "somebody_looks_to_decode": round(looked_ms / decode_ms, 4),
    }
    for name, value in report.items():
        print(f"{name:32} {value}")
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def processor() -> str:
    """Return what the kernel calls the CPU."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def read(clip: Path) -> list[Planes]:
    """Return every frame as I420 planes."""
    video, frames = cv2.VideoCapture(str(clip)), []
    while True:
        there, picture = video.read()
        if not there:
            return frames
        flat = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
        height, width = picture.shape[:2]
        y, rest = flat[:height], flat[height:].reshape(2, height // 2, width // 2)
        frames.append((np.asarray(y), np.asarray(rest[0]), np.asarray(rest[1])))


def cost(frames: list[Planes], *, looked: bool) -> float:
    """Return ms of CPU for a second of one camera, after its first pictures."""
    boxes = people()
    with tempfile.TemporaryDirectory() as name:
        folder, clock = Path(name) / "pictures", [1000.0]
        pictures = LivePictures(
            folder, "door", monotonic=lambda: clock[0], wall=lambda: EPOCH_S + clock[0]
        )
        for _ in range(LEARN_PICTURES):
            pictures.offer(frames[0], boxes)
            clock[0] += LEARN_S
        (folder / WANTED).touch()
        spent_s = 0.0
        for number, planes in enumerate(frames):
            if number % int(FPS) == 0:
                touched_s = EPOCH_S + clock[0] if looked else 0.0
                os.utime(folder / WANTED, (touched_s, touched_s))
            begun_s = time.thread_time()
            pictures.offer(planes, boxes)
            spent_s += time.thread_time() - begun_s
            clock[0] += 1 / FPS
    return spent_s * 1000 * FPS / len(frames)


def people() -> NDArray[np.float64]:
    """Return eight boxes of the size that people have on the clip, at fixed places."""
    corners = np.random.default_rng(3).uniform((0, 100), (700, 450), (8, 2))
    return np.hstack([corners, corners + np.array([35.0, 95.0])])


if __name__ == "__main__":
    sys.exit(main())
