"""Browsers that ask for notices: the key to ask with, and where to push. No page of its own."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool

from shopfloor_contracts.notify import WebPushSpec
from shopfloor_edge.console.desk import Desk
from shopfloor_edge.journal.pushes import PUBLIC_KEY_FILE, PushBook, Subscription

ENDPOINT_MAX, KEY_MAX = 1000, 200


def router(desk: Desk) -> APIRouter:
    """Build the routes."""
    routes = APIRouter()

    @routes.get("/push/key")
    def key() -> dict[str, str]:
        path = desk.state / PUBLIC_KEY_FILE
        # The notifier writes it, once it runs with [notify.web_push].
        if desk.site.notify.web_push is None or not path.is_file():
            raise HTTPException(404, "no web push here")
        return {"key": path.read_text(encoding="ascii").strip()}

    @routes.post("/push")
    async def add(request: Request) -> Response:
        form = await desk.form(request)
        subscription = _subscription(form, desk.site.notify.web_push)
        await run_in_threadpool(_add, desk, subscription)
        desk.audit.append(desk.person(request).name, "push-added")
        return Response(status_code=204)

    @routes.post("/push/remove")
    async def remove(request: Request) -> Response:
        form = await desk.form(request)
        await run_in_threadpool(_remove, desk, form.get("endpoint", "")[:ENDPOINT_MAX])
        desk.audit.append(desk.person(request).name, "push-removed")
        return Response(status_code=204)

    return routes


def _subscription(form: dict[str, str], spec: WebPushSpec | None) -> Subscription:
    """Read a form.

    Raises:
        HTTPException: 400, it is no subscription at a push service that the site file names.
    """
    endpoint, p256dh, auth = (form.get(name, "") for name in ("endpoint", "p256dh", "auth"))
    try:
        host = urlsplit(endpoint).hostname
    except ValueError:
        host = None
    small = (
        len(endpoint) <= ENDPOINT_MAX and 0 < len(p256dh) <= KEY_MAX and 0 < len(auth) <= KEY_MAX
    )
    if spec is None or not small or host not in spec.hosts:
        raise HTTPException(400, "no subscription at a push service of [notify.web_push]")
    return Subscription(endpoint, p256dh, auth)


def _add(desk: Desk, subscription: Subscription) -> None:
    book = PushBook(desk.state)
    try:
        book.add(subscription, desk.clock().timestamp())
    finally:
        book.close()


def _remove(desk: Desk, endpoint: str) -> None:
    book = PushBook(desk.state)
    try:
        book.remove(endpoint)
    finally:
        book.close()
