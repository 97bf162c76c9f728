"""*Now*: what wants somebody's attention, and what they do about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from shopfloor_contracts.feedback import FeedbackAction
from shopfloor_edge.console.desk import Desk
from shopfloor_edge.console.drawing import Drawing, drawing_of
from shopfloor_edge.console.pages.files import PICTURES
from shopfloor_edge.console.people import Person
from shopfloor_edge.console.standing import PAGE, Shown
from shopfloor_edge.console.wording import Words, words_of
from shopfloor_edge.errors import AlertUnknownError
from shopfloor_edge.journal.alerts import AlertRow

EARLIER = 8
SNOOZES_S = (900, 3600, 14_400)
_DEEDS = {
    "acknowledged": (FeedbackAction.ACKNOWLEDGED, None),
    "resolved": (FeedbackAction.RESOLVED, None),
    "wrong": (FeedbackAction.WRONG, None),
    **{f"snoozed-{s}": (FeedbackAction.SNOOZED, s) for s in SNOOZES_S},
}
From = Annotated[int, Query(alias="from", ge=0, le=100_000)]


@dataclass(frozen=True, slots=True)
class Card:
    """One alert as the template shows it."""

    shown: Shown
    words: Words
    drawing: Drawing | None
    raised_at: datetime
    picture: str
    """Address of the masked picture; empty where there is none."""
    clip: bool
    woken_at: datetime | None
    """When a snoozed one comes back."""


def router(desk: Desk) -> APIRouter:
    """Build the routes."""
    routes = APIRouter()

    @routes.get("/")
    def now(request: Request, start: From = 0) -> Response:
        return desk.page(request, "now.html", **_listed(desk, request, start))

    @routes.get("/now/list")
    def listed(request: Request, start: From = 0) -> Response:
        return desk.page(request, "now_list.html", **_listed(desk, request, start))

    @routes.get("/now/said/{alert_id}")
    def said(request: Request, alert_id: str) -> dict[str, str]:
        words = words_of(_known(desk, alert_id), request.state.visit.language)
        return {"title": words.title, "text": words.todo or words.why}

    @routes.get("/now/clip/{alert_id}")
    def clip(alert_id: str) -> Response:
        path = _clip(desk.state, _known(desk, alert_id).evidence)
        if path is None:
            raise HTTPException(404, "no clip of this alert")
        return desk.picture(path, "image/webp")

    @routes.post("/now/{alert_id}/act")
    async def act(request: Request, alert_id: str, start: From = 0) -> Response:
        form = await desk.form(request)
        action = form.get("action", "")
        await run_in_threadpool(_act, desk, desk.person(request), alert_id, action)
        if "hx-request" not in request.headers:
            return desk.go_to(f"/?from={start}" if start else "/")
        return await run_in_threadpool(listed, request, start)

    return routes


def _act(desk: Desk, person: Person, alert_id: str, action: str) -> None:
    if action == "undo":
        deed = desk.deeds.undo(alert_id)
        if deed is not None:
            _audit(desk, person, "undo", alert_id)
        return
    if action not in _DEEDS:
        raise HTTPException(400, "no such action")
    what, for_s = _DEEDS[action]
    until = None if for_s is None else desk.clock().timestamp() + for_s
    _known(desk, alert_id)
    desk.deeds.do(alert_id, what, by=person.name, until=until)
    _audit(desk, person, what, alert_id)


def _audit(desk: Desk, person: Person, what: str, alert_id: str) -> None:
    rule = _known(desk, alert_id).rule
    desk.audit.append(person.name, f"alert-{what}", subject=rule, detail={"alert": alert_id})


def _listed(desk: Desk, request: Request, start: int) -> dict[str, Any]:
    counts = desk.standings.counts()
    start = min(start, max(0, (counts.shown - 1) // PAGE * PAGE))
    language = request.state.visit.language
    return {
        "counts": counts,
        "cards": [_card(desk, shown, language) for shown in desk.standings.page(start)],
        "snoozed": [_card(desk, shown, language) for shown in desk.standings.snoozed()],
        "earlier": _earlier(desk, language),
        "start": start,
        "size": PAGE,
        "snoozes": [(s, s // 60) for s in SNOOZES_S],
        "blind_since": desk.watcher.blind_since(),
        "quiet": desk.watcher.quiet(),
    }


def _earlier(desk: Desk, language: str) -> list[Card]:
    """Return what was settled last: whether it was so can still be said."""
    pending = desk.deeds.pending()
    rows = desk.alerts.settled(EARLIER)
    return [_card(desk, Shown(row, pending.get(row.alert_id)), language) for row in rows]


def _card(desk: Desk, shown: Shown, language: str) -> Card:
    row = shown.row
    until = row.snoozed_until
    return Card(
        shown=shown,
        words=words_of(row, language),
        drawing=drawing_of(desk.site, row.camera, row.about),
        raised_at=datetime.fromtimestamp(row.raised_at, UTC),
        picture=_picture(desk, row.camera),
        clip=_clip(desk.state, row.evidence) is not None,
        woken_at=None if until is None else datetime.fromtimestamp(until, UTC),
    )


def _picture(desk: Desk, camera: str) -> str:
    # The name is the site file's own, so it is safe in a path.
    if camera not in {spec.name for spec in desk.site.cameras}:
        return ""
    try:
        stamp = (desk.state / PICTURES / f"{camera}.jpg").stat().st_mtime
    except OSError:
        return ""
    return f"/pictures/{camera}.jpg?at={int(stamp)}"


def _clip(state: Path, evidence: str) -> Path | None:
    """Return the file of a clip; nothing outside the state folder is ever one."""
    if not evidence or not evidence.endswith(".webp"):
        return None
    path = (state / evidence).resolve()
    return path if path.is_relative_to(state.resolve()) and path.is_file() else None


def _known(desk: Desk, alert_id: str) -> AlertRow:
    try:
        return desk.alerts.get(alert_id)
    except AlertUnknownError as e:
        raise HTTPException(404, "no such alert") from e
