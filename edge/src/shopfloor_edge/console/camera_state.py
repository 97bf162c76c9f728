"""What is wrong with a camera, as one of few causes that people can do something about. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from shopfloor_contracts.events import CameraStatus
from shopfloor_edge.journal.state import CameraRow

STALE_S = 10.0
"""Vision describes every camera twice a second; after that it is taken as stopped."""

_SAID = (
    ("user or password refused", "refused"),
    ("flapping", "flapping"),
    ("picture is black", "black"),
    ("lens is covered", "covered"),
    ("out of focus", "defocused"),
    ("stands still", "frozen"),
    ("not the known one", "moved"),
    ("name is not known", "unknown_name"),
    ("no answer", "unreachable"),
    ("unreachable", "unreachable"),
    ("refused", "unreachable"),
)
"""Part of a reason, and the cause that it tells of; the first one counts."""
_OF_STATUS = {
    CameraStatus.CONNECTING: "connecting",
    CameraStatus.STALLED: "stalled",
    CameraStatus.ABSENT: "absent",
    CameraStatus.MISCONFIGURED: "misconfigured",
    CameraStatus.ENDED: "ended",
}
_MILD = ("connecting", "flapping", "ended")


@dataclass(frozen=True, slots=True)
class CameraState:
    """How a camera is. ``cause`` is "live" where nothing is wrong."""

    cause: str
    """Of the texts on the page."""
    tone: str
    sign: str
    reason: str
    """In the device's own words; for the installer."""

    @property
    def sees(self) -> bool:
        """Whether what it gives is of use."""
        return self.cause in ("live", "flapping")


def state_of(row: CameraRow | None, now_s: float) -> CameraState:
    """Return how a camera is.

    Args:
        row: as vision last described it; None where it never did.
        now_s: seconds since the epoch.
    """
    if row is None or (abs(now_s - row.updated_at) > STALE_S and row.status != CameraStatus.ENDED):
        return CameraState("unwatched", "bad", "✕", "")
    cause = next((cause for part, cause in _SAID if part in row.reason), "")
    if not cause:
        cause = _OF_STATUS.get(row.status, "live")
    if cause == "live":
        return CameraState(cause, "good", "✓", row.reason)
    mild = cause in _MILD
    return CameraState(cause, "warn" if mild else "bad", "◐" if mild else "✕", row.reason)
