"""*Health*: how the device is, what it runs, its tablets, and what was done on the console."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from markupsafe import Markup

from shopfloor_contracts.targets import UpdateKind
from shopfloor_edge.console import texts
from shopfloor_edge.console.desk import Desk
from shopfloor_edge.console.findings import Finding, Level, findings_of, worst
from shopfloor_edge.console.people import Person, Role
from shopfloor_edge.console.wording import duration
from shopfloor_edge.slots.domain import Attempt, Pair, Slots, SlotsError, roll_back
from shopfloor_edge.slots.file import SlotsFile

DONE_SHOWN, DONE_CHECKED = 30, 5000
"""Entries of the audit trail on the page, and those whose digests are reckoned for it: 50 ms."""
NAME_MAX = 60


@dataclass(frozen=True, slots=True)
class Line:
    """One finding in words."""

    name: str
    level: Level
    text: str


def router(desk: Desk) -> APIRouter:
    """Build the routes."""
    routes = APIRouter()
    manager = desk.require(Role.MANAGER)

    @routes.get("/health")
    def health(request: Request) -> Response:
        managed = desk.person(request).role.allows(Role.MANAGER)
        context = _health(desk, request) | (_managed(desk) if managed else {})
        return desk.page(request, "health.html", **context)

    @routes.get("/health/part")
    def part(request: Request) -> Response:
        return desk.page(request, "health_part.html", **_health(desk, request))

    @routes.get("/health/rollback/{kind}")
    def ask(request: Request, kind: UpdateKind, _: Person = manager) -> Response:
        pair = _pair(SlotsFile(desk.state).read(), kind)
        return desk.page(request, "rollback.html", kind=str(kind), pair=pair, refused="")

    @routes.post("/health/rollback/{kind}")
    def go_back(request: Request, kind: UpdateKind, person: Person = manager) -> Response:
        return _go_back(desk, request, kind, person)

    @routes.post("/health/tablets")
    async def invite(request: Request, person: Person = manager) -> Response:
        name = (await desk.form(request)).get("name", "").strip()
        if not name.isprintable() or not 1 <= len(name) <= NAME_MAX:
            raise HTTPException(400, "no name for a tablet")
        return await run_in_threadpool(_invite, desk, request, person, name)

    @routes.post("/health/tablets/{digest}/remove")
    def remove(digest: str, person: Person = manager) -> Response:
        names = {tablet.digest: tablet.name for tablet in desk.tablets.listed()}
        if digest not in names:
            raise HTTPException(404, "no such tablet")
        desk.tablets.remove(digest)
        desk.audit.append(person.name, "remove-tablet", subject=names[digest])
        return desk.go_to("/health#tablets")

    return routes


def _health(desk: Desk, request: Request) -> dict[str, Any]:
    language = request.state.visit.language
    findings = findings_of(desk.site, desk.state, desk.clock())
    slots = SlotsFile(desk.state).read()
    return {
        "lines": [_line(desk, finding, language) for finding in findings],
        "worst": worst(findings),
        "model": _runs(slots.model, f"{desk.site.model.bundle}"),
        "attempt": slots.attempt,
        "attempt_step": _step(slots.attempt),
        "last": slots.last,
        "model_back": slots.model.active is not None and slots.attempt is None,
        "device": desk.site.device,
    }


def _managed(desk: Desk) -> dict[str, Any]:
    """Return what managers see beside."""
    return {
        "tablets": desk.tablets.listed(),
        "done": desk.audit.latest(DONE_SHOWN),
        "broken_at": desk.audit.broken_at(last=DONE_CHECKED),
        "instant": lambda at_s: datetime.fromtimestamp(at_s, desk.templates.zone),
        "instant_of": datetime.fromisoformat,
    }


def _line(desk: Desk, finding: Finding, language: str) -> Line:
    values: dict[str, object] = {}
    for key, value in finding.values.items():
        if isinstance(value, timedelta):
            values[key] = duration(max(0.0, value.total_seconds()), language)
        elif isinstance(value, datetime):
            values[key] = value.astimezone(desk.templates.zone).strftime("%Y-%m-%d %H:%M:%S")
        elif isinstance(value, float):
            values[key] = f"{value:.1f}"
        else:
            values[key] = value
    text = texts.say(language, f"health.{finding.text}", **values)
    return Line(finding.name, finding.level, text)


def _runs(pair: Pair, provisioned: str) -> str:
    return provisioned if pair.active is None else f"{pair.active.name} {pair.active.version}"


def _step(attempt: Attempt | None) -> str:
    return "" if attempt is None else str(attempt.step)


def _pair(slots: Slots, kind: UpdateKind) -> Pair:
    try:
        return slots.pair(kind)
    except SlotsError as e:
        raise HTTPException(404, str(e)) from e


def _go_back(desk: Desk, request: Request, kind: UpdateKind, person: Person) -> Response:
    file = SlotsFile(desk.state)
    before = _pair(file.read(), kind)
    try:
        file.change(lambda slots: roll_back(slots, kind))
    except SlotsError as e:
        context = {"kind": str(kind), "pair": before, "refused": str(e)}
        return desk.page(request, "rollback.html", status=409, **context)
    left = before.active
    detail = {} if left is None else {"name": left.name, "version": left.version}
    desk.audit.append(person.name, "roll-back", subject=str(kind), detail=detail)
    return desk.go_to("/health")


def _invite(desk: Desk, request: Request, person: Person, name: str) -> Response:
    secret = desk.tablets.invite(name)
    desk.audit.append(person.name, "invite-tablet", subject=name)
    link = f"{request.url.scheme}://{request.url.netloc}/enrol/{secret}"
    code = import_module("segno").make(link, error="m", micro=False)
    drawing = Markup(code.svg_inline(scale=6, border=4, omitsize=True))  # noqa: S704 — ours
    return desk.page(request, "invite.html", name=name, link=link, drawing=drawing)
