"""Campaigns: the list, one of them live, its waves' devices, and people's orders."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse

from shopfloor_campaigns.adapters.http_campaigns import Name
from shopfloor_campaigns.adapters.pages.guard import go_to, read_form
from shopfloor_campaigns.adapters.pages.parts import PAGE, After, Parts, page_router
from shopfloor_campaigns.adapters.pages.render import HEADERS, page, text
from shopfloor_campaigns.adapters.pages.sessions import Signed
from shopfloor_campaigns.adapters.pages.views import sentence, timeline, wave_views
from shopfloor_campaigns.adapters.pages.words import GROUP_OF, GROUPS, STATUS
from shopfloor_campaigns.domain.campaigns import (
    Aborted,
    Approved,
    Event,
    Paused,
    Resumed,
    Started,
    Status,
)
from shopfloor_campaigns.errors import UnknownError
from shopfloor_kit.errors import ProblemError
from shopfloor_kit.tokens import Gatekeeper, Role

LIST = 200
LOOK_S, MAX_WAIT_S, MAX_WAITING = 1.0, 30.0, 200
"""How often a page that waits is made again, how long, and how many wait at once."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a person can tell a campaign, and what that does."""

    verb: str
    role: Role
    makes: Callable[[str, bool], Event]
    does: str
    needs_reason: bool = True
    tone: str = "plain"


ORDERS = {
    "approve": Order(
        "Approve",
        Role.APPROVER,
        lambda _reason, _overrule: Approved(),
        "Allows operators to start it. No device is touched yet.",
        needs_reason=False,
        tone="main",
    ),
    "start": Order(
        "Start",
        Role.OPERATOR,
        lambda _reason, _overrule: Started(),
        "Chooses the devices and opens the first wave, once its time window allows.",
        needs_reason=False,
        tone="main",
    ),
    "pause": Order(
        "Pause",
        Role.OPERATOR,
        lambda reason, _overrule: Paused(reason),
        "No further device begins. Devices that have begun go on to their end.",
    ),
    "resume": Order(
        "Resume",
        Role.APPROVER,
        lambda _reason, overrule: Resumed(overrule),
        "Goes on after a pause. After a gate stopped it, the failed wave is tried again.",
        tone="main",
    ),
    "abort": Order(
        "Abort",
        Role.OPERATOR,
        lambda reason, _overrule: Aborted(reason),
        "Ends the campaign for good. Devices in the middle are told to stop; "
        "devices that have committed keep the update.",
        tone="danger",
    ),
}
OFFERED = {
    Status.DRAFT: ("approve", "abort"),
    Status.APPROVED: ("start", "abort"),
    Status.RUNNING: ("pause", "abort"),
    Status.PAUSED: ("resume", "abort"),
    Status.STOPPED: ("resume", "abort"),
    Status.ABORTED: (),
    Status.DONE: (),
}


class _Waiting:
    """How many requests wait; counted on the event loop alone."""

    number = 0


def campaigns_pages(parts: Parts) -> APIRouter:
    """Build the routes."""
    router = page_router()
    _list(router, parts)
    _one(router, parts)
    _orders(router, parts)
    return router


def _list(router: APIRouter, parts: Parts) -> None:
    signed_in = Depends(parts.door.signed)

    @router.get("/")
    def campaigns(signed: Signed = signed_in, after: After = "") -> Response:
        heads = parts.reports.campaigns(after, LIST + 1)
        following = heads[LIST - 1]["name"] if len(heads) > LIST else None
        shown = [parts.reports.campaign(head["name"]) for head in heads[:LIST]]
        going = {Status.RUNNING, Status.PAUSED, Status.STOPPED}
        shown.sort(key=lambda c: (c["status"] not in going, -(c["made_at"].timestamp())))
        listed = [(c, STATUS[Status(c["status"])], wave_views(c)) for c in shown]
        devices = parts.questions.how_many()
        context: dict[str, Any] = {"listed": listed, "following": following, "devices": devices}
        return page("campaigns.html", signed, **context)


