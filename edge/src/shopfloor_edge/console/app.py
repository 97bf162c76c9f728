"""The process: puts the console together and serves it until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from shopfloor_contracts.console import ConsoleSpec
from shopfloor_contracts.site import SiteFile
from shopfloor_edge.console.attempts import Attempts
from shopfloor_edge.console.audit import AuditTrail
from shopfloor_edge.console.certificate import Certificate
from shopfloor_edge.console.deeds import Deeds
from shopfloor_edge.console.desk import Desk
from shopfloor_edge.console.guard import Guard
from shopfloor_edge.console.live import Live
from shopfloor_edge.console.navigation import PLACES, Navigation
from shopfloor_edge.console.people import Staff
from shopfloor_edge.console.render import Templates
from shopfloor_edge.console.sessions import Sessions, Tablets
from shopfloor_edge.console.sites import Sites
from shopfloor_edge.console.standing import Standings
from shopfloor_edge.console.store import Store
from shopfloor_edge.console.watcher import Watcher
from shopfloor_edge.errors import EdgeError, OperatorError
from shopfloor_edge.journal.alertbook import AlertBook

log = logging.getLogger(__name__)

STOP_S = 3
"""After that, connections that are still open are cut."""
CERTIFICATE_TICKS = 20
"""Tenths of a second between two looks at the certificate."""
KEEP_ALIVE_S, CONNECTIONS_MAX = 30, 400
"""Of 20 tablets each holds one stream and asks for a page's parts beside."""


def build_desk(
    site: SiteFile, state: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Desk:
    """Open the state folder and put the parts together.

    Raises:
        JournalError: the folder cannot be written.
    """
    sites, store, staff = Sites(site, state), Store(state), Staff(state)
    live = Live(lambda: watcher.alive)
    book = AlertBook(state, limits=site.outbox)
    deeds = Deeds(store, book, clock)
    standings = Standings(store, deeds)
    navigation = Navigation(state)
    templates = Templates(site.site, site.time_zone, site.console.languages, navigation.shown)
    watcher = Watcher(
        book,
        deeds,
        standings,
        state=state,
        live=live,
        spec=lambda: sites.current().console,
        local=lambda: clock().astimezone(templates.zone),
    )
    return Desk(
        sites=sites,
        state=state,
        clock=clock,
        templates=templates,
        audit=AuditTrail(store, clock),
        staff=staff,
        sessions=Sessions(store, staff, clock),
        tablets=Tablets(store, clock),
        attempts=Attempts(clock),
        live=live,
        store=store,
        alerts=book,
        deeds=deeds,
        standings=standings,
        watcher=watcher,
    )


def build_app(desk: Desk) -> FastAPI:
    """Return the application: the guard, and every page."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        desk.watcher.start(asyncio.get_running_loop())
        yield
        desk.live.close()
        await asyncio.to_thread(desk.watcher.stop)

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    for name in ("files", "sign_in", "push", *(place.name for place in PLACES)):
        module = import_module(f"shopfloor_edge.console.pages.{name}")
        app.include_router(module.router(desk))
    app.add_exception_handler(HTTPException, _sorry(desk))
    app.add_exception_handler(EdgeError, _sorry(desk))
    app.add_middleware(
        Guard,
        sessions=desk.sessions,
        tablets=desk.tablets,
        audit=desk.audit,
        languages=desk.site.console.languages,
    )
    return app


def run_console(site: SiteFile, state: Path, address_file: Path | None = None) -> int:
    """Serve until SIGTERM.

    Raises:
        OperatorError: it cannot listen where the site file says, or the certificate is no good.
        JournalError: the state folder cannot be written.
    """
    desk = build_desk(site, state)
    desk.staff.entries()
    spec = site.console
    certificate = None
    if spec.cert_file is not None and spec.key_file is not None:
        certificate = Certificate(spec.cert_file, spec.key_file)
    server = Server(_config(build_app(desk), certificate), desk.live, certificate)
    # The server raises the signal again when it has ended; then there is nothing left to do.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    with _listen(site.console) as listener:
        if address_file is not None:
            scheme = "https" if site.console.cert_file else "http"
            host, port = listener.getsockname()[:2]
            part = address_file.with_name(address_file.name + ".new")
            part.write_text(f"{scheme}://{host}:{port}\n")
            part.replace(address_file)
        server.run(sockets=[listener])
    desk.close()
    return 0


class Server(uvicorn.Server):
    """Ends the live streams first, since they would never end by themselves.

    Looks now and then whether the certificate has been renewed.
    """

    def __init__(
        self, config: uvicorn.Config, live: Live, certificate: Certificate | None = None
    ) -> None:
        super().__init__(config)
        self._live, self._certificate = live, certificate

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second; says whether to end."""
        if self._certificate is not None and counter % CERTIFICATE_TICKS == 0:
            self._certificate.renew()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop."""
        self._live.close()
        await super().shutdown(sockets)


def _config(app: FastAPI, certificate: Certificate | None) -> uvicorn.Config:
    tls: dict[str, Any] = {}
    if certificate is not None:
        tls["ssl_context_factory"] = lambda _config, _default: certificate.context
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        limit_concurrency=CONNECTIONS_MAX,
        **tls,
    )


def _listen(spec: ConsoleSpec) -> socket.socket:
    family = socket.AF_INET6 if ":" in spec.host else socket.AF_INET
    try:
        listener = socket.create_server((spec.host, spec.port), family=family, backlog=256)
    except OSError as e:
        raise OperatorError(
            f"[console] cannot listen on {spec.host}:{spec.port}: {e.strerror or e}"
        ) from e
    # Inherited by every connection: asyncio sets it only where the socket names its protocol, and
    # without it head and body of an answer are 40 ms apart.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _sorry(desk: Desk) -> Callable[[Request, Exception], Response]:
    """Return what answers an error with a page."""

    def answer(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 503
        if not isinstance(error, HTTPException):
            log.warning("a page cannot be made", extra={"reason": str(error)})
        return desk.page(request, "error.html", status=status, code=status)

    return answer
