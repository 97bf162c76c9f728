"""A plan as an operator writes it, in JSON or TOML, and the way to and from the domain."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from shopfloor_campaigns.domain.campaigns import Campaign
from shopfloor_campaigns.domain.plan import (
    Build,
    Gate,
    GateRule,
    Plan,
    Retries,
    Timing,
    Undo,
    Update,
    Window,
)
from shopfloor_campaigns.errors import PlanError
from shopfloor_contracts.base import Digest, Operator, Slug, refuse_twins
from shopfloor_contracts.errors import SelectorError
from shopfloor_contracts.problems import describe
from shopfloor_contracts.selectors import MAX_LENGTH, parse_selector
from shopfloor_contracts.targets import UpdateKind, Version

STATE = TypeAdapter(Campaign)
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

TargetPath = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*(/[A-Za-z0-9][A-Za-z0-9._+-]*)*$")
]
Days30 = Annotated[int, Field(ge=0, le=30 * 86_400)]
Share = Annotated[str, Field(pattern=r"^(100|[1-9]?[0-9])(\.[0-9]{1,3})?%$")]


class BuildBody(Operator):
    """One file of an update, as the registry published it."""

    path: Annotated[TargetPath, Field(max_length=300)]
    hardware: Annotated[list[Slug], Field(min_length=1, max_length=50)]
    sha256: Digest
    size_bytes: Annotated[int, Field(ge=1, le=1 << 40)]
    sha1: Annotated[str, Field(pattern=r"^([0-9a-f]{40})?$")] = ""
    md5: Annotated[str, Field(pattern=r"^([0-9a-f]{32})?$")] = ""
    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=1000)] | None = None


class UpdateBody(Operator):
    """One version of something."""

    kind: UpdateKind
    name: Slug
    version: Version
    builds: Annotated[list[BuildBody], Field(min_length=1, max_length=50)]

    @field_validator("kind")
    @classmethod
    def _is_installable(cls, kind: UpdateKind) -> UpdateKind:
        if kind is UpdateKind.DELTA:
            raise ValueError("a delta is a way to an update, and is never installed by itself")
        return kind


class GateBody(Operator):
    """A gate and when it passes."""

    gate: Gate
    limit: Annotated[float, Field(ge=0, le=1e9)]
    minimum: Annotated[int, Field(ge=1, le=10**9)]
    confidence: Annotated[float, Field(ge=0.5, le=0.999)] = 0.95


class RetriesBody(Operator):
    """How often and when a device tries again."""

    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    first_s: Days30 = 300
    longest_s: Days30 = 21_600


class TimingBody(Operator):
    """How long things take at most, or at least, in seconds."""

    shadow_s: Days30 = 0
    trial_s: Days30 = 0
    deadline_s: Annotated[int, Field(ge=1, le=365 * 86_400)] = 259_200
    cancel_s: Days30 = 86_400
    soak_s: Days30 = 0
    patience_s: Days30 = 172_800
    bytes_per_s: Annotated[int, Field(ge=1024)] | None = None


class WindowBody(Operator):
    """When devices may install, by the clock of their site."""

    begin: time
    end: time
    days: Annotated[list[Day], Field(min_length=1)] = Field(default_factory=lambda: list(DAYS))

    @model_validator(mode="after")
    def _has_length(self) -> WindowBody:
        if self.begin == self.end:
            raise ValueError("a window that ends when it begins is never open")
        return self


class PlanBody(Operator):
    """A whole campaign."""

    name: Slug
    selector: Annotated[str, Field(max_length=MAX_LENGTH)]
    update: UpdateBody
    base: UpdateBody | None = None
    waves: Annotated[
        list[Annotated[int, Field(ge=1, le=10**7)] | Share], Field(min_length=1, max_length=50)
    ]
    gates: Annotated[list[GateBody], Field(max_length=20)] = Field(default_factory=list)
    retries: RetriesBody = RetriesBody()
    timing: TimingBody = TimingBody()
    window: WindowBody | None = None
    not_before: AwareDatetime | None = None
    not_after: AwareDatetime | None = None
    approval: bool = True
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    undo: Undo = Undo.WAVE

    @model_validator(mode="after")
    def _is_consistent(self) -> PlanBody:
        refuse_twins("gate", [gate.gate for gate in self.gates])
        try:
            parse_selector(self.selector)
        except SelectorError as e:
            raise ValueError(str(e)) from e
        if self.not_before and self.not_after and self.not_before >= self.not_after:
            raise ValueError("not_after is not after not_before")
        return self


def read_plan(text: str, *, source: str) -> Plan:
    """Read a plan from JSON.

    Raises:
        PlanError: against the schema; the message names each key.
    """
    try:
        return to_plan(PlanBody.model_validate_json(text))
    except ValidationError as e:
        raise PlanError(f"{source}: " + "; ".join(describe(e, PlanBody))) from e


def to_plan(body: PlanBody) -> Plan:
    """Return the domain's plan."""
    timing, retries, window = body.timing, body.retries, body.window
    return Plan(
        name=body.name,
        selector=body.selector,
        update=_update(body.update),
        base=None if body.base is None else _update(body.base),
        waves=tuple(_size(size) for size in body.waves),
        gates=tuple(GateRule(g.gate, g.limit, g.minimum, g.confidence) for g in body.gates),
        retries=Retries(
            retries.attempts,
            timedelta(seconds=retries.first_s),
            timedelta(seconds=retries.longest_s),
        ),
        timing=Timing(
            shadow_s=timing.shadow_s,
            trial_s=timing.trial_s,
            deadline=timedelta(seconds=timing.deadline_s),
            cancel=timedelta(seconds=timing.cancel_s),
            soak=timedelta(seconds=timing.soak_s),
            patience=timedelta(seconds=timing.patience_s),
            bytes_per_s=timing.bytes_per_s,
        ),
        window=None
        if window is None
        else Window(window.begin, window.end, frozenset(map(DAYS.index, window.days))),
        not_before=body.not_before,
        not_after=body.not_after,
        approval=body.approval,
        priority=body.priority,
        undo=body.undo,
    )


def _size(size: int | str) -> int | float:
    return size if isinstance(size, int) else float(size.rstrip("%")) / 100


def _update(body: UpdateBody) -> Update:
    builds = tuple(
        Build(
            path=build.path,
            hardware=frozenset(build.hardware),
            sha256=build.sha256,
            size_bytes=build.size_bytes,
            sha1=build.sha1,
            md5=build.md5,
            url=build.url,
        )
        for build in body.builds
    )
    return Update(body.kind, body.name, body.version, builds)
