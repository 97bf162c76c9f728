"""What the API takes and gives, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from shopfloor_contracts.base import Digest, Slug
from shopfloor_contracts.bundles import Measure
from shopfloor_contracts.windows import Instant
from shopfloor_registry.domain.devices import DeviceRecord
from shopfloor_registry.domain.gates import Verdict
from shopfloor_registry.domain.promotions import Promotion
from shopfloor_registry.domain.stages import Stage
from shopfloor_registry.domain.versions import VersionRecord
from shopfloor_registry.usecases.applications import Staged

# NUL is text for JSON and none for a database.
Printable = r"^[^\x00-\x1f\x7f]*$"
LabelKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$")]
Item = TypeVar("Item")
Line = Annotated[str, Field(min_length=1, max_length=200, pattern=Printable)]


class _Given(BaseModel):
    """From a client: an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class ReportBody(_Given):
    """Further evidence of a version."""

    measures: Annotated[list[Measure], Field(min_length=1, max_length=200)]


class RunBody(_Given):
    """The MLflow run that a version came from, with what is taken over of it."""

    run_id: Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
    experiment: Line
    tracking_uri: Annotated[str, Field(min_length=1, max_length=500, pattern=Printable)]
    params: Annotated[dict[Line, Annotated[str, Field(max_length=1000)]], Field(max_length=500)]
    measures: Annotated[list[Measure], Field(max_length=200)]


class JudgeBody(_Given):
    """Where a version is to go."""

    to: Stage


class PromoteBody(_Given):
    """A record that was signed."""

    to: Stage
    record: Annotated[str, Field(max_length=500_000)]
    public_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


class DeviceBody(_Given):
    """What is known of a device by whoever says it; what is not given stays as it was."""

    hardware: Slug | None = None
    capabilities: Annotated[list[Slug], Field(max_length=50)] | None = None
    reported: Annotated[dict[Slug, Digest], Field(max_length=20)] | None = None
    """Digest of the archive that runs, by what it is for, such as ``model``."""
    seen_at: Instant | None = None


class LabelsBody(_Given):
    """Labels to be set; null removes one."""

    labels: Annotated[dict[LabelKey, LabelKey | None], Field(max_length=50)]


class DesiredBody(_Given):
    """Digests that a device should run; null removes one."""

    desired: Annotated[dict[Slug, Digest | None], Field(max_length=20)]


class GroupBody(_Given):
    """A query to be named."""

    query: Annotated[str, Field(max_length=1000, pattern=Printable)]


class SignedBody(_Given):
    """Signed TUF documents, as text."""

    documents: Annotated[list[Annotated[str, Field(max_length=900_000)]], Field(max_length=300)]


class ModelTold(_Told):
    """A model."""

    model: str
    newest: str
    versions: dict[str, int]


class BuildTold(_Told):
    """A build."""

    target: str
    digest: str
    size_bytes: int
    file_sha256: str
    file_bytes: int


class VersionTold(_Told):
    """A version."""

    model: str
    version: str
    stage: Stage
    digest: str
    size_bytes: int
    licence: str
    created_at: datetime
    created_by: str
    builds: list[BuildTold]


class FigureTold(_Told):
    """Evidence."""

    metric: str
    value: float
    data: str
    target: str | None
    source: str
    added_by: str
    added_at: datetime


class RunTold(_Told):
    """A linked run."""

    run_id: str
    experiment: str
    tracking_uri: str
    params: dict[str, str]
    linked_by: str
    linked_at: datetime


class VerdictTold(_Told):
    """One gate's answer."""

    gate: str
    target: str | None
    passed: bool
    figure: str
    limit: str
    data: str
    explanation: str


class JudgementTold(_Told):
    """Verdicts, and the record to be signed after ``PREFIX`` of the domain."""

    passed: bool
    verdicts: list[VerdictTold]
    record: str


class KeptVerdictTold(VerdictTold):
    """A stored verdict."""

    to: Stage
    by: str
    at: datetime


class PromotionTold(_Told):
    """A move with its proof."""

    from_stage: Stage
    to: Stage
    by: str
    at: datetime
    record: str
    public_key: str
    signature: str


class DeviceTold(_Told):
    """A device."""

    site: str
    device: str
    hardware: str
    capabilities: list[str]
    labels: dict[str, str]
    desired: dict[str, str]
    reported: dict[str, str]
    last_seen_at: datetime | None


class GroupTold(_Told):
    """A group."""

    name: str
    query: str
    made_by: str
    made_at: datetime


class RunningTold(_Told):
    """A device that reports a digest, and for what."""

    site: str
    device: str
    part: str


class WhatTold(_Told):
    """What a digest is."""

    model: str
    version: str
    target: str


class WhoTold(_Told):
    """What a digest is, and who runs it."""

    digest: str
    what: list[WhatTold]
    items: list[RunningTold]
    next: str | None


class AuditTold(_Told):
    """A row of the audit log."""

    number: int
    at: str
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    prev: str
    digest: str


class VerifiedTold(_Told):
    """What came of walking the chain; ``broken_at`` is null when it holds."""

    count: int | None
    head: str | None
    broken_at: int | None
    reason: str | None


class StagedTold(_Told):
    """A TUF document that waits for a signature."""

    role: str
    document: str
    changes: list[str]


class Page(BaseModel, Generic[Item]):
    """Some of a list; ask again with ``after=next`` until that is null."""

    items: list[Item]
    next: str | None = None
    warnings: list[str] = Field(default_factory=list)


def tell_version(version: VersionRecord) -> VersionTold:
    """Return a version as the API tells it."""
    return VersionTold(
        model=version.key.model,
        version=version.key.version,
        stage=version.stage,
        digest=version.digest,
        size_bytes=version.size_bytes,
        licence=version.licence,
        created_at=version.created_at,
        created_by=version.created_by,
        builds=[BuildTold.model_validate(build) for build in version.builds],
    )


def tell_verdict(verdict: Verdict) -> VerdictTold:
    """Return a verdict as the API tells it."""
    return VerdictTold(
        gate=verdict.gate,
        target=verdict.target,
        passed=verdict.passed,
        figure=verdict.figure,
        limit=verdict.limit,
        data=verdict.data,
        explanation=str(verdict),
    )


def tell_promotion(promotion: Promotion) -> PromotionTold:
    """Return a move as the API tells it."""
    return PromotionTold.model_validate(promotion)


def tell_device(device: DeviceRecord) -> DeviceTold:
    """Return a device as the API tells it."""
    return DeviceTold.model_validate(device)


class ApplicationTold(_Told):
    """A set of wheels that waits for its signature, or is listed."""

    name: str
    version: str
    platform: str
    path: str
    digest: str
    size_bytes: int
    wheels: int
    staged: list[str]


def tell_application(found: Staged) -> ApplicationTold:
    """Return the answer to an upload."""
    manifest = found.manifest
    return ApplicationTold(
        name=manifest.name,
        version=manifest.version,
        platform=manifest.platform,
        path=manifest.path,
        digest=found.digest,
        size_bytes=found.size_bytes,
        wheels=len(manifest.wheels),
        staged=list(found.paths),
    )
