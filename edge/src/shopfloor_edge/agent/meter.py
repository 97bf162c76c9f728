"""How many bytes each kind takes, and which kinds wait when the day's budget nears its end."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from shopfloor_contracts.batches import pack
from shopfloor_contracts.events import Event, Kind, encode, kind_of
from shopfloor_edge.journal.outbox import PRIORITY
from shopfloor_edge.journal.state import CameraRow
from shopfloor_edge.journal.usage import VIDEO, Used

HELD_FROM = {0: 0.8, 1: 0.9, 2: 1.0}
"""Share of the budget from which a priority waits; what is above, an alert, never does."""


class UplinkMeter:
    """Adds up what is sent, until somebody takes it."""

    def __init__(self) -> None:
        self._used: dict[str, Used] = defaultdict(Used)
        self._video: dict[str, int] = {}

    def sent(self, events: Sequence[Event], wire_bytes: int) -> None:
        """Note one message; a kind's share of it is by the size to which the kind packs alone."""
        by_kind: dict[Kind, list[Event]] = defaultdict(list)
        for event in events:
            by_kind[kind_of(event.data)].append(event)
        sizes = {k: len(pack(alone)) if len(by_kind) > 1 else 1 for k, alone in by_kind.items()}
        left_bytes, left_size = wire_bytes, sum(sizes.values())
        for kind, alone in by_kind.items():
            share = left_bytes * sizes[kind] // left_size
            left_bytes, left_size = left_bytes - share, left_size - sizes[kind]
            raw_bytes = sum(len(encode(event)) for event in alone)
            self._used[kind] += Used(len(alone), raw_bytes, share)

    def video(self, cameras: Iterable[CameraRow]) -> None:
        """Note how much video has come since the last time."""
        for row in cameras:
            before = self._video.get(row.camera, row.video_bytes)
            # A total that fell began again with its process.
            new = row.video_bytes - before if row.video_bytes >= before else row.video_bytes
            self._video[row.camera] = row.video_bytes
            if new:
                self._used[VIDEO] += Used(0, new, 0)

    def take(self) -> dict[str, Used]:
        """Return what came since the last time."""
        taken, self._used = dict(self._used), defaultdict(Used)
        return taken


def kinds_that_wait(sent_bytes: int, budget_bytes: int | None) -> frozenset[Kind]:
    """Return the kinds that are not to be sent any more today."""
    if budget_bytes is None:
        return frozenset()
    share = sent_bytes / budget_bytes
    return frozenset(
        kind for kind, priority in PRIORITY.items() if share >= HELD_FROM.get(priority, math.inf)
    )
