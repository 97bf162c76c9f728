"""What is published, read back role by role, each checked against who delegates to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tuf.api.exceptions import RepositoryError as TufError
from tuf.api.metadata import Metadata, Root, Snapshot, SuccinctRoles, TargetFile, Targets, Timestamp

from shopfloor_registry.trust.errors import RepositoryError
from shopfloor_registry.trust.roles import (
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    file_name,
    read_root,
    read_snapshot,
    read_targets,
    read_timestamp,
)

D = TypeVar("D", Root, Targets)
M = TypeVar("M", Timestamp, Snapshot, Targets)


@dataclass(frozen=True, slots=True)
class Chain:
    """A folder of metadata, with documents that are about to be put there laid over it."""

    folder: Path
    over: dict[str, bytes]

    def read(self, name: str) -> bytes:
        """Return a document's bytes.

        Raises:
            RepositoryError: there is none.
        """
        if name in self.over:
            return self.over[name]
        try:
            return (self.folder / name).read_bytes()
        except OSError as e:
            raise RepositoryError(f"{self.folder / name}: {e.strerror or e}") from e

    def root_version(self) -> int:
        """Return the newest root's version."""
        names = [path.name for path in self.folder.glob(f"*.{ROOT}.json")] + list(self.over)
        heads = [name.split(".", 1) for name in names if name.endswith(f".{ROOT}.json")]
        versions = [int(head) for head, _ in heads if head.isdecimal()]
        if not versions:
            raise RepositoryError(f"{self.folder}: no root document; run trust init first")
        return max(versions)

    def root(self, version: int | None = None) -> Metadata[Root]:
        """Return a root, the newest unless told otherwise; believed as it lies there."""
        name = file_name(ROOT, version or self.root_version())
        return read_root(self.read(name), name)

    def timestamp(self) -> Metadata[Timestamp]:
        """Return the timestamp, signed as the newest root says."""
        name = file_name(TIMESTAMP, 0)
        metadata = read_timestamp(self.read(name), name)
        return _signed(self.root(), TIMESTAMP, metadata)

    def snapshot(self) -> Metadata[Snapshot]:
        """Return the snapshot that the timestamp names."""
        version = self.timestamp().signed.snapshot_meta.version
        name = file_name(SNAPSHOT, version)
        metadata = read_snapshot(self.read(name), name)
        if metadata.signed.version != version:
            raise RepositoryError(f"{name}: holds version {metadata.signed.version}")
        return _signed(self.root(), SNAPSHOT, metadata)

    def targets(self) -> Metadata[Targets]:
        """Return the targets role, which lists nothing itself and delegates to the bins."""
        return _signed(self.root(), TARGETS, self._listed(TARGETS))

    def bin(self, role: str) -> Metadata[Targets]:
        """Return a bin, signed as the targets role says."""
        return _signed(self.targets(), role, self._listed(role))

    def delegated(self) -> SuccinctRoles:
        """Return the delegation to the bins."""
        delegations = self.targets().signed.delegations
        if delegations is None or delegations.succinct_roles is None:
            raise RepositoryError(f"{self.folder}: targets delegates to no bins")
        return delegations.succinct_roles

    def find(self, path: str) -> TargetFile | None:
        """Return what is listed of ``path``, or None."""
        role = self.delegated().get_role_for_target(path)
        return self.bin(role).signed.targets.get(path)

    def listing(self) -> dict[str, TargetFile]:
        """Return every listed target."""
        snapshot, targets = self.snapshot(), self.targets()
        found: dict[str, TargetFile] = {}
        for role in self.delegated().get_roles():
            metadata = self._named(role, snapshot)
            found.update(_signed(targets, role, metadata).signed.targets)
        return found

    def _listed(self, role: str) -> Metadata[Targets]:
        return self._named(role, self.snapshot())

    def _named(self, role: str, snapshot: Metadata[Snapshot]) -> Metadata[Targets]:
        meta = snapshot.signed.meta.get(f"{role}.json")
        if meta is None:
            raise RepositoryError(f"{self.folder}: the snapshot names no {role}")
        name = file_name(role, meta.version)
        metadata = read_targets(self.read(name), name)
        if metadata.signed.version != meta.version:
            raise RepositoryError(f"{name}: holds version {metadata.signed.version}")
        return metadata


def _signed(delegator: Metadata[D], role: str, metadata: Metadata[M]) -> Metadata[M]:
    try:
        delegator.signed.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (TufError, ValueError) as e:
        raise RepositoryError(f"{role}: {e}") from e
    return metadata
