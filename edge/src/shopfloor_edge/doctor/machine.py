"""Memory, disk, processor and the right to use them."""

from __future__ import annotations

import grp
import os
import platform
import re
import shutil
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from shopfloor_edge.doctor.findings import Finding, Level

AREA = "machine"
MEMORY_BAD_BYTES, MEMORY_WARN_BYTES = 200_000_000, 500_000_000
"""Vision takes about 200 MB with one camera."""
SPARE_BYTES = 1_000_000_000
"""Beyond the outbox: the next bundle, engines, the system's own log."""


def check_memory(meminfo: str) -> Finding:
    """Judge the text of ``/proc/meminfo``."""
    sizes = {key: int(kib) * 1024 for key, kib in re.findall(r"(\w+):\s+(\d+) kB", meminfo)}
    free, total = sizes.get("MemAvailable"), sizes.get("MemTotal")
    if free is None or total is None:
        return Finding(AREA, "memory", Level.WARN, "the kernel does not say")
    found = f"{_size(free)} of {_size(total)} available"
    if free < MEMORY_WARN_BYTES:
        level = Level.BAD if free < MEMORY_BAD_BYTES else Level.WARN
        return Finding(AREA, "memory", level, found, "end other programs, or watch fewer cameras")
    return Finding(AREA, "memory", Level.OK, found)


def check_processor(cpuinfo: str, machine: str = platform.machine()) -> Finding:
    """Judge the text of ``/proc/cpuinfo``: which vector instructions inference finds."""
    flags = set(
        " ".join(re.findall(r"^(?:flags|Features)\s*:(.*)$", cpuinfo, re.MULTILINE)).split()
    )
    cores = len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE)) or os.cpu_count() or 1
    if machine == "x86_64":
        has = [name for name, any_of in _X86.items() if flags & any_of]
        remedy = "" if "AVX2" in has else "inference takes several times as long without AVX2"
    else:
        has = [name for name, any_of in _ARM.items() if flags & any_of]
        remedy = "" if "NEON" in has else "inference takes several times as long without NEON"
    found = f"{cores} × {machine}, {', '.join(has) or 'no vector instructions that help'}"
    return Finding(AREA, "processor", Level.WARN if remedy else Level.OK, found, remedy)


def check_disk(state: Path, *, outbox_bytes: int) -> Finding:
    """Judge the free space where the state folder is or would be."""
    free = shutil.disk_usage(_existing(state)).free
    found = f"{_size(free)} free; the outbox may take {_size(outbox_bytes)}"
    if free < outbox_bytes + SPARE_BYTES:
        level = Level.BAD if free < outbox_bytes else Level.WARN
        return Finding(AREA, "disk", level, found, "free some space, or lower [outbox] max_bytes")
    return Finding(AREA, "disk", Level.OK, found)


def check_state(state: Path) -> Finding:
    """Try to write into the state folder, or where it would be made."""
    there = _existing(state)
    what = f"{state} can be written" if there == state else f"{state} can be made"
    try:
        with tempfile.TemporaryFile(dir=there):
            return Finding(AREA, "state folder", Level.OK, what)
    except OSError as e:
        remedy = f"'chown {_user()} {there}', or another --state"
        return Finding(AREA, "state folder", Level.BAD, f"{there}: {e.strerror}", remedy)


def check_devices(wanted: Sequence[Path], root: Path = Path("/dev")) -> list[Finding]:
    """Judge the right to use cameras, GPU and Edge TPU; ``wanted`` are the site's own cameras."""
    kinds = {
        "USB cameras": sorted({*root.glob("video[0-9]*"), *wanted}),
        "GPU": sorted(root.glob("dri/renderD*")),
        "Edge TPU": sorted(root.glob("apex_[0-9]*")),
    }
    findings = []
    for name, paths in kinds.items():
        problems = [(path, problem) for path in paths if (problem := _problem(path))]
        if not paths:
            findings.append(Finding(AREA, name, Level.ABSENT, "none"))
        elif not problems:
            found = ", ".join(map(str, paths))
            findings.append(Finding(AREA, name, Level.OK, found))
        for path, (found, remedy) in problems:
            level = Level.BAD if path in wanted else Level.WARN
            findings.append(Finding(AREA, name, level, found, remedy))
    return findings


_X86 = {
    "AVX2": {"avx2"},
    "AVX-512": {"avx512f"},
    "VNNI": {"avx_vnni", "avx512_vnni"},
    "AMX": {"amx_int8"},
}
_ARM = {"NEON": {"neon", "asimd"}, "dot product": {"asimddp"}, "int8 matrix": {"i8mm"}}


def _problem(path: Path) -> tuple[str, str] | None:
    """Return what is wrong with a device file and what to do; None when it can be used."""
    try:
        about = path.stat()
    except OSError as e:
        return f"{path}: {e.strerror}", "is it plugged in?"
    if not stat.S_ISCHR(about.st_mode):
        return f"{path} is no device", "is it plugged in?"
    if os.access(path, os.R_OK | os.W_OK):
        return None
    try:
        group = grp.getgrgid(about.st_gid).gr_name
    except KeyError:
        group = str(about.st_gid)
    return f"{path}: not allowed", f"'usermod -aG {group} {_user()}', then log in again"


def _existing(path: Path) -> Path:
    return next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _user() -> str:
    return os.environ.get("USER") or str(os.getuid())
