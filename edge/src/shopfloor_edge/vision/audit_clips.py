"""Clips for audits: moments drawn by lot, masked, with what was counted in them.

The whole picture becomes a mosaic that is fine enough to count people in and too coarse to know
them, and every box that was detected is pixelated further. A picture that hides all but what was
detected could never show what was missed. See docs/adr/0024-audited-accuracy.md.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.site import AuditsSpec, CameraSpec
from shopfloor_edge.analytics.lines import Crossing, Direction
from shopfloor_edge.cameras.ports import Planes
from shopfloor_edge.errors import JournalError
from shopfloor_edge.journal.audit_clips import AuditBook, Basis, Counted, KeptClip, Planned
from shopfloor_edge.vision.clips import WIDTH_PX, Still, encode, jpeg_of, write_whole
from shopfloor_edge.vision.evidence import BLOCKS, Picture, picture_of, pixelate, shrunk

log = logging.getLogger(__name__)

FOLDER = "audits"
"""In the state folder."""
LEAD_S = 1.0
"""Shown dimmed before and after what is counted: who crosses at an end is seen to do so."""
MOSAIC_COLUMNS = 80
"""A face that was not detected is at most seven or eight blocks across, of a person as tall as the
picture: half of what people need to know somebody."""
DIMMED = 0.35
STILL_EVERY_S = 0.09
GATED_EVERY_S = 0.5
GAP_MAX_S = 2.0
"""A clip with a longer gap shows less than was to be counted: it is not kept."""
_NAME = re.compile(r"^\d{8}T\d{6}-[a-z0-9-]+\.(webp|jpg)$")


@dataclass(frozen=True, slots=True)
class AuditClip:
    """A clip, ready to be encoded."""

    stills: tuple[Still, ...]
    middle: bytes
    """JPEG of the instant at which zones and slots were read."""
    kept: KeptClip

    @property
    def name(self) -> str:
        """File name without its ending."""
        return self.kept.clip


class AuditStore:
    """The folder of clips, bounded by age and size.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(
        self, folder: Path, spec: AuditsSpec, book: AuditBook, *, clock: Callable[[], float]
    ) -> None:
        self._folder, self._spec, self._book, self._clock = folder, spec, book, clock

    def add(self, clip: AuditClip) -> Path:
        """Write the clip, note it, and make room.

        Raises:
            OSError: the disk refuses; what is left has no row, and goes with its age.
        """
        path = self._folder / f"{clip.name}.webp"
        write_whole(path, encode(clip.stills))
        write_whole(path.with_suffix(".jpg"), clip.middle)
        try:
            self._book.add(clip.kept)
        except JournalError as e:
            raise OSError(str(e)) from e
        self.trim()
        return path

    def trim(self) -> int:
        """Delete what is too old or too much, oldest first; return how many clips went."""
        found = self._folder.iterdir() if self._folder.is_dir() else ()
        # Only files that we named: a folder set by mistake loses nothing else.
        files = sorted((p.stat().st_mtime, p) for p in found if _NAME.match(p.name))
        total = sum(path.stat().st_size for _, path in files)
        oldest_s = self._clock() - self._spec.keep_days * 86_400
        gone = set()
        for written_s, path in files:
            if written_s >= oldest_s and total <= self._spec.quota_bytes:
                break
            for part in (path, path.with_suffix(".jpg"), path.with_suffix(".webp")):
                if part.exists():
                    total -= part.stat().st_size
                    part.unlink()
            gone.add(path.stem)
        if gone:
            try:
                self._book.forget(gone)
            except JournalError as e:
                raise OSError(str(e)) from e
        return len(gone)


@dataclass(frozen=True, slots=True)
class Moment:
    """What was found on one inferred frame."""

    at_s: float
    """Seconds since the epoch."""
    people: int
    crossings: Sequence[Crossing]
    zones: Mapping[str, int]
    slots: Mapping[str, str]


@dataclass(slots=True)
class _Open:
    """A clip that is being gathered."""

    planned: Planned
    stills: list[Still] = field(default_factory=list)
    middle: bytes = b""
    at_middle: Moment | None = None
    crossed: dict[str, list[int]] = field(default_factory=dict)
    looked_s: float = 0.0
    people_s: float = 0.0


