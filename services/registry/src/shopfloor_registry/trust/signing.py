"""What the holder of an offline key does: look at a document, then sign it. Needs no repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError as TufError
from tuf.api.metadata import Metadata, Root, TargetFile, Targets
from tuf.api.serialization import DeserializationError

from shopfloor_registry.trust.errors import RepositoryError, StagedError


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a signature on a document would make true."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def sign(document: bytes, keys: Sequence[CryptoSigner]) -> bytes:
    """Return ``document`` with the keys' signatures beside those that it has.

    Raises:
        RepositoryError: it is no TUF metadata, or cannot be signed.
    """
    metadata = _parsed(document)
    try:
        for key in keys:
            metadata.sign(key, append=True)
    except TufError as e:
        raise RepositoryError(f"{metadata.signed.type}: {e}") from e
    return metadata.to_bytes()


def changes_of(document: bytes, listed: Mapping[str, TargetFile]) -> list[Change]:
    """Return what a document changes against what was listed in the same role before it.

    Raises:
        RepositoryError: it is no TUF metadata.
        StagedError: its kind is not one that a person signs.
    """
    signed = _parsed(document).signed
    if isinstance(signed, Root):
        return [
            Change(role, f"{one.threshold} of {', '.join(k[:16] for k in sorted(one.keyids))}")
            for role, one in sorted(signed.roles.items())
        ]
    if not isinstance(signed, Targets):
        raise StagedError(f"a {signed.type} is signed by the registry itself")
    given = signed.targets
    found = [Change(path, "removed") for path in sorted(listed.keys() - given.keys())]
    for path, target in sorted(given.items()):
        if path not in listed or listed[path] != target:
            found.append(Change(path, describe(target)))
    if not found:
        found.append(Change(signed.type, f"renewed, version {signed.version}"))
    return found


def describe(target: TargetFile) -> str:
    """Return a target's size, digest and custom metadata in one line."""
    custom = target.custom or {}
    fits = ", ".join(custom.get("hardware", []))
    return f"{target.length} bytes, sha256 {target.hashes.get('sha256')}, for {fits or 'nothing'}"


def _parsed(document: bytes) -> Metadata[Root] | Metadata[Targets]:
    try:
        metadata: Metadata[Root] | Metadata[Targets] = Metadata.from_bytes(document)
    except DeserializationError as e:
        raise RepositoryError(f"no TUF metadata: {str(e)[:100]}") from e
    return metadata
