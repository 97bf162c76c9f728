"""Routes of models: upload, evidence, moves, and who runs what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path as FilePath
from tempfile import NamedTemporaryFile
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from starlette.background import BackgroundTask
from starlette.responses import FileResponse

from shopfloor_contracts.base import SLUG_PATTERN
from shopfloor_contracts.bundles import Measure
from shopfloor_kit.tokens import Caller, Gatekeeper, Role
from shopfloor_registry.adapters import bodies as b
from shopfloor_registry.adapters.promotions import SqlPromotions
from shopfloor_registry.adapters.versions import SqlVersions
from shopfloor_registry.domain.stages import Stage
from shopfloor_registry.domain.versions import Figure, RunLink, VersionKey
from shopfloor_registry.errors import ArtefactError, NotFoundError, TooLargeError
from shopfloor_registry.usecases.applications import Applications
from shopfloor_registry.usecases.ports import Artefacts, Entry
from shopfloor_registry.usecases.promotions import Promoting, Publishing, Signed
from shopfloor_registry.usecases.uploads import Uploads

Model = Annotated[str, Path(pattern=SLUG_PATTERN)]
Version = Annotated[str, Path(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$")]
Limit = Annotated[int, Query(ge=1, le=500)]
After = Annotated[str | None, Query(max_length=200, pattern=b.Printable)]


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes of models use."""

    versions: SqlVersions
    promotions: SqlPromotions
    uploads: Uploads
    promoting: Promoting
    publishing: Publishing | None
    applications: Applications | None
    artefacts: Artefacts
    upload_bytes_max: int
    now: Callable[[], datetime]


def model_router(desk: Desk, gate: Gatekeeper) -> APIRouter:
    """Build every route below ``/api/v1`` that is about models."""
    router = APIRouter(prefix="/api/v1", tags=["models"])
    _reading(router, desk, gate)
    _uploading(router, desk, gate)
    _evidence(router, desk, gate)
    _moving(router, desk, gate)
    return router


def _reading(router: APIRouter, desk: Desk, gate: Gatekeeper) -> None:
    viewer = Depends(gate.needs(Role.VIEWER))

    @router.get("/models", dependencies=[viewer])
    def models(limit: Limit = 100, after: After = None) -> b.Page[b.ModelTold]:
        """List models by name."""
        found = desk.versions.models(after=after, limit=limit)
        last = found[-1].model if len(found) == limit else None
        return b.Page(items=[b.ModelTold.model_validate(one) for one in found], next=last)

    @router.get("/models/{model}/versions", dependencies=[viewer])
    def versions(model: Model, limit: Limit = 100, after: After = None) -> b.Page[b.VersionTold]:
        """List a model's versions by name."""
        found = desk.versions.page(model, after=after, limit=limit)
        if not found and after is None:
            raise NotFoundError(f"no model {model!r}")
        last = found[-1].key.version if len(found) == limit else None
        return b.Page(items=[b.tell_version(one) for one in found], next=last)

    @router.get("/models/{model}/versions/{version}", dependencies=[viewer])
    def show(model: Model, version: Version, request: Request, response: Response) -> b.VersionTold:
        """Show a version; the ETag changes with its stage."""
        told = b.tell_version(desk.versions.get(VersionKey(model, version)))
        _tag(request, response, told.model_dump_json())
        return told

    @router.get("/models/{model}/versions/{version}/manifest", dependencies=[viewer])
    def manifest(model: Model, version: Version) -> Response:
        """Return ``manifest.json`` as it was uploaded."""
        text = desk.versions.get(VersionKey(model, version)).manifest
        return Response(text, media_type="application/json")

    @router.get("/models/{model}/versions/{version}/archive", dependencies=[viewer])
    def archive(model: Model, version: Version) -> FileResponse:
        """Return the bundle as it was uploaded; knows Range."""
        digest = desk.versions.get(VersionKey(model, version)).digest
        opening = desk.artefacts.opened(digest)
        file = opening.__enter__()
        # The file may be a copy of one in a bucket: it goes when it has been sent.
        done = BackgroundTask(opening.__exit__, None, None, None)
        headers = {"ETag": f'"{digest}"'}
        return FileResponse(file, media_type="application/x-tar", headers=headers, background=done)


