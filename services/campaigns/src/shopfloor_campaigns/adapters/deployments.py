"""hawkBit's documents for one device, from its open action and the campaign's plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, and_, bindparam, select

from shopfloor_campaigns.adapters.plans import PlanCache
from shopfloor_campaigns.adapters.tables import ACTIONS, CAMPAIGNS, DEVICES, JOBS
from shopfloor_campaigns.domain.campaigns import Status
from shopfloor_campaigns.domain.plan import Build, Plan, Update
from shopfloor_campaigns.domain.waves import is_open
from shopfloor_campaigns.errors import UnknownError
from shopfloor_contracts import ddi
from shopfloor_contracts.ddi import Handling
from shopfloor_contracts.targets import UpdateKind
from shopfloor_kit.instants import from_ms

_PARTS = {UpdateKind.OS: "os"}
"""What the protocol calls a chunk; everything else is an application, ``bApp``."""


@dataclass(frozen=True, slots=True)
class Links:
    """Where devices find us and the registry's targets; both without a slash at the end."""

    controller: str
    targets: str | None
    pass_through: bool

    def download(self, build: Build, action: int) -> str:
        """Return where a device gets the bytes of a build."""
        if self.pass_through:
            return f"{self.controller}/softwaremodules/{action}/artifacts/{filename(build)}"
        if build.url is not None:
            return build.url
        folder, _, name = build.path.rpartition("/")
        # TUF with consistent snapshots: the digest stands before the file's name (TUF §6.2).
        place = f"{folder}/{build.sha256}.{name}" if folder else f"{build.sha256}.{name}"
        return f"{self.targets}/{place}"


def filename(build: Build) -> str:
    """Return a name of one segment; SWUpdate takes no image whose name does not end so."""
    suffix = ".swu" if build.path.startswith(f"{UpdateKind.OS}/") else ""
    return build.path.replace("/", "_") + suffix


_OPEN = (
    select(ACTIONS, CAMPAIGNS.c.status, DEVICES.c.time_zone, JOBS.c.deadline_at, JOBS.c.fetched)
    .join(CAMPAIGNS, CAMPAIGNS.c.name == ACTIONS.c.campaign)
    .join(DEVICES, DEVICES.c.name == ACTIONS.c.device)
    .join(JOBS, and_(JOBS.c.campaign == ACTIONS.c.campaign, JOBS.c.device == ACTIONS.c.device))
    .where(
        ACTIONS.c.id == bindparam("the_id"),
        ACTIONS.c.device == bindparam("the_device"),
        ACTIONS.c.closed_at.is_(None),
        JOBS.c.action == ACTIONS.c.id,
    )
)


def deployment(
    connection: Connection, plans: PlanCache, device: str, action: int, links: Links, now: datetime
) -> tuple[ddi.DeploymentBase, bool]:
    """Return what is to be done, and whether the device has read it before.

    Raises:
        UnknownError: the action is another device's, or closed.
    """
    row = connection.execute(_OPEN, {"the_id": action, "the_device": device}).first()
    if row is None:
        raise UnknownError(f"device {device!r} has no open action {action}")
    plan = plans(connection, row.campaign)
    update = plan.update if not row.undo else plan.base or plan.update
    download, install, window = _handling(plan, row, now)
    document = ddi.DeploymentBase(
        id=str(action),
        deployment=ddi.Deployment(
            download=download,
            update=install,
            maintenance_window=window,
            chunks=[_chunk(update, plan, row, links)],
        ),
    )
    return document, row.fetched


def build_named(plan: Plan, path: str) -> Build | None:
    """Return a plan's build, or None."""
    updates = (plan.update,) if plan.base is None else (plan.update, plan.base)
    return next((b for update in updates for b in update.builds if b.path == path), None)


def _handling(plan: Plan, row: Any, now: datetime) -> tuple[Handling, Handling, Any]:
    if row.status == str(Status.PAUSED) and not row.undo:
        return Handling.SKIP, Handling.SKIP, None
    if plan.window is None or row.undo:
        # A way back does not wait for the night.
        return Handling.FORCED, Handling.FORCED, None
    if is_open(plan.window, ZoneInfo(row.time_zone), now):
        return Handling.FORCED, Handling.FORCED, "available"
    return Handling.FORCED, Handling.SKIP, "unavailable"


def _chunk(update: Update, plan: Plan, row: Any, links: Links) -> ddi.Chunk:
    build = build_named(plan, row.build)
    said = {ddi.TARGET_KEY: row.build} if row.build else {}
    if row.undo:
        said[ddi.ROLLBACK_KEY] = row.undo_digest
    else:
        said[ddi.SHADOW_KEY] = str(plan.timing.shadow_s)
        said[ddi.TRIAL_KEY] = str(plan.timing.trial_s)
    if row.deadline_at is not None:
        said[ddi.DEADLINE_KEY] = from_ms(row.deadline_at).isoformat()
    if plan.timing.bytes_per_s is not None:
        said[ddi.BANDWIDTH_KEY] = str(plan.timing.bytes_per_s)
    return ddi.Chunk(
        part=_PARTS.get(update.kind, "bApp"),
        version=update.version if build is not None else "before",
        name=f"{update.kind}/{update.name}",
        artifacts=[] if build is None else [_artifact(build, row.id, links)],
        metadata=[ddi.Metadatum(key=key, value=value) for key, value in said.items()],
    )


def _artifact(build: Build, action: int, links: Links) -> ddi.Artifact:
    link = ddi.Link(href=links.download(build, action))
    plain = link if link.href.startswith("http:") else None
    return ddi.Artifact(
        filename=filename(build),
        hashes=ddi.Hashes(sha1=build.sha1, md5=build.md5, sha256=build.sha256),
        size=build.size_bytes,
        links=ddi.ArtifactLinks(download=link, download_http=plain),
    )
