"""A new campaign by a form: what is filled in becomes a plan, judged as one that comes as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse
from pydantic import ValidationError

from shopfloor_campaigns.adapters.bodies import PlanBody, to_plan
from shopfloor_campaigns.adapters.pages.guard import go_to, read_form
from shopfloor_campaigns.adapters.pages.parts import Parts, Text, page_router, selector_of
from shopfloor_campaigns.adapters.pages.render import HEADERS, page, text
from shopfloor_campaigns.adapters.pages.sessions import Signed
from shopfloor_campaigns.adapters.pages.words import DEFAULT_GATES, GATES
from shopfloor_campaigns.domain.plan import Gate
from shopfloor_campaigns.errors import ConflictError
from shopfloor_contracts.problems import describe
from shopfloor_kit.errors import ProblemError
from shopfloor_kit.tokens import Gatekeeper, Role

_EMPTY = {
    "waves": "1, 10%, 100%",
    "shadow_h": "24",
    "trial_h": "1",
    "approval": "on",
    **{f"use_{gate}": "on" for gate in DEFAULT_GATES},
}


def plan_pages(parts: Parts) -> APIRouter:
    """Build the routes."""
    router = page_router()
    signed_in = Depends(parts.door.signed)

    @router.get("/new-campaign")
    def ask(signed: Signed = signed_in) -> Response:
        Gatekeeper.demand(signed.caller, Role.OPERATOR)
        return _asked(signed, _EMPTY, [])

    @router.get("/new-campaign/match")
    def match(selector: Text = "", path: Text = "", _: Signed = signed_in) -> Response:
        """Say how many devices a plan would take, as it is being written."""
        try:
            hardware = {path.rsplit("/", 1)[-1]} if path.count("/") == 3 else set()
            found, complaint = parts.questions.match(selector_of(selector), hardware), ""
        except ProblemError as e:
            found, complaint = None, str(e)
        html = text("match.html", found=found, complaint=complaint)
        return HTMLResponse(html, headers=HEADERS)

    @router.post("/new-campaign")
    async def create(request: Request, signed: Signed = signed_in) -> Response:
        form = await read_form(request, signed.csrf)
        Gatekeeper.demand(signed.caller, Role.OPERATOR)
        try:
            body = PlanBody.model_validate(plan_of(form))
            arguments = (to_plan(body), body.model_dump_json(), signed.caller.name)
            await parts.write(parts.service.create, *arguments)
        except ValidationError as e:
            return await run_in_threadpool(_asked, signed, form, describe(e, PlanBody)[:8])
        except ConflictError as e:
            return await run_in_threadpool(_asked, signed, form, [str(e)])
        return go_to(f"/campaigns/{body.name}")

    return router


def plan_of(form: Mapping[str, str]) -> dict[str, Any]:
    """Return a plan's document; whatever is wrong with it is told by its schema.

    The path says what it is: ``model/NAME/VERSION/TARGET``.
    """
    kind, name, version, target = [*form.get("path", "").split("/"), "", "", "", ""][:4]
    build = {
        "path": form.get("path", ""),
        "hardware": _listed(form.get("hardware", "")) or [target],
        "sha256": form.get("sha256", ""),
        "size_bytes": form.get("size_bytes", ""),
    }
    return {
        "name": form.get("name", ""),
        "selector": form.get("selector", ""),
        "update": {"kind": kind, "name": name, "version": version, "builds": [build]},
        "waves": [int(w) if w.isdecimal() else w for w in _listed(form.get("waves", ""))],
        "gates": [_gate(gate, form) for gate in GATES if f"use_{gate}" in form],
        "timing": {
            "shadow_s": _seconds(form.get("shadow_h", "")),
            "trial_s": _seconds(form.get("trial_h", "")),
        },
        "approval": "approval" in form,
    }


def _gate(gate: Gate, form: Mapping[str, str]) -> dict[str, Any]:
    limit = form.get(f"limit_{gate}", "")
    if "%" in GATES[gate].unit:
        limit = _share(limit)
    return {"gate": str(gate), "limit": limit, "minimum": form.get(f"minimum_{gate}", "")}


def _share(percent: str) -> str:
    try:
        return repr(float(percent) / 100)
    except ValueError:
        return percent


def _seconds(hours: str) -> int | str:
    try:
        return round(float(hours) * 3600)
    except (ValueError, OverflowError):
        return hours


def _listed(written: str) -> list[str]:
    return [part.strip() for part in written.split(",") if part.strip()]


def _asked(signed: Signed, form: Mapping[str, str], complaints: list[str]) -> Response:
    gates = [
        (gate, word, word.limit * 100 if "%" in word.unit else word.limit)
        for gate, word in GATES.items()
    ]
    status = 400 if complaints else 200
    # What was written stays; a box that was not ticked is simply not sent.
    filled = dict(form) if complaints else dict(_EMPTY)
    context: dict[str, Any] = {"form": filled, "gates": gates, "complaints": complaints}
    return page("new.html", signed, status=status, **context)
