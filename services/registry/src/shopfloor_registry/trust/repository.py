"""A repository in a folder: stage, accept what was signed offline, publish.

A change is written to one journal file before any of it is applied, and applied again when the
repository is next opened: devices see all of it or nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError as TufError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from shopfloor_contracts.targets import TargetCustom
from shopfloor_registry.trust.chain import Chain
from shopfloor_registry.trust.durable import copy_whole, locked, sync_folder, write_whole
from shopfloor_registry.trust.errors import (
    KeyFileError,
    RepositoryError,
    StagedError,
    TargetTakenError,
    UnknownTargetError,
)
from shopfloor_registry.trust.keys import load_keys
from shopfloor_registry.trust.roles import (
    BIN,
    DUE,
    ONLINE,
    PERIODS,
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    check_path,
    file_name,
    read_root,
    read_targets,
    role_kind,
)
from shopfloor_registry.trust.signing import Change, changes_of

JOURNAL = "journal.json"
S = TypeVar("S", Snapshot, Timestamp)


@dataclass(frozen=True, slots=True)
class Staged:
    """A document that waits for signatures of the offline keys."""

    role: str
    document: bytes
    changes: tuple[Change, ...]


class Repository:
    """Metadata and targets under one folder; several processes may open it."""

    def __init__(self, folder: Path, *, online: Path | None = None) -> None:
        """Open; what a crash left half-applied is applied.

        Args:
            folder: made by ``ceremony.create``.
            online: folder of the snapshot and timestamp keys; None to read and stage only.
        """
        self.folder, self.online = folder, online
        self.metadata, self.targets = folder / "metadata", folder / "targets"
        self._staged, self._journal = folder / "staged", folder / JOURNAL
        if not folder.is_dir():
            raise RepositoryError(f"{folder}: no such folder; run trust init first")
        with locked(folder):
            self._redo()
        self.chain.root()

    @property
    def chain(self) -> Chain:
        """What is published, read anew."""
        return Chain(self.metadata, {})

    def find(self, path: str) -> TargetFile | None:
        """Return what is listed of a target, or None."""
        return self.chain.find(path)

    def listing(self) -> dict[str, TargetFile]:
        """Return every listed target."""
        return self.chain.listing()

    def root_bytes(self) -> bytes:
        """Return the newest root, for a device to pin."""
        chain = self.chain
        return chain.read(file_name(ROOT, chain.root_version()))

    def stage(self, path: str, file: Path, custom: TargetCustom, *, now: datetime) -> str:
        """Copy a file to where it is served and stage its bin; return the role to be signed.

        The same bytes and metadata again change nothing.

        Raises:
            TargetTakenError: the path is listed or staged with others.
        """
        check_path(path)
        said = {"custom": custom.model_dump(mode="json", exclude_none=True)}
        with locked(self.folder):
            role = self.chain.delegated().get_role_for_target(path)
            waiting = self._next(role, now)
            given = TargetFile.from_file(path, str(file), ["sha256"])
            given.unrecognized_fields = said
            taken = waiting.signed.targets.get(path)
            if taken is not None and taken != given:
                raise TargetTakenError(path, listed=_short(taken), given=_short(given))
            served = self.target_file(given)
            digest, length = copy_whole(file, served)
            if (digest, length) != (given.hashes["sha256"], given.length):
                raise RepositoryError(f"{file} changed while it was read")
            if self.find(path) != given:
                waiting.signed.targets[path] = given
                self._stage(role, waiting)
        return role

    def stage_removal(self, path: str, *, now: datetime) -> str:
        """Stage the bin without a target; return the role to be signed.

        Raises:
            UnknownTargetError: neither listed nor staged.
        """
        with locked(self.folder):
            role = self.chain.delegated().get_role_for_target(path)
            waiting = self._next(role, now)
            if waiting.signed.targets.pop(path, None) is None:
                raise UnknownTargetError(path)
            self._stage(role, waiting)
        return role

    def stage_renewal(self, *, now: datetime) -> list[str]:
        """Stage the targets role and every bin that is due to be signed again; return them."""
        with locked(self.folder):
            chain = self.chain
            due = []
            for role in [TARGETS, *chain.delegated().get_roles()]:
                expires = (chain.targets() if role == TARGETS else chain.bin(role)).signed.expires
                if expires - now < DUE[role_kind(role)]:
                    self._stage(role, self._next(role, now))
                    due.append(role)
        return due

    def stage_documents(self, documents: dict[str, bytes]) -> None:
        """Stage what a rotation made."""
        with locked(self.folder):
            for role, document in documents.items():
                write_whole(self._staged / f"{role}.json", document)

    def staged(self) -> list[Staged]:
        """Return what waits for a signature, root first."""
        found = []
        for role, document in self._waiting().items():
            found.append(Staged(role, document, tuple(changes_of(document, self._listed(role)))))
        return found

    def accept(self, documents: Iterable[bytes], *, now: datetime) -> list[str]:
        """Publish documents that were staged and are now signed; return their roles.

        All or none: what devices would then see is checked as a whole first.

        Raises:
            StagedError: one was not staged as it is, or lacks signatures.
        """
        with locked(self.folder):
            roles, over = {}, {}
            waiting = {role: _payload(found) for role, found in self._waiting().items()}
            for document in documents:
                role, version = _recognised(document, waiting)
                roles[role] = version
                over[file_name(role, version)] = document
            if ROOT in roles:
                self._check_root(Chain(self.metadata, over), roles[ROOT])
            self._commit(over, roles, now)
            for role in roles:
                (self._staged / f"{role}.json").unlink(missing_ok=True)
            if roles:
                sync_folder(self._staged)
        return sorted(roles)

    def publish(self, *, now: datetime) -> None:
        """Sign a new snapshot and timestamp with the online keys.

        Raises:
            KeyFileError: the online keys are not here, or not those that the root names.
        """
        with locked(self.folder):
            self._commit({}, {}, now)

    def refresh(self, *, now: datetime) -> bool:
        """Publish if snapshot or timestamp is due; return whether it was. Meant for a timer."""
        with locked(self.folder):
            chain = self.chain
            left = {
                SNAPSHOT: chain.snapshot().signed.expires - now,
                TIMESTAMP: chain.timestamp().signed.expires - now,
            }
            due = any(left[role] < DUE[role] for role in ONLINE)
            if due:
                self._commit({}, {}, now)
        return due

    def target_file(self, target: TargetFile) -> Path:
        """Return where a target's bytes are served from (consistent snapshots)."""
        folder, _, name = target.path.rpartition("/")
        return self.targets / folder / f"{target.hashes['sha256']}.{name}"

    def _next(self, role: str, now: datetime) -> Metadata[Targets]:
        """Return the staged document of a role, or the published one's successor, unsigned."""
        waiting = self._staged / f"{role}.json"
        if waiting.exists():
            found = read_targets(waiting.read_bytes(), waiting.name)
        else:
            chain = self.chain
            found = deepcopy(chain.targets() if role == TARGETS else chain.bin(role))
            found.signed.version += 1
        found.signatures.clear()
        found.signed.expires = now + PERIODS[role_kind(role)]
        return found

    def _stage(self, role: str, metadata: Metadata[Targets]) -> None:
        write_whole(self._staged / f"{role}.json", metadata.to_bytes())

    def _waiting(self) -> dict[str, bytes]:
        found = {path.stem: path.read_bytes() for path in sorted(self._staged.glob("*.json"))}
        return {
            role: found[role] for role in sorted(found, key=lambda r: (r != ROOT, r[:3] == BIN))
        }

    def _listed(self, role: str) -> dict[str, TargetFile]:
        return self.chain.bin(role).signed.targets if role_kind(role) == BIN else {}

    def _check_root(self, chain: Chain, version: int) -> None:
        new = chain.root(version)
        try:
            if new.signed.version != self.chain.root_version() + 1:
                raise StagedError(f"root version {version} does not follow the newest")
            for delegator in (self.chain.root(), new):
                delegator.signed.verify_delegate(ROOT, new.signed_bytes, new.signatures)
        except TufError as e:
            raise StagedError(f"root: {e}") from e

    def _commit(self, over: dict[str, bytes], roles: dict[str, int], now: datetime) -> None:
        old = self.chain
        root = Chain(self.metadata, over).root()
        before = old.snapshot().signed
        meta = {**before.meta, **{f"{r}.json": MetaFile(v) for r, v in roles.items() if r != ROOT}}
        snapshot = Snapshot(before.version + 1, None, now + PERIODS[SNAPSHOT], meta)
        timestamp = Timestamp(
            old.timestamp().signed.version + 1,
            None,
            now + PERIODS[TIMESTAMP],
            MetaFile(snapshot.version),
        )
        made = {
            **over,
            file_name(SNAPSHOT, snapshot.version): self._signed_online(root, SNAPSHOT, snapshot),
            file_name(TIMESTAMP, 0): self._signed_online(root, TIMESTAMP, timestamp),
        }
        try:
            after = Chain(self.metadata, made)
            after.targets()
            for role in roles if TARGETS not in roles else after.delegated().get_roles():
                if role_kind(role) == BIN:
                    after.bin(role)
        except RepositoryError as e:
            raise StagedError(f"not published: {e}") from e
        self._apply(made)

    def _signed_online(self, root: Metadata[Root], role: str, signed: S) -> bytes:
        if self.online is None:
            raise KeyFileError(f"{role}: the online keys are not here, nothing was published")
        wanted = root.signed.roles[role].keyids
        mine = [k for k in load_keys(self.online, role, None) if k.public_key.keyid in wanted]
        if not mine:
            raise KeyFileError(f"{self.online}: no key of {role} is one that the root names")
        return _signed_by(mine, signed)

    def _apply(self, made: dict[str, bytes]) -> None:
        """Write the journal, then what it says; the timestamp last."""
        journal = {name: content.decode() for name, content in made.items()}
        write_whole(self._journal, json.dumps(journal).encode())
        self._redo()

    def _redo(self) -> None:
        if not self._journal.exists():
            return
        try:
            made = json.loads(self._journal.read_bytes())
        except ValueError as e:
            raise RepositoryError(f"{self._journal}: {e}") from e
        for name in sorted(made, key=lambda name: name == file_name(TIMESTAMP, 0)):
            write_whole(self.metadata / name, made[name].encode())
        self._journal.unlink()
        sync_folder(self.folder)


def _signed_by(keys: list[CryptoSigner], signed: S) -> bytes:
    metadata = Metadata(signed)
    for key in keys:
        metadata.sign(key, append=True)
    return metadata.to_bytes()


def _recognised(document: bytes, waiting: dict[str, object]) -> tuple[str, int]:
    """Take out of ``waiting`` what this document is, with signatures; return role and version.

    Bins without targets are alike; whichever is taken, the signatures are good for it.
    """
    given = _payload(document)
    for role, payload in waiting.items():
        if payload == given:
            del waiting[role]
            if role == ROOT:
                return role, read_root(document, role).signed.version
            return role, read_targets(document, role).signed.version
    raise StagedError("a signed document is not one of those staged; stage and sign it again")


def _payload(document: bytes) -> object:
    """Return what is signed in a document, to be compared."""
    try:
        content = json.loads(document)
    except ValueError as e:
        raise StagedError(f"no TUF metadata: {str(e)[:100]}") from e
    return content.get("signed") if isinstance(content, dict) else None


def _short(target: TargetFile) -> str:
    return f"sha256 {target.hashes['sha256'][:12]} for {(target.custom or {}).get('hardware')}"