def _uploading(router: APIRouter, desk: Desk, gate: Gatekeeper) -> None:
    operator = Depends(gate.needs(Role.OPERATOR))
    content = {"application/x-tar": {"schema": {"type": "string", "format": "binary"}}}

    @router.post(
        "/bundles",
        status_code=201,
        openapi_extra={"requestBody": {"required": True, "content": content}},
    )
    async def upload(
        request: Request, response: Response, caller: Caller = operator
    ) -> b.VersionTold:
        """Take a bundle archive: 201 when it is new, 200 when the same bytes are stored already."""
        async with _received(request, desk) as file:
            version, created = await run_sync(lambda: desk.uploads.receive(file, by=caller.name))
        response.status_code = 201 if created else 200
        return b.tell_version(version)

    @router.post(
        "/applications",
        status_code=201,
        openapi_extra={"requestBody": {"required": True, "content": content}},
    )
    async def upload_application(
        request: Request, response: Response, caller: Caller = operator
    ) -> b.ApplicationTold:
        """Have a set of wheels wait for the TUF signature: 200 when it is listed or waits."""
        applications = desk.applications
        if applications is None:
            raise NotFoundError("this registry has no TUF repository: set tuf_repository")
        async with _received(request, desk) as file:
            found = await run_sync(lambda: applications.receive(file, by=caller.name))
        response.status_code = 201 if found.paths else 200
        return b.tell_application(found)


def _evidence(router: APIRouter, desk: Desk, gate: Gatekeeper) -> None:
    viewer, operator = Depends(gate.needs(Role.VIEWER)), Depends(gate.needs(Role.OPERATOR))
    version_path = "/models/{model}/versions/{version}"

    @router.get(f"{version_path}/evidence", dependencies=[viewer])
    def evidence(model: Model, version: Version) -> b.Page[b.FigureTold]:
        """List what was measured on a version, oldest first."""
        key = desk.versions.get(VersionKey(model, version)).key
        found = desk.versions.figures(key)
        return b.Page(items=[b.FigureTold.model_validate(one) for one in found])

    @router.post(f"{version_path}/evidence", status_code=201)
    def report(
        model: Model, version: Version, body: b.ReportBody, caller: Caller = operator
    ) -> b.Page[b.FigureTold]:
        """Add figures of a report."""
        key, at = VersionKey(model, version), desk.now()
        figures = _figures(body.measures, "report", caller, at)
        entry = Entry(caller.name, "version.report", str(key), {"figures": len(figures)}, at)
        desk.versions.add_figures(key, figures, entry)
        return b.Page(items=[b.FigureTold.model_validate(one) for one in figures])

    @router.get(f"{version_path}/runs", dependencies=[viewer])
    def runs(model: Model, version: Version) -> b.Page[b.RunTold]:
        """List the MLflow runs that a version is linked to."""
        key = desk.versions.get(VersionKey(model, version)).key
        return b.Page(items=[b.RunTold.model_validate(one) for one in desk.versions.runs(key)])

    @router.post(f"{version_path}/runs", status_code=201)
    def link(
        model: Model,
        version: Version,
        body: b.RunBody,
        response: Response,
        caller: Caller = operator,
    ) -> b.RunTold:
        """Link an MLflow run and take its figures over; 200 when it is linked already."""
        key, at = VersionKey(model, version), desk.now()
        run = RunLink(body.run_id, body.experiment, body.tracking_uri, body.params, caller.name, at)
        figures = _figures(body.measures, f"mlflow:{body.run_id}", caller, at)
        entry = Entry(caller.name, "version.link", str(key), {"run": body.run_id}, at)
        if not desk.versions.link_run(key, run, figures, entry):
            response.status_code = 200
        return b.RunTold.model_validate(run)


