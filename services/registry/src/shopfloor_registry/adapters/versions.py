"""Versions, builds and evidence in SQL; implements the port ``Versions``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, func, insert, select

from shopfloor_registry.adapters.sql import Database, insert_new, instant, log
from shopfloor_registry.adapters.tables import BUILDS, FIGURES, PROMOTIONS, RUNS, VERSIONS
from shopfloor_registry.domain.stages import Stage
from shopfloor_registry.domain.versions import (
    BuildRecord,
    Figure,
    ModelSummary,
    RunLink,
    VersionKey,
    VersionRecord,
)
from shopfloor_registry.errors import NotFoundError, VersionTakenError
from shopfloor_registry.usecases.ports import Entry


@dataclass(frozen=True, slots=True)
class SqlVersions:
    """Everything that is known of versions, but how they were promoted."""

    database: Database

    def add(self, version: VersionRecord, figures: Sequence[Figure], entry: Entry) -> bool:
        """Store a version; return False when it is stored already with the same digest."""
        with self.database.writing() as connection:
            number = select(func.coalesce(func.max(VERSIONS.c.number), 0) + 1).scalar_subquery()
            values = _version_row(version) | {"number": number}
            if not insert_new(connection, VERSIONS, values):
                self._check_same(connection, version)
                return False
            connection.execute(insert(BUILDS), _build_rows(version))
            _insert_figures(connection, version.key, figures)
            log(connection, entry)
            return True

    def get(self, key: VersionKey) -> VersionRecord:
        """Return a version, or raise NotFoundError."""
        with self.database.reading() as connection:
            row = connection.execute(select(VERSIONS).where(of(VERSIONS, key))).first()
            if row is None:
                raise NotFoundError(f"no version {key}")
            return _version(row, _builds(connection, key))

    def page(self, model: str, *, after: str | None, limit: int) -> list[VersionRecord]:
        """Return versions of ``model`` by name, those after ``after``."""
        query = select(VERSIONS).where(VERSIONS.c.model == model).order_by(VERSIONS.c.version)
        if after is not None:
            query = query.where(VERSIONS.c.version > after)
        with self.database.reading() as connection:
            rows = connection.execute(query.limit(limit)).all()
            return [
                _version(row, _builds(connection, VersionKey(row.model, row.version)))
                for row in rows
            ]

    def models(self, *, after: str | None, limit: int) -> list[ModelSummary]:
        """Return models by name, those after ``after``."""
        names = select(VERSIONS.c.model).distinct().order_by(VERSIONS.c.model).limit(limit)
        if after is not None:
            names = names.where(VERSIONS.c.model > after)
        wanted = names.subquery()
        query = (
            select(VERSIONS.c.model, VERSIONS.c.version, VERSIONS.c.stage)
            .where(VERSIONS.c.model.in_(select(wanted.c.model)))
            .order_by(VERSIONS.c.model, VERSIONS.c.number)
        )
        found: dict[str, ModelSummary] = {}
        with self.database.reading() as connection:
            for row in connection.execute(query):
                counts = dict(found[row.model].versions) if row.model in found else {}
                counts[row.stage] = counts.get(row.stage, 0) + 1
                found[row.model] = ModelSummary(row.model, row.version, counts)
        return list(found.values())

    def stages(self) -> dict[str, int]:
        """Return how many versions stand in each stage."""
        query = select(VERSIONS.c.stage, func.count().label("versions")).group_by(VERSIONS.c.stage)
        with self.database.reading() as connection:
            return {row.stage: row.versions for row in connection.execute(query)}

    def figures(self, key: VersionKey) -> list[Figure]:
        """Return a version's evidence, oldest first."""
        query = select(FIGURES).where(of(FIGURES, key)).order_by(FIGURES.c.id)
        with self.database.reading() as connection:
            return [_figure(row) for row in connection.execute(query)]

    def add_figures(self, key: VersionKey, figures: Sequence[Figure], entry: Entry) -> None:
        """Store further evidence, or raise NotFoundError."""
        self.get(key)
        with self.database.writing(entry) as connection:
            _insert_figures(connection, key, figures)

    def link_run(
        self, key: VersionKey, run: RunLink, figures: Sequence[Figure], entry: Entry
    ) -> bool:
        """Store the link and its figures; return False when that run is linked already."""
        self.get(key)
        with self.database.writing() as connection:
            row = {
                "model": key.model,
                "version": key.version,
                "run_id": run.run_id,
                "experiment": run.experiment,
                "tracking_uri": run.tracking_uri,
                "params": json.dumps(run.params, sort_keys=True),
                "made_by": run.linked_by,
                "made_at": run.linked_at.isoformat(),
            }
            if not insert_new(connection, RUNS, row):
                return False
            _insert_figures(connection, key, figures)
            log(connection, entry)
            return True

    def runs(self, key: VersionKey) -> list[RunLink]:
        """Return the runs that a version is linked to."""
        query = select(RUNS).where(of(RUNS, key)).order_by(RUNS.c.made_at)
        with self.database.reading() as connection:
            return [
                RunLink(
                    r.run_id,
                    r.experiment,
                    r.tracking_uri,
                    json.loads(r.params),
                    r.made_by,
                    instant(r.made_at),
                )
                for r in connection.execute(query)
            ]

    def in_production(self, model: str) -> VersionRecord | None:
        """Return the version that came to production last and is still there."""
        joined = VERSIONS.join(
            PROMOTIONS,
            and_(
                VERSIONS.c.model == PROMOTIONS.c.model,
                VERSIONS.c.version == PROMOTIONS.c.version,
                PROMOTIONS.c.to_stage == Stage.PRODUCTION,
            ),
        )
        query = select(VERSIONS).select_from(joined).order_by(PROMOTIONS.c.id.desc()).limit(1)
        query = query.where(VERSIONS.c.model == model, VERSIONS.c.stage == Stage.PRODUCTION)
        with self.database.reading() as connection:
            row = connection.execute(query).first()
            if row is None:
                return None
            return _version(row, _builds(connection, VersionKey(row.model, row.version)))

    def with_build(self, digest: str) -> list[tuple[VersionKey, str]]:
        """Return versions and targets whose archive or build has ``digest``."""
        builds = select(BUILDS).where(
            (BUILDS.c.digest == digest) | (BUILDS.c.file_sha256 == digest)
        )
        whole = select(VERSIONS).where(VERSIONS.c.digest == digest)
        with self.database.reading() as connection:
            found = [
                (VersionKey(row.model, row.version), row.target)
                for row in connection.execute(builds)
            ]
            found += [
                (VersionKey(row.model, row.version), "all") for row in connection.execute(whole)
            ]
        return found

    def _check_same(self, connection: Connection, version: VersionRecord) -> None:
        query = select(VERSIONS.c.digest).where(of(VERSIONS, version.key))
        stored = connection.execute(query).scalar_one()
        if stored != version.digest:
            raise VersionTakenError(
                version.key.model, version.key.version, stored=stored, given=version.digest
            )


