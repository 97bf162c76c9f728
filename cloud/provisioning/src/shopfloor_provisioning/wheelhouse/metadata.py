"""What a wheel says about itself, read without installing it."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from functools import lru_cache
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from shopfloor_provisioning.wheelhouse.errors import WheelError

GPL_LIBRARIES = re.compile(r"\blib(x264|x265|postproc|xvidcore|vidstab|rubberband)\b")
"""Codecs and filters that some wheels carry: docs/adr/0005-licences.md."""
LICENCE_MAX = 80
"""Some put a licence's whole text where its name belongs: the classifiers say it shorter."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel file."""

    path: Path
    name: str
    """Canonical."""
    version: str
    summary: str
    licence: str
    """Expression, name or classifiers as stated; empty where nothing is."""
    extras: frozenset[str]
    carries: tuple[str, ...]
    """GPL libraries inside, which its metadata does not mention."""
    requires: tuple[Requirement, ...] = field(compare=False)
    tags: frozenset[Tag]


@lru_cache(maxsize=4096)
def read_wheel(path: Path) -> Wheel:
    """Read a wheel's metadata.

    Raises:
        WheelError: the file is no wheel.
    """
    try:
        name, version, _, tags = parse_wheel_filename(path.name)
        with zipfile.ZipFile(path) as archive:
            (inside,) = [n for n in archive.namelist() if _is_metadata(n)]
            metadata = BytesParser().parsebytes(archive.read(inside))
            carries = {m.group() for n in archive.namelist() if (m := GPL_LIBRARIES.search(n))}
        requires = tuple(Requirement(line) for line in metadata.get_all("Requires-Dist") or [])
    except (OSError, ValueError, zipfile.BadZipFile, InvalidWheelFilename, InvalidRequirement) as e:
        raise WheelError(f"{path}: no wheel that can be read: {e}") from e
    extras = frozenset(canonicalize_name(e) for e in metadata.get_all("Provides-Extra") or [])
    summary = str(metadata.get("Summary", ""))
    return Wheel(
        path=path,
        name=name,
        version=str(version),
        summary=summary,
        licence=_licence(metadata),
        extras=extras,
        carries=tuple(sorted(carries)),
        requires=requires,
        tags=tags,
    )


def _is_metadata(name: str) -> bool:
    folder, _, file = name.partition("/")
    return folder.endswith(".dist-info") and file == "METADATA"


def _licence(metadata: Message) -> str:
    stated = [metadata.get("License-Expression"), metadata.get("License")]
    for text in stated:
        short = str(text or "").strip()
        if short and "\n" not in short and len(short) <= LICENCE_MAX and short != "UNKNOWN":
            return short
    classifiers = [str(c) for c in metadata.get_all("Classifier") or []]
    names = [c.rpartition(" :: ")[2] for c in classifiers if c.startswith("License :: ")]
    return " OR ".join(name for name in names if name != "OSI Approved")
