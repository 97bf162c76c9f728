"""What is signed when a version changes its stage, and the text of it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from shopfloor_registry.domain.gates import Verdict
from shopfloor_registry.domain.stages import Stage
from shopfloor_registry.domain.versions import Figure, VersionKey, VersionRecord

PREFIX = b"shopfloor promotion v1\n"
"""Before the record in what is signed: a signature for this is for nothing else."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Verdicts on a move as things are now, and the record to be signed for it."""

    key: VersionKey
    to: Stage
    verdicts: tuple[Verdict, ...]
    record: str

    @property
    def passed(self) -> bool:
        """Say whether no gate is against it."""
        return all(verdict.passed for verdict in self.verdicts)


@dataclass(frozen=True, slots=True)
class Promotion:
    """A move that happened, with its proof."""

    key: VersionKey
    from_stage: Stage
    to: Stage
    by: str
    at: datetime
    record: str
    public_key: str
    """Raw Ed25519 key in hexadecimal, 32 bytes."""
    signature: str
    """Of ``PREFIX`` and ``record``, in hexadecimal, 64 bytes."""


def write_record(
    version: VersionRecord,
    to: Stage,
    by: str,
    *,
    figures: Sequence[Figure],
    verdicts: Sequence[Verdict],
) -> str:
    """Return canonical JSON of who moves which bytes where, on which evidence and verdicts.

    No time is in it: the same facts give the same text, so that the registry can make it again.
    """
    evidence = sorted([f.metric, f.target or "", f.data, f.value, f.source] for f in figures)
    record = {
        "model": version.key.model,
        "version": version.key.version,
        "digest": version.digest,
        "builds": {build.target: build.digest for build in version.builds},
        "from": str(version.stage),
        "to": str(to),
        "by": by,
        "evidence_sha256": hashlib.sha256(_canonical(evidence).encode()).hexdigest(),
        "evidence": evidence,
        "verdicts": [asdict(verdict) for verdict in verdicts],
    }
    return _canonical(record)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
