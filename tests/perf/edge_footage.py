"""Footage of the edge's benchmark: real CCTV as a camera's main stream and sub-stream.

``busy`` is ``vtest.avi`` (PETS09-S2L1), frames 400–794. ``quiet`` is still four fifths of the
time: a fifth are real frames, in the others people are painted out with what the same pixel
shows at other times, so noise, compression and light stay those of the camera. The clip was
recorded at 7 fps; a blend between every two frames makes 15 of it at the speed of life.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.site import LineSpec
from shopfloor_demo.clips import Places, find_vtest
from shopfloor_demo.encoding import QUANTIZER
from shopfloor_demo.errors import ConversionError, OperatorError
from shopfloor_demo.gst import Gst
from shopfloor_demo.truth import boxes_file

FPS = 15
MAIN, SUB = (1920, 1080), (640, 360)
RECIPE = "2"
"""Part of the cache's key: raise it when what is made here changes."""
MEASURED = range(400, 795)
"""Frames that the embedded detector has not been trained on."""
CROP = slice(72, 504)
"""Rows of the 576 that make 16:9."""
TUNED = range(400)
"""Frames that the gate's thresholds were set on."""
VISITS = (30, 160, 300)
"""Where a visit begins in the quiet clip, counted from the range's first frame."""
VISIT_FRAMES = 35
"""Three visits and four still stretches: 105 of 525 frames stay as they are."""
STILL_FRAMES = 105
MARGIN_PX = 20
"""Painted out around an annotated person: shadow, bag, and what the annotator cut off."""
HALF_SEEN_FRAMES = 15
"""Painted out also so long before a person is annotated and after: half in view, at the edge."""

Picture = NDArray[np.uint8]


def lines() -> list[LineSpec]:
    """Return the three lines of ``make eval-traffic``, in the cropped picture."""
    height = CROP.stop - CROP.start
    top, bottom = ((share * 576 - CROP.start) / height for share in (0.24, 0.56))
    return [
        LineSpec(name="walkway", a=(0.45, top), b=(0.45, bottom)),
        LineSpec(name="x500", a=(500 / 768, 0.0), b=(500 / 768, 1.0)),
        LineSpec(name="x230", a=(230 / 768, 0.0), b=(230 / 768, 1.0)),
    ]


@dataclass(frozen=True, slots=True)
class Clip:
    """One scene as a camera offers it."""

    main: Path
    sub: Path
    frames: int

    @property
    def duration_s(self) -> float:
        """Camera-seconds."""
        return self.frames / FPS


def make_clips(where: Places) -> dict[str, Clip]:
    """Return ``busy``, ``quiet`` and ``tune``, made once and kept in the cache.

    Raises:
        OperatorError: the mirror with the annotated boxes is absent.
        ConversionError: GStreamer cannot encode.
    """
    boxes = boxes_file(where.mirror)
    if boxes is None:
        raise OperatorError("wants the boxes of PETS09-S2L1: set SHOPFLOOR_MIRROR")
    vtest = find_vtest(where, say=print)
    key = hashlib.sha256(f"{RECIPE} {QUANTIZER} {FPS}".encode()).hexdigest()[:12]
    folder = where.cache / "bench-edge" / key
    scenes: dict[str, Callable[[], Iterable[Picture]]] = {
        "busy": lambda: _read(vtest)[MEASURED.start : MEASURED.stop],
        "quiet": lambda: _quiet(vtest, boxes, MEASURED),
        "tune": lambda: _quiet(vtest, boxes, TUNED),
    }
    clips = {}
    for name, scene in scenes.items():
        clip_files = folder / f"{name}-main.mp4", folder / f"{name}-sub.mp4"
        if not all(path.is_file() for path in clip_files):
            print(f"making {name} footage (once, minutes)", flush=True)
            folder.mkdir(parents=True, exist_ok=True)
            _encode(scene(), dict(zip((MAIN, SUB), clip_files, strict=True)))
        frames = int(cv2.VideoCapture(str(clip_files[1])).get(cv2.CAP_PROP_FRAME_COUNT))
        clips[name] = Clip(*clip_files, frames)
    return clips


def _quiet(vtest: Path, boxes: Path, chosen: range) -> Iterator[Picture]:
    """Yield a still stretch, a visit, a still stretch, …, and a still one at the end."""
    frames = _read(vtest)
    covered = _covered(boxes, len(frames))
    empty = _background(frames, covered)
    number = chosen.start
    for visit in (*VISITS, None):
        for _ in range(STILL_FRAMES):
            yield _without_people(frames, covered, empty, number)
            number = number + 1 if number + 1 in chosen else chosen.start
        if visit is not None:
            yield from frames[chosen.start + visit : chosen.start + visit + VISIT_FRAMES]


