"""Pictures of parts that did not pass, with their findings; bounded, and never sent."""

from __future__ import annotations

import logging
from collections import deque
from pathlib import Path

import cv2

from shopfloor_edge.inspection.ports import Grey, Judgement

log = logging.getLogger(__name__)

JPEG_QUALITY = 88
SIDE_PX = 640
"""Larger pictures are made smaller: people look at them, no judge does."""
_RED = (40, 40, 230)


class EvidenceStore:
    """A folder of ``part-NNN.jpg``; the oldest goes first.

    Args:
        quota_bytes: of all pictures together.
    """

    def __init__(self, folder: Path, quota_bytes: int) -> None:
        self._folder, self._quota_bytes = folder, quota_bytes
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = sorted((p.stat().st_mtime, p, p.stat().st_size) for p in folder.glob("part-*.jpg"))
        self._kept = deque((path, size) for _, path, size in kept)
        self._bytes = sum(size for _, size in self._kept)

    @staticmethod
    def name_of(part: int) -> str:
        """Return the name of a part's picture."""
        return f"part-{part:09d}.jpg"

    def keep(self, part: int, picture: Grey, judgement: Judgement) -> bool:
        """Write the picture with its findings drawn; False when the disk does not take it."""
        done, content = cv2.imencode(
            ".jpg", _drawn(picture, judgement), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        )
        path = self._folder / self.name_of(part)
        try:
            if done:
                path.write_bytes(content.tobytes())
        except OSError as e:
            log.debug("evidence not kept", extra={"reason": str(e)})
            return False
        self._kept.append((path, content.size))
        self._bytes += content.size
        while self._bytes > self._quota_bytes and self._kept:
            oldest, size = self._kept.popleft()
            oldest.unlink(missing_ok=True)
            self._bytes -= size
        return bool(done)


def _drawn(picture: Grey, judgement: Judgement) -> cv2.typing.MatLike:
    scale = min(1.0, SIDE_PX / max(picture.shape))
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    drawn = cv2.cvtColor(small, cv2.COLOR_GRAY2BGR)
    for finding in judgement.findings:
        x1, y1, x2, y2 = (round(v * scale) for v in finding.box)
        cv2.rectangle(drawn, (x1, y1), (x2, y2), _RED, 2)
    return drawn
