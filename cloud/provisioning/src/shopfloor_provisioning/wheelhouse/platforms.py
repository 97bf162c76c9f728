"""Which platforms we promise, and what pip and markers call them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.tags import Tag, compatible_tags, cpython_tags

from shopfloor_provisioning.wheelhouse.errors import PlatformError

GLIBC_MINOR = 36
"""Debian 12's 2.36 is the oldest of ours (Ubuntu 24.04 and JetPack 7: 2.39, Debian 13: 2.41).

A wheel for it runs on the others, so one wheelhouse serves each Python on any of them.
"""
OLDEST_GLIBC_MINOR = {"x86_64": 5, "aarch64": 17}
LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
PYTHONS = ("3.11", "3.12", "3.13")
ARCHITECTURES = ("x86_64", "aarch64")


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """A Python on an architecture, on glibc."""

    python: str
    """``3.12``."""
    architecture: str
    """As in markers: ``x86_64`` or ``aarch64``."""

    @property
    def name(self) -> str:
        """Return the name of its folder."""
        return f"{self.python}-{self.architecture}"

    @property
    def pip_platforms(self) -> list[str]:
        """Return what ``pip download --platform`` wants, newest glibc first."""
        return list(_manylinux(self.architecture))

    @property
    def tags(self) -> list[Tag]:
        """Return every tag of a wheel that runs here, the best first."""
        major, minor = (int(part) for part in self.python.split("."))
        linux = self.pip_platforms
        return [
            *cpython_tags((major, minor), platforms=linux),
            *compatible_tags((major, minor), f"cp{major}{minor}", linux),
        ]

    @property
    def environment(self) -> dict[str, str]:
        """Return what environment markers are evaluated with: the target's, not this machine's."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": self.architecture,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }


PROMISED = tuple(Platform(python, machine) for machine in ARCHITECTURES for python in PYTHONS)


def choose_platforms(wanted: str) -> list[Platform]:
    """Return the promised platforms that ``wanted`` names, all of them when it is empty.

    Args:
        wanted: names with commas between; a Python or an architecture alone names all with it.

    Raises:
        PlatformError: a name is not among what we promise.
    """
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    chosen = set()
    for name in names:
        found = [p for p in PROMISED if name in (p.name, p.python, p.architecture)]
        if not found:
            promised = ", ".join(platform.name for platform in PROMISED)
            raise PlatformError(f"platform {name!r} is not promised; these are: {promised}")
        chosen.update(found)
    return [platform for platform in PROMISED if platform in chosen or not names]


def _manylinux(architecture: str) -> Iterator[str]:
    """PEP 600: a wheel for an older glibc runs on a newer one; PEP 513, 571, 599: its old names."""
    for minor in range(GLIBC_MINOR, OLDEST_GLIBC_MINOR[architecture] - 1, -1):
        yield f"manylinux_2_{minor}_{architecture}"
        if minor in LEGACY:
            yield f"{LEGACY[minor]}_{architecture}"
    yield f"linux_{architecture}"
