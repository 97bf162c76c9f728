"""Plain files, the live stream, masked pictures, and what makes an app of the page."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from shopfloor_edge.console.desk import Desk
from shopfloor_edge.console.guard import COOKIE, TABLET_COOKIE
from shopfloor_edge.console.render import STATIC, static_url

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
PICTURES, WANTED = "pictures", ".wanted"
"""Vision writes masked pictures here while ``.wanted`` is younger than half a minute."""


def router(desk: Desk) -> APIRouter:
    """Build the routes."""
    routes = APIRouter()
    _add_files(routes, desk)
    _add_pictures(routes, desk)

    @routes.get("/live")
    async def live(request: Request) -> Response:
        if desk.live.full:
            raise HTTPException(503, "too many pages are open")
        if not desk.watcher.alive:
            raise HTTPException(503, "alerts are not followed now")
        session = request.state.session is not None
        cookie = request.cookies[COOKIE if session else TABLET_COOKIE]

        def still() -> bool:
            if session:
                return desk.sessions.find(cookie, used=False) is not None
            return desk.tablets.find(cookie) is not None

        first = ("alerts", await run_in_threadpool(desk.watcher.first))
        return StreamingResponse(desk.live.stream(still, first), media_type="text/event-stream")

    return routes


def _add_files(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/static/{name}")
    def file(request: Request, name: str) -> Response:
        if name not in _names():
            raise HTTPException(404, "no such file")
        headers = {
            "cache-control": "public, max-age=31536000, immutable",
            "vary": "accept-encoding",
        }
        content, packed = _content(name)
        if packed and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(
                packed, media_type=_type(name), headers=headers | {"content-encoding": "gzip"}
            )
        return Response(content, media_type=_type(name), headers=headers)

    @routes.get("/manifest.webmanifest")
    def manifest() -> Response:
        body = json.dumps(_manifest(desk.site.site))
        return Response(body, media_type="application/manifest+json")

    @routes.get("/sw.js")
    def worker(request: Request) -> Response:
        script = desk.page(request, "sw.js")
        return Response(script.body, media_type="text/javascript")

    @routes.get("/offline")
    def offline(request: Request) -> Response:
        return desk.page(request, "offline.html")

    @routes.get("/healthz")
    def healthy() -> Response:
        return Response("ok\n", media_type="text/plain")


def _add_pictures(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/pictures/{name}")
    def picture(name: str) -> Response:
        # The name is looked up, never made a path of.
        camera, _, kind = name.removesuffix(".jpg").partition(".")
        cameras = {camera.name for camera in desk.site.cameras}
        if camera not in cameras or not name.endswith(".jpg") or kind not in ("", "empty"):
            raise HTTPException(404, "no such picture")
        folder = desk.state / PICTURES
        path = folder / name
        if kind == "" and folder.is_dir():
            (folder / WANTED).touch()
        return desk.picture(path, "image/jpeg")


def _manifest(site: str) -> dict[str, object]:
    icons = [
        {"src": static_url("icon.svg"), "sizes": "any", "type": "image/svg+xml"},
        *(
            {"src": static_url(f"icon-{size}.png"), "sizes": f"{size}x{size}", "type": "image/png"}
            for size in (192, 512)
        ),
    ]
    return {
        "name": f"Shopfloor · {site}",
        "short_name": "Shopfloor",
        "start_url": "/",
        "display": "standalone",
        "background_color": "#10211f",
        "theme_color": "#10211f",
        "icons": icons,
    }


@cache
def _names() -> frozenset[str]:
    return frozenset(path.name for path in STATIC.iterdir() if path.suffix in TYPES)


@cache
def _content(name: str) -> tuple[bytes, bytes]:
    """Return a file, and packed where that pays."""
    content = (STATIC / name).read_bytes()
    packed = b"" if name.endswith(".png") else gzip.compress(content, 9, mtime=0)
    return content, packed


def _type(name: str) -> str:
    return TYPES[Path(name).suffix]
