"""What every page works with, handed to ``router(desk)``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from fastapi import Depends, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from shopfloor_contracts.site import SiteFile
from shopfloor_edge.console.attempts import Attempts
from shopfloor_edge.console.audit import AuditTrail
from shopfloor_edge.console.deeds import Deeds
from shopfloor_edge.console.live import Live
from shopfloor_edge.console.people import Person, Role, Staff
from shopfloor_edge.console.render import Templates, Visit
from shopfloor_edge.console.sessions import Sessions, Tablets
from shopfloor_edge.console.sites import Sites
from shopfloor_edge.console.standing import Standings
from shopfloor_edge.console.store import Store
from shopfloor_edge.console.watcher import Watcher
from shopfloor_edge.journal.alertbook import AlertBook

MAX_FIELDS = 200


@dataclass(frozen=True, slots=True)
class Desk:
    """The console's parts. Pages keep no state of their own."""

    sites: Sites
    state: Path
    clock: Callable[[], datetime]
    templates: Templates
    audit: AuditTrail
    staff: Staff
    sessions: Sessions
    tablets: Tablets
    attempts: Attempts
    live: Live
    store: Store
    alerts: AlertBook
    deeds: Deeds
    standings: Standings
    watcher: Watcher

    @property
    def site(self) -> SiteFile:
        """The site file that counts now; ask again in every request."""
        return self.sites.current()

    def local(self) -> datetime:
        """Return the time of the site's clock."""
        return self.clock().astimezone(self.templates.zone)

    def close(self) -> None:
        """Close the files."""
        self.watcher.stop()
        self.alerts.close()
        self.store.close()

    def person(self, request: Request) -> Person:
        """Return who is signed in; a dependency. The guard let nobody else come this far.

        Raises:
            HTTPException: 401.
        """
        visit: Visit = request.state.visit
        if visit.person is None:
            raise HTTPException(401, "sign in first")
        return visit.person

    def require(self, role: str) -> Any:
        """Return a dependency that gives the person, who has at least ``role``.

        Raises:
            HTTPException: 403, from the dependency.
        """
        needed = Role(role)

        def allowed(request: Request) -> Person:
            person = self.person(request)
            if not person.role.allows(needed):
                raise HTTPException(403, "role")
            return person

        return Depends(allowed)

    def page(
        self, request: Request, template: str, *, status: int = 200, **context: Any
    ) -> HTMLResponse:
        """Return a template as a page or a part of one, in the person's language."""
        html = self.templates.render(template, request.state.visit, context)
        return HTMLResponse(html, status_code=status)

    def picture(self, path: Path, kind: str) -> Response:
        """Return a picture of the state folder; ``kind`` is its media type.

        It is read at once: vision may put a newer one in its place, or delete it, at any time.

        Raises:
            HTTPException: 404, there is none.
        """
        try:
            return Response(path.read_bytes(), media_type=kind)
        except OSError as e:
            raise HTTPException(404, "no such picture") from e

    async def form(self, request: Request) -> dict[str, str]:
        """Return the fields of a form; of one that comes twice, the last. See ``forms``."""
        return {key: values[-1] for key, values in (await self.forms(request)).items()}

    async def forms(self, request: Request) -> Mapping[str, list[str]]:
        """Return the fields of a form with all their values.

        Raises:
            HTTPException: 400, it is no form.
        """
        # The guard has bounded the body and checked its token.
        try:
            text = (await request.body()).decode()
            return parse_qs(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
        except ValueError as e:
            raise HTTPException(400, "the form cannot be read") from e

    def go_to(self, path: str) -> Response:
        """Send a browser on after a form, so that a reload does not send it again."""
        return RedirectResponse(path, status_code=303)
