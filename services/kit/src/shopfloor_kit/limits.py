"""A limit on what a request's body may hold, before anything of it is parsed."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shopfloor_kit.problems import problem_response

BODY_BYTES_MAX = 1 << 20
"""A request's JSON is some kilobytes; a report of 200 figures is 50."""


class BodyLimit:
    """ASGI middleware: a body above the limit is answered with 413, however it was announced."""

    def __init__(
        self, app: ASGIApp, *, limit_bytes: int = BODY_BYTES_MAX, free: Callable[[str], bool]
    ) -> None:
        """Watch every path but those for which ``free`` says that they watch themselves."""
        self._app, self._limit, self._free = app, limit_bytes, free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or self._free(scope["path"]):
            await self._app(scope, receive, send)
            return
        body = await self._whole_body(receive)
        if body is None:
            detail = f"the body has more than {self._limit} bytes"
            await problem_response(413, "too-large", detail)(scope, receive, send)
            return
        first = True

        async def replay() -> Message:
            nonlocal first
            if first:
                first = False
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        await self._app(scope, replay, send)

    async def _whole_body(self, receive: Receive) -> bytes | None:
        """Return the body, or None as soon as it is too large."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return bytes(body)
            body += message.get("body", b"")
            if len(body) > self._limit:
                return None
            if not message.get("more_body", False):
                return bytes(body)
