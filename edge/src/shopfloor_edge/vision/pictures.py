"""What a camera sees now, for people at the device: masked, and made only while somebody looks.

``CAMERA.jpg`` is the newest inferred frame, its people coarse by the boxes of that very frame.
``CAMERA.empty.jpg`` is what stands still, to draw upon: the mean of what such pictures showed
sharp, so that it shows nobody that they would not show. Both are worth nothing after a power cut
and are not fsynced. Nothing here leaves the device.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_edge.cameras.ports import Planes
from shopfloor_edge.vision.evidence import Picture, parts_of, picture_of, pixelate, shrunk

log = logging.getLogger(__name__)

FOLDER, WANTED = "pictures", ".wanted"
LOOKED_AT_S = 30.0
"""Somebody looks while ``.wanted`` was touched so lately."""
EVERY_S, IDLE_S = 1.0, 60.0
LEARN_S, LEARN_PICTURES = 5.0, 12
"""The first minute's pictures come faster, so that zones can be drawn soon after the start."""
EMPTY_S = 30.0
"""Between two writings of the background."""
FADE = 0.1
"""Weight of a new picture in the background."""
WIDTH_PX, JPEG_QUALITY = 640, 75


class LivePictures:
    """One camera's pictures. Belongs to the inference loop's thread.

    Args:
        folder: of all cameras' pictures; made here.
        monotonic, wall: seconds; the file ``.wanted`` has a time of the wall's clock.
    """

    def __init__(
        self,
        folder: Path,
        camera: str,
        *,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._folder, self._camera = folder, camera
        self._monotonic, self._wall = monotonic, wall
        self._taken_s = self._emptied_s = float("-inf")
        self._background: NDArray[np.float32] | None = None
        self._known: NDArray[np.bool_] | None = None
        self._failing = False
        self.taken = 0
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def offer(self, planes: Planes, boxes: NDArray[np.floating]) -> None:
        """Take the frame if one is due; else this costs two looks at a clock and one at a file.

        Args:
            boxes: ``(N, 4)`` xyxy in the frame's pixels: every detection, however unsure. Without
                any, the whole picture is coarse.
        """
        now_s = self._monotonic()
        if now_s - self._taken_s < EVERY_S:
            return
        every_s = LEARN_S if self.taken < LEARN_PICTURES else IDLE_S
        if now_s - self._taken_s < every_s and not self._wanted():
            return
        self._taken_s = now_s
        self.taken += 1
        planes, scale = shrunk(planes, WIDTH_PX)
        picture, boxes = picture_of(planes), np.asarray(boxes, float) * scale
        pixelate(picture, boxes)
        self._write(f"{self._camera}.jpg", picture)
        self._learn(picture, boxes)
        if self._background is not None and now_s - self._emptied_s >= EMPTY_S:
            self._emptied_s = now_s
            self._write(f"{self._camera}.empty.jpg", self._background.astype(np.uint8))

    def _wanted(self) -> bool:
        try:
            touched_s = (self._folder / WANTED).stat().st_mtime
        except OSError:
            return False
        # A time ahead is that of a clock which was set back since: nobody is shown longer for it.
        return 0 <= self._wall() - touched_s < LOOKED_AT_S

    def _learn(self, masked: Picture, boxes: NDArray[np.floating]) -> None:
        """Add what the picture shows sharp; a place never seen sharp is as coarse as it was."""
        height, width = masked.shape[:2]
        if self._background is None or self._background.shape != masked.shape:
            coarse: Picture = masked.copy()
            pixelate(coarse, boxes[:0])
            self._background = coarse.astype(np.float32)
            self._known = np.zeros((height, width), bool)
        parts = parts_of(boxes, width, height) if np.isfinite(boxes).all() else []
        if not parts or self._known is None:
            return
        sharp = np.ones((height, width), bool)
        for left, top, right, bottom in parts:
            sharp[top:bottom, left:right] = False
        fresh = sharp & ~self._known
        self._background[fresh] = masked[fresh]
        mask = (sharp & self._known).astype(np.uint8)
        cv2.accumulateWeighted(masked, self._background, FADE, mask=mask)
        self._known |= sharp

    def _write(self, name: str, picture: Picture) -> None:
        _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        part = self._folder / f".{name}.part"
        try:
            part.write_bytes(jpeg.tobytes())
            part.replace(self._folder / name)
        except OSError as e:
            if not self._failing:
                log.warning("picture not written", extra={"picture": name, "reason": str(e)})
            self._failing = True
            return
        self._failing = False
