"""What a TUF target of the registry is called, and what its signed custom metadata says.

TUF says which bytes are valid; a campaign says which of them a device should run. A device
installs only a target that TUF lists and whose custom metadata fits it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from shopfloor_contracts.base import Digest, Slug, Wire

Version = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$")]
"""Compared as :pep:`440` where an order is asked for; otherwise a name."""


class UpdateKind(StrEnum):
    """What an update replaces on a device."""

    MODEL = "model"
    """A bundle archive with the one build of a target, ``Manifest.builds`` of length 1."""
    CONFIG = "config"
    """A site file."""
    WHEELS = "wheels"
    """A set of wheels (``wheelsets``): the device's own programs, for one platform."""
    OS = "os"
    """An image that is handed to SWUpdate or RAUC as it is."""
    DELTA = "delta"
    """A way from one target's bytes to another's; never installed by itself."""


class TargetCustom(Wire):
    """``custom`` of a TUF target: signed with it, so a campaign server cannot change it."""

    kind: UpdateKind
    name: Slug
    version: Version
    hardware: Annotated[list[Slug], Field(min_length=1, max_length=50)]
    """Capabilities of which a device must have one: a build target such as ``onnx-fp32``, or the
    name of a board; ``any`` fits every device."""
    minimum: Annotated[dict[Slug, Version], Field(max_length=20)] = Field(default_factory=dict)
    """Distribution → the lowest version that can install this."""
    base: Digest | None = None
    """Of a delta: digest of the target that it starts from."""
    result: Digest | None = None
    """Of a delta: digest of the target that it makes."""


def update_path(kind: UpdateKind, name: str, version: str, target: str) -> str:
    """Return the TUF path of an update, as ``model/person-nano/1.2.0/onnx-fp32``."""
    return f"{kind}/{name}/{version}/{target}"


def delta_path(base: str, result: str) -> str:
    """Return the TUF path of the delta from digest ``base`` to digest ``result``."""
    return f"{UpdateKind.DELTA}/{base}/{result}"
