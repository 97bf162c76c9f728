"""What the command and the process that works on one device say to each other, as JSON lines."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class Action(StrEnum):
    """What is to be done with a device."""

    CHECK = "check"
    PLAN = "plan"
    APPLY = "apply"
    STATUS = "status"
    COLLECT = "collect"
    DESTROY = "destroy"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Places(_Frozen):
    """Where devices find the cloud, whoever started it."""

    broker_host: str
    broker_port: int
    ingest_url: str | None = None
    registry_url: str | None = None
    campaigns_url: str | None = None
    identity_url: str | None = None
    authority: Path | None = None
    """Folder of the authority of a cloud on this machine, which issues certificates itself."""


class Job(_Frozen):
    """One device's work; read from standard input, since it holds secrets."""

    action: Action
    store: Path
    device: str
    var: Path
    """Folder of what is kept of the site on this machine."""
    places: Places
    wheelhouse: Path | None = None
    secrets: dict[str, str] = Field(default_factory=dict, repr=False)


class Changed(_Frozen):
    """Something that differs, or differed."""

    step: str
    what: str
    diff: list[str] = Field(default_factory=list)


class Progress(_Frozen):
    """A step has been looked at, or is done."""

    step: str
    changes: int
    done: bool


class CameraSeen(_Frozen):
    """A camera as the device describes it."""

    camera: str
    status: str
    reason: str = ""
    fps: float = 0.0
    people: int = 0
    crossings: int = 0
    snapshot: str = ""
    """Of a masked PNG or JPEG, base64; empty where there is none."""
    snapshot_note: str = ""


class Collected(_Frozen):
    """What the commissioning report tells of a device."""

    system: str
    architecture: str
    python: str
    version: str
    clock_offset_s: float
    free_bytes: int
    processes: dict[str, str]
    """State of each."""
    cameras: list[CameraSeen]
    outbox_rows: int = -1
    update: str = ""
    """What its updater says."""
    certificate: str = ""
    """Until when its certificate is good."""


class Result(_Frozen):
    """The last line."""

    problems: list[str] = Field(default_factory=list)
    """Of a check; the device is not fit."""
    changes: list[Changed] = Field(default_factory=list)
    processes: dict[str, str] = Field(default_factory=dict)
    pins: dict[str, str] = Field(default_factory=dict, repr=False)
    collected: Collected | None = None
    error: str = ""
    operator: bool = False
    """The error is one that a person mends."""


class Line(_Frozen):
    """One line from the process: progress, or the result."""

    progress: Progress | None = None
    result: Result | None = None
