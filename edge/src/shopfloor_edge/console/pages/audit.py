"""*Audit*: a person checks a figure in five minutes, blind to what the device counted."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from markupsafe import Markup

from shopfloor_contracts.site import SiteFile
from shopfloor_edge.console.audit_report import report_of
from shopfloor_edge.console.audits import (
    SIZES,
    AuditRefusedError,
    AuditRoom,
    more_clips,
    score_of,
)
from shopfloor_edge.console.desk import Desk
from shopfloor_edge.console.render import STATIC
from shopfloor_edge.journal.audits import Audit, Shown, Subject
from shopfloor_edge.slots.site import active_site

_CLIP = re.compile(r"^\d{8}T\d{6}-[a-z0-9-]{1,63}$")
_KINDS = {"webp": "image/webp", "jpg": "image/jpeg"}


def router(desk: Desk) -> APIRouter:
    """Build the routes."""
    routes = APIRouter(prefix="/audit")

    def site() -> SiteFile:
        return active_site(desk.site, desk.state)

    room = AuditRoom(site, desk.state, desk.clock)
    _add_lists(routes, desk, room)
    _add_clips(routes, desk, room)
    return routes


def _add_lists(routes: APIRouter, desk: Desk, room: AuditRoom) -> None:
    @routes.get("")
    def overview(request: Request) -> Response:
        return _overview(desk, request, room)

    @routes.post("")
    async def begin(request: Request) -> Response:
        form = await desk.form(request)
        return await run_in_threadpool(_begin, desk, request, room, form)

    @routes.get("/{number:int}/report.json")
    def as_json(number: int) -> Response:
        report = _report(room, number)
        return JSONResponse(report, headers=_attached(number, "json"))

    @routes.get("/{number:int}/report.html")
    def as_page(request: Request, number: int) -> Response:
        # A file that is saved has no server to ask for its style.
        style = Markup("<style>{}</style>").format(Markup((STATIC / "report.css").read_text()))  # noqa: S704 — a file of ours
        report = _report(room, number)
        page = desk.page(request, "audit_report.html", report=report, style=style)
        page.headers.update(_attached(number, "html"))
        return page


def _add_clips(routes: APIRouter, desk: Desk, room: AuditRoom) -> None:
    @routes.get("/clips/{name}")
    def picture(name: str) -> Response:
        clip, _, kind = name.partition(".")
        # The pattern lets no separator through, so the path stays in the folder.
        if _CLIP.match(clip) is None or kind not in _KINDS:
            raise HTTPException(404, "no such clip")
        return desk.picture(room.file(clip, kind), _KINDS[kind])

    @routes.get("/{number:int}")
    def show(request: Request, number: int) -> Response:
        return _show(desk, request, room, number)

    @routes.post("/{number:int}/discard")
    def discard(request: Request, number: int) -> Response:
        room.audits.discard(number)
        desk.audit.append(desk.person(request).name, "audit-discarded", subject=str(number))
        return desk.go_to("/audit")

    @routes.post("/{number:int}/{place:int}")
    async def answer(request: Request, number: int, place: int) -> Response:
        form = await desk.form(request)
        return await run_in_threadpool(_answer, desk, request, room, (number, place), form)


def _overview(desk: Desk, request: Request, room: AuditRoom, complaint: str = "") -> Response:
    every = room.audits.every()
    return desk.page(
        request,
        "audit.html",
        status=400 if complaint else 200,
        rows=room.subjects(),
        under_way=[one for one in every if one.done_at is None],
        done=[one for one in every if one.done_at is not None],
        sizes=SIZES,
        complaint=complaint,
        at=_at,
    )


def _begin(desk: Desk, request: Request, room: AuditRoom, form: dict[str, str]) -> Response:
    person, size = desk.person(request), form.get("size", "")
    wanted = form.get("subject", "")
    subject = next((r.subject for r in room.subjects() if _key(r.subject) == wanted), None)
    if subject is None or size not in map(str, SIZES):
        return _overview(desk, request, room, "audit.no_clips")
    try:
        number = room.begin(subject, int(size), person.name)
    except AuditRefusedError as e:
        return _overview(desk, request, room, str(e))
    desk.audit.append(person.name, "audit-begun", subject=f"{number} {wanted}")
    return desk.go_to(f"/audit/{number}")


def _show(
    desk: Desk, request: Request, room: AuditRoom, number: int, complaint: str = ""
) -> Response:
    audit, clip, shown = _find(room, number)
    answered = sum(one.seen is not None for one in shown)
    if clip is not None:
        context = {"audit": audit, "clip": clip, "answered": answered, "whole": len(shown)}
        return desk.page(
            request,
            "audit_clip.html",
            status=400 if complaint else 200,
            complaint=complaint,
            at=_at,
            **context,
        )
    measured = room.measured(audit.subject, audit.basis)
    return desk.page(
        request,
        "audit_result.html",
        audit=audit,
        measured=measured,
        more=0 if measured is None else more_clips(measured),
        wrong=[one for one in shown if (s := score_of(one)) and s.missed + s.false],
        unsure=sum(score_of(one) is None for one in shown),
        at=_at,
    )


def _answer(
    desk: Desk, request: Request, room: AuditRoom, where: tuple[int, int], form: dict[str, str]
) -> Response:
    number, place = where
    try:
        room.answer(number, place, form)
    except AuditRefusedError as e:
        return _show(desk, request, room, number, str(e))
    except LookupError as e:
        raise HTTPException(404, "no such audit") from e
    if room.audits.read(number)[0].done_at is not None:
        desk.audit.append(desk.person(request).name, "audit-done", subject=str(number))
    return desk.go_to(f"/audit/{number}")


def _find(room: AuditRoom, number: int) -> tuple[Audit, Shown | None, list[Shown]]:
    try:
        return room.next(number)
    except LookupError as e:
        raise HTTPException(404, "no such audit") from e


def _report(room: AuditRoom, number: int) -> dict[str, object]:
    try:
        return report_of(room, room.audits.read(number)[0])
    except LookupError as e:
        raise HTTPException(404, "no such audit") from e


def _attached(number: int, kind: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="audit-{number}.{kind}"'}


def _key(subject: Subject) -> str:
    return f"{subject.camera}/{subject.key}"


def _at(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)
