"""Pictures from recordings, one every so many seconds; those that show nobody are kept too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_models.data.samples import images_in
from shopfloor_models.errors import DataError
from shopfloor_models.files import write_whole

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".ts", ".webm", ".h264")
QUALITY = 92


def frames(video: Path, *, every_s: float) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Yield ``(seconds, (H, W, 3) BGR)``, the first frame included.

    Raises:
        DataError: it is no video.
    """
    capture = cv2.VideoCapture(str(video))
    try:
        if not capture.isOpened():
            raise DataError(f"{video} is no video that can be read")
        fps = capture.get(cv2.CAP_PROP_FPS) or 25.0
        number, due_s = 0, 0.0
        while capture.grab():
            # Counted rather than asked for: raw H.264 has no timestamps.
            at_s = number / fps
            number += 1
            if at_s + 1e-6 < due_s:
                continue
            due_s += every_s
            found, image = capture.retrieve()
            if found:
                yield at_s, np.asarray(image, np.uint8)
        if number == 0:
            raise DataError(f"{video}: 0 frames")
    finally:
        capture.release()


def extract(footage: Path, out: Path, *, every_s: float) -> list[Path]:
    """Write the frames of a video, or of each video in a folder, as JPEG; pictures are copied.

    Names are ``VIDEO_MILLISECONDS.jpg``, so that ``scene = "^(.*)_"`` keeps a video in one split.

    Raises:
        DataError: there is nothing to take frames from.
    """
    if not footage.exists():
        raise DataError(f"{footage} does not exist")
    if every_s <= 0:
        raise DataError(f"a frame every {every_s:g} s, expected more than 0")
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for video in _videos(footage):
        for at_s, image in frames(video, every_s=every_s):
            path = out / f"{video.stem}_{round(at_s * 1000):08d}.jpg"
            coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
            write_whole(path, coded.tobytes())
            written.append(path)
    if footage.is_dir():
        for image_path in images_in(footage):
            write_whole(out / image_path.name, image_path.read_bytes())
            written.append(out / image_path.name)
    if not written:
        raise DataError(f"{footage}: 0 videos and 0 pictures")
    return written


def _videos(footage: Path) -> list[Path]:
    if footage.is_file():
        return [footage]
    return [path for path in sorted(footage.iterdir()) if path.suffix.lower() in VIDEO_SUFFIXES]
