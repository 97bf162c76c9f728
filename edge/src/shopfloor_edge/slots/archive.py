"""A model bundle's archive on the device: checked against its manifest, then unpacked.

The archive's own digest was signed; what is checked here is that it keeps the contract's format,
so that a wrong file ends an update and not vision.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from shopfloor_contracts.bundles import Manifest, parse_manifest
from shopfloor_contracts.errors import ZooError
from shopfloor_edge.errors import BundleError

MANIFEST = "manifest.json"
_MAX_MANIFEST_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20


def unpack(archive: Path, folder: Path) -> Manifest:
    """Write the bundle's files into ``folder``, each fsynced; return the manifest.

    Raises:
        BundleError: no bundle, or a file is not what the manifest says.
        OSError: the disk refuses.
    """
    try:
        with tarfile.open(archive, "r:") as tar:
            text = _first(archive, tar)
            manifest = parse_manifest(text.decode(), source=f"{archive.name}: {MANIFEST}")
            _write(folder / MANIFEST, [text])
            for name, sha256, size_bytes in _promises(manifest):
                entry = tar.next()
                if entry is None or (entry.name, entry.size) != (name, size_bytes):
                    found = f"{entry.name} of {entry.size} bytes" if entry else "nothing"
                    raise BundleError(
                        f"{archive.name}: found {found}, expected {name} of {size_bytes} bytes"
                    )
                if _copy(tar, entry, folder / name) != sha256:
                    raise BundleError(f"{archive.name}: {name} is not what the manifest says")
            if tar.next() is not None:
                raise BundleError(f"{archive.name}: there is more than the manifest names")
    except (tarfile.TarError, UnicodeDecodeError, ZooError) as e:
        raise BundleError(f"{archive.name}: no bundle: {e}") from e
    return manifest


def read_unpacked(folder: Path) -> Manifest:
    """Return the manifest of an unpacked bundle.

    Raises:
        BundleError: there is none that is understood.
    """
    path = folder / MANIFEST
    try:
        return parse_manifest(path.read_text(), source=str(path))
    except (OSError, UnicodeDecodeError, ZooError) as e:
        raise BundleError(f"{path}: {e}") from e


def _first(archive: Path, tar: tarfile.TarFile) -> bytes:
    entry = tar.next()
    if entry is None or entry.name != MANIFEST or not entry.isreg():
        raise BundleError(f"{archive.name}: does not begin with {MANIFEST}")
    if entry.size > _MAX_MANIFEST_BYTES:
        raise BundleError(f"{archive.name}: {MANIFEST} has {entry.size} bytes, at most 1 MiB")
    content = tar.extractfile(entry)
    return content.read() if content is not None else b""


def _promises(manifest: Manifest) -> list[tuple[str, str, int]]:
    promises = [(one.file, one.sha256, one.size_bytes) for one in manifest.builds]
    if clip := manifest.golden:
        promises.append((clip.clip, clip.sha256, clip.size_bytes))
    names = [name for name, _, _ in promises]
    if len({MANIFEST, *names}) != len(names) + 1:
        raise BundleError(f"{manifest.name}: the manifest names a file twice")
    return promises


def _copy(tar: tarfile.TarFile, entry: tarfile.TarInfo, path: Path) -> str:
    content = tar.extractfile(entry) if entry.isreg() and not entry.issparse() else None
    if content is None:
        raise BundleError(f"{entry.name} is no regular file")
    digest = hashlib.sha256()

    def chunks() -> Iterator[bytes]:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
            yield chunk

    _write(path, chunks())
    return digest.hexdigest()


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        file.writelines(chunks)
        file.flush()
        os.fsync(file.fileno())
