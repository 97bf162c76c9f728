"""A part has come and stands still: a trigger without any wire."""

from __future__ import annotations

import cv2
import numpy as np

from shopfloor_contracts.recipes import SettleTrigger
from shopfloor_edge.inspection.arrivals import Trigger, TriggerQueue
from shopfloor_edge.inspection.ports import Grey

SMALL = (96, 72)
CHANGED = 20
"""Of 255: noise and flicker stay below."""


class SettleWatch:
    """Looks at every frame; one trigger each time that motion has come and gone."""

    def __init__(self, spec: SettleTrigger, queue: TriggerQueue) -> None:
        self._spec, self._queue = spec, queue
        self._before: Grey | None = None
        self._moved, self._still_since_s = False, 0.0

    def take(self, at_s: float, picture: Grey) -> None:
        """Take one frame."""
        small: Grey = np.asarray(cv2.resize(picture, SMALL, interpolation=cv2.INTER_AREA), np.uint8)
        before, self._before = self._before, small
        if before is None:
            return
        changed = np.count_nonzero(cv2.absdiff(small, before) > CHANGED) / small.size
        if changed > self._spec.changed_ratio:
            self._moved, self._still_since_s = True, at_s
        elif self._moved and at_s - self._still_since_s >= self._spec.still_s:
            self._moved = False
            self._queue.put(Trigger(at_s))
