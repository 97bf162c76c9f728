"""A bundle as one file, in the contracts' format: pack, list, verify. Signatures are elsewhere."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from shopfloor_contracts.bundles import Manifest
from shopfloor_contracts.problems import describe
from shopfloor_models.errors import ModelsError
from shopfloor_models.files import disk_reason, write_whole

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 1 << 20
MAX_FILE_BYTES = 1 << 30
"""A detector for a device is some megabytes; a gigabyte is a mistake or an attack."""
CHUNK_BYTES = 1 << 20


class BundleFileError(ModelsError):
    """A bundle cannot be made of these files, or a file is not the bundle it should be."""


@dataclass(frozen=True, slots=True)
class _Promise:
    """What the manifest says of one file."""

    file: str
    sha256: str
    size_bytes: int


def pack(manifest: Manifest, folder: Path, out: Path) -> str:
    """Write the bundle of ``manifest`` and its files in ``folder``; return the bundle's sha256.

    Raises:
        BundleFileError: a file is missing or not what the manifest says, or ``out`` cannot be
            written; nothing is left behind.
    """
    check_files(manifest, folder)
    promises = _promises(manifest, folder)
    part = out.with_name(f"{out.name}.part")
    try:
        with tarfile.open(part, "w", format=tarfile.GNU_FORMAT) as archive:
            text = manifest.model_dump_json(indent=2).encode() + b"\n"
            archive.addfile(_entry(MANIFEST, len(text)), io.BytesIO(text))
            for promise in promises:
                with (folder / promise.file).open("rb") as file:
                    archive.addfile(_entry(promise.file, promise.size_bytes), file)
        digest, _ = digest_of(part)
        part.replace(out)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise BundleFileError(f"{out}: {disk_reason(e, out)}") from e
    return digest


def read_manifest(path: Path) -> Manifest:
    """Return a bundle's manifest; the builds are not looked at.

    Raises:
        BundleFileError: no bundle, or its manifest is against the schema.
    """
    with _opened(path) as archive:
        return _manifest(path, archive)


def verify(path: Path) -> Manifest:
    """Compare every file in a bundle with the manifest, without writing any; return the manifest.

    Raises:
        BundleFileError: an entry is missing, extra, out of order, no regular file, of another
            size or of another digest.
    """
    with _opened(path) as archive:
        manifest = _manifest(path, archive)
        for promise in _promises(manifest, path):
            entry = archive.next()
            if entry is None or entry.name != promise.file:
                found = entry.name if entry else "nothing"
                raise BundleFileError(f"{path}: found {found!r}, expected {promise.file!r}")
            where = f"{path}: {entry.name}"
            content = _content(path, archive, entry)
            _check(where, promise, digest=None, size_bytes=entry.size)
            digest, size_bytes = _digest(content)
            _check(where, promise, digest=digest, size_bytes=size_bytes)
        extra = archive.next()
    if extra is not None:
        raise BundleFileError(f"{path}: {extra.name!r} is not in the manifest")
    return manifest


def unpack(path: Path, folder: Path) -> Manifest:
    """Verify a bundle, then write its builds and golden clip into ``folder``.

    Raises:
        BundleFileError: see ``verify``; or ``folder`` cannot be written.
    """
    manifest = verify(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _opened(path) as archive:
            for promise in _promises(manifest, path):
                content = archive.extractfile(promise.file)
                if content is not None:
                    write_whole(folder / promise.file, content.read())
                # The archive may have changed since it was verified.
                _check_file(folder / promise.file, promise)
    except OSError as e:
        raise BundleFileError(f"{folder}: {disk_reason(e, folder)}") from e
    except KeyError as e:
        raise BundleFileError(f"{path}: {e}") from e
    return manifest


def check_files(manifest: Manifest, folder: Path) -> None:
    """Compare the files of an unpacked bundle with its manifest.

    Raises:
        BundleFileError: one is missing, or of another size or digest.
    """
    for promise in _promises(manifest, folder):
        _check_file(folder / promise.file, promise)


def digest_of(path: Path) -> tuple[str, int]:
    """Return a file's sha256 and size in bytes.

    Raises:
        BundleFileError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _digest(file)
    except OSError as e:
        raise BundleFileError(f"{path}: {e.strerror or e}") from e


def _promises(manifest: Manifest, where: Path) -> list[_Promise]:
    """Return what must follow the manifest, in order."""
    promises = [_Promise(one.file, one.sha256, one.size_bytes) for one in manifest.builds]
    if clip := manifest.golden:
        promises.append(_Promise(clip.clip, clip.sha256, clip.size_bytes))
    seen = {MANIFEST}
    for promise in promises:
        if promise.file in seen:
            raise BundleFileError(f"{where}: the manifest names {promise.file!r} twice")
        if promise.size_bytes > MAX_FILE_BYTES:
            raise BundleFileError(
                f"{where}: {promise.file!r} has {promise.size_bytes} bytes, at most 1 GiB"
            )
        seen.add(promise.file)
    return promises


def _entry(name: str, size_bytes: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size_bytes, 0o644, 0
    return entry


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r:") as archive:
            yield archive
    except tarfile.TarError as e:
        raise BundleFileError(f"{path}: no tar archive, or a damaged one: {e}") from e
    except OSError as e:
        raise BundleFileError(f"{path}: {e.strerror or e}") from e


def _manifest(path: Path, archive: tarfile.TarFile) -> Manifest:
    entry = archive.next()
    if entry is None or entry.name != MANIFEST:
        found = entry.name if entry else "nothing"
        raise BundleFileError(f"{path}: begins with {found!r}, expected {MANIFEST!r}")
    if entry.size > MAX_MANIFEST_BYTES:
        raise BundleFileError(f"{path}: {MANIFEST} has {entry.size} bytes, at most 1 MiB")
    try:
        return Manifest.model_validate_json(_content(path, archive, entry).read())
    except ValidationError as e:
        lines = "; ".join(describe(e, Manifest))
        raise BundleFileError(f"{path}: {MANIFEST}: {lines}") from e


def _content(path: Path, archive: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(entry) if entry.isreg() and not entry.issparse() else None
    if content is None:
        raise BundleFileError(f"{path}: {entry.name!r} is no regular file")
    found = (entry.mode, entry.uid, entry.gid, entry.mtime, entry.uname, entry.gname)
    if found != (0o644, 0, 0, 0, "", ""):
        raise BundleFileError(
            f"{path}: {entry.name!r} has mode {entry.mode:04o}, owner {entry.uid}, "
            f"time {entry.mtime}, expected 0644, 0, 0"
        )
    return content


def _check_file(path: Path, promise: _Promise) -> None:
    digest, size_bytes = digest_of(path)
    _check(str(path), promise, digest=digest, size_bytes=size_bytes)


def _check(where: str, promise: _Promise, *, digest: str | None, size_bytes: int) -> None:
    if size_bytes != promise.size_bytes:
        raise BundleFileError(f"{where} has {size_bytes} bytes, manifest says {promise.size_bytes}")
    if digest not in (None, promise.sha256):
        raise BundleFileError(f"{where}: sha256 is {digest}, manifest says {promise.sha256}")


def _digest(file: IO[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size
