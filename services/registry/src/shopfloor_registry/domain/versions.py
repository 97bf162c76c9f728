"""Models' versions and their builds, as the registry knows them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shopfloor_registry.domain.stages import Stage


@dataclass(frozen=True, slots=True)
class VersionKey:
    """Names a version."""

    model: str
    version: str

    def __str__(self) -> str:
        return f"{self.model} {self.version}"


@dataclass(frozen=True, slots=True)
class BuildRecord:
    """One build as it is published: a bundle with this build alone."""

    target: str
    digest: str
    """Of the archive with this one build, which is what devices run and report."""
    size_bytes: int
    file_sha256: str
    file_bytes: int


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A version; all but its stage never changes."""

    key: VersionKey
    digest: str
    size_bytes: int
    licence: str
    manifest: str
    """``manifest.json`` as JSON text."""
    stage: Stage
    created_at: datetime
    created_by: str
    builds: tuple[BuildRecord, ...]


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """A model and how many versions stand where; ``newest`` is the one uploaded last."""

    model: str
    newest: str
    versions: dict[str, int]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. The same metric, target and data measured later replaces it."""

    metric: str
    value: float
    data: str
    target: str | None
    """None for the trained network."""
    source: str
    """``manifest``, ``report`` or ``mlflow:RUN``."""
    added_by: str
    added_at: datetime


@dataclass(frozen=True, slots=True)
class RunLink:
    """The MLflow run that a version came from."""

    run_id: str
    experiment: str
    tracking_uri: str
    params: dict[str, str]
    linked_by: str
    linked_at: datetime
