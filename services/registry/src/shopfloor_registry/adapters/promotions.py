"""Verdicts, signed moves and signers' keys in SQL; implements the port ``Promotions``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update

from shopfloor_registry.adapters.sql import Database, insert_new, instant
from shopfloor_registry.adapters.tables import PROMOTIONS, SIGNERS, VERDICTS, VERSIONS
from shopfloor_registry.adapters.versions import of
from shopfloor_registry.domain.gates import Verdict
from shopfloor_registry.domain.promotions import Judgement, Promotion
from shopfloor_registry.domain.stages import Stage
from shopfloor_registry.domain.versions import VersionKey
from shopfloor_registry.errors import ConflictError
from shopfloor_registry.usecases.ports import Entry


@dataclass(frozen=True, slots=True)
class KeptVerdict:
    """A verdict, and when and for whom it was given."""

    verdict: Verdict
    to: Stage
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose key may sign moves."""

    public_key: str
    name: str
    added_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class SqlPromotions:
    """Moves are only ever added."""

    database: Database

    def keep_verdicts(self, judgement: Judgement, by: str, at: datetime) -> None:
        """Store what was judged, passed or not."""
        rows = [
            {
                "model": judgement.key.model,
                "version": judgement.key.version,
                "to_stage": str(judgement.to),
                "gate": verdict.gate,
                "target": verdict.target,
                "passed": int(verdict.passed),
                "figure": verdict.figure,
                "bound": verdict.limit,
                "data": verdict.data,
                "made_by": by,
                "made_at": at.isoformat(),
            }
            for verdict in judgement.verdicts
        ]
        if rows:
            with self.database.writing() as connection:
                connection.execute(insert(VERDICTS), rows)

    def verdicts(self, key: VersionKey) -> list[KeptVerdict]:
        """Return every verdict on a version, oldest first."""
        query = select(VERDICTS).where(of(VERDICTS, key)).order_by(VERDICTS.c.id)
        with self.database.reading() as connection:
            return [
                KeptVerdict(
                    Verdict(r.gate, r.target, r.figure, r.bound, r.data, passed=bool(r.passed)),
                    Stage(r.to_stage),
                    r.made_by,
                    instant(r.made_at),
                )
                for r in connection.execute(query)
            ]

    def move(self, promotion: Promotion, entry: Entry) -> None:
        """Store a signed move and the new stage; ConflictError when the stage has changed."""
        key = promotion.key
        moving = update(VERSIONS).where(
            of(VERSIONS, key), VERSIONS.c.stage == str(promotion.from_stage)
        )
        row = {
            "model": key.model,
            "version": key.version,
            "from_stage": str(promotion.from_stage),
            "to_stage": str(promotion.to),
            "record": promotion.record,
            "public_key": promotion.public_key,
            "signature": promotion.signature,
            "made_by": promotion.by,
            "made_at": promotion.at.isoformat(),
        }
        with self.database.writing(entry) as connection:
            if connection.execute(moving.values(stage=str(promotion.to))).rowcount == 0:
                raise ConflictError(f"{key} is not {promotion.from_stage} any more")
            connection.execute(insert(PROMOTIONS).values(row))

    def moves(self, key: VersionKey) -> list[Promotion]:
        """Return every move of a version, oldest first."""
        query = select(PROMOTIONS).where(of(PROMOTIONS, key)).order_by(PROMOTIONS.c.id)
        with self.database.reading() as connection:
            return [
                Promotion(
                    key=key,
                    from_stage=Stage(r.from_stage),
                    to=Stage(r.to_stage),
                    by=r.made_by,
                    at=instant(r.made_at),
                    record=r.record,
                    public_key=r.public_key,
                    signature=r.signature,
                )
                for r in connection.execute(query)
            ]

    def signer(self, public_key: str) -> str | None:
        """Return whose key it is, or None for one that is unknown or revoked."""
        query = select(SIGNERS.c.name).where(
            SIGNERS.c.public_key == public_key, SIGNERS.c.revoked_at.is_(None)
        )
        with self.database.reading() as connection:
            return connection.execute(query).scalar()

    def add_signer(self, public_key: str, name: str, entry: Entry) -> None:
        """Trust a key as that of ``name``.

        Raises:
            ConflictError: it was added before; a revoked key does not come back.
        """
        row = {"public_key": public_key, "name": name, "added_at": entry.at.isoformat()}
        with self.database.writing(entry) as connection:
            if not insert_new(connection, SIGNERS, row):
                raise ConflictError(f"the key {public_key[:16]}… was added before")

    def revoke_signer(self, public_key: str, entry: Entry) -> None:
        """Take no signature of a key from now on; earlier ones stay.

        Raises:
            ConflictError: no such key is trusted.
        """
        ending = update(SIGNERS).where(
            SIGNERS.c.public_key == public_key, SIGNERS.c.revoked_at.is_(None)
        )
        with self.database.writing(entry) as connection:
            if connection.execute(ending.values(revoked_at=entry.at.isoformat())).rowcount == 0:
                raise ConflictError(f"the key {public_key[:16]}… is not trusted")

    def signers(self) -> list[Signer]:
        """Return every key ever added."""
        query = select(SIGNERS).order_by(SIGNERS.c.added_at)
        with self.database.reading() as connection:
            return [
                Signer(
                    r.public_key,
                    r.name,
                    instant(r.added_at),
                    None if r.revoked_at is None else instant(r.revoked_at),
                )
                for r in connection.execute(query)
            ]
