"""The two places where signed targets are: the registry, and a folder on a USB stick."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from shopfloor_edge.agent.updater.download import FolderSource, WebSource
from shopfloor_edge.agent.updater.http import Http
from shopfloor_edge.agent.updater.trust import FolderFetcher, Listing, Trust, WebFetcher
from shopfloor_edge.errors import OperatorError

TRUST = "tuf"
_HASHED = re.compile(r"[0-9a-f]{64}\.(.+)")


class WebRepository:
    """The registry's."""

    def __init__(self, http: Http, registry_url: str, folder: Path, root: bytes) -> None:
        base = f"{registry_url.rstrip('/')}/tuf/"
        self._folder, self._root, self._base = folder / TRUST, root, base
        self._fetcher = WebFetcher(http)
        self.source = WebSource(http, base)

    def refresh(self, now: datetime) -> Listing:
        """See ``Trust``."""
        return Trust(self._folder, self._root, self._base, fetcher=self._fetcher, now=now)


class FolderRepository:
    """A copy with ``metadata/`` and ``targets/``. It shares what was seen with the registry's:
    an older copy is refused.
    """

    def __init__(self, copied: Path, folder: Path, root: bytes) -> None:
        """Look at the folder.

        Raises:
            OperatorError: it is no copy of a repository.
        """
        if not (copied / "metadata").is_dir():
            raise OperatorError(f"{copied}: has no folder metadata: no copy of a TUF repository")
        self._copied, self._base = copied, f"{copied.absolute()}/"
        self._folder, self._root = folder / TRUST, root
        self.source = FolderSource(self._base)

    def refresh(self, now: datetime) -> Listing:
        """See ``Trust``."""
        return Trust(self._folder, self._root, self._base, fetcher=FolderFetcher(), now=now)

    def paths(self) -> list[str]:
        """Return the TUF paths whose content lies in the folder; TUF has to say what they are."""
        targets = self._copied / "targets"
        found = []
        for file in sorted(targets.rglob("*")):
            hashed = _HASHED.fullmatch(file.name)
            if hashed and file.is_file():
                found.append((file.parent.relative_to(targets) / hashed[1]).as_posix())
        return found


def read_root(path: str | None) -> bytes:
    """Return the pinned root of trust.

    Raises:
        OperatorError: none is configured, or it cannot be read.
    """
    if path is None:
        raise OperatorError("updates: the site file sets no [updates] root_file to trust")
    try:
        return Path(path).read_bytes()
    except OSError as e:
        raise OperatorError(f"updates: {path}: {e.strerror or e}") from e
