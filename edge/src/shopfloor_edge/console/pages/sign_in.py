"""Signing in by name and PIN, enrolling a tablet by a link, signing out, language and theme."""

from __future__ import annotations

import math
import unicodedata

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from shopfloor_edge.console.attempts import Source
from shopfloor_edge.console.desk import Desk
from shopfloor_edge.console.guard import (
    COOKIE,
    FORM_COOKIE,
    LANGUAGE_COOKIE,
    TABLET_COOKIE,
    THEME_COOKIE,
    give_cookie,
    is_ours,
)
from shopfloor_edge.console.pins import is_pin
from shopfloor_edge.console.render import THEMES
from shopfloor_edge.console.sessions import ABSOLUTE, Tablet

YEAR_S = 365 * 86_400


def router(desk: Desk) -> APIRouter:
    """Build the routes."""
    routes = APIRouter()

    @routes.get("/sign-in")
    def ask(request: Request, next: str = "/") -> Response:  # noqa: A002 — the query's name
        return _asked(desk, request, next)

    @routes.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        form = await desk.form(request)
        return await run_in_threadpool(_sign_in, desk, request, form)

    @routes.post("/sign-out")
    def sign_out(request: Request) -> Response:
        desk.sessions.close(request.state.session.digest)
        desk.audit.append(desk.person(request).name, "sign-out")
        answer = desk.go_to("/sign-in")
        answer.delete_cookie(COOKIE)
        return answer

    @routes.get("/enrol/{secret}")
    def offer(request: Request, secret: str) -> Response:
        return desk.page(request, "enrol.html", secret=secret, refused=False)

    @routes.post("/enrol/{secret}")
    def enrol(request: Request, secret: str) -> Response:
        enrolled = desk.tablets.enrol(secret)
        if enrolled is None:
            return desk.page(request, "enrol.html", status=403, secret=secret, refused=True)
        cookie, name = enrolled
        desk.audit.append(_address(request), "enrol-tablet", subject=name)
        answer = desk.go_to("/sign-in")
        give_cookie(request, answer, TABLET_COOKIE, cookie, YEAR_S)
        return answer

    @routes.post("/preferences")
    async def prefer(request: Request) -> Response:
        form = await desk.form(request)
        place = form.get("next", "/")
        answer = desk.go_to(place if is_ours(place) else "/")
        if form.get("language") in desk.site.console.languages:
            give_cookie(request, answer, LANGUAGE_COOKIE, form["language"], YEAR_S)
        if form.get("theme") in THEMES:
            give_cookie(request, answer, THEME_COOKIE, form["theme"], YEAR_S)
        return answer

    return routes


def _sign_in(desk: Desk, request: Request, form: dict[str, str]) -> Response:
    place = form.get("next", "/")
    name = unicodedata.normalize("NFC", form.get("name", "").strip())[:60]
    pin = form.get("pin", "").replace(" ", "")[:40]
    tablet = _tablet(desk, request)
    source = Source(_address(request), tablet.digest if tablet else "")
    actor = f"tablet {tablet.name}" if tablet else f"address {source.address}"
    wait = desk.attempts.begin(source, name)
    if wait:
        minutes = math.ceil(wait.total_seconds() / 60)
        answer = _asked(desk, request, place, name=name, complaint="wait", minutes=minutes)
        answer.headers["retry-after"] = str(math.ceil(wait.total_seconds()))
        return answer
    entry = desk.staff.find(name)
    if not is_pin(pin, entry.pin if entry else None) or entry is None:
        desk.audit.append(actor, "sign-in-refused", subject=name)
        return _asked(desk, request, place, name=name, complaint="wrong")
    desk.attempts.succeed(source, name)
    if tablet is not None:
        desk.tablets.seen(tablet.digest)
    # Whatever cookie came is replaced, so nobody can plant one beforehand.
    if request.state.session is not None:
        desk.sessions.close(request.state.session.digest)
    cookie = desk.sessions.open(entry, source.tablet)
    desk.audit.append(entry.name, "sign-in", subject=actor)
    answer = desk.go_to(place if is_ours(place) else "/")
    give_cookie(request, answer, COOKIE, cookie, int(ABSOLUTE.total_seconds()))
    answer.delete_cookie(FORM_COOKIE)
    return answer


def _asked(
    desk: Desk,
    request: Request,
    place: str,
    *,
    name: str = "",
    complaint: str = "",
    minutes: int = 0,
) -> Response:
    tablet = _tablet(desk, request)
    # Names are offered on the staff's own tablets, not to whoever is in the network.
    people = [entry.name for entry in desk.staff.entries()] if tablet else []
    status = {"": 200, "wrong": 401, "wait": 429}[complaint]
    context = {"place": place, "name": name, "complaint": complaint, "minutes": minutes}
    context |= {"people": people, "tablet": tablet.name if tablet else ""}
    return desk.page(request, "sign_in.html", status=status, **context)


def _tablet(desk: Desk, request: Request) -> Tablet | None:
    cookie = request.cookies.get(TABLET_COOKIE, "")
    return desk.tablets.find(cookie) if cookie else None


def _address(request: Request) -> str:
    return "" if request.client is None else request.client.host
