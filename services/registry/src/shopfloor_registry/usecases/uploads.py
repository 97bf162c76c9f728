"""A bundle comes in: it is verified, cut into one archive per target, and stored once."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from shopfloor_contracts.archives import Archive, slice_archive, verify_archive
from shopfloor_contracts.errors import ArchiveError
from shopfloor_registry.domain.stages import Stage
from shopfloor_registry.domain.versions import BuildRecord, Figure, VersionKey, VersionRecord
from shopfloor_registry.errors import ArtefactError, RegistryError, RejectedError
from shopfloor_registry.usecases.ports import Artefacts, Entry, Meter, Versions

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,63}")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Uploads:
    """Takes bundles; ``folder`` is where archives are cut, on a disk with room for two of them."""

    versions: Versions
    artefacts: Artefacts
    meter: Meter
    folder: Path
    now: Callable[[], datetime]

    def receive(self, file: Path, *, by: str) -> tuple[VersionRecord, bool]:
        """Store the bundle in ``file``; return its version, and whether it is new.

        Raises:
            RejectedError: no bundle, or one that cannot be published.
            VersionTakenError: the version is stored with other bytes.
        """
        try:
            version, created = self._receive(file, by)
        except RegistryError:
            self.meter.uploaded("refused")
            raise
        self.meter.uploaded("created" if created else "repeated")
        return version, created

    def _receive(self, file: Path, by: str) -> tuple[VersionRecord, bool]:
        try:
            archive = verify_archive(file)
        except ArchiveError as e:
            # Where we put it is nobody's business.
            raise RejectedError(str(e).replace(str(file), "bundle")) from e
        _check_version(archive.manifest.version)
        at = self.now()
        with self._sliced(archive) as slices:
            version = _version(archive, _digest(file), slices, by=by, at=at)
            self.artefacts.put(file, version.digest)
            for build, cut in slices:
                self.artefacts.put(cut, build.digest)
        entry = Entry(by, "version.upload", str(version.key), {"digest": version.digest}, at)
        created = self.versions.add(version, _figures(archive, by, at), entry)
        return (version if created else self.versions.get(version.key)), created

    @contextmanager
    def _sliced(self, archive: Archive) -> Iterator[list[tuple[BuildRecord, Path]]]:
        try:
            with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                yield [_slice(archive, target, Path(folder)) for target in _targets(archive)]
        except OSError as e:
            raise ArtefactError(f"cannot cut the bundle: {e.strerror or e}") from e


def _targets(archive: Archive) -> list[str]:
    return [build.target for build in archive.manifest.builds]


def _slice(archive: Archive, target: str, folder: Path) -> tuple[BuildRecord, Path]:
    out = folder / target
    digest = slice_archive(archive, target, out)
    build = next(b for b in archive.manifest.builds if b.target == target)
    size = out.stat().st_size
    return BuildRecord(target, digest, size, build.sha256, build.size_bytes), out


def _version(
    archive: Archive,
    digest: str,
    slices: list[tuple[BuildRecord, Path]],
    *,
    by: str,
    at: datetime,
) -> VersionRecord:
    manifest = archive.manifest
    return VersionRecord(
        key=VersionKey(manifest.name, manifest.version),
        digest=digest,
        size_bytes=archive.path.stat().st_size,
        licence=manifest.licence,
        manifest=manifest.model_dump_json(),
        stage=Stage.CANDIDATE,
        created_at=at,
        created_by=by,
        builds=tuple(build for build, _ in slices),
    )


def _figures(archive: Archive, by: str, at: datetime) -> list[Figure]:
    return [
        Figure(one.metric, one.value, one.data, one.target, "manifest", by, at)
        for one in archive.manifest.evaluation
    ]


def _check_version(version: str) -> None:
    if not _VERSION.fullmatch(version):
        raise RejectedError(
            f"version is {version!r}, expected letters, digits, '.', '+' and '-', 64 at most: "
            "it becomes part of a path"
        )


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
