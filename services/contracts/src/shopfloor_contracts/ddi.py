"""hawkBit's Direct Device Integration API v1, as our campaigns offer it and our agent reads it.

Field names are the protocol's, so that SWUpdate and RAUC clients understand them.
Source: https://eclipse.dev/hawkbit/apis/ddi_api/
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from shopfloor_contracts.base import Wire

Text = Annotated[str, Field(max_length=512)]

TARGET_KEY = "shopfloor.target"
"""Metadata key of a chunk: the TUF path of what is to be installed."""
SHADOW_KEY = "shopfloor.shadow_s"
"""How many seconds the new model runs beside the active one before it is tried; "0" for none."""
TRIAL_KEY = "shopfloor.trial_s"
"""How many seconds without a crash make a tried update good."""
DEADLINE_KEY = "shopfloor.deadline_at"
"""ISO 8601: a device that has not committed by then reports failure and stays as it is."""
BANDWIDTH_KEY = "shopfloor.bytes_per_s"
"""Cap of the download, in bytes per second; absent for none."""
ROLLBACK_KEY = "shopfloor.rollback"
"""Digest of the archive to go back to, of an action that undoes an update: a device that still has
it switches at once, with no download, shadow or trial; one that has not resolves ``TARGET_KEY``."""


class Named(Wire):
    """The protocol's names as aliases; our own code writes snake case."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class Link(Wire):
    """Where to go on."""

    href: Annotated[str, Field(max_length=2048)]


class Polling(Wire):
    """When to come again: ``HH:MM:SS``."""

    sleep: Annotated[str, Field(pattern=r"^\d{2}:\d{2}:\d{2}$")]


class PollConfig(Wire):
    """``config`` of a poll's answer."""

    polling: Polling


class PollLinks(Named):
    """What waits for a device."""

    deployment_base: Link | None = Field(None, alias="deploymentBase")
    cancel_action: Link | None = Field(None, alias="cancelAction")
    config_data: Link | None = Field(None, alias="configData")


class PollAnswer(Named):
    """``GET /{tenant}/controller/v1/{device}``"""

    config: PollConfig
    links: PollLinks = Field(default_factory=PollLinks, alias="_links")


class Hashes(Wire):
    """Digests of an artefact; ours are checked against TUF's, not against these."""

    sha1: Text = ""
    md5: Text = ""
    sha256: Text = ""


class ArtifactLinks(Named):
    """Where an artefact is."""

    download: Link | None = None
    download_http: Link | None = Field(None, alias="download-http")


class Artifact(Named):
    """One file to be fetched."""

    filename: Text
    hashes: Hashes
    size: Annotated[int, Field(ge=0)]
    links: ArtifactLinks = Field(default_factory=ArtifactLinks, alias="_links")


class Metadatum(Wire):
    """A key and a value beside a chunk."""

    key: Text
    value: Text


class Chunk(Wire):
    """One thing to be installed."""

    part: Text
    version: Text
    name: Text
    artifacts: Annotated[list[Artifact], Field(max_length=50)]
    metadata: Annotated[list[Metadatum], Field(max_length=50)] = Field(default_factory=list)

    def said(self, key: str) -> str | None:
        """Return the value of metadata ``key``, or None."""
        return next((item.value for item in self.metadata if item.key == key), None)


class Handling(StrEnum):
    """How pressing a step is."""

    SKIP = "skip"
    """Not now: outside of the window, or not approved."""
    ATTEMPT = "attempt"
    FORCED = "forced"


class Deployment(Named):
    """What is to be done, and how soon."""

    download: Handling
    update: Handling
    maintenance_window: Literal["available", "unavailable"] | None = Field(
        None, alias="maintenanceWindow"
    )
    chunks: Annotated[list[Chunk], Field(max_length=20)]


class DeploymentBase(Wire):
    """``GET …/deploymentBase/{action}``"""

    id: Text
    deployment: Deployment


class CancelTarget(Named):
    """The action that is to be given up."""

    stop_id: Text = Field(alias="stopId")


class CancelAction(Named):
    """``GET …/cancelAction/{action}``"""

    id: Text
    cancel_action: CancelTarget = Field(alias="cancelAction")


class Execution(StrEnum):
    """How far a device is with an action."""

    CLOSED = "closed"
    PROCEEDING = "proceeding"
    DOWNLOAD = "download"
    DOWNLOADED = "downloaded"
    CANCELED = "canceled"
    SCHEDULED = "scheduled"
    REJECTED = "rejected"
    RESUMED = "resumed"


class Finished(StrEnum):
    """How an action ended; ``none`` while it has not."""

    SUCCESS = "success"
    FAILURE = "failure"
    NONE = "none"


class Progress(Wire):
    """``cnt`` of ``of`` steps are done."""

    cnt: Annotated[int, Field(ge=0)] = 0
    of: Annotated[int, Field(ge=0)] = 0


class Result(Wire):
    """``result`` of a feedback."""

    finished: Finished
    progress: Progress | None = None


class Status(Wire):
    """``status`` of a feedback."""

    execution: Execution
    result: Result
    code: int | None = None
    details: Annotated[list[Text], Field(max_length=50)] = Field(default_factory=list)


class Feedback(Wire):
    """``POST …/deploymentBase/{action}/feedback`` and ``…/cancelAction/{action}/feedback``"""

    id: Text | None = None
    time: Text | None = None
    status: Status


class ConfigData(Wire):
    """``PUT …/configData``: what a device says of itself."""

    mode: Literal["merge", "replace", "remove"] = "merge"
    data: Annotated[dict[Text, Text], Field(max_length=200)]
