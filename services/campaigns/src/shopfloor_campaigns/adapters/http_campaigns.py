"""The operators' side: campaigns, devices, observations and the audit log, as JSON."""

from __future__ import annotations

import asyncio
import hashlib
import time
import tomllib
from collections.abc import Callable
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError, field_validator

from shopfloor_campaigns.adapters.bodies import PlanBody, to_plan
from shopfloor_campaigns.adapters.http_bodies import parse, read_body
from shopfloor_campaigns.adapters.reports import Reports
from shopfloor_campaigns.adapters.service import Service
from shopfloor_campaigns.adapters.writer import Writer
from shopfloor_campaigns.domain.campaigns import (
    Aborted,
    Approved,
    Event,
    Paused,
    Resumed,
    Started,
)
from shopfloor_contracts.base import SLUG_PATTERN, Operator
from shopfloor_contracts.problems import describe
from shopfloor_contracts.selectors import LABEL_PATTERN
from shopfloor_kit.audit import Verified
from shopfloor_kit.errors import ProblemError
from shopfloor_kit.tokens import Caller, Gatekeeper, Role

MAX_DEVICES = 1000
MAX_WAIT_S = 60
LOOK_S = 0.05
"""How often a waiting request looks whether a campaign changed."""

Name = Annotated[str, Path(pattern=SLUG_PATTERN)]
After = Annotated[str, Query(max_length=127, pattern=r"^[a-z0-9.-]*$")]
Limit = Annotated[int, Query(ge=1, le=1000)]
Wait = Annotated[float, Query(ge=0, le=MAX_WAIT_S)]
Label = Annotated[str, Field(pattern=LABEL_PATTERN)]
DeviceName = Annotated[
    str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
]
Figure = Annotated[int, Field(ge=0, le=10**6)]


class DeviceBody(Operator):
    """One device. Without ``token`` a new device gets a random one, a known one keeps its own."""

    name: DeviceName
    labels: Annotated[dict[Label, Label], Field(max_length=50)] = Field(default_factory=dict)
    time_zone: Annotated[str, Field(max_length=64)] = "UTC"
    token: Annotated[str, Field(min_length=16, max_length=128, pattern=r"^[!-~]+$")] | None = None

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as e:
            raise ValueError(f"no time zone is named {name!r}") from e
        return name


class DevicesBody(Operator):
    """Devices to be created or changed."""

    devices: Annotated[list[DeviceBody], Field(min_length=1, max_length=MAX_DEVICES)]


class OrderBody(Operator):
    """Why, and whether an undecided wave is to be passed over."""

    reason: Annotated[str, Field(max_length=400, pattern=r"^[^\x00-\x1f]*$")] = ""
    overrule: bool = False


class FiguresBody(Operator):
    """What people found."""

    alerts_right: Figure = 0
    alerts_wrong: Figure = 0
    audit_agreed: Figure = 0
    audit_missed: Figure = 0
    audit_extra: Figure = 0
    inspected: Figure = 0
    escaped: Figure = 0


class ObservationBody(Operator):
    """What people found at one device while it ran the update; counted once by ``id``."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    device: DeviceName
    figures: FiguresBody


class _Api:
    def __init__(self, reports: Reports, writer: Writer, service: Service) -> None:
        self.reports, self.writer, self.service = reports, writer, service

    async def write(self, work: Callable[..., Any], *arguments: Any) -> Any:
        future = self.writer.submit(lambda connection: work(connection, *arguments))
        return await asyncio.wrap_future(future)

    async def order(
        self, request: Request, name: str, caller: Caller, make: Callable[[OrderBody], Event]
    ) -> Response:
        body = await read_body(request)
        wanted = parse(body, OrderBody) if body.strip() else OrderBody()
        await self.write(self.service.order, name, make(wanted), caller.name)
        return _tagged(request, await run_in_threadpool(self.reports.campaign, name))


def campaigns_router(
    reports: Reports, writer: Writer, service: Service, keeper: Gatekeeper
) -> APIRouter:
    """Build the routes."""
    router = APIRouter(prefix="/api/v1", tags=["operators"])
    api = _Api(reports, writer, service)
    _campaigns(router, api, keeper)
    _orders(router, api, keeper)
    _devices(router, api, keeper)
    return router


def _campaigns(router: APIRouter, api: _Api, keeper: Gatekeeper) -> None:
    viewer, operator = Depends(keeper.needs(Role.VIEWER)), Depends(keeper.needs(Role.OPERATOR))

    @router.get("/campaigns", dependencies=[viewer])
    def campaigns(request: Request, after: After = "", limit: Limit = 100) -> Response:
        """List campaigns by name."""
        return _page(request, "campaigns", api.reports.campaigns(after, limit), limit)

    @router.post("/campaigns", status_code=201, openapi_extra=_takes(PlanBody))
    async def create(request: Request, caller: Caller = operator) -> Response:
        """Store a plan, in JSON or TOML; it starts when it is told to."""
        body = _plan(await read_body(request), request.headers.get("content-type", ""))
        text = body.model_dump_json()
        await api.write(api.service.create, to_plan(body), text, caller.name)
        found = await run_in_threadpool(api.reports.campaign, body.name)
        return JSONResponse(jsonable_encoder(found), status_code=201)

    @router.get("/campaigns/{name}", dependencies=[viewer])
    async def campaign(request: Request, name: Name, wait_s: Wait = 0) -> Response:
        """Show a campaign; with ``wait_s`` and If-None-Match, as soon as it differs."""
        until_s = time.monotonic() + wait_s
        seen = -1
        while True:
            if seen != (seen := api.service.changes()):
                answer = _tagged(request, await run_in_threadpool(api.reports.campaign, name))
            if answer.status_code != 304 or time.monotonic() >= until_s:
                return answer
            await asyncio.sleep(LOOK_S)

    @router.get("/campaigns/{name}/devices", dependencies=[viewer])
    def devices(request: Request, name: Name, after: After = "", limit: Limit = 100) -> Response:
        """List a campaign's devices and how far they are."""
        found = api.reports.campaign_devices(name, after, limit)
        return _page(request, "devices", found, limit, key="device")

    @router.get("/campaigns/{name}/devices/{device}/history", dependencies=[viewer])
    def history(request: Request, name: Name, device: str) -> Response:
        """Show all that a device said."""
        return _tagged(request, {"history": api.reports.history(name, device)})

    @router.post("/campaigns/{name}/observations", openapi_extra=_takes(ObservationBody))
    async def observe(request: Request, name: Name, caller: Caller = operator) -> Response:
        """Add what staff, auditors or inspectors found; counted once by its id."""
        body = parse(await read_body(request), ObservationBody)
        new = await api.write(api.service.observation, name, body.model_dump(), caller.name)
        return JSONResponse({"new": new})


