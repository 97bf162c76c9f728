"""Hands files to the TUF repository; implements the port ``Publisher``."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from shopfloor_contracts.targets import TargetCustom
from shopfloor_registry.delta.encoders import best_delta
from shopfloor_registry.errors import ArtefactError, ConflictError
from shopfloor_registry.trust.errors import TrustError
from shopfloor_registry.trust.repository import Repository

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TufPublisher:
    """Stages what is to be signed; ``folder`` is where deltas are made."""

    repository: Repository
    folder: Path
    now: Callable[[], datetime]

    def stage(self, path: str, file: Path, custom: TargetCustom) -> bool:
        """Have a target wait for the signature; return False when it is listed or waits already.

        Raises:
            ConflictError: the path is taken by other bytes, or the repository is not in order.
        """
        try:
            known = self.repository.find(path) is not None or self._waits(path)
            self.repository.stage(path, file, custom, now=self.now())
        except TrustError as e:
            raise ConflictError(str(e)) from e
        return not known

    def stage_delta(self, path: str, files: tuple[Path, Path], custom: TargetCustom) -> bool:
        """The same for the way from the first file to the second; False when none is worth it.

        Raises:
            ConflictError: the repository is not in order.
        """
        if self.repository.find(path) is not None or self._waits(path):
            return False
        try:
            delta = best_delta(*files)
            if delta is None:
                log.info("no delta is smaller than the whole file", extra={"path": path})
                return False
            log.info("delta made", extra={"path": path, "sizes": str(delta.sizes)})
            with NamedTemporaryFile(dir=self.folder) as file:
                file.write(delta.content)
                file.flush()
                return self.stage(path, Path(file.name), custom)
        except OSError as e:
            raise ArtefactError(f"{path}: {e.strerror or e}") from e

    def newest(self, before: str) -> tuple[str, Path] | None:
        """Return digest and file of the newest listed target that differs from the path
        ``before`` in its version only; None when there is none.
        """
        kind, name, version, platform = before.split("/")
        found = {}
        for path, target in self.repository.listing().items():
            parts = path.split("/")
            if parts[:2] == [kind, name] and parts[3:] == [platform] and parts[2] != version:
                found[_order(parts[2])] = target
        if not found:
            return None
        target = found[max(found)]
        return target.hashes["sha256"], self.repository.target_file(target)

    def _waits(self, path: str) -> bool:
        staged = self.repository.staged()
        return any(change.path == path for one in staged for change in one.changes)


def _order(version: str) -> tuple[tuple[int, str], ...]:
    """Order versions by their numbers: 1.10 comes after 1.9, and names in between by letter."""
    parts = re.findall(r"\d+|[^\d.]+", version)
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts)
