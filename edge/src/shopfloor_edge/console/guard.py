"""Before every page: who it is, whose form it is, how large it may be; closed unless said open."""

from __future__ import annotations

import hmac
import logging
import re
import secrets
from urllib.parse import parse_qs, quote

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shopfloor_edge.console.audit import AuditTrail
from shopfloor_edge.console.people import Person
from shopfloor_edge.console.render import THEMES, Visit
from shopfloor_edge.console.sessions import Session, Sessions, Tablets, form_token
from shopfloor_edge.errors import EdgeError

log = logging.getLogger(__name__)

COOKIE, FORM_COOKIE, TABLET_COOKIE = "shopfloor_console", "shopfloor_form", "shopfloor_tablet"
LANGUAGE_COOKIE, THEME_COOKIE = "shopfloor_language", "shopfloor_theme"
MAX_BODY_BYTES = 256 * 1024
"""A drawing of 64 zones with 64 corners each is a quarter of it."""
OPEN = re.compile(
    r"^/(sign-in|preferences|enrol/[\w-]{1,100}|static/.*|manifest\.webmanifest|sw\.js|offline|healthz)$"
)
"""For whoever is not signed in."""
QUIET = re.compile(r"^/(live|pictures/.*|inspection/(state|pictures/.*))$")
"""Asked for by a page and by nobody: no use of a session."""
POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_READS = ("GET", "HEAD")


class Guard:
    """ASGI middleware around the whole application.

    Args:
        languages: of the site file, the first for whoever has chosen none.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        sessions: Sessions,
        tablets: Tablets,
        audit: AuditTrail,
        languages: tuple[str, ...],
    ) -> None:
        self._app, self._sessions, self._tablets = app, sessions, tablets
        self._audit, self._languages = audit, languages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        send = _with_headers(send, request)
        try:
            refusal, receive = await self._judge(request, receive)
        except EdgeError as e:
            log.warning("request cannot be judged", extra={"reason": str(e)})
            refusal = PlainTextResponse("not at the moment", 503)
        if refusal is not None:
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _judge(self, request: Request, receive: Receive) -> tuple[Response | None, Receive]:
        path = request.url.path
        cookie = request.cookies.get(COOKIE, "")
        session = None
        if cookie and not path.startswith("/static/"):
            used = QUIET.match(path) is None and _is_used(request)
            session = await run_in_threadpool(self._sessions.find, cookie, used=used)
        request.state.session = session
        request.state.visit = self._visit(request, session)
        if session is None and OPEN.match(path) is None and not await self._may_listen(request):
            return _to_sign_in(request), receive
        if request.method in _READS:
            return None, receive
        return await self._judge_form(request, receive)

    async def _may_listen(self, request: Request) -> bool:
        # A tablet that waits for its next person still sounds: the stream holds counts, no words.
        cookie = request.cookies.get(TABLET_COOKIE, "")
        if request.url.path != "/live" or not cookie:
            return False
        return await run_in_threadpool(self._tablets.find, cookie) is not None

    async def _judge_form(
        self, request: Request, receive: Receive
    ) -> tuple[Response | None, Receive]:
        body = await _read(request)
        if body is None:
            return PlainTextResponse("too large", 413), receive
        token = request.headers.get("x-csrf-token") or _token_in(request, body)
        expected = request.state.visit.csrf
        other = request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
        if other or not expected or not hmac.compare_digest(token.encode(), expected.encode()):
            await self._note_refusal(request)
            return PlainTextResponse("this form is not of this page; open it again", 403), receive
        return None, _replay(body, receive)

    async def _note_refusal(self, request: Request) -> None:
        # What anybody on the network can send without a session goes to the log, which is bounded.
        person: Person | None = request.state.visit.person
        log.info("form refused", extra={"address": _address(request), "path": request.url.path})
        if person is not None:
            refused = "form-refused"
            await run_in_threadpool(
                self._audit.append, person.name, refused, subject=request.url.path
            )

    def _visit(self, request: Request, session: Session | None) -> Visit:
        chosen = request.cookies.get(LANGUAGE_COOKIE)
        if chosen is None and session is not None:
            chosen = session.entry.language
        language = chosen if chosen in self._languages else self._accepted(request)
        theme = request.cookies.get(THEME_COOKIE, THEMES[0])
        theme = theme if theme in THEMES else THEMES[0]
        if session is None:
            # A form of somebody who is not signed in is bound to a cookie that it came with.
            cookie = request.cookies.get(FORM_COOKIE, "")
            made = ""
            if not 16 <= len(cookie) <= 64 and request.method in _READS:
                made = cookie = secrets.token_urlsafe(16)
            request.state.form_cookie = made
            token = form_token(cookie) if 16 <= len(cookie) <= 64 else ""
            return Visit(None, language, theme, token, request.url.path)
        person = Person(session.entry.name, session.entry.role, language)
        return Visit(person, language, theme, session.csrf, request.url.path)

    def _accepted(self, request: Request) -> str:
        for part in request.headers.get("accept-language", "").split(",")[:10]:
            code = part.split(";")[0].strip()[:2].lower()
            if code in self._languages:
                return code
        return self._languages[0]


def give_cookie(request: Request, answer: Response, name: str, value: str, age_s: int) -> None:
    """Set a cookie that no script and no other site gets at."""
    answer.set_cookie(
        name,
        value,
        max_age=age_s,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def is_ours(place: str) -> bool:
    """Say whether a place to go on to is a path of this console, and no other site."""
    # A browser reads a backslash as a slash, and two slashes as another site.
    return place.startswith("/") and not place.startswith(("//", "/\\")) and place.isprintable()


def _to_sign_in(request: Request) -> Response:
    if request.method not in _READS or "hx-request" in request.headers:
        return PlainTextResponse("sign in first", 401)
    if request.url.path == "/live" or request.url.path.startswith("/pictures/"):
        return PlainTextResponse("sign in first", 401)
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    going_back = f"?next={quote(here, safe='')}" if here != "/" and is_ours(here) else ""
    return RedirectResponse(f"/sign-in{going_back}", 303)


def _is_used(request: Request) -> bool:
    """Say whether a person did something; what an open page asks for by itself is no use of it."""
    if request.method not in _READS:
        return True
    asks_for_page = "text/html" in request.headers.get("accept", "")
    return asks_for_page and "hx-request" not in request.headers


async def _read(request: Request) -> bytes | None:
    """Return the body, or None when it is larger than anything that a page sends."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return body


def _token_in(request: Request, body: bytes) -> str:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return ""
    try:
        return parse_qs(body.decode(), max_num_fields=1000).get("csrf", [""])[-1]
    except ValueError:
        return ""


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give the body again to whoever is behind the guard."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _address(request: Request) -> str:
    return "" if request.client is None else request.client.host


def _with_headers(send: Send, request: Request) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message["headers"]
            named = {name.lower() for name, _ in headers}
            for name, value in HEADERS.items():
                if name.encode() not in named:
                    headers.append((name.encode(), value.encode()))
            if b"cache-control" not in named:
                headers.append((b"cache-control", b"no-store"))
            cookie = getattr(request.state, "form_cookie", "")
            if cookie and request.url.path.startswith(("/sign-in", "/enrol")):
                answer = Response()
                give_cookie(request, answer, FORM_COOKIE, cookie, 3600)
                headers.append((b"set-cookie", answer.headers["set-cookie"].encode()))
        await send(message)

    return wrapped
