"""A bundle to look into: packed or a folder, or a name of the zoo."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shopfloor_contracts.bundles import Manifest
from shopfloor_models.bundle import MANIFEST, digest_of, unpack
from shopfloor_models.files import write_whole
from shopfloor_models.training.teacher import Known, find_model, manifest_json, read_manifest


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A bundle's files."""

    manifest: Manifest
    folder: Path


@contextmanager
def opened(name: str) -> Iterator[Unpacked]:
    """Give a bundle's files; those of a packed one are gone when the block ends.

    Raises:
        DataError: there is no such bundle.
        BundleFileError: it is damaged.
    """
    path = Path(name)
    if path.is_dir():
        yield Unpacked(read_manifest(path / MANIFEST), path)
    elif path.is_file() or path.suffix:
        with tempfile.TemporaryDirectory(prefix="shopfloor-bundle-") as folder:
            yield Unpacked(unpack(path, Path(folder)), Path(folder))
    else:
        known = find_model(name)
        yield Unpacked(known.manifest, known.path.parent)


def known_model(name: str, folder: Path) -> Known:
    """Return a model to label with or to inherit from; a packed bundle is unpacked in ``folder``.

    Raises:
        DataError: there is no such model.
        BundleFileError: the bundle is damaged, or ``folder`` cannot be written.
    """
    path = Path(name)
    if path.suffix != ".bundle" or not path.is_file():
        return find_model(name)
    # The same place at each start: a training goes on only from the weights that it knows.
    place = folder / "unpacked" / digest_of(path)[0][:16]
    if not (place / MANIFEST).is_file():
        manifest = unpack(path, place)
        write_whole(place / MANIFEST, manifest_json(manifest).encode())
    return find_model(str(place))
