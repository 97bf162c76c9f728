"""Routes of the audit log and of the TUF repository, and what devices fetch from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Query
from starlette.staticfiles import StaticFiles

from shopfloor_kit.audit import Anchor, Broken
from shopfloor_kit.tokens import Caller, Gatekeeper, Role
from shopfloor_registry.adapters import bodies as b
from shopfloor_registry.adapters.audit_log import AuditLog
from shopfloor_registry.adapters.http_models import Limit
from shopfloor_registry.errors import RejectedError
from shopfloor_registry.trust.errors import TrustError
from shopfloor_registry.trust.repository import Repository
from shopfloor_registry.usecases.ports import Entry


@dataclass(frozen=True, slots=True)
class Vault:
    """What the routes of trust use."""

    audit: AuditLog
    repository: Repository | None
    now: Callable[[], datetime]


def trust_router(vault: Vault, gate: Gatekeeper) -> APIRouter:
    """Build every route below ``/api/v1`` that is about the log and about signatures."""
    router = APIRouter(prefix="/api/v1", tags=["trust"])
    _audit(router, vault, gate)
    if vault.repository is not None:
        _signing(router, vault, vault.repository, gate)
    return router


def serve_repository(app: FastAPI, repository: Repository) -> None:
    """Serve metadata and targets as they are, to anyone: they are signed, not secret.

    Knows Range, ETag and HEAD; no path leads out of the two folders.
    """
    for name, folder in (("metadata", repository.metadata), ("targets", repository.targets)):
        folder.mkdir(exist_ok=True)
        app.mount(f"/tuf/{name}", StaticFiles(directory=folder), name=f"tuf-{name}")


def _audit(router: APIRouter, vault: Vault, gate: Gatekeeper) -> None:
    viewer = Depends(gate.needs(Role.VIEWER))

    @router.get("/audit", dependencies=[viewer])
    def audit(
        limit: Limit = 100, after: Annotated[int, Query(ge=0, lt=1 << 62)] = 0
    ) -> b.Page[b.AuditTold]:
        """List the audit log, oldest first."""
        rows = vault.audit.page(after=after, limit=limit)
        items = [b.AuditTold(**{**row, "detail": json.loads(row["detail"])}) for row in rows]
        return b.Page(items=items, next=str(items[-1].number) if len(items) == limit else None)

    @router.get("/audit/verification", dependencies=[viewer])
    def verification(
        count: Annotated[int | None, Query(ge=0, lt=1 << 62)] = None,
        head: Annotated[str | None, Query(pattern=r"^[0-9a-f]{64}$")] = None,
    ) -> b.VerifiedTold:
        """Walk the whole chain; with ``count`` and ``head`` from before, find a cut tail too."""
        if (count is None) != (head is None):
            raise RejectedError("count and head belong together")
        anchor = None if count is None or head is None else Anchor(count, head)
        found = vault.audit.verify(anchor)
        if isinstance(found, Broken):
            return b.VerifiedTold(
                count=None, head=None, broken_at=found.number, reason=found.reason
            )
        return b.VerifiedTold(count=found.count, head=found.head, broken_at=None, reason=None)


def _signing(router: APIRouter, vault: Vault, repository: Repository, gate: Gatekeeper) -> None:
    viewer, operator = Depends(gate.needs(Role.VIEWER)), Depends(gate.needs(Role.OPERATOR))

    @router.get("/trust/staged", dependencies=[viewer])
    def staged() -> b.Page[b.StagedTold]:
        """List the TUF documents that wait for a signature, and what each would change."""
        items = [
            b.StagedTold(
                role=one.role,
                document=one.document.decode(),
                changes=[str(change) for change in one.changes],
            )
            for one in repository.staged()
        ]
        return b.Page(items=items)

    @router.post("/trust/signed")
    def signed(body: b.SignedBody, caller: Caller = operator) -> b.Page[str]:
        """Publish documents that were staged and are now signed: all of them or none."""
        documents = [document.encode() for document in body.documents]
        try:
            roles = repository.accept(documents, now=vault.now())
        except TrustError as e:
            raise RejectedError(str(e)) from e
        for role in roles:
            vault.audit.add(Entry(caller.name, "target.publish", role, {}, vault.now()))
        return b.Page(items=roles)
