"""What the settings of a site leave to people to decide, and what the software guarantees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shopfloor_provisioning.privacy.facts import Device, Facts

LONG_DAYS = 14.0


@dataclass(frozen=True, slots=True)
class Guarantee:
    """Something that the software sees to, how far, and how anyone can check it."""

    claim: str
    limit: str
    checks: tuple[str, ...]
    """Commands on the device or in the repository."""


def points(facts: Facts) -> list[str]:
    """Return what a person has to weigh because of how this site is set."""
    return [
        f"{device.name}: {line}" for device in facts.devices for line in _points_of(device)
    ] or ["nothing beside the questions below"]


def guarantees(facts: Facts) -> list[Guarantee]:
    """Return what holds for this site."""
    return [_no_picture_leaves(), _figures_only(facts), *_clips(facts), _masking(facts), _people()]


def _points_of(device: Device) -> Iterator[str]:
    for rule in device.single_person_rules:
        yield (
            f"the rule {rule} fires on what one person does: say why that is needed, "
            "and what staff may do about it"
        )
    for clips in device.clips:
        if clips.keep_days > LONG_DAYS:
            yield f"clips in {clips.folder}/ are kept {clips.keep_days:g} days: say why so long"
        if clips.folder == "audits":
            yield "masked clips are drawn by lot and looked at by staff: say who may do that"
    for place in device.destinations:
        if place.leaves_device and place.protection == "none":
            yield f"what goes to {place.host} is not encrypted"
        if place.purpose.startswith("notices by") and place.leaves_device:
            yield f"{place.purpose} go to {place.host}: who runs it, and under which contract?"
        if place.purpose == "notices in browsers":
            yield f"{place.host} learns that and when a browser is told something, not what"
    if device.budget_bytes is None:
        yield "no [uplink] budget_bytes_per_day bounds what leaves in a day"


def _no_picture_leaves() -> Guarantee:
    return Guarantee(
        "No picture leaves the device: no message has a field that could hold one, and the "
        "processes that speak to the outside cannot load the code that reads cameras.",
        "Who can sign in to the device as its administrator can read what is stored on it.",
        (
            "make test T=tests/contract/test_no_pixels.py",
            "lint-imports   # contract: no pixels can reach the way out",
            "shopfloor-edge uplink --state DIR   # bytes sent, by day and kind",
        ),
    )


def _figures_only(facts: Facts) -> Guarantee:
    hosts = sorted({p.host for d in facts.devices for p in d.destinations if p.leaves_device})
    return Guarantee(
        "Beside their cameras devices speak to these and to no other: "
        f"{', '.join(hosts) or 'nobody'}. "
        "Notices go only to hosts that the site file names; any other is refused when it is tried.",
        "The operating system looks names up and sets its clock by itself.",
        ("ss -tunp   # on the device: every connection and its process",),
    )


def _clips(facts: Facts) -> Iterator[Guarantee]:
    checks: tuple[str, ...]
    if not facts.keeps_clips:
        checks = ("find STATE -name '*.webp'   # finds nothing",)
        yield Guarantee("No video and no clip is stored; frames live in memory.", "", checks)
        return
    kept = sorted({(c.folder, c.keep_days) for device in facts.devices for c in device.clips})
    told = " and ".join(f"{folder}/ after {days:g} days" for folder, days in kept)
    checks = tuple(
        f"find STATE/{folder} -type f -mtime +{days:g}   # finds nothing" for folder, days in kept
    )
    yield Guarantee(
        f"Clips are deleted by themselves: {told}, or earlier when their quota is full.",
        "A device that is switched off deletes when it runs again.",
        checks,
    )


def _masking(facts: Facts) -> Guarantee:
    limit = "Somebody whom the detector does not find in a picture that shows others is not masked"
    if any(c.folder == "audits" for d in facts.devices for c in d.clips):
        limit += "; clips of audits are a coarse mosaic as a whole, for that reason"
    return Guarantee(
        "People are pixelated before a picture is kept or shown, by the boxes of that very frame; "
        "a frame without boxes is pixelated as a whole.",
        f"{limit}.",
        ("make test T=tests/unit/shopfloor_edge/test_edge_evidence.py",),
    )


def _people() -> Guarantee:
    return Guarantee(
        "Nobody is recognised: no face, gait, age or sex is computed; a track has a number that is "
        "forgotten when the person leaves the picture, and is not carried to another camera.",
        "Clothes and gait of somebody seen pixelated may be known to who was there.",
        ("shopfloor-edge check --site FILE   # everything that is counted",),
    )
