"""At the console's door: who it is, whose form it is, and errors as pages."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qs, quote

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from shopfloor_campaigns.adapters.http_bodies import read_body
from shopfloor_campaigns.adapters.pages.render import HEADERS, page
from shopfloor_campaigns.adapters.pages.sessions import Sessions, Signed
from shopfloor_campaigns.errors import (
    ConflictError,
    StoreUnavailableError,
    UnknownError,
)
from shopfloor_kit.errors import ProblemError

COOKIE, FORM_COOKIE = "shopfloor_session", "shopfloor_form"
MAX_FORM_BYTES, MAX_FIELDS = 64 * 1024, 100
_STATUS: dict[type[Exception], int] = {
    UnknownError: 404,
    ConflictError: 409,
    StoreUnavailableError: 503,
}
_TITLES = {
    400: "That did not work",
    403: "Not allowed",
    404: "Not here",
    409: "Not now",
    422: "That did not work",
    429: "Too many tries",
    503: "Not at the moment",
}


class SignInNeededError(ProblemError):
    """Nobody is signed in, or the session is over."""

    def __init__(self) -> None:
        super().__init__(401, "no-session", "sign in first")


class PageRoute(APIRoute):
    """Answers what goes wrong with a page; the API's routes answer with problem documents."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """Wrap the route."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await inner(request)
            except SignInNeededError:
                return _to_sign_in(request)
            except ProblemError as e:
                return _sorry(request, e.status, e.detail, e.headers)
            except (UnknownError, ConflictError, StoreUnavailableError) as e:
                return _sorry(request, _STATUS[type(e)], str(e))
            except RequestValidationError:
                return _sorry(request, 404, f"no page is at {request.url.path}")

        return handle


class Door:
    """Makes dependencies."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def signed(self, request: Request) -> Signed:
        """Return who is signed in. Raises ``SignInNeededError``."""
        cookie = request.cookies.get(COOKIE, "")
        found = self._sessions.find(cookie) if cookie else None
        if found is None:
            raise SignInNeededError
        # An error's page names who is signed in too.
        request.state.signed = found
        return found


async def read_form(request: Request, expected: str) -> dict[str, str]:
    """Return a form's fields, without what fields that come twice say first.

    Raises:
        ProblemError: 403 when the form is not of this console, 413 or 400 when it is no form.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ProblemError(403, "other-site", "the form was sent by another site")
    body = await read_body(request, MAX_FORM_BYTES)
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as e:
        raise ProblemError(400, "invalid-form", "the form cannot be read") from e
    found = {key: values[-1].strip() for key, values in fields.items()}
    if not hmac.compare_digest(found.pop("form", "").encode(), expected.encode()):
        raise ProblemError(403, "old-form", "the form is too old; open the page again")
    return found


def is_ours(place: str) -> bool:
    """Say whether a place to go on to is a path of this console, and no other site."""
    # A browser reads a backslash as a slash, and two slashes as another site.
    return place.startswith("/") and not place.startswith(("//", "/\\")) and place.isprintable()


def go_to(place: str) -> Response:
    """Send a browser on after a form, so that a reload does not send it again."""
    return RedirectResponse(place, status_code=303, headers=HEADERS)


def _to_sign_in(request: Request) -> Response:
    if "fragment" in request.headers:
        return Response(status_code=401, headers=HEADERS)
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    going_back = request.method == "GET" and here != "/"
    return go_to("/sign-in" + (f"?next={quote(here, safe='')}" if going_back else ""))


def _sorry(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    signed = getattr(request.state, "signed", None)
    title = _TITLES.get(status, "That did not work")
    answer = page("error.html", signed, status=status, title=title, detail=detail, code=status)
    answer.headers.update(headers or {})
    return answer