def _one(router: APIRouter, parts: Parts) -> None:
    signed_in, waiting = Depends(parts.door.signed), _Waiting()

    @router.get("/campaigns/{name}")
    def campaign(name: Name, signed: Signed = signed_in) -> Response:
        shown = _shown(parts, name, signed)
        live = text("campaign_live.html", **shown)
        context: dict[str, Any] = {"campaign": shown["campaign"], "sentence": shown["sentence"]}
        return page("campaign.html", signed, live=live, tag=_tag(live), **context)

    @router.get("/campaigns/{name}/live")
    async def live(
        request: Request,
        name: Name,
        signed: Signed = signed_in,
        wait_s: Annotated[float, Query(ge=0, le=MAX_WAIT_S)] = 0,
    ) -> Response:
        """Return the part that changes, as soon as it differs from If-None-Match."""
        until_s = time.monotonic() + (wait_s if waiting.number < MAX_WAITING else 0)
        waiting.number += 1
        try:
            while True:
                html = await run_in_threadpool(_live, parts, name, signed)
                tag = _tag(html)
                if request.headers.get("if-none-match") != tag:
                    return HTMLResponse(html, headers=HEADERS | {"etag": tag})
                if time.monotonic() >= until_s or await request.is_disconnected():
                    return Response(status_code=304, headers=HEADERS | {"etag": tag})
                await asyncio.sleep(LOOK_S)
        finally:
            waiting.number -= 1

    @router.get("/campaigns/{name}/waves/{number}")
    def wave(
        name: Name, number: int, signed: Signed = signed_in, group: str = "", after: After = ""
    ) -> Response:
        report = parts.reports.campaign(name)
        waves = wave_views(report)
        if not 1 <= number <= len(waves):
            raise UnknownError(f"{name} has no wave {number}")
        states = [str(state) for state, its in GROUP_OF.items() if its == group]
        jobs = parts.questions.of_wave(name, number - 1, states, after, PAGE)
        context: dict[str, Any] = {
            "name": name,
            "wave": waves[number - 1],
            "group": group if group in GROUPS else "",
            "groups": GROUPS,
            "jobs": [(job, GROUPS[GROUP_OF[job["state"]]]) for job in jobs[:PAGE]],
            "following": jobs[PAGE - 1]["device"] if len(jobs) > PAGE else None,
        }
        return page("wave.html", signed, **context)


def _orders(router: APIRouter, parts: Parts) -> None:
    signed_in = Depends(parts.door.signed)

    @router.get("/campaigns/{name}/orders/{order}")
    def ask(name: Name, order: str, signed: Signed = signed_in) -> Response:
        return _asked(parts, signed, name, order)

    @router.post("/campaigns/{name}/orders/{order}")
    async def do(request: Request, name: Name, order: str, signed: Signed = signed_in) -> Response:
        form = await read_form(request, signed.csrf)
        wanted = _order(order)
        Gatekeeper.demand(signed.caller, wanted.role)
        reason = " ".join(form.get("reason", "").split())
        if (wanted.needs_reason and not reason) or len(reason) > 400 or not reason.isprintable():
            complaint = "Say why, in one to 400 characters: it is kept in the log."
            return await run_in_threadpool(_asked, parts, signed, name, order, complaint)
        event = wanted.makes(reason, "overrule" in form)
        await parts.write(parts.service.order, name, event, signed.caller.name, reason)
        return go_to(f"/campaigns/{name}")


def _asked(parts: Parts, signed: Signed, name: str, order: str, complaint: str = "") -> Response:
    wanted = _order(order)
    Gatekeeper.demand(signed.caller, wanted.role)
    report = parts.reports.campaign(name)
    waves = wave_views(report)
    segments = [segment for wave in waves for segment in wave.segments]
    active = ("downloading", "shadow", "trial")
    context: dict[str, Any] = {
        "name": name,
        "key": order,
        "order": wanted,
        "complaint": complaint,
        "sentence": sentence(report, waves),
        "active": sum(s.count for s in segments if s.group in active),
        "committed": sum(s.count for s in segments if s.group == "committed"),
        "may_overrule": order == "resume" and report["status"] == Status.PAUSED,
    }
    return page("order.html", signed, status=400 if complaint else 200, **context)


def _order(order: str) -> Order:
    if order not in ORDERS:
        raise ProblemError(404, "not-found", f"no order is named {order!r}")
    return ORDERS[order]


def _live(parts: Parts, name: str, signed: Signed) -> str:
    return text("campaign_live.html", **_shown(parts, name, signed))


def _shown(parts: Parts, name: str, signed: Signed) -> dict[str, Any]:
    report = parts.reports.campaign(name)
    waves, status = wave_views(report), Status(report["status"])
    return {
        "signed": signed,
        "campaign": report,
        "plan": report["plan"],
        "status": STATUS[status],
        "waves": waves,
        "sentence": sentence(report, waves),
        "groups": GROUPS,
        "orders": [(key, ORDERS[key]) for key in OFFERED[status]],
        "over": status in (Status.DONE, Status.ABORTED),
        "happened": timeline(report, parts.questions.audit(None, 200, name)),
    }


def _tag(html: str) -> str:
    return f'"{hashlib.sha256(html.encode()).hexdigest()[:32]}"'
