"""Files by digest in a local folder: durable, and whole or not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from shopfloor_registry.errors import ArtefactError


class LocalArtefacts:
    """Implements the port ``Artefacts``; ``aa/aabb…`` below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, file: Path, digest: str) -> None:
        """Keep a copy of ``file``, durably; nothing happens when it is kept already.

        Raises:
            ArtefactError: the disk is full or gone; nothing half-written is left.
        """
        place = self._place(digest)
        if place.exists():
            return
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=place.parent, prefix=".new-", delete=False) as new:
                part = Path(new.name)
                try:
                    with file.open("rb") as source:
                        shutil.copyfileobj(source, new, 1 << 20)
                    new.flush()
                    os.fsync(new.fileno())
                    part.replace(place)
                finally:
                    part.unlink(missing_ok=True)
            for folder in (place.parent, self._folder):
                _sync_folder(folder)
        except OSError as e:
            raise ArtefactError(f"artefact {digest}: {e.strerror or e}") from e

    @contextmanager
    def opened(self, digest: str) -> Iterator[Path]:
        """Give the file itself; it is never changed.

        Raises:
            ArtefactError: it is not there.
        """
        place = self._place(digest)
        if not place.is_file():
            raise ArtefactError(f"artefact {digest} is missing from {self._folder}")
        yield place

    def _place(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest


def _sync_folder(folder: Path) -> None:
    # A rename is on the disk only when its folder is.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
