"""Does a live camera still show what it should? Covered, defocused, black, frozen, moved.

A camera may be live and useless; figures of such a camera are not zero but unknown, so a report
says whether the picture is usable.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from shopfloor_edge.cameras.view import (
    Comparison,
    Luma,
    View,
    blend,
    change,
    compare,
    mean_view,
    view_of,
)


class ViewState(StrEnum):
    """What a picture is."""

    LEARNING = "learning"
    """Too few pictures yet to know the view; taken as good."""
    GOOD = "good"
    BLACK = "black"
    COVERED = "covered"
    DEFOCUSED = "defocused"
    FROZEN = "frozen"
    MOVED = "moved"
    """Sharp, and another view: zones and lines no longer lie where they were drawn."""


_REASONS = {
    ViewState.BLACK: "the picture is black",
    ViewState.COVERED: "the lens is covered: nothing of the known view is seen",
    ViewState.DEFOCUSED: "the picture is out of focus",
    ViewState.FROZEN: "the picture stands still although frames come",
    ViewState.MOVED: "the view is not the known one: camera moved or blocked, zones do not fit",
}


@dataclass(frozen=True, slots=True)
class HealthParameters:
    """When a picture is not what it should be. Levels are of 0–255."""

    every_s: float = 1.0
    """A look costs under a millisecond, and nothing here happens faster."""
    learn_looks: int = 10
    """The median of ten pictures has no passer-by in it."""
    black_level: float = 32.0
    """Video black is 16; the brightest hundredth this near to it is a switched-off light."""
    plain_energy: float = 1.0
    """Mean gradient of a lens covered before anything was learnt is about .6 (its noise); the
    plainest scene measured has 3.3."""
    covered_energy_ratio: float = 0.35
    covered_alike_ratio: float = 0.3
    """A hand or tape leaves no edge where the view had some; darkness keeps the edges' places."""
    blurred_ratio: float = 0.45
    """Less than half of the detail for the same contrast. People and shadows cost up to a third."""
    moved_alike_ratio: float = 0.4
    """Half of the blocks may be behind people or goods; a camera turned by a few degrees keeps a
    quarter."""
    still_levels: float = 0.02
    """Noise and light change two small-picture pixels in a hundred by a level; a stuck sensor none.
    """
    still_looks: int = 15
    """Longer than any camera's key-frame interval: an encoder may send a still scene as nothing at
    all in between."""
    still_ratio: float = 0.7
    """Of those looks. A stuck picture that is encoded again changes a little where a look falls on
    a key frame and the one before did not."""
    relief_ratio: float = 1.25
    """A fault ends only this far beyond the limit at which it began."""
    adapt_s: float = 600.0
    """Time constant of the known view: slower than a customer, faster than the sun."""
    hold_s: dict[ViewState, float] = field(
        default_factory=lambda: {
            ViewState.GOOD: 3.0,
            ViewState.BLACK: 5.0,
            ViewState.COVERED: 5.0,
            ViewState.FROZEN: 3.0,
            ViewState.DEFOCUSED: 20.0,
            ViewState.MOVED: 20.0,
        }
    )
    """A condition must hold so long before it is believed: an arm before the lens is none."""


@dataclass(frozen=True, slots=True)
class HealthReport:
    """What is believed now."""

    state: ViewState = ViewState.LEARNING
    since_s: float = 0.0
    """When the condition began, on the frames' clock; it was believed later."""
    reason: str = ""

    @property
    def usable(self) -> bool:
        """Whether figures may rest on this picture; if not, the time is not covered."""
        return self.state in (ViewState.GOOD, ViewState.LEARNING)


