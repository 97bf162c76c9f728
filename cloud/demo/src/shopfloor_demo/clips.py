"""The demo's footage as it is published: where it may be, and found by its digest."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from shopfloor_demo.errors import ClipDigestError, OperatorError

VTEST_SHA256 = "45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf"
PACKAGE = "opencv-doc"
_IN_PACKAGE = Path("usr/share/doc/opencv-doc/examples/data/vtest.avi")


@dataclass(frozen=True, slots=True)
class Places:
    """Where footage may be; ``package_root`` is ``/`` except in tests."""

    cache: Path
    mirror: Path | None
    package_root: Path = Path("/")


def places(environment: Mapping[str, str], repository: Path) -> Places:
    """Read ``SHOPFLOOR_CACHE`` and ``SHOPFLOOR_MIRROR``; the mirror is ``../shared`` if present."""
    cache = Path(environment.get("SHOPFLOOR_CACHE") or Path.home() / ".cache" / "shopfloor")
    beside = repository.parent / "shared"
    named = environment.get("SHOPFLOOR_MIRROR")
    mirror = Path(named) if named else beside if beside.is_dir() else None
    return Places(cache.expanduser(), mirror)


def find_vtest(where: Places, *, say: Callable[[str], None]) -> Path:
    """Return the published ``vtest.avi``: from the cache, the mirror, or Debian's package.

    Raises:
        ClipDigestError: a file of that name is another one.
        OperatorError: it is nowhere, and cannot be downloaded.
    """
    cached = where.cache / "video" / "vtest.avi"
    candidates = [cached]
    if where.mirror is not None:
        candidates.append(where.mirror / "data" / "video" / "vtest.avi")
    candidates.append(where.package_root / _IN_PACKAGE)
    for candidate in candidates:
        if candidate.is_file():
            return verified(candidate, VTEST_SHA256)
    packed = where.package_root / _IN_PACKAGE.with_suffix(".avi.gz")
    if packed.is_file():
        return _keep(gzip.decompress(packed.read_bytes()), cached, origin=packed)
    say(f"downloading Debian's package {PACKAGE} for its CCTV clip (96 MB, once)")
    return _from_download(cached)


def verified(path: Path, expected: str) -> Path:
    """Return ``path`` if its content has the digest.

    Raises:
        ClipDigestError: it has another.
    """
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != expected:
        raise ClipDigestError(path, expected=expected, actual=actual)
    return path


def _from_download(cached: Path) -> Path:
    with tempfile.TemporaryDirectory(prefix="shopfloor-clip-") as folder:
        for argv in _download_steps(Path(folder)):
            _run(argv, cwd=Path(folder))
        return _keep((Path(folder) / _IN_PACKAGE).read_bytes(), cached, origin=Path(PACKAGE))


def _download_steps(folder: Path) -> Iterator[list[str]]:
    """Yield the commands; none of them needs root or installs anything."""
    yield ["apt-get", "download", PACKAGE]
    archives = sorted(folder.glob("*.deb"))
    yield ["dpkg-deb", "--extract", str(archives[0]), str(folder)]


def _run(argv: list[str], *, cwd: Path) -> None:
    if shutil.which(argv[0]) is None:
        raise OperatorError(f"vtest.avi is nowhere and {argv[0]} is absent: set SHOPFLOOR_MIRROR")
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise OperatorError(f"{' '.join(argv[:3])}: {reason}; set SHOPFLOOR_MIRROR instead")


def _keep(content: bytes, target: Path, *, origin: Path) -> Path:
    actual = hashlib.sha256(content).hexdigest()
    if actual != VTEST_SHA256:
        raise ClipDigestError(origin, expected=VTEST_SHA256, actual=actual)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.write_bytes(content)
    return partial.replace(target)