def of(table: Table, key: VersionKey) -> ColumnElement[bool]:
    """Return the condition that picks a version's rows."""
    return and_(table.c.model == key.model, table.c.version == key.version)


def _insert_figures(connection: Connection, key: VersionKey, figures: Sequence[Figure]) -> None:
    rows = [
        {
            "model": key.model,
            "version": key.version,
            "metric": one.metric,
            "value": one.value,
            "data": one.data,
            "target": one.target,
            "source": one.source,
            "made_by": one.added_by,
            "made_at": one.added_at.isoformat(),
        }
        for one in figures
    ]
    if rows:
        connection.execute(insert(FIGURES), rows)


def _version_row(version: VersionRecord) -> dict[str, Any]:
    return {
        "model": version.key.model,
        "version": version.key.version,
        "digest": version.digest,
        "size_bytes": version.size_bytes,
        "licence": version.licence,
        "manifest": version.manifest,
        "stage": str(version.stage),
        "made_by": version.created_by,
        "made_at": version.created_at.isoformat(),
    }


def _build_rows(version: VersionRecord) -> list[dict[str, Any]]:
    return [
        {
            "model": version.key.model,
            "version": version.key.version,
            "target": build.target,
            "place": place,
            "digest": build.digest,
            "size_bytes": build.size_bytes,
            "file_sha256": build.file_sha256,
            "file_bytes": build.file_bytes,
        }
        for place, build in enumerate(version.builds)
    ]


def _builds(connection: Connection, key: VersionKey) -> tuple[BuildRecord, ...]:
    query = select(BUILDS).where(of(BUILDS, key)).order_by(BUILDS.c.place)
    return tuple(
        BuildRecord(r.target, r.digest, r.size_bytes, r.file_sha256, r.file_bytes)
        for r in connection.execute(query)
    )


def _version(row: Row[Any], builds: tuple[BuildRecord, ...]) -> VersionRecord:
    return VersionRecord(
        key=VersionKey(row.model, row.version),
        digest=row.digest,
        size_bytes=row.size_bytes,
        licence=row.licence,
        manifest=row.manifest,
        stage=Stage(row.stage),
        created_at=instant(row.made_at),
        created_by=row.made_by,
        builds=builds,
    )


def _figure(row: Row[Any]) -> Figure:
    return Figure(
        row.metric,
        row.value,
        row.data,
        row.target,
        row.source,
        row.made_by,
        instant(row.made_at),
    )
