"""Devices, the models that they run, and the log of what people did."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Response

from shopfloor_campaigns.adapters.pages.parts import (
    PAGE,
    After,
    Parts,
    Text,
    page_router,
    selector_of,
)
from shopfloor_campaigns.adapters.pages.render import page
from shopfloor_campaigns.adapters.pages.sessions import Signed
from shopfloor_campaigns.adapters.pages.words import EXECUTIONS, GROUP_OF, GROUPS
from shopfloor_contracts.selectors import Selector
from shopfloor_kit.audit import Verified
from shopfloor_kit.errors import ProblemError

State = Literal["", "updating", "idle", "new"]


def fleet_pages(parts: Parts) -> APIRouter:
    """Build the routes."""
    router = page_router()
    _devices(router, parts)
    _log(router, parts)
    return router


def _devices(router: APIRouter, parts: Parts) -> None:
    signed_in = Depends(parts.door.signed)

    @router.get("/devices")
    def devices(
        signed: Signed = signed_in,
        labels: Text = "",
        text: Text = "",
        state: State = "",
        after: After = "",
    ) -> Response:
        selector, complaint = _read(labels)
        found = [] if complaint else parts.questions.devices(selector, text, state, after, PAGE)
        asked = {"labels": labels, "text": text, "state": state}
        following = None
        if len(found) > PAGE:
            following = urlencode(asked | {"after": found[PAGE - 1].name})
        context: dict[str, Any] = {
            "found": found[:PAGE],
            "following": following,
            "complaint": complaint,
            "total": parts.questions.how_many(),
            "group_of": GROUP_OF,
            "groups": GROUPS,
        }
        return page("devices.html", signed, asked=asked, after=after, **context)

    @router.get("/devices/{name}")
    def device(name: str, signed: Signed = signed_in) -> Response:
        context: dict[str, Any] = {
            "device": parts.questions.device(name),
            "jobs": parts.questions.jobs_of(name),
            "group_of": GROUP_OF,
            "groups": GROUPS,
            "executions": EXECUTIONS,
            "registry_url": parts.registry_url,
        }
        return page("device.html", signed, **context)

    @router.get("/models")
    def models(signed: Signed = signed_in) -> Response:
        found, total = parts.questions.models(), parts.questions.how_many()
        context: dict[str, Any] = {
            "found": found,
            "total": total,
            "registry_url": parts.registry_url,
        }
        return page("models.html", signed, known=sum(n for _, n in found), **context)


def _log(router: APIRouter, parts: Parts) -> None:
    signed_in = Depends(parts.door.signed)

    @router.get("/audit")
    def audit(
        signed: Signed = signed_in, before: Annotated[int | None, Query(ge=1, le=2**53)] = None
    ) -> Response:
        entries = parts.questions.audit(before, PAGE)
        following = entries[PAGE - 1]["number"] if len(entries) > PAGE else None
        chain = parts.reports.verify_audit()
        context: dict[str, Any] = {
            "entries": entries[:PAGE],
            "following": following,
            "before": before,
        }
        return page("audit.html", signed, chain=chain, whole=isinstance(chain, Verified), **context)


def _read(labels: str) -> tuple[Selector, str]:
    try:
        return selector_of(labels), ""
    except ProblemError as e:
        return selector_of(""), str(e)
