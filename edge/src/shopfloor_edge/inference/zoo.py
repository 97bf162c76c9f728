"""Find a bundle's file by digest: local cache, shipped with the zoo, mirror, then the publisher."""

from __future__ import annotations

import hashlib
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from shopfloor_contracts.bundles import Build, Manifest, parse_manifest, parse_zoo
from shopfloor_edge.errors import BundleError, DigestMismatchError

_TIMEOUT_S = 30.0


def load_zoo() -> dict[str, Manifest]:
    """Read the zoo: ``SHOPFLOOR_ZOO``, the checkout's ``models/zoo.toml``, or the wheel's copy.

    Raises:
        BundleError: there is none.
        ZooError: it is malformed.
    """
    path = zoo_path()
    if not path.is_file():
        raise BundleError(f"{path} does not exist; SHOPFLOOR_ZOO names the model zoo file")
    zoo = parse_zoo(path.read_text(), source=str(path))
    for shipped in sorted(_shipped().glob("*/manifest.json")):
        manifest = parse_manifest(shipped.read_text(), source=str(shipped))
        zoo.setdefault(manifest.name, manifest)
    return zoo


def zoo_path() -> Path:
    """Return where the zoo file is; bundles that ship lie unpacked in ``zoo/`` beside it."""
    here = Path(__file__)
    named = os.environ.get("SHOPFLOOR_ZOO")
    if named:
        return Path(named)
    checkout = here.parents[4] / "models" / "zoo.toml"
    return checkout if checkout.is_file() else here.with_name("zoo.toml")


def find_manifest(name: str) -> Manifest:
    """Return the bundle of that name.

    Raises:
        BundleError: the zoo has none; the message lists those that it has.
    """
    zoo = load_zoo()
    if name not in zoo:
        raise BundleError(f"bundle {name!r} is not in the zoo; it has {', '.join(sorted(zoo))}")
    return zoo[name]


def resolve(build: Build, *, download: bool) -> Path:
    """Return a local file with the build's digest.

    Args:
        download: whether the publisher may be asked; vision never is allowed to.

    Raises:
        DigestMismatchError: the cache or the mirror holds another content.
        BundleError: it is nowhere; the message says where was looked.
    """
    looked = []
    for place in _places(build):
        looked.append(str(place))
        if place.is_file():
            verify(place, build.sha256)
            return place
    if download:
        for url in build.urls:
            looked.append(url)
            path = _download(url, build)
            if path is not None:
                return path
    hint = "" if download else "; 'shopfloor-edge fetch' brings it"
    raise BundleError(f"{build.file} is in none of {', '.join(looked)}{hint}")


def verify(path: Path, sha256: str) -> None:
    """Compare a file with its digest.

    Raises:
        DigestMismatchError: it is another.
    """
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != sha256:
        raise DigestMismatchError(path, expected=sha256, actual=actual)


def cache_folder() -> Path:
    """Return ``SHOPFLOOR_CACHE``, by default ``~/.cache/shopfloor``."""
    named = os.environ.get("SHOPFLOOR_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "shopfloor"


def mirror_folder() -> Path | None:
    """Return ``SHOPFLOOR_MIRROR``, or the folder ``shared`` beside the checkout, or None."""
    named = os.environ.get("SHOPFLOOR_MIRROR")
    path = Path(named) if named else Path(__file__).resolve().parents[5] / "shared"
    return path if path.is_dir() else None


def _shipped() -> Path:
    return zoo_path().with_name("zoo")


def _places(build: Build) -> Iterator[Path]:
    yield _cached(build)
    yield from sorted(_shipped().glob(f"*/{build.file}"))
    mirror = mirror_folder()
    if mirror is not None:
        yield mirror / "models" / build.file


def _cached(build: Build) -> Path:
    # The digest is part of the path: another version of a file never takes its place.
    return cache_folder() / "models" / build.sha256[:16] / build.file


def _download(url: str, build: Build) -> Path | None:
    """Fetch into the cache, at most the promised size; None when the publisher has it not."""
    target = _cached(build)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(f".{os.getpid()}.part")
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as reply, part.open("wb") as file:  # noqa: S310 — https only, by the manifest's schema
            # One byte more than promised shows a wrong file; an endless one fills no disk.
            file.write(reply.read(build.size_bytes + 1))
        verify(part, build.sha256)
        part.rename(target)
    except OSError:
        return None
    finally:
        part.unlink(missing_ok=True)
    return target
