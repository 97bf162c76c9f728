"""What a device is installed with on a platform: everything that is required, as pinned.

Markers are evaluated for the device. pip evaluates them for the Python that it runs on, whatever
``--python-version`` and ``--platform`` say, so it is only asked for single packages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from shopfloor_provisioning.wheelhouse.errors import PinError, WheelError
from shopfloor_provisioning.wheelhouse.metadata import Wheel, read_wheel
from shopfloor_provisioning.wheelhouse.platforms import Platform


@dataclass(frozen=True, slots=True, order=True)
class Pin:
    """One version of one package."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


class WheelSource(Protocol):
    """Where wheels come from."""

    def bring(self, pins: Sequence[Pin], platform: Platform) -> Mapping[Pin, Path]:
        """Return the file of each pin that has a wheel for the platform; others are left out."""
        ...


@dataclass(slots=True)
class Closure:
    """Every wheel that a platform needs, and which requires which."""

    platform: Platform
    wheels: dict[str, Wheel] = field(default_factory=dict)
    edges: dict[str, set[str]] = field(default_factory=dict)
    missing: list[Pin] = field(default_factory=list)


def read_pins(path: Path) -> dict[str, Pin]:
    """Read a constraints file of ``name==version`` lines, by canonical name.

    Raises:
        PinError: it cannot be read, or a line is something else.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise PinError(f"{path}: {e}") from e
    pins: dict[str, Pin] = {}
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        name, equals, version = text.partition("==")
        if not equals:
            raise PinError(f"{path}:{number}: {text!r} is no name==version")
        key = canonicalize_name(name.strip())
        pins[key] = Pin(key, version.strip())
    return pins


def resolve(
    roots: Iterable[str],
    platform: Platform,
    *,
    own: Mapping[str, Wheel],
    pins: Mapping[str, Pin],
    source: WheelSource,
) -> Closure:
    """Bring what ``roots`` need on ``platform``, and what those need, until nothing is missing.

    Args:
        roots: requirements such as ``shopfloor-edge[console]``.
        own: our wheels by canonical name; these are never asked of the source.

    Raises:
        PinError: something that is needed is not pinned, or not as its user allows.
    """
    closure = Closure(platform)
    extras: dict[str, set[str]] = {}
    for root in roots:
        _want(Requirement(root), extras)
    while waiting := [n for n in sorted(extras) if n not in closure.wheels | _names(closure)]:
        _bring(closure, waiting, own=own, pins=pins, source=source)
        while sum(_follow(closure, name, extras, pins) for name in sorted(closure.wheels)):
            pass
    return closure


def _names(closure: Closure) -> dict[str, Pin]:
    return {pin.name: pin for pin in closure.missing}


def _bring(
    closure: Closure,
    names: Sequence[str],
    *,
    own: Mapping[str, Wheel],
    pins: Mapping[str, Pin],
    source: WheelSource,
) -> None:
    unpinned = [name for name in names if name not in own and name not in pins]
    if unpinned:
        raise PinError(f"{', '.join(unpinned)}: needed on a device, not pinned in constraints.txt")
    closure.wheels |= {name: own[name] for name in names if name in own}
    wanted = [pins[name] for name in names if name not in own]
    brought = source.bring(wanted, closure.platform) if wanted else {}
    for pin in wanted:
        if pin not in brought:
            closure.missing.append(pin)
            continue
        wheel = read_wheel(brought[pin])
        if wheel.tags.isdisjoint(closure.platform.tags):
            raise WheelError(f"{wheel.path.name}: not for {closure.platform.name}")
        closure.wheels[pin.name] = wheel


def _follow(
    closure: Closure, name: str, extras: dict[str, set[str]], pins: Mapping[str, Pin]
) -> bool:
    """Add what a wheel requires; return whether that was news."""
    wheel, grown = closure.wheels[name], False
    asked = extras[name]
    absent = asked - wheel.extras
    if absent:
        raise PinError(f"{name} {wheel.version} has no extra {', '.join(sorted(absent))}")
    for requirement in wheel.requires:
        if _applies(requirement, asked, closure.platform):
            needed = canonicalize_name(requirement.name)
            _check_pin(requirement, pins.get(needed), user=name)
            grown |= _want(requirement, extras)
            closure.edges.setdefault(name, set()).add(needed)
    return grown


def _applies(requirement: Requirement, extras: set[str], platform: Platform) -> bool:
    if requirement.marker is None:
        return True
    environment = platform.environment
    try:
        return any(
            requirement.marker.evaluate({**environment, "extra": extra})
            for extra in ("", *sorted(extras))
        )
    except (UndefinedEnvironmentName, InvalidRequirement) as e:
        raise WheelError(f"{requirement}: {e}") from e


def _want(requirement: Requirement, extras: dict[str, set[str]]) -> bool:
    name = canonicalize_name(requirement.name)
    asked = {canonicalize_name(extra) for extra in requirement.extras}
    if name in extras and asked <= extras[name]:
        return False
    extras.setdefault(name, set()).update(asked)
    return True


def _check_pin(requirement: Requirement, pin: Pin | None, *, user: str) -> None:
    if pin is None or requirement.specifier.contains(Version(pin.version), prereleases=True):
        return
    raise PinError(f"{pin} in constraints.txt, but {user} wants {requirement}")
