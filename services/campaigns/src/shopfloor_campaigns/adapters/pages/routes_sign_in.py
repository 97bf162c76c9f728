"""Signing in with an operator's token, signing out, and the plain files."""

from __future__ import annotations

import secrets

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool

from shopfloor_campaigns.adapters.pages.guard import (
    COOKIE,
    FORM_COOKIE,
    go_to,
    is_ours,
    read_form,
)
from shopfloor_campaigns.adapters.pages.parts import Parts, Text, page_router
from shopfloor_campaigns.adapters.pages.render import HEADERS, STATIC, page, static
from shopfloor_campaigns.adapters.pages.sessions import (
    ATTEMPTS_IN,
    LASTS,
    Attempts,
    Signed,
    close_session,
    form_token,
    open_session,
)
from shopfloor_kit.errors import ProblemError


def sign_in_router(parts: Parts) -> APIRouter:
    """Build the routes."""
    router = page_router()
    attempts = Attempts(parts.sessions.now)
    signed_in = Depends(parts.door.signed)

    @router.get("/sign-in")
    def ask(request: Request, next: Text = "/") -> Response:  # noqa: A002 — the query's name
        return _asked(request, next)

    @router.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        form = await read_form(request, form_token(request.cookies.get(FORM_COOKIE, "")))
        address = "" if request.client is None else request.client.host
        if attempts.too_many(address):
            wait_s = str(int(ATTEMPTS_IN.total_seconds()))
            detail = f"too many wrong tokens came from {address}; wait five minutes"
            raise ProblemError(429, "too-many", detail, headers={"retry-after": wait_s})
        place = form.get("next", "/")
        token = form.get("token", "")
        cookie = None
        if await run_in_threadpool(parts.sessions.holds, token):
            cookie = await parts.write(open_session, token, parts.sessions.now())
        if cookie is None:
            attempts.miss(address)
            return _asked(request, place, complaint="This token is unknown or was revoked.")
        answer = go_to(place if is_ours(place) else "/")
        _give(request, answer, COOKIE, cookie, int(LASTS.total_seconds()))
        answer.delete_cookie(FORM_COOKIE)
        return answer

    @router.post("/sign-out")
    async def sign_out(request: Request, signed: Signed = signed_in) -> Response:
        await read_form(request, signed.csrf)
        await parts.write(close_session, request.cookies[COOKIE])
        answer = go_to("/sign-in")
        answer.delete_cookie(COOKIE)
        return answer

    @router.get("/console/{name}")
    def file(name: str) -> Response:
        if name not in STATIC:
            raise ProblemError(404, "not-found", f"no file is named {name!r}")
        kept = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(static(name), media_type=STATIC[name], headers=HEADERS | kept)

    return router


def _asked(request: Request, place: str, complaint: str = "") -> Response:
    # The form is bound to a cookie, so that nobody is signed in as somebody else by another site.
    cookie = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(16)
    context = {
        "place": place,
        "complaint": complaint,
        "form_token": form_token(cookie),
    }
    answer = page("sign_in.html", None, status=401 if complaint else 200, **context)
    _give(request, answer, FORM_COOKIE, cookie, 3600)
    return answer


def _give(request: Request, answer: Response, name: str, value: str, age_s: int) -> None:
    answer.set_cookie(
        name,
        value,
        max_age=age_s,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
