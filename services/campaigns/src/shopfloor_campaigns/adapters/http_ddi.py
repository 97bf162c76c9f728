"""The devices' side: hawkBit's DDI v1, plus evidence.

Source: https://eclipse.dev/hawkbit/apis/ddi_api/
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi import Path as PathParameter
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from pydantic import BaseModel
from sqlalchemy import Engine, Row, select

from shopfloor_campaigns.adapters.deployments import Links, build_named, deployment, filename
from shopfloor_campaigns.adapters.devices import holds_token
from shopfloor_campaigns.adapters.http_bodies import parse, parse_feedback, read_body
from shopfloor_campaigns.adapters.service import Service
from shopfloor_campaigns.adapters.tables import ACTIONS
from shopfloor_campaigns.adapters.writer import Writer
from shopfloor_campaigns.domain.plan import Plan
from shopfloor_campaigns.errors import UnknownError
from shopfloor_contracts import ddi
from shopfloor_contracts.enrolment import controller_id, is_device_name
from shopfloor_contracts.evidence import Evidence
from shopfloor_kit.errors import ProblemError
from shopfloor_kit.peers import peer_of

log = logging.getLogger(__name__)

PREFIX = "/{tenant}/controller/v1/{device}"
Tenant = Annotated[str, PathParameter(max_length=63)]
Device = Annotated[str, PathParameter(max_length=127, pattern=r"^[a-z0-9.-]+$")]
Action = Annotated[int, PathParameter(ge=1, le=2**53)]


@dataclass(frozen=True, slots=True)
class DdiSettings:
    """How devices are answered."""

    tenant: str
    poll_s: int
    targets_url: str | None
    artifact_folder: Path | None
    gateway_token_sha256: str | None


class _Desk:
    """What the routes share."""

    def __init__(
        self, reader: Engine, writer: Writer, service: Service, settings: DdiSettings
    ) -> None:
        self.reader, self.writer, self.service, self.settings = reader, writer, service, settings

    async def admit(self, request: Request, tenant: str, device: str, now: datetime) -> Row[Any]:
        """Return the device and its open action. Raises ``ProblemError`` 401 or 404."""
        if tenant != self.settings.tenant:
            raise ProblemError(404, "not-found", f"no tenant is named {tenant!r}")
        peer = peer_of(request.scope)
        mine = peer is not None and is_device_name(peer.name)
        if peer is not None and mine and controller_id(peer.name) != device:
            # Another's is told as one that does not exist, whatever token comes along.
            log.warning("peer asks for another device", extra={"peer": peer.name, "asked": device})
            raise ProblemError(404, "unknown-device", f"no device is named {device!r}")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        doors = self.service.memory.doors
        row = doors.known(device)
        if row is None:
            row = await run_in_threadpool(doors.look, self.reader, device)
        gateway = self.settings.gateway_token_sha256
        if mine:
            if row is None:
                raise ProblemError(404, "unknown-device", f"no device is named {device!r}")
        elif scheme == "TargetToken" and row is not None and holds_token(row.token_sha256, token):
            pass
        elif scheme == "GatewayToken" and gateway is not None and holds_token(gateway, token):
            if row is None:
                raise ProblemError(404, "unknown-device", f"no device is named {device!r}")
        else:
            # An unknown device is told the same as a wrong token: names are not to be guessed.
            headers = {"WWW-Authenticate": "TargetToken"}
            raise ProblemError(401, "wrong-token", "no valid token for it", headers=headers)
        self.service.sightings.note(device, now)
        return row

    def links(self, request: Request, device: str) -> Links:
        base = str(request.base_url).rstrip("/")
        controller = f"{base}/{self.settings.tenant}/controller/v1/{device}"
        pass_through = self.settings.artifact_folder is not None
        return Links(controller, self.settings.targets_url, pass_through)

    async def write(self, work: Callable[..., Any], *arguments: Any) -> Any:
        future = self.writer.submit(lambda connection: work(connection, *arguments))
        return await asyncio.wrap_future(future)


def ddi_router(  # noqa: C901, PLR0915 — one route per document of the protocol
    reader: Engine,
    writer: Writer,
    service: Service,
    settings: DdiSettings,
    now: Callable[[], datetime],
) -> APIRouter:
    """Build the routes."""
    router = APIRouter(tags=["ddi"])
    desk = _Desk(reader, writer, service, settings)
    sleep = _clock(settings.poll_s)

    @router.get(PREFIX)
    async def poll(request: Request, tenant: Tenant, device: Device) -> Response:
        """Say what waits for a device."""
        row = await desk.admit(request, tenant, device, now())
        tag = f'"{row.id or 0}-{row.state}-{int(row.unknown)}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"etag": tag})
        href = desk.links(request, device).controller
        links: dict[str, Any] = {}
        if row.unknown:
            links["configData"] = {"href": f"{href}/configData"}
        if row.state == "open":
            links["deploymentBase"] = {"href": f"{href}/deploymentBase/{row.id}"}
        elif row.state == "canceling":
            links["cancelAction"] = {"href": f"{href}/cancelAction/{row.id}"}
        answer = ddi.PollAnswer.model_validate(
            {"config": {"polling": {"sleep": sleep}}, "_links": links}
        )
        return _json(answer, {"etag": tag})

    @router.put(PREFIX + "/configData", openapi_extra=_takes(ddi.ConfigData))
    async def config_data(request: Request, tenant: Tenant, device: Device) -> Response:
        """Take in what a device says of itself."""
        await desk.admit(request, tenant, device, now())
        said = parse(await read_body(request), ddi.ConfigData)
        await desk.write(service.attributes, device, said)
        return Response(status_code=200)

    @router.get(PREFIX + "/deploymentBase/{action}")
    async def deployment_base(
        request: Request, tenant: Tenant, device: Device, action: Action
    ) -> Response:
        """Say what is to be done."""
        await desk.admit(request, tenant, device, now())
        links = desk.links(request, device)

        def read() -> tuple[ddi.DeploymentBase, bool]:
            with reader.connect() as connection:
                return deployment(connection, service.memory.plans, device, action, links, now())

        found, fetched = await run_in_threadpool(read)
        if not fetched:
            await desk.write(service.fetched, device, action)
        return _json(found)

    @router.post(PREFIX + "/deploymentBase/{action}/feedback", openapi_extra=_takes(ddi.Feedback))
    async def feedback(
        request: Request, tenant: Tenant, device: Device, action: Action
    ) -> Response:
        """Take in how far a device is; what comes late or twice changes nothing."""
        await desk.admit(request, tenant, device, now())
        said = parse_feedback(await read_body(request), ddi.Feedback)
        await desk.write(service.feedback, device, action, said)
        return Response(status_code=200)

    @router.post(PREFIX + "/deploymentBase/{action}/evidence", openapi_extra=_takes(Evidence))
    async def evidence(
        request: Request, tenant: Tenant, device: Device, action: Action
    ) -> Response:
        """Sum a report once; 200 for one that is here already, too."""
        await desk.admit(request, tenant, device, now())
        report = parse(await read_body(request), Evidence)
        await desk.write(service.evidence, device, action, report)
        return Response(status_code=200)

    @router.get(PREFIX + "/cancelAction/{action}")
    async def cancel_action(
        request: Request, tenant: Tenant, device: Device, action: Action
    ) -> Response:
        """Say which action is to be given up."""
        row = await desk.admit(request, tenant, device, now())
        if row.id != action or row.state != "canceling":
            raise UnknownError(f"device {device!r} has nothing to give up as {action}")
        return _json(
            ddi.CancelAction(id=str(action), cancel_action=ddi.CancelTarget(stop_id=str(action)))
        )

    @router.post(PREFIX + "/cancelAction/{action}/feedback", openapi_extra=_takes(ddi.Feedback))
    async def cancel_feedback(
        request: Request, tenant: Tenant, device: Device, action: Action
    ) -> Response:
        """Take in whether a device stopped."""
        await desk.admit(request, tenant, device, now())
        said = parse_feedback(await read_body(request), ddi.Feedback)
        await desk.write(service.cancel_feedback, device, action, said)
        return Response(status_code=200)

    @router.get(PREFIX + "/installedBase/{action}")
    async def installed_base(
        request: Request, tenant: Tenant, device: Device, action: Action
    ) -> Response:
        """Say how an action of this device ended."""
        await desk.admit(request, tenant, device, now())
        mine = (ACTIONS.c.id == action, ACTIONS.c.device == device)

        def read() -> Row[Any] | None:
            with reader.connect() as connection:
                return connection.execute(select(ACTIONS).where(*mine)).first()

        row = await run_in_threadpool(read)
        if row is None or row.state != "success":
            raise UnknownError(f"device {device!r} did not install anything as {action}")
        return Response(f'{{"id":"{action}"}}', media_type="application/json")

    @router.get(PREFIX + "/softwaremodules/{action}/artifacts/{name}")
    async def artifact(
        request: Request, tenant: Tenant, device: Device, action: Action, name: str
    ) -> Response:
        """Hand out the bytes of an open action, whole or in parts (Range)."""
        row = await desk.admit(request, tenant, device, now())
        folder = settings.artifact_folder
        if folder is None or row.id != action:
            raise UnknownError(f"device {device!r} has no artefact {name!r}")

        def read() -> Plan:
            with reader.connect() as connection:
                return service.memory.plans(connection, row.campaign)

        build = build_named(await run_in_threadpool(read), row.build)
        path = None if build is None or filename(build) != name else folder / build.sha256
        if path is None or not path.is_file():
            raise UnknownError(f"artefact {name!r} is not here")
        return FileResponse(path, filename=name)

    return router


def _takes(model: type[BaseModel]) -> dict[str, Any]:
    """Describe a body that is read by hand, because its size is bounded first."""
    schema = {"application/json": {"schema": model.model_json_schema(by_alias=True)}}
    return {"requestBody": {"required": True, "content": schema}}


def _json(body: BaseModel, headers: dict[str, str] | None = None) -> Response:
    text = body.model_dump_json(by_alias=True, exclude_none=True)
    # hawkBit's clients ask for HAL, and are satisfied with JSON.
    return Response(text, media_type="application/json", headers=headers)


def _clock(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest:02d}"