class HealthMonitor:
    """Watches one camera. Survives reconnects: a camera that comes back turned has moved.

    What was learnt is not kept over a restart: draw zones anew, restart, and the new view is
    the known one. ``relearn`` does the same at once.
    """

    def __init__(self, parameters: HealthParameters | None = None) -> None:
        self._parameters = parameters or HealthParameters()
        self.report = HealthReport()
        self.relearn()

    def relearn(self) -> None:
        """Take what is seen from now on as the known view."""
        self._learning: list[View] = []
        self._reference: View | None = None
        self._before: View | None = None
        self._stills: deque[bool] = deque(maxlen=self._parameters.still_looks)
        self._looked_at_s: float | None = None
        self._candidate = ViewState.LEARNING
        self._candidate_since_s = 0.0

    def look(self, luma: Luma, at_s: float) -> HealthReport:
        """Take a frame's Y plane; most calls return at once, one a second looks.

        Args:
            luma: ``(H, W)``, any size; not kept.
            at_s: the frame's time.
        """
        last_s = self._looked_at_s
        if last_s is not None and 0 <= at_s - last_s < self._parameters.every_s:
            return self.report
        self._looked_at_s = at_s
        view = view_of(luma)
        if self._before is not None and self._before.grey.shape != view.grey.shape:
            self.relearn()
            self._looked_at_s = at_s
        seen = self._judge(view)
        self._before = view
        self._believe(seen, at_s)
        if seen is ViewState.GOOD and self.report.state is ViewState.GOOD:
            self._adapt(view)
        return self.report

    def _judge(self, view: View) -> ViewState:
        """Say what this one picture looks like; a covered lens may well stand still too."""
        limit, state = self._parameters, self.report.state

        def strict(fault: ViewState) -> float:
            return limit.relief_ratio if state is fault else 1.0

        if view.darker_than(limit.black_level * strict(ViewState.BLACK)):
            return ViewState.BLACK
        stuck = self._is_stuck(view)
        if self._reference is None:
            return ViewState.FROZEN if stuck else self._learn(view)
        beside = compare(view, self._reference)
        if _is_covered(beside, limit, strict(ViewState.COVERED)):
            return ViewState.COVERED
        if beside.sharpness_ratio < limit.blurred_ratio * strict(ViewState.DEFOCUSED):
            return ViewState.DEFOCUSED
        if beside.alike_ratio < limit.moved_alike_ratio * strict(ViewState.MOVED):
            return ViewState.MOVED
        return ViewState.FROZEN if stuck else ViewState.GOOD

    def _is_stuck(self, view: View) -> bool:
        limit, stills = self._parameters, self._stills
        if self._before is not None:
            stills.append(change(view, self._before) <= limit.still_levels)
        return len(stills) == limit.still_looks and sum(stills) >= limit.still_ratio * len(stills)

    def _learn(self, view: View) -> ViewState:
        if view.energy < self._parameters.plain_energy:
            return ViewState.COVERED
        self._learning.append(view)
        if len(self._learning) < self._parameters.learn_looks:
            return ViewState.LEARNING
        self._reference = mean_view(self._learning)
        self._learning.clear()
        return ViewState.GOOD

    def _believe(self, seen: ViewState, at_s: float) -> None:
        """Change the report when a condition has held long enough."""
        if seen is not self._candidate or at_s < self._candidate_since_s:
            self._candidate, self._candidate_since_s = seen, at_s
        held_s = at_s - self._candidate_since_s
        learnt = self.report.state is ViewState.LEARNING and seen is ViewState.GOOD
        if seen is self.report.state:
            return
        if learnt or held_s >= self._parameters.hold_s.get(seen, 0.0):
            since_s = self._candidate_since_s
            if seen is ViewState.FROZEN:
                since_s -= self._parameters.still_looks * self._parameters.every_s
            self.report = HealthReport(seen, since_s, _REASONS.get(seen, ""))

    def _adapt(self, view: View) -> None:
        if self._reference is not None:
            share = min(1.0, self._parameters.every_s / self._parameters.adapt_s)
            self._reference = blend(self._reference, view, share)


def _is_covered(beside: Comparison, limit: HealthParameters, strict: float) -> bool:
    return (
        beside.energy_ratio < limit.covered_energy_ratio * strict
        and beside.alike_ratio < limit.covered_alike_ratio * strict
    )
