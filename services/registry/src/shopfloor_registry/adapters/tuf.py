"""Hands files to the TUF repository; implements the port ``Publisher``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from shopfloor_contracts.targets import TargetCustom
from shopfloor_registry.errors import ConflictError
from shopfloor_registry.trust.errors import TrustError
from shopfloor_registry.trust.repository import Repository


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
            before = _waiting(self.repository)
            listed = self.repository.find(path) is not None
            role = self.repository.stage(path, file, custom, now=self.now())
            return not listed and _waiting(self.repository).get(role) != before.get(role)
        except TrustError as e:
            raise ConflictError(str(e)) from e

    def stage_delta(self, path: str, files: tuple[Path, Path], custom: TargetCustom) -> bool:  # noqa: ARG002
        """DELTA_PENDING."""
        return False


def _waiting(repository: Repository) -> dict[str, bytes]:
    return {one.role: one.document for one in repository.staged()}
