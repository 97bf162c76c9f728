"""A signed target's bytes: resumed where they stopped, slowed, checked, never more than signed."""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tuf.api.exceptions import LengthOrHashMismatchError

from shopfloor_edge.agent.updater.http import Http
from shopfloor_edge.agent.updater.trust import Signed
from shopfloor_edge.errors import DiskFullError, UpdateDelayedError, UpdateRefusedError

log = logging.getLogger(__name__)

ATTEMPTS = 5
"""Without a new byte in between; then the download gives up and says so."""
PAUSE_S = 1.0
"""Before the second attempt; doubled for each after it."""
LONGEST_SLEEP_S = 1.0
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_LATER = {408, 429}
"""The only client errors that ask to come again."""
OnProgress = Callable[[int, int], None]
"""Told bytes here and bytes in all; raises to stop the download."""
Sleep = Callable[[float], None]


class Source(Protocol):
    """Where a target's bytes come from."""

    def read(self, signed: Signed, begin: int) -> Iterator[tuple[int, bytes]]:
        """Give chunks and the offset of each, from ``begin`` or, where it must be, from 0."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What a download may cost."""

    bytes_per_s: int | None = None
    reserve_bytes: int = 0


class WebSource:
    """The registry, asked for a range.

    Args:
        base: address of the repository, ending in ``/``.
    """

    def __init__(self, http: Http, base: str) -> None:
        self._http, self._base = http, base

    def read(self, signed: Signed, begin: int) -> Iterator[tuple[int, bytes]]:
        """Give chunks.

        Raises:
            UpdateRefusedError: HTTP 4xx: asking again gives the same.
            UpdateDelayedError: another status, or the connection broke.
        """
        url = f"{self._base}targets/{signed.address}"
        headers = {"Range": f"bytes={begin}-"} if begin else {}
        with self._http.stream("GET", url, headers=headers) as stream:
            at = _offset(url, stream.status, stream.headers.get("Content-Range", ""), begin)
            for chunk in stream.chunks:
                yield at, chunk
                at += len(chunk)


class FolderSource:
    """A repository that was copied into a folder.

    Args:
        base: the folder's path, ending in ``/``.
    """

    def __init__(self, base: str) -> None:
        self._targets = Path(base) / "targets"

    def read(self, signed: Signed, begin: int) -> Iterator[tuple[int, bytes]]:
        """Give chunks.

        Raises:
            UpdateRefusedError: the folder has not that target.
        """
        path = self._targets / signed.address
        try:
            with path.open("rb") as file:
                file.seek(begin)
                while chunk := file.read(65_536):
                    yield file.tell() - len(chunk), chunk
        except OSError as e:
            raise UpdateRefusedError(f"{path}: {e.strerror or e}") from e


def check_space(folder: Path, needed_bytes: int, *, reserve_bytes: int) -> None:
    """Look whether there is room.

    Raises:
        DiskFullError: there is not.
    """
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes + reserve_bytes:
        raise DiskFullError(
            needed_bytes=needed_bytes, free_bytes=free_bytes, reserve_bytes=reserve_bytes
        )


class Download:
    """Brings one target into a file.

    Args:
        folder: of partial files; what is there already is gone on with.
    """

    def __init__(
        self, source: Source, folder: Path, limits: Limits, *, sleep: Sleep = time.sleep
    ) -> None:
        self._source, self._folder, self._limits, self._sleep = source, folder, limits, sleep

    def fetch(self, signed: Signed, on_progress: OnProgress) -> Path:
        """Return a file with the target's content, verified; not durable yet.

        Raises:
            UpdateRefusedError: not there, not what is signed, or no room for it.
            UpdateDelayedError: the source gave nothing new several times.
        """
        part = self._folder / f"{signed.digest}.part"
        missing = signed.file.length - (part.stat().st_size if part.exists() else 0)
        check_space(self._folder, max(0, missing), reserve_bytes=self._limits.reserve_bytes)
        resumed = part.exists()
        self._patiently(signed, part, on_progress)
        if not _verified(signed, part) and resumed:
            # Half a file may be older than a power cut; only what came whole is judged.
            log.info("resumed download is not what is signed, once more from the start")
            self._patiently(signed, part, on_progress)
            _verified(signed, part)
        if not part.exists():
            raise UpdateRefusedError(f"{signed.path}: what came is not what is signed")
        return part

    def _patiently(self, signed: Signed, part: Path, on_progress: OnProgress) -> None:
        fruitless = 0
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                self._pull(signed, part, on_progress)
            except UpdateDelayedError as e:
                here = part.stat().st_size if part.exists() else 0
                fruitless = 0 if here > before else fruitless + 1
                if fruitless >= ATTEMPTS:
                    raise
                log.info("download interrupted", extra={"reason": str(e), "bytes": here})
                self._sleep(PAUSE_S * 2 ** max(0, fruitless - 1))
            else:
                return

    def _pull(self, signed: Signed, part: Path, on_progress: OnProgress) -> None:
        """Read until the file is as long as signed."""
        length = signed.file.length
        here = part.stat().st_size if part.exists() else 0
        if here > length:
            part.unlink()
            here = 0
        pace = _Pace(self._limits.bytes_per_s, self._sleep)
        with part.open("r+b" if part.exists() else "wb") as file:
            file.seek(here)
            while here < length:
                for at, chunk in self._source.read(signed, here):
                    if at != here:
                        # The source began anew; what it gives must then be whole by itself.
                        file.seek(at)
                        file.truncate()
                    # Past the signed length nothing is read: an endless body fills no disk.
                    wanted = chunk[: length - at]
                    file.write(wanted)
                    file.flush()
                    here = at + len(wanted)
                    on_progress(here, length)
                    pace.spend(len(wanted), lambda: on_progress(part.stat().st_size, length))
                    if here >= length:
                        return
                if here < length:
                    raise UpdateDelayedError(f"{signed.path}: ended after {here} of {length} bytes")


class _Pace:
    """Sleeps so that the mean rate since the start stays below the cap."""

    def __init__(self, bytes_per_s: int | None, sleep: Sleep) -> None:
        self._cap, self._sleep = bytes_per_s, sleep
        self._begun_s, self._bytes = time.monotonic(), 0

    def spend(self, count: int, meanwhile: Callable[[], None]) -> None:
        self._bytes += count
        if self._cap is None:
            return
        ahead_s = self._bytes / self._cap - (time.monotonic() - self._begun_s)
        # A cancellation is not to wait for a minute's worth of bytes.
        while ahead_s > 0:
            self._sleep(min(ahead_s, LONGEST_SLEEP_S))
            ahead_s -= LONGEST_SLEEP_S
            meanwhile()


def _verified(signed: Signed, part: Path) -> bool:
    """Compare with what is signed; what differs is removed."""
    try:
        with part.open("rb") as file:
            signed.file.verify_length_and_hashes(file)
    except LengthOrHashMismatchError as e:
        log.warning("download is not what is signed", extra={"reason": str(e)[:200]})
        part.unlink()
        return False
    return True


def _offset(url: str, status: int, content_range: str, begin: int) -> int:
    if status == 200:
        return 0
    found = _RANGE.fullmatch(content_range)
    if status == 206 and found and int(found[1]) == begin:
        return begin
    if 400 <= status < 500 and status not in _LATER:
        raise UpdateRefusedError(f"{url}: HTTP {status}")
    raise UpdateDelayedError(f"{url}: HTTP {status} {content_range[:60]}")
