"""Files of the store that are sealed to this device, and how they are given to what reads files.

What is opened lies in anonymous memory (``memfd_create``). A folder in the machine's shared memory
has links to it under the right names, since runtimes tell a model by its suffix; when the process
dies the links lead nowhere.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from shopfloor_contracts.archives import MANIFEST
from shopfloor_contracts.device_identity import IdentitySpec
from shopfloor_edge.errors import BundleError, IdentityError
from shopfloor_edge.identity.marks import MAGIC, is_sealed

_MEMORY = Path("/dev/shm")  # noqa: S108 — links only, in a private folder
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Seals:
    """Seals and opens with the key of one identity; without a folder there is no key."""

    identity: IdentitySpec = field(default_factory=IdentitySpec)

    @property
    def wanted(self) -> bool:
        """Whether what comes in is to be sealed."""
        return self.identity.encrypt_at_rest

    def seal(self, source: Path, target: Path, purpose: str) -> None:
        """Write ``source`` sealed as ``target``, whole and durable.

        Raises:
            OSError: the disk refuses, or the key cannot be read.
        """
        from shopfloor_edge.identity.files import write_private  # noqa: PLC0415
        from shopfloor_edge.identity.pairs import opener_of  # noqa: PLC0415

        try:
            sealer = opener_of(self.identity).sealer()
        except IdentityError as e:
            raise OSError(str(e)) from e
        write_private(target, sealer.seal(source.read_bytes(), purpose))

    def seal_folder(self, folder: Path, digest: str) -> None:
        """Seal every file of an unpacked bundle but its manifest, which names no secret.

        Raises:
            OSError: see ``seal``.
        """
        for path in sorted(folder.iterdir()):
            if path.name != MANIFEST and not is_sealed_file(path):
                self.seal(path, path, f"{digest} {path.name}")

    @contextlib.contextmanager
    def open_file(self, path: Path, purpose: str) -> Iterator[Path]:
        """Give a path to the plain content, as long as it is needed.

        Raises:
            BundleError: it is sealed and does not open here.
            OSError: it cannot be read.
        """
        if not is_sealed_file(path):
            yield path
            return
        with _in_memory(self._opened(path, purpose)) as descriptor:
            yield Path(f"/proc/{os.getpid()}/fd/{descriptor}")

    @contextlib.contextmanager
    def open_folder(self, folder: Path, digest: str) -> Iterator[Path]:
        """Give a folder with the plain files of an unpacked bundle. Raises as ``open_file``."""
        files = sorted(folder.iterdir())
        if not any(is_sealed_file(path) for path in files):
            yield folder
            return
        with contextlib.ExitStack() as stack:
            shown = tempfile.TemporaryDirectory(
                prefix="shopfloor-", dir=_MEMORY if _MEMORY.is_dir() else None
            )
            links = Path(stack.enter_context(shown))
            for path in files:
                plain = stack.enter_context(self.open_file(path, f"{digest} {path.name}"))
                (links / path.name).symlink_to(plain)
            yield links

    def _opened(self, path: Path, purpose: str) -> bytes:
        from shopfloor_edge.identity.pairs import opener_of  # noqa: PLC0415

        try:
            return opener_of(self.identity).read(path, purpose)
        except IdentityError as e:
            raise BundleError(f"{path.name}: {e}") from e


def is_sealed_file(path: Path) -> bool:
    """Say whether a file carries our mark. Raises ``OSError``."""
    with path.open("rb") as file:
        return is_sealed(file.read(len(MAGIC)))


@contextlib.contextmanager
def _in_memory(content: bytes) -> Iterator[int]:
    descriptor = os.memfd_create("shopfloor", os.MFD_CLOEXEC)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest[:_CHUNK_BYTES]) :]
        yield descriptor
    finally:
        os.close(descriptor)