class AuditSampler:
    """Gathers one camera's clips. Belongs to the inference loop's thread.

    Args:
        due: gives the moment that was drawn and has just begun, or None; asked at each frame.
    """

    def __init__(
        self,
        spec: CameraSpec,
        basis: Basis,
        clip_s: float,
        *,
        due: Callable[[float], Planned | None],
        put: Callable[[AuditClip], None],
    ) -> None:
        self._spec, self._basis, self._clip_s = spec, basis, clip_s
        self._due, self._put = due, put
        self._open: _Open | None = None
        self._latest: Moment | None = None
        self._boxes: NDArray[np.floating] = np.zeros((0, 4))
        self.lost = 0
        """Moments that were drawn and could not be kept whole."""

    @property
    def gathering(self) -> bool:
        """Whether a clip is under way."""
        return self._open is not None

    def offer(self, planes: Planes, boxes: NDArray[np.floating] | None, at_s: float) -> None:
        """Take a frame that was looked at.

        Args:
            boxes: ``(N, 4)`` of people in pixels; None of a frame that was not inferred.
            at_s: seconds since the epoch.
        """
        if boxes is not None:
            self._boxes = boxes
        self._begin_or_end(at_s)
        clip = self._open
        if clip is None:
            return
        since_s = at_s - (clip.stills[-1].at_s if clip.stills else -1e9)
        if since_s < (STILL_EVERY_S if boxes is not None else GATED_EVERY_S):
            return
        planes, scale = shrunk(planes, WIDTH_PX)
        picture = picture_of(planes)
        mask(picture, self._boxes * scale)
        if not clip.middle and at_s >= self._middle_s(clip.planned):
            clip.middle = jpeg_of(picture)
            # Not inferred: all is as in the frame before.
            clip.at_middle = self._latest if boxes is None else None
        inside = LEAD_S <= at_s - clip.planned.began_at < LEAD_S + self._clip_s
        if not inside:
            picture = np.asarray(picture * DIMMED, np.uint8)
        clip.stills.append(Still(at_s, jpeg_of(picture)))

    def saw(self, moment: Moment) -> None:
        """Take what was found on the frame that was offered last."""
        before, self._latest = self._latest, moment
        clip = self._open
        if clip is None:
            return
        if before is not None and 0 < moment.at_s - before.at_s <= GAP_MAX_S:
            held_s = moment.at_s - max(before.at_s, clip.planned.began_at)
            clip.people_s += max(0.0, held_s) * before.people
            clip.looked_s += max(0.0, held_s)
        if clip.middle and clip.at_middle is None:
            clip.at_middle = moment
        if LEAD_S <= moment.at_s - clip.planned.began_at < LEAD_S + self._clip_s:
            for crossing in moment.crossings:
                counts = clip.crossed.setdefault(crossing.line, [0, 0])
                counts[crossing.direction is Direction.OUT] += 1

    def abandon(self) -> None:
        """Give up the clip under way: the camera or its clock is not what it was."""
        self.lost += self._open is not None
        self._open = None

    def _begin_or_end(self, at_s: float) -> None:
        clip, step_s = self._open, self._clip_s + 2 * LEAD_S
        if clip is not None:
            last_s = clip.stills[-1].at_s if clip.stills else clip.planned.began_at
            if not last_s <= at_s <= last_s + GAP_MAX_S:
                self.abandon()
            elif at_s >= clip.planned.began_at + step_s:
                self._finish(clip)
        if self._open is None and (planned := self._due(at_s)) is not None:
            self._open = _Open(planned)

    def _finish(self, clip: _Open) -> None:
        self._open = None
        if clip.at_middle is None or not clip.middle:
            self.lost += 1
            return
        began_s = clip.planned.began_at + LEAD_S
        at = datetime.fromtimestamp(began_s, UTC)
        kept = KeptClip(
            clip=f"{at:%Y%m%dT%H%M%S}-{self._spec.name}",
            camera=self._spec.name,
            began_at=began_s,
            ended_at=began_s + self._clip_s,
            hour=clip.planned.hour,
            probability=clip.planned.probability,
            people=round(clip.people_s / clip.looked_s, 3) if clip.looked_s else 0.0,
            basis=self._basis,
            counted=self._counted(clip, clip.at_middle),
            drawn=self._spec.model_dump_json(include={"lines", "zones", "slots"}),
        )
        self._put(AuditClip(tuple(clip.stills), clip.middle, kept))

    def _counted(self, clip: _Open, middle: Moment) -> Counted:
        counted: Counted = {
            f"line/{line.name}": clip.crossed.get(line.name, [0, 0]) for line in self._spec.lines
        }
        counted |= {f"zone/{name}": [people] for name, people in middle.zones.items()}
        counted |= {f"slot/{name}": state for name, state in middle.slots.items()}
        return counted

    def _middle_s(self, planned: Planned) -> float:
        return planned.began_at + LEAD_S + self._clip_s / 2


def mask(picture: Picture, boxes: NDArray[np.floating]) -> None:
    """Make the picture a mosaic, in place, and boxes of people coarser still where they are large.

    A box so small that the mosaic is as coarse as its pixels would be stays as it is: masked twice,
    a person could no longer be counted.
    """
    height, width = picture.shape[:2]
    columns = min(MOSAIC_COLUMNS, width)
    rows = max(1, round(columns * height / width))
    small = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
    picture[:] = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    large = boxes[~(boxes[:, 2] - boxes[:, 0] <= BLOCKS * width / columns)]
    if len(large):
        pixelate(picture, large)