def _read(vtest: Path) -> list[Picture]:
    video = cv2.VideoCapture(str(vtest))
    frames = []
    while (read := video.read())[0]:
        frames.append(np.asarray(read[1], np.uint8)[CROP])
    return frames


def _covered(boxes: Path, count: int) -> NDArray[np.bool_]:
    """Return ``(F, H, W)``: where a person may be."""
    mask = np.zeros((count, CROP.stop - CROP.start, 768), np.bool_)
    table = np.loadtxt(boxes, delimiter=",")
    for person in np.unique(table[:, 1]):
        rows = table[table[:, 1] == person]
        rows = rows[rows[:, 0].argsort()]
        for row in np.concatenate([_went_on(rows[::-1]), rows, _went_on(rows)]):
            # MOT15 counts frames and pixels from 1.
            number, left, top = int(row[0]) - 1, row[2] - 1, row[3] - 1 - CROP.start
            if 0 <= number < count:
                x = slice(max(0, int(left - MARGIN_PX)), max(0, int(left + row[4] + MARGIN_PX)))
                y = slice(max(0, int(top - MARGIN_PX)), max(0, int(top + row[5] + MARGIN_PX)))
                mask[number, y, x] = True
    return mask


def _went_on(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows that go on after the last as over the last few: same step in time and place."""
    last, before = rows[-1], rows[max(0, len(rows) - 6)]
    steps = max(1.0, abs(last[0] - before[0]))
    step = (last - before) / steps
    steps_on = np.arange(1, HALF_SEEN_FRAMES + 1)[:, None]
    return np.asarray(last + steps_on * step, np.float64)


def _background(frames: list[Picture], covered: NDArray[np.bool_]) -> Picture:
    """Return the median of what each pixel shows while nobody covers it."""
    chosen = range(0, len(frames), 12)
    stack = np.stack([frames[number] for number in chosen]).astype(np.float32)
    stack[covered[chosen.start : chosen.stop : chosen.step]] = np.nan
    plain = np.median(np.stack([frames[number] for number in chosen]), axis=0)
    with np.errstate(all="ignore"):
        seen = ~np.isnan(stack).all(axis=0)
        stack[:, ~seen] = 0.0
        return np.where(seen, np.nanmedian(stack, axis=0), plain).astype(np.uint8)


def _without_people(
    frames: list[Picture], covered: NDArray[np.bool_], empty: Picture, number: int
) -> Picture:
    soft = cv2.GaussianBlur(covered[number].astype(np.float32), (0, 0), 3)[..., None]
    hidden = np.clip(2 * soft, 0, 1)
    return np.asarray(frames[number] * (1 - hidden) + empty * hidden, np.uint8)


def _encode(scene: Iterable[Picture], targets: dict[tuple[int, int], Path]) -> None:
    """Write the scene in every size, as MP4; a file appears complete or not at all."""
    with tempfile.TemporaryDirectory(prefix="shopfloor-bench-") as name:
        plain = Path(name) / "plain.avi"
        _write_plain(scene, plain)
        for size, target in targets.items():
            partial = target.with_name(f".{target.name}.{os.getpid()}")
            _run(
                f"filesrc location={plain} ! decodebin ! videoconvert ! videoscale "
                f"! video/x-raw,format=I420,width={size[0]},height={size[1]} "
                f"! x264enc pass=qual quantizer={QUANTIZER} bframes=0 key-int-max={2 * FPS} "
                f"threads=1 ! video/x-h264,profile=main ! h264parse ! mp4mux "
                f"! filesink location={partial}"
            )
            partial.replace(target)


def _write_plain(scene: Iterable[Picture], path: Path) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (768, 432))
    writer.set(cv2.VIDEOWRITER_PROP_QUALITY, 98)
    before: Picture | None = None
    for picture in scene:
        if before is not None:
            writer.write(cv2.addWeighted(before, 0.5, picture, 0.5, 0))
        writer.write(picture)
        before = picture
    writer.release()


def _run(description: str) -> None:
    Gst.init(None)
    pipeline = Gst.parse_launch(description)
    pipeline.set_state(Gst.State.PLAYING)
    kinds = Gst.MessageType.EOS | Gst.MessageType.ERROR
    message = pipeline.get_bus().timed_pop_filtered(Gst.CLOCK_TIME_NONE, kinds)
    pipeline.set_state(Gst.State.NULL)
    if message.type == Gst.MessageType.ERROR:
        raise ConversionError(str(message.parse_error()[0].message))
