"""The application as one file: wheels for one platform behind a manifest that promises each.

Written like a bundle (see ``tars``), so that the same wheels always make the same bytes and a
delta between two versions finds the wheels that did not change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from shopfloor_contracts.base import Count, Digest, Slug, Wire
from shopfloor_contracts.errors import ArchiveError
from shopfloor_contracts.targets import UpdateKind, Version, update_path
from shopfloor_contracts.tars import (
    CHUNK_BYTES,
    MANIFEST,
    Entry,
    header,
    opened,
    padding,
    read_chunks,
    read_entries,
    read_manifest_text,
    tail,
)

WheelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+!-]{0,195}\.whl$")]


class Wheel(Wire):
    """One wheel."""

    file: WheelName
    sha256: Digest
    size_bytes: Count


class Application(Wire):
    """The manifest of a set of wheels."""

    name: Slug
    version: Version
    python: Annotated[str, Field(pattern=r"^cp3\d{1,2}$")]
    """The interpreter's tag."""
    machine: Slug
    """The processor's architecture, as ``x86-64`` or ``aarch64``."""
    wheels: Annotated[list[Wheel], Field(min_length=1, max_length=300)]

    @property
    def platform(self) -> str:
        """What a device must be: the last part of the TUF path, and the signed ``hardware``."""
        return f"{self.machine}-{self.python}"

    @property
    def path(self) -> str:
        """TUF path, as ``wheels/shopfloor-edge/1.2.0/aarch64-cp311``."""
        return update_path(UpdateKind.WHEELS, self.name, self.version, self.platform)


@dataclass(frozen=True, slots=True)
class WheelSet:
    """An archive whose headers are right."""

    path: Path
    manifest: Application
    entries: tuple[Entry, ...]

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """Yield the bytes of a wheel.

        Raises:
            ArchiveError: the file ends before.
        """
        return read_chunks(self.path, entry)


def read_wheel_set(path: Path) -> WheelSet:
    """Read the manifest and check every header.

    Raises:
        ArchiveError: no set of wheels in the one form that there is.
    """
    with opened(path) as file:
        text, end = read_manifest_text(path, file)
        try:
            manifest = Application.model_validate_json(text)
        except ValidationError as e:
            found = e.errors()[0]
            where = ".".join(map(str, found["loc"]))
            raise ArchiveError(f"{path}: {MANIFEST}: {where}: {found['msg']}") from e
        promises = [(one.file, one.sha256, one.size_bytes) for one in manifest.wheels]
        return WheelSet(path, manifest, read_entries(path, file, promises, end))


def verify_wheel_set(path: Path) -> WheelSet:
    """Compare every byte of the wheels with what the manifest promises.

    Raises:
        ArchiveError: see ``read_wheel_set``; or a wheel has another digest.
    """
    found = read_wheel_set(path)
    for entry in found.entries:
        digest = hashlib.sha256()
        for chunk in found.chunks(entry):
            digest.update(chunk)
        if digest.hexdigest() != entry.sha256:
            raise ArchiveError(
                f"{path}: {entry.file!r}: sha256 is {digest.hexdigest()}, "
                f"manifest says {entry.sha256}"
            )
    return found


def write_wheel_set(
    wheels: Sequence[Path], out: Path, *, name: str, version: str, python: str, machine: str
) -> Application:
    """Write an archive; the caller makes it durable.

    Raises:
        ArchiveError: a name or a version is none, or there are no wheels or two of one name.
        OSError: a file cannot be read or written.
    """
    ordered = sorted(wheels, key=lambda path: path.name)
    promised = [_promised(path) for path in ordered]
    said = {"name": name, "version": version, "python": python, "machine": machine}
    try:
        manifest = Application.model_validate(said | {"wheels": promised})
    except ValidationError as e:
        found = e.errors()[0]
        raise ArchiveError(f"{out}: {'.'.join(map(str, found['loc']))}: {found['msg']}") from e
    text = manifest.model_dump_json(indent=2).encode() + b"\n"
    with out.open("wb") as file:
        file.write(header(MANIFEST, len(text)) + text + padding(len(text)))
        for path, wheel in zip(ordered, manifest.wheels, strict=True):
            file.write(header(wheel.file, wheel.size_bytes))
            with path.open("rb") as content:
                while chunk := content.read(CHUNK_BYTES):
                    file.write(chunk)
            file.write(padding(wheel.size_bytes))
        file.write(tail(file.tell()))
    verify_wheel_set(out)
    return manifest


def _promised(path: Path) -> dict[str, str | int]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return {"file": path.name, "sha256": digest.hexdigest(), "size_bytes": path.stat().st_size}
