"""Whether a host is fit to be a device: looked at in one go, judged all at once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shopfloor_provisioning import debian
from shopfloor_provisioning.errors import WheelhouseError
from shopfloor_provisioning.machine import Machine
from shopfloor_provisioning.store import DeviceFile
from shopfloor_provisioning.wheels import WheelSet

SYSTEMS = {"debian": ("12", "13"), "ubuntu": ("24.04",)}
PYTHONS = ("3.11", "3.12", "3.13")
DISK_BYTES = 3_000_000_000
"""Two environments of 0.9 GB, since an update keeps the one before, and a day's journal."""
DISK_LOCAL_BYTES = 500_000_000
_UNPACKED = 5
"""Times its size that a wheel takes: itself, unpacked, and compiled."""
CLOCK_S = 120.0
"""Certificates are an hour older than they say, events are not: a window would be another one."""

_PROBE = r"""
. /etc/os-release 2>/dev/null
echo "system=$ID"; echo "release=$VERSION_ID"
echo "architecture=$(uname -m)"
echo "python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)"
echo "free=$(df -Pk / | awk 'NR==2 {print $4}')"
echo "clock=$(date +%s)"
echo "uid=$(id -u)"
echo "systemd=$([ -d /run/systemd/system ] && echo yes)"
echo "apt=$(command -v apt-get >/dev/null && echo yes)"
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a host says of itself."""

    system: str
    release: str
    architecture: str
    python: str
    """``3.11``, empty where there is none."""
    free_bytes: int
    clock_offset_s: float
    """Against this machine."""
    is_root: bool
    has_systemd: bool
    missing: tuple[str, ...] = ()
    """Packages of the system."""
    has_packages: bool = True
    """Whether the missing ones can be had from its package server."""


def look(machine: Machine, packages: Sequence[str]) -> Facts:
    """Ask the host; changes nothing."""
    before = time.time()
    lines = machine.must(_PROBE, "probe").splitlines()
    said = dict(line.split("=", 1) for line in lines if "=" in line)
    middle = (before + time.time()) / 2
    known = debian.missing_packages(machine, packages) if said.get("apt") else packages
    missing = tuple(known)
    return Facts(
        system=said.get("system", ""),
        release=said.get("release", ""),
        architecture=said.get("architecture", ""),
        python=said.get("python", ""),
        free_bytes=int(said.get("free") or 0) * 1024,
        clock_offset_s=float(said.get("clock") or 0) - middle,
        is_root=said.get("uid") == "0",
        has_systemd=said.get("systemd") == "yes",
        missing=missing,
        has_packages=not missing or (bool(said.get("apt")) and _can_be_had(machine, missing)),
    )


def judge(device: DeviceFile, facts: Facts) -> Iterator[str]:
    """Give every reason why the host is not fit, each with what to do."""
    wanted, local = device.architecture, device.connector == "local"
    if wanted is not None and facts.architecture != wanted:
        yield f"is {facts.architecture}, its file says {wanted}: correct architecture or address"
    elif facts.architecture not in ("x86_64", "aarch64"):
        yield f"is {facts.architecture}: only x86_64 and aarch64 have wheels"
    needs_bytes = DISK_LOCAL_BYTES if local else DISK_BYTES
    if facts.free_bytes < needs_bytes:
        yield (
            f"has {facts.free_bytes / 1e9:.1f} GB free on /, needs {needs_bytes / 1e9:.1f} GB: "
            f"remove something, or take a larger disk"
        )
    if abs(facts.clock_offset_s) > CLOCK_S:
        yield (
            f"its clock is {_spell(facts.clock_offset_s)} against this machine: set it, "
            f"and let systemd-timesyncd or chrony keep it"
        )
    if not local:
        yield from _judge_system(device, facts)


def _judge_system(device: DeviceFile, facts: Facts) -> Iterator[str]:
    if facts.release not in SYSTEMS.get(facts.system, ()):
        known = "; ".join(f"{name} {' or '.join(those)}" for name, those in SYSTEMS.items())
        yield f"runs {facts.system or 'an unknown system'} {facts.release}, expected {known}"
    if not facts.is_root:
        yield f"user {device.user!r} is not root and may not sudo without a password"
    if facts.python and facts.python not in PYTHONS:
        yield f"has Python {facts.python}, expected {', '.join(PYTHONS)}"
    if not facts.has_packages:
        yield (
            f"its package server does not give {', '.join(facts.missing)}: mend its apt sources, "
            f"or install them from a medium; wheels need no server"
        )


def judge_wheels(facts: Facts, find: WheelSet | WheelhouseError | None) -> Iterator[str]:
    """Give what is wrong with the wheels that the host would get."""
    if isinstance(find, WheelhouseError):
        yield str(find)
    elif find is not None:
        size_bytes = sum(wheel.path.stat().st_size for wheel in find.wheels) * _UNPACKED
        if facts.free_bytes < size_bytes:
            yield (
                f"has {facts.free_bytes / 1e9:.1f} GB free on /, its wheels take "
                f"{size_bytes / 1e9:.1f} GB: remove something, or take a larger disk"
            )


def _can_be_had(machine: Machine, missing: Sequence[str]) -> bool:
    """Fetch the lists of packages: it changes nothing else, and tells whether a server answers."""
    fetch = (
        "apt-get -qq update -o APT::Update::Error-Mode=any -o DPkg::Lock::Timeout=120 "
        "-o Acquire::Retries=1 -o Acquire::http::Timeout=15"
    )
    debian.await_rest(machine)
    script = f"""for p in {" ".join(missing)}; do
      apt-cache policy $p | sed -n 's/.*Candidate: //p' | grep -qv none || exit 1
    done"""
    return machine.run(fetch, timeout_s=180).ok and machine.run(script).ok


def _spell(offset_s: float) -> str:
    size, side = abs(offset_s), "ahead" if offset_s > 0 else "behind"
    if size >= 86_400:
        return f"{size / 86_400:.1f} days {side}"
    return f"{size / 60:.0f} minutes {side}" if size >= 120 else f"{size:.0f} s {side}"
