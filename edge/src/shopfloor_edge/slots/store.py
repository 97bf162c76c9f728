"""Archives by digest, and what they hold, unpacked beside them."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path

from shopfloor_contracts.bundles import Manifest
from shopfloor_contracts.targets import UpdateKind
from shopfloor_edge.errors import BundleError
from shopfloor_edge.slots.archive import read_unpacked, unpack
from shopfloor_edge.slots.durable import sync_file, sync_folder
from shopfloor_edge.slots.sealed import Seals, is_sealed_file


class Store:
    """A name appears here only when what it names is whole and durable.

    Args:
        folder: ``updates`` in the state folder.
        seals: the key of the device; models are sealed to it where the site file asks for that.
    """

    def __init__(self, folder: Path, seals: Seals | None = None) -> None:
        self._folder, self._seals = folder / "store", seals or Seals()
        self.partial = folder / "partial"

    def archive(self, digest: str) -> Path:
        """Return where an archive is, or would be."""
        return self._folder / f"{digest}.archive"

    def unpacked(self, digest: str) -> Path:
        """Return the folder of what an archive holds."""
        return self._folder / digest

    def site_file(self, digest: str) -> Path:
        """Return the site file of a release of kind config: the archive is the file."""
        return self.archive(digest)

    def prepare(self) -> None:
        """Make the folders, and remove what an interruption left half done."""
        for folder in (self._folder, self.partial):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for half in self._folder.glob("*.half"):
            shutil.rmtree(half, ignore_errors=True)
        if self._seals.wanted:
            self._seal_what_is_plain()

    def opened(self, digest: str) -> AbstractContextManager[Path]:
        """Give the folder of what an archive holds, plain: in memory where it is sealed.

        Raises:
            BundleError: it does not open on this device.
        """
        return self._seals.open_folder(self.unpacked(digest), digest)

    def opened_archive(self, digest: str) -> AbstractContextManager[Path]:
        """Give an archive, plain. Raises as ``opened``."""
        return self._seals.open_file(self.archive(digest), digest)

    def take(self, part: Path, digest: str, kind: UpdateKind = UpdateKind.MODEL) -> Path:
        """Move a verified file in; a model is sealed on the way.

        Raises:
            OSError: the disk refuses.
        """
        target = self.archive(digest)
        if self._seals.wanted and kind is UpdateKind.MODEL:
            self._seals.seal(part, target, digest)
            part.unlink()
            return target
        sync_file(part)
        part.rename(target)
        sync_folder(self._folder)
        return target

    def unpack(self, digest: str, kind: UpdateKind) -> Manifest | None:
        """Unpack a model's archive, unless it is already; return its manifest.

        Raises:
            BundleError: the archive is no bundle.
            OSError: the disk refuses.
        """
        if kind is not UpdateKind.MODEL:
            return None
        target = self.unpacked(digest)
        if target.is_dir():
            return read_unpacked(target)
        half = target.with_name(f"{digest}.half")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir()
        try:
            with self.opened_archive(digest) as archive:
                manifest = unpack(archive, half)
            if self._seals.wanted:
                self._seals.seal_folder(half, digest)
        except BundleError:
            shutil.rmtree(half, ignore_errors=True)
            raise
        sync_folder(half)
        half.rename(target)
        sync_folder(self._folder)
        return manifest

    def _seal_what_is_plain(self) -> None:
        """Seal models that came before the site file asked for it. Raises ``OSError``."""
        for folder in self._folder.iterdir():
            if folder.is_dir():
                self._seals.seal_folder(folder, folder.name)
                archive = self.archive(folder.name)
                if archive.is_file() and not is_sealed_file(archive):
                    self._seals.seal(archive, archive, folder.name)

    def keep_only(self, digests: Collection[str]) -> int:
        """Remove every other archive, and what is partial; return the bytes that this freed."""
        freed = 0
        for part in self.partial.glob("*"):
            freed += part.stat().st_size
            part.unlink(missing_ok=True)
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            if path.name.split(".")[0] in digests:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                freed += path.stat().st_size
                path.unlink(missing_ok=True)
        return freed
