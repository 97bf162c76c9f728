"""What may be installed: TUF, with the root of trust that the device was provisioned with.

The campaigns say which update a device should run; only what is found here is installed.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from pydantic import ValidationError
from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.api.metadata import TargetFile
from tuf.ngclient import FetcherInterface, Updater

from shopfloor_contracts.targets import TargetCustom
from shopfloor_edge.agent.updater.http import Http
from shopfloor_edge.errors import UpdateDelayedError, UpdateRefusedError
from shopfloor_edge.slots.durable import sync_file, sync_folder

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Signed:
    """A target that TUF lists now."""

    path: str
    file: TargetFile
    custom: TargetCustom
    address: str
    """Below ``targets/``, with the digest in the name."""

    @property
    def digest(self) -> str:
        """sha256 of its content."""
        return self.file.hashes["sha256"]


class Listing(Protocol):
    """What the updater asks of trust."""

    def find(self, path: str) -> Signed | None:
        """Return what is signed under ``path``."""
        ...


class WebFetcher(FetcherInterface):
    """Metadata over connections that are kept alive."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def _fetch(self, url: str) -> Iterator[bytes]:
        with contextlib.ExitStack() as stack:
            stream = stack.enter_context(self._http.stream("GET", url, headers={}))
            if stream.status != 200:
                raise DownloadHTTPError(f"{url}: HTTP {stream.status}", stream.status)
            return _closing(stream.chunks, stack.pop_all())


class FolderFetcher(FetcherInterface):
    """Metadata of a repository that was copied into a folder; addresses are paths."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = Path(url)
        if not path.is_file():
            raise DownloadHTTPError(f"{url}: not there", 404)
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(path.open("rb"))
            return _closing(iter(lambda: file.read(65_536), b""), stack.pop_all())


class _Clocked(Updater):
    """Judges expiry by a time that never goes back, not by the machine's clock."""

    def at(self, now: datetime) -> None:
        self._trusted_set.reference_time = now


class Trust:
    """The TUF client's metadata, as it was at one refresh.

    Args:
        folder: where metadata is kept between starts.
        root: bytes of the root that the device was provisioned with.
        base: address of the repository, ending in ``/``: ``metadata/`` is below.
        now: never earlier than at any refresh before.
    """

    def __init__(
        self, folder: Path, root: bytes, base: str, *, fetcher: FetcherInterface, now: datetime
    ) -> None:
        """Refresh.

        Raises:
            UpdateDelayedError: the repository does not answer.
            UpdateRefusedError: what it answers cannot be trusted.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in folder.glob("tmp*"):
            left.unlink(missing_ok=True)
        before = _stamps(folder)
        self._base = base
        with _translated(base):
            self._updater = _Clocked(
                str(folder),
                f"{base}metadata/",
                target_base_url=f"{base}targets/",
                fetcher=fetcher,
                bootstrap=root,
            )
            self._updater.at(now)
            self._updater.refresh()
        for path in _stamps(folder) - before:
            sync_file(path[0])
        sync_folder(folder)

    def find(self, path: str) -> Signed | None:
        """Return what is signed under ``path``, None where nothing is.

        Raises:
            UpdateDelayedError: the repository does not answer.
            UpdateRefusedError: what it answers cannot be trusted, or lacks our custom metadata.
        """
        with _translated(self._base):
            file = self._updater.get_targetinfo(path)
        if file is None:
            return None
        try:
            custom = TargetCustom.model_validate(file.unrecognized_fields.get("custom"))
        except ValidationError as e:
            found = e.errors()[0]
            where = ".".join(map(str, found["loc"])) or "custom"
            raise UpdateRefusedError(f"{path}: signed metadata: {where}: {found['msg']}") from e
        if "sha256" not in file.hashes:
            raise UpdateRefusedError(f"{path}: signed without a sha256")
        folder, _, name = path.rpartition("/")
        prefix = f"{quote(folder)}/" if folder else ""
        address = f"{prefix}{file.hashes['sha256']}.{quote(name)}"
        return Signed(path, file, custom, address)


@contextlib.contextmanager
def _translated(where: str) -> Iterator[None]:
    try:
        yield
    except DownloadHTTPError as e:
        kind = UpdateRefusedError if 400 <= e.status_code < 500 else UpdateDelayedError
        raise kind(str(e)) from e
    except DownloadError as e:
        # python-tuf's DownloadLengthMismatchError is a DownloadError too: an endless answer.
        cause = e.__cause__ or e
        if isinstance(cause, UpdateDelayedError):
            raise cause from e
        raise UpdateRefusedError(f"{where}: {_said(e)}") from e
    except RepositoryError as e:
        raise UpdateRefusedError(f"{where}: {_said(e)}") from e
    except OSError as e:
        raise UpdateDelayedError(f"{where}: {e.strerror or e}") from e


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"


def _stamps(folder: Path) -> set[tuple[Path, int]]:
    """Return metadata files and when they were written.

    python-tuf never fsyncs, and a version that was seen may not be forgotten with the power.
    """
    files = [path for path in folder.rglob("*.json") if not path.is_symlink()]
    return {(path, path.stat().st_mtime_ns) for path in files}


def _closing(chunks: Iterator[bytes], stack: contextlib.ExitStack) -> Iterator[bytes]:
    with stack:
        yield from chunks
