"""A set of wheels comes in: it is verified and handed to the TUF repository, to be signed there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from shopfloor_contracts.errors import ArchiveError
from shopfloor_contracts.targets import TargetCustom, UpdateKind, delta_path
from shopfloor_contracts.wheelsets import Application, verify_wheel_set
from shopfloor_registry.errors import RejectedError
from shopfloor_registry.usecases.ports import Entry, Publisher

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Staged:
    """An application that waits for its signature."""

    manifest: Application
    digest: str
    size_bytes: int
    paths: tuple[str, ...]
    """TUF paths that were neither listed nor waiting: the set, and a delta from the one before."""


@dataclass(frozen=True, slots=True)
class Applications:
    """Takes sets of wheels. Only the repository keeps them: a path's bytes never change."""

    publisher: Publisher
    log: Callable[[Entry], None]
    now: Callable[[], datetime]

    def receive(self, file: Path, *, by: str) -> Staged:
        """Have the set in ``file`` wait for the signature, and its delta from the newest listed.

        Raises:
            RejectedError: no set of wheels, or a damaged one.
            ConflictError: the version is listed or waits with other bytes.
        """
        try:
            manifest = verify_wheel_set(file).manifest
        except ArchiveError as e:
            # Where we put it is nobody's business.
            raise RejectedError(str(e).replace(str(file), "application")) from e
        digest = _digest(file)
        custom = TargetCustom(
            kind=UpdateKind.WHEELS,
            name=manifest.name,
            version=manifest.version,
            hardware=[manifest.platform],
        )
        before = self.publisher.newest(manifest.path)
        paths = [manifest.path] if self.publisher.stage(manifest.path, file, custom) else []
        if before is not None and before[0] != digest:
            paths += self._stage_delta(before, (digest, file), custom)
        for path in paths:
            self.log(Entry(by, "target.stage", path, {"digest": digest}, self.now()))
        return Staged(manifest, digest, file.stat().st_size, tuple(paths))

    def _stage_delta(
        self, before: tuple[str, Path], after: tuple[str, Path], custom: TargetCustom
    ) -> list[str]:
        (base, old), (digest, new) = before, after
        path = delta_path(base, digest)
        said = custom.model_copy(update={"kind": UpdateKind.DELTA, "base": base, "result": digest})
        return [path] if self.publisher.stage_delta(path, (old, new), said) else []


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
