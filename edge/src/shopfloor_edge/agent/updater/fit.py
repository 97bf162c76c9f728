"""Whether a signed target is for this device."""

from __future__ import annotations

import logging
import platform
import re
import sys
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.version import InvalidVersion, Version

from shopfloor_contracts.targets import TargetCustom, UpdateKind
from shopfloor_edge.errors import UpdateRefusedError

log = logging.getLogger(__name__)

ANY = "any"
SUPPORTED = frozenset({UpdateKind.MODEL, UpdateKind.CONFIG})
"""What every device can install."""
_WANTS = {
    UpdateKind.WHEELS: "wheels want processes that the launcher starts",
    UpdateKind.OS: "an image of the OS wants os_handler below [updates] in the site file",
    UpdateKind.DELTA: "a delta is no update by itself",
}


def check_fit(
    custom: TargetCustom,
    capabilities: Collection[str],
    kinds: Collection[UpdateKind] = SUPPORTED,
) -> None:
    """Compare the signed metadata with this device.

    Args:
        kinds: what this device can install.

    Raises:
        UpdateRefusedError: it is for others; the message says why.
    """
    what = f"{custom.name} {custom.version}"
    if custom.kind not in kinds:
        raise UpdateRefusedError(f"{what}: {_WANTS[custom.kind]}; this device has none of that")
    if ANY not in custom.hardware and not set(custom.hardware) & set(capabilities):
        raise UpdateRefusedError(
            f"{what} is for {', '.join(custom.hardware[:10])}; "
            f"this device is {', '.join(sorted(capabilities))}"
        )
    for distribution, lowest in custom.minimum.items():
        found = _installed(distribution)
        if found is None or not _at_least(found, lowest):
            raise UpdateRefusedError(
                f"{what} wants {distribution} {lowest}, this device has {found or 'none'}"
            )


def board(root: Path = Path("/")) -> str:
    """Return the name of the board as a slug, empty where the machine does not say."""
    for place in ("proc/device-tree/model", "sys/class/dmi/id/product_name"):
        try:
            text = (root / place).read_text(errors="replace").strip("\0 \n").lower()
        except OSError:
            continue
        slug = re.sub(r"[^a-z0-9]+", "-", text).strip("-")[:63].strip("-")
        if slug:
            return slug
    return ""


def machine() -> str:
    """Return the processor's architecture as a slug, as ``x86-64`` or ``aarch64``."""
    return platform.machine().lower().replace("_", "-") or "unknown"


def platform_name() -> str:
    """Return what a set of wheels must be for, as ``aarch64-cp311``."""
    return f"{machine()}-cp{sys.version_info.major}{sys.version_info.minor}"


def software() -> str:
    """Return the version of this software."""
    return _installed("shopfloor-edge") or "unknown"


def _installed(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _at_least(found: str, lowest: str) -> bool:
    try:
        return Version(found) >= Version(lowest)
    except InvalidVersion:
        # A name that has no order is only equal to itself.
        return found == lowest
