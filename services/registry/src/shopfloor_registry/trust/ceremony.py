"""How a repository begins, and how its keys are replaced."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from securesystemslib.signer import CryptoSigner, Key
from tuf.api.metadata import (
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    SuccinctRoles,
    Targets,
    Timestamp,
)

from shopfloor_registry.trust.durable import write_whole
from shopfloor_registry.trust.errors import RepositoryError
from shopfloor_registry.trust.repository import Repository
from shopfloor_registry.trust.roles import (
    BIN,
    BIN_BITS,
    PERIODS,
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    file_name,
)

Keys = Sequence[CryptoSigner]


@dataclass(frozen=True, slots=True)
class Ceremony:
    """The keys of a new repository."""

    root: Keys
    root_threshold: int
    """How many root keys must sign a new root."""
    targets: Keys
    targets_threshold: int
    """How many targets keys must sign what is listed."""
    snapshot: Keys
    timestamp: Keys

    def __post_init__(self) -> None:
        for role, keys, threshold in (
            (ROOT, self.root, self.root_threshold),
            (TARGETS, self.targets, self.targets_threshold),
        ):
            if not 1 <= threshold <= len(keys):
                raise RepositoryError(f"{role}: threshold {threshold} of {len(keys)} keys")


def create(folder: Path, ceremony: Ceremony, *, now: datetime) -> None:
    """Write the first metadata, all 256 bins empty, into ``folder``.

    Raises:
        RepositoryError: there is a repository already, or the folder cannot be written.
    """
    if (folder / "metadata").exists():
        raise RepositoryError(f"{folder}: holds a repository already")
    documents = _first(ceremony, now)
    for name, content in documents.items():
        write_whole(folder / "metadata" / name, content)


def replace_online(repository: Repository, role: str, key: CryptoSigner, *, now: datetime) -> None:
    """Stage a root that names ``key`` instead of the online role's keys.

    Write the key into the online folder before the signed root is accepted.
    """
    root = _next_root(repository, now)
    _replace(root.signed, role, [key], threshold=1)
    repository.stage_documents({ROOT: root.to_bytes()})


def replace_root(repository: Repository, *, drop: str, add: CryptoSigner, now: datetime) -> None:
    """Stage a root with another root key; the thresholds of old and new keys must both sign it.

    Args:
        repository: its other root keys stay, wherever they are kept.
        drop: how the id of the key that goes begins; empty where there is only one.
        add: the key that comes.
        now: the root is good from here.

    Raises:
        RepositoryError: ``drop`` is not the beginning of exactly one key's id.
    """
    root = _next_root(repository, now)
    root.signed.revoke_key(_going(root.signed.roles[ROOT].keyids, drop), ROOT)
    root.signed.add_key(add.public_key, ROOT)
    repository.stage_documents({ROOT: root.to_bytes()})


def replace_targets(repository: Repository, *, drop: str, add: CryptoSigner, now: datetime) -> None:
    """Stage root, targets and every bin for another targets key; all are accepted together.

    Raises:
        RepositoryError: ``drop`` is not the beginning of exactly one key's id.
    """
    root = _next_root(repository, now)
    rule = root.signed.roles[TARGETS]
    root.signed.revoke_key(_going(rule.keyids, drop), TARGETS)
    root.signed.add_key(add.public_key, TARGETS)
    chain = repository.chain
    targets = Metadata(deepcopy(chain.targets().signed))
    targets.signed.version += 1
    targets.signed.expires = now + PERIODS[TARGETS]
    keys = [root.signed.keys[keyid] for keyid in rule.keyids]
    targets.signed.delegations = _delegations(keys, rule.threshold)
    staged = {ROOT: root.to_bytes(), TARGETS: targets.to_bytes()}
    for role in chain.delegated().get_roles():
        found = Metadata(deepcopy(chain.bin(role).signed))
        found.signed.version += 1
        found.signed.expires = now + PERIODS[BIN]
        staged[role] = found.to_bytes()
    repository.stage_documents(staged)


def _going(keyids: Sequence[str], drop: str) -> str:
    going = [keyid for keyid in keyids if keyid.startswith(drop)]
    if len(going) != 1:
        told = ", ".join(sorted(keyid[:16] for keyid in keyids))
        raise RepositoryError(f"key to drop {drop!r}: expected the beginning of one of {told}")
    return going[0]


def _first(ceremony: Ceremony, now: datetime) -> dict[str, bytes]:
    root = Root(1, None, now + PERIODS[ROOT], consistent_snapshot=True)
    for role, keys, threshold in (
        (ROOT, ceremony.root, ceremony.root_threshold),
        (TARGETS, ceremony.targets, ceremony.targets_threshold),
        (SNAPSHOT, ceremony.snapshot, 1),
        (TIMESTAMP, ceremony.timestamp, 1),
    ):
        _replace(root, role, keys, threshold=threshold)
    public = [key.public_key for key in ceremony.targets]
    delegations = _delegations(public, ceremony.targets_threshold)
    succinct = delegations.succinct_roles
    bins = list(succinct.get_roles()) if succinct else []
    top = Targets(1, None, now + PERIODS[TARGETS], delegations=delegations)
    meta = {f"{role}.json": MetaFile(1) for role in [TARGETS, *bins]}
    documents = {
        file_name(ROOT, 1): _signed(Metadata(root), ceremony.root),
        file_name(TARGETS, 1): _signed(Metadata(top), ceremony.targets),
    }
    for role in bins:
        empty = Targets(1, None, now + PERIODS[BIN])
        documents[file_name(role, 1)] = _signed(Metadata(empty), ceremony.targets)
    snapshot = Snapshot(1, None, now + PERIODS[SNAPSHOT], meta)
    timestamp = Timestamp(1, None, now + PERIODS[TIMESTAMP], MetaFile(1))
    documents[file_name(SNAPSHOT, 1)] = _signed(Metadata(snapshot), ceremony.snapshot)
    # Last: without a timestamp there is nothing to be seen yet.
    documents[file_name(TIMESTAMP, 1)] = _signed(Metadata(timestamp), ceremony.timestamp)
    return documents


def _delegations(keys: Sequence[Key], threshold: int) -> Delegations:
    ids = [key.keyid for key in keys]
    return Delegations(
        {key.keyid: key for key in keys},
        None,
        SuccinctRoles(ids, threshold, BIN_BITS, BIN),
    )


def _next_root(repository: Repository, now: datetime) -> Metadata[Root]:
    root = Metadata(deepcopy(repository.chain.root().signed))
    root.signed.version += 1
    root.signed.expires = now + PERIODS[ROOT]
    return root


def _replace(root: Root, role: str, keys: Keys, *, threshold: int) -> None:
    for old in list(root.roles[role].keyids):
        root.revoke_key(old, role)
    root.roles[role] = Role([], threshold)
    for key in keys:
        root.add_key(key.public_key, role)


def _signed(
    metadata: Metadata[Root] | Metadata[Targets] | Metadata[Snapshot] | Metadata[Timestamp],
    keys: Keys,
) -> bytes:
    for key in keys:
        metadata.sign(key, append=True)
    return metadata.to_bytes()
