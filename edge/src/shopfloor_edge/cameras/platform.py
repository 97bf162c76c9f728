"""Which platform this process decodes on: probed once, given up when its elements fail."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from shopfloor_edge.cameras.gst import Gst
from shopfloor_edge.cameras.templates import (
    PLATFORMS,
    SOFTWARE,
    Choice,
    Platform,
    choose_platform,
)

_RANK = Gst.Rank.PRIMARY + 100


class PlatformProbe:
    """The process's choice; safe from any thread."""

    def __init__(self, platforms: Sequence[Platform] = PLATFORMS) -> None:
        self._lock, self._platforms = threading.Lock(), platforms
        self._choice: Choice | None = None

    def choose(self) -> Choice:
        """Return the platform to decode on. GStreamer must have been started."""
        with self._lock:
            if self._choice is None:
                self._choice = choose_platform(
                    lambda name: Gst.ElementFactory.find(name) is not None, self._platforms
                )
                _rank(self._choice.platform, _RANK)
            return self._choice

    def blame(self, platform: Platform, element: str) -> bool:
        """Go on in software if ``element`` is the platform's own; say whether it was.

        Installed is not the same as working: the kernel's driver may be missing, or the decoder's
        sessions be used up.
        """
        own = element and (element in platform.decoders or element in platform.convert)
        if platform is SOFTWARE or not own:
            return False
        with self._lock:
            _rank(platform, Gst.Rank.NONE)
            self._choice = Choice(SOFTWARE, f"{platform.name}: {element} failed")
        return True


def _rank(platform: Platform, rank: int) -> None:
    for name in platform.decoders:
        factory = Gst.ElementFactory.find(name)
        if factory is not None:
            factory.set_rank(rank)


PLATFORM = PlatformProbe()
