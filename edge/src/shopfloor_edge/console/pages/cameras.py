"""Page *Cameras*: what each sees now, masked, and what to do where one does not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from shopfloor_contracts.site import CameraSpec
from shopfloor_edge.console.camera_state import CameraState, state_of
from shopfloor_edge.console.desk import Desk
from shopfloor_edge.console.pages.files import PICTURES, WANTED
from shopfloor_edge.errors import JournalError
from shopfloor_edge.journal.state import CameraRow, read_state

LIVE_S = 5.0
"""A younger picture is called live."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One camera as the template shows it."""

    spec: CameraSpec
    state: CameraState
    row: CameraRow | None
    taken_at: datetime | None
    """Of the picture; None where there is none."""
    is_live: bool

    @property
    def stamp(self) -> int:
        """Changes with the picture, in milliseconds."""
        return 0 if self.taken_at is None else int(self.taken_at.timestamp() * 1000)


def router(desk: Desk) -> APIRouter:
    """Build the routes."""
    routes = APIRouter()

    @routes.get("/cameras")
    def cameras(request: Request) -> Response:
        return desk.page(request, "cameras.html", **_listed(desk))

    @routes.get("/cameras/list")
    def listed(request: Request) -> Response:
        return desk.page(request, "cameras_list.html", **_listed(desk))

    @routes.get("/cameras/now")
    def now() -> dict[str, dict[str, object]]:
        # Asked for once a second by each open page: this is what "somebody looks" means.
        return {
            one.spec.name: {"stamp": one.stamp, "live": one.is_live, "cause": one.state.cause}
            for one in _cameras(desk)
        }

    return routes


def _listed(desk: Desk) -> dict[str, Any]:
    found = _cameras(desk)
    return {"cameras": found, "blind": sum(not one.state.sees for one in found)}


def _cameras(desk: Desk) -> list[Shown]:
    folder = desk.state / PICTURES
    if folder.is_dir():
        (folder / WANTED).touch()
    now_s = desk.clock().timestamp()
    try:
        rows = {row.camera: row for row in read_state(desk.state).cameras}
    except JournalError:
        rows = {}
    return [_shown(desk, spec, rows.get(spec.name), now_s) for spec in desk.site.cameras]


def _shown(desk: Desk, spec: CameraSpec, row: CameraRow | None, now_s: float) -> Shown:
    try:
        taken_s = (desk.state / PICTURES / f"{spec.name}.jpg").stat().st_mtime
    except OSError:
        taken_s = None
    return Shown(
        spec=spec,
        state=state_of(row, now_s),
        row=row,
        taken_at=None if taken_s is None else datetime.fromtimestamp(taken_s, UTC),
        is_live=taken_s is not None and abs(now_s - taken_s) < LIVE_S,
    )