def _orders(router: APIRouter, api: _Api, keeper: Gatekeeper) -> None:
    operator, approver = Depends(keeper.needs(Role.OPERATOR)), Depends(keeper.needs(Role.APPROVER))
    extra = _takes(OrderBody, required=False)

    @router.post("/campaigns/{name}/approve", openapi_extra=extra)
    async def approve(request: Request, name: Name, caller: Caller = approver) -> Response:
        """Allow a draft to be started."""
        return await api.order(request, name, caller, lambda _: Approved())

    @router.post("/campaigns/{name}/start", openapi_extra=extra)
    async def start(request: Request, name: Name, caller: Caller = operator) -> Response:
        """Choose the devices and open the first wave, in its start window."""
        return await api.order(request, name, caller, lambda _: Started())

    @router.post("/campaigns/{name}/pause", openapi_extra=extra)
    async def pause(request: Request, name: Name, caller: Caller = operator) -> Response:
        """Begin no further device and no further wave."""
        return await api.order(request, name, caller, lambda said: Paused(said.reason))

    @router.post("/campaigns/{name}/resume", openapi_extra=extra)
    async def resume(request: Request, name: Name, caller: Caller = approver) -> Response:
        """Go on after a pause; after a stop, try the failed wave again."""
        return await api.order(request, name, caller, lambda said: Resumed(said.overrule))

    @router.post("/campaigns/{name}/abort", openapi_extra=extra)
    async def abort(request: Request, name: Name, caller: Caller = operator) -> Response:
        """End it: devices in the middle are told to stop, what is committed stays."""
        return await api.order(
            request, name, caller, lambda said: Aborted(said.reason or "aborted")
        )


def _devices(router: APIRouter, api: _Api, keeper: Gatekeeper) -> None:
    viewer, operator = Depends(keeper.needs(Role.VIEWER)), Depends(keeper.needs(Role.OPERATOR))

    @router.get("/devices", dependencies=[viewer])
    def devices(request: Request, after: After = "", limit: Limit = 100) -> Response:
        """List devices by name."""
        return _page(request, "devices", api.reports.devices(after, limit), limit)

    @router.post("/devices", openapi_extra=_takes(DevicesBody))
    async def put(request: Request, caller: Caller = operator) -> Response:
        """Create or change devices; tokens of new ones are told here and never again."""
        body = parse(await read_body(request), DevicesBody)
        wanted = list({device.name: device.model_dump() for device in body.devices}.values())
        tokens = await api.write(api.service.devices, wanted, caller.name)
        return JSONResponse({"tokens": tokens})

    @router.get("/audit", dependencies=[viewer])
    def audit(
        request: Request,
        after: Annotated[int, Query(ge=0, le=2**53)] = 0,
        limit: Limit = 100,
    ) -> Response:
        """List the audit log."""
        return _tagged(request, {"entries": api.reports.audit(after, limit)})

    @router.get("/audit/verify", dependencies=[viewer])
    def verify() -> Response:
        """Walk the audit log's chain."""
        found = api.reports.verify_audit()
        return JSONResponse({"verified": isinstance(found, Verified)} | jsonable_encoder(found))


def _plan(body: bytes, content_type: str) -> PlanBody:
    if "toml" not in content_type:
        return parse(body, PlanBody)
    try:
        return PlanBody.model_validate(tomllib.loads(body.decode()))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise ProblemError(400, "invalid-toml", f"body is no TOML: {e}") from e
    except ValidationError as e:
        raise ProblemError(400, "invalid-body", "; ".join(describe(e, PlanBody)[:5])) from e


def _takes(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    schema = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": required, "content": schema}}


def _page(
    request: Request, what: str, found: list[dict[str, Any]], limit: int, *, key: str = "name"
) -> Response:
    """Return a page; ``next`` is the ``after`` of the next one, or None."""
    following = found[-1][key] if len(found) == limit else None
    return _tagged(request, {what: found, "next": following})


def _tagged(request: Request, body: Any) -> Response:
    answer = JSONResponse(jsonable_encoder(body))
    tag = f'"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"etag": tag})
    answer.headers["etag"] = tag
    answer.headers["cache-control"] = "private, no-cache"
    return answer
