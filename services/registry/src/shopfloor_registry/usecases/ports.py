"""What the use cases need of the outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from shopfloor_contracts.targets import TargetCustom
from shopfloor_registry.domain.promotions import Judgement, Promotion
from shopfloor_registry.domain.versions import Figure, VersionKey, VersionRecord

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Entry:
    """What the audit log says of a change; it is committed with the change or not at all."""

    actor: str
    action: str
    subject: str
    detail: Mapping[str, Scalar]
    at: datetime


class Artefacts(Protocol):
    """Files by the SHA-256 of their content."""

    def put(self, file: Path, digest: str) -> None:
        """Keep a copy of ``file``, durably; nothing happens when it is kept already."""

    def opened(self, digest: str) -> AbstractContextManager[Path]:
        """Give a local file with that content, at least inside of the block."""


class Versions(Protocol):
    """Versions, builds and their evidence."""

    def add(self, version: VersionRecord, figures: Sequence[Figure], entry: Entry) -> bool:
        """Store a version; return False when it is stored already with the same digest."""

    def get(self, key: VersionKey) -> VersionRecord:
        """Return a version, or raise NotFoundError."""

    def figures(self, key: VersionKey) -> list[Figure]:
        """Return its evidence, oldest first."""

    def in_production(self, model: str) -> VersionRecord | None:
        """Return the version that came to production last and is still there."""


class Promotions(Protocol):
    """Verdicts, signed moves and whose keys are known."""

    def keep_verdicts(self, judgement: Judgement, by: str, at: datetime) -> None:
        """Store what was judged, passed or not."""

    def move(self, promotion: Promotion, entry: Entry) -> None:
        """Store a signed move and the new stage; ConflictError when the stage has changed."""

    def signer(self, public_key: str) -> str | None:
        """Return whose key it is, or None for one that is unknown or revoked."""


class Publisher(Protocol):
    """The TUF repository."""

    def stage(self, path: str, file: Path, custom: TargetCustom) -> bool:
        """Have a target wait for the signature; return False when it is listed or waits already."""

    def stage_delta(self, path: str, files: tuple[Path, Path], custom: TargetCustom) -> bool:
        """The same for the way from the first file to the second; False when none is worth it."""

    def newest(self, before: str) -> tuple[str, Path] | None:
        """Return digest and file of the newest listed target that differs from the path
        ``before`` in its version only; None when there is none.
        """


class Meter(Protocol):
    """Counts for operators."""

    def uploaded(self, outcome: str) -> None:
        """Count an upload: ``created``, ``repeated`` or ``refused``."""

    def judged(self, judgement: Judgement) -> None:
        """Count a judgement and the gates that failed."""

    def promoted(self, promotion: Promotion) -> None:
        """Count a move."""