def _moving(router: APIRouter, desk: Desk, gate: Gatekeeper) -> None:
    viewer, operator = Depends(gate.needs(Role.VIEWER)), Depends(gate.needs(Role.OPERATOR))
    version_path = "/models/{model}/versions/{version}"

    @router.post(f"{version_path}/judgements")
    def judge(
        model: Model, version: Version, body: b.JudgeBody, caller: Caller = operator
    ) -> b.JudgementTold:
        """Ask every gate about a move; the record is what the caller has to sign for it."""
        found = desk.promoting.judge(VersionKey(model, version), body.to, by=caller.name)
        verdicts = [b.tell_verdict(verdict) for verdict in found.verdicts]
        return b.JudgementTold(passed=found.passed, verdicts=verdicts, record=found.record)

    @router.get(f"{version_path}/verdicts", dependencies=[viewer])
    def verdicts(model: Model, version: Version) -> b.Page[b.KeptVerdictTold]:
        """List every verdict that was ever given on a version, oldest first."""
        key = desk.versions.get(VersionKey(model, version)).key
        kept = desk.promotions.verdicts(key)
        items = [
            b.KeptVerdictTold(
                **b.tell_verdict(one.verdict).model_dump(), to=one.to, by=one.by, at=one.at
            )
            for one in kept
        ]
        return b.Page(items=items)

    @router.get(f"{version_path}/promotions", dependencies=[viewer])
    def promotions(model: Model, version: Version) -> b.Page[b.PromotionTold]:
        """List a version's moves with their signatures, oldest first."""
        key = desk.versions.get(VersionKey(model, version)).key
        return b.Page(items=[b.tell_promotion(one) for one in desk.promotions.moves(key)])

    @router.post(f"{version_path}/promotions", status_code=201)
    def promote(
        model: Model, version: Version, body: b.PromoteBody, caller: Caller = operator
    ) -> b.PromotionTold:
        """Move a version on a signed record; production asks for an approver."""
        if body.to is Stage.PRODUCTION:
            Gatekeeper.demand(caller, Role.APPROVER)
        signed = Signed(body.record, body.public_key, body.signature)
        key = VersionKey(model, version)
        return b.tell_promotion(desk.promoting.promote(key, body.to, signed, by=caller.name))

    @router.post(f"{version_path}/publication")
    def publish(model: Model, version: Version, caller: Caller = operator) -> b.Page[str]:
        """Have the builds wait for the TUF signature; nothing that is listed or waits already."""
        if desk.publishing is None:
            raise NotFoundError("this registry has no TUF repository: set tuf_repository")
        paths = desk.publishing.publish(VersionKey(model, version), by=caller.name)
        return b.Page(items=paths)


@asynccontextmanager
async def _received(request: Request, desk: Desk) -> AsyncIterator[FilePath]:
    """Write the body to a file below the limit, and remove the file at the end."""
    limit, size = desk.upload_bytes_max, 0
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced[:20]) > limit:
        raise TooLargeError(limit)
    try:
        with NamedTemporaryFile(dir=desk.uploads.folder, suffix=".upload") as file:
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise TooLargeError(limit)
                await run_sync(file.write, chunk)
            file.flush()
            yield FilePath(file.name)
    except OSError as e:
        raise ArtefactError(f"cannot keep the upload: {e.strerror or e}") from e


def _figures(measures: list[Measure], source: str, caller: Caller, at: datetime) -> list[Figure]:
    return [
        Figure(one.metric, one.value, one.data, one.target, source, caller.name, at)
        for one in measures
    ]


def _tag(request: Request, response: Response, text: str) -> None:
    tag = f'"{hashlib.sha256(json.dumps(text).encode()).hexdigest()[:32]}"'
    if request.headers.get("if-none-match") == tag:
        raise NotModified(tag)
    response.headers["ETag"] = tag


class NotModified(Exception):  # noqa: N818 — an answer, not an error
    """The client has this already: 304."""

    def __init__(self, tag: str) -> None:
        super().__init__(tag)
        self.tag = tag
