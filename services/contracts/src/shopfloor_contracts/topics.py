"""MQTT topics: ``shopfloor/v1/<site>/<device>/<kind>`` up, ``…/cloud/ack`` down."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shopfloor_contracts.base import SLUG_PATTERN
from shopfloor_contracts.errors import EventRejectedError
from shopfloor_contracts.events import Kind

ROOT = "shopfloor/v1"
ALL_EVENTS = f"{ROOT}/+/+/+"
"""Every device's events and no acknowledgement: those lie one level deeper."""

_SLUG = re.compile(SLUG_PATTERN)


@dataclass(frozen=True, slots=True)
class EventTopic:
    """Who says what, as the broker has checked it."""

    site: str
    device: str
    kind: Kind

    def __str__(self) -> str:
        return f"{ROOT}/{self.site}/{self.device}/{self.kind}"


def parse_topic(topic: str) -> EventTopic:
    """Read an event's topic.

    Raises:
        EventRejectedError: not of the form, or a kind of which this version knows nothing.
    """
    levels = topic.removeprefix(f"{ROOT}/").split("/")
    if not topic.startswith(f"{ROOT}/") or len(levels) != 3:
        raise EventRejectedError("topic", f"{topic[:100]!r} is not {ROOT}/<site>/<device>/<kind>")
    site, device, kind = levels
    if not (_SLUG.fullmatch(site) and _SLUG.fullmatch(device)):
        raise EventRejectedError("topic", f"{topic[:100]!r}: site and device are not slugs")
    try:
        return EventTopic(site, device, Kind(kind))
    except ValueError as e:
        raise EventRejectedError("unknown-type", f"kind {kind[:40]!r} is unknown") from e


def ack_topic(site: str, device: str) -> str:
    """Return the topic on which the cloud acknowledges what one device has sent."""
    return f"{ROOT}/{site}/{device}/cloud/ack"
