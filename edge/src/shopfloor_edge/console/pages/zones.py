"""*Zones*: lines, zones and slots drawn over the masked picture, tried before they count."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from shopfloor_edge.analytics.replay import Trial
from shopfloor_edge.console.desk import Desk
from shopfloor_edge.console.drawings import DrawingRefusedError, Drawings
from shopfloor_edge.console.footsteps import footprints, trails

VERSIONS_SHOWN = 30


def router(desk: Desk) -> APIRouter:
    """Build the routes; all of them want a manager."""
    routes = APIRouter(prefix="/zones", dependencies=[desk.require("manager")])
    drawings = Drawings(desk.site, desk.state, desk.clock)
    _add_pages(routes, desk, drawings)
    _add_answers(routes, desk, drawings)
    return routes


def _add_pages(routes: APIRouter, desk: Desk, drawings: Drawings) -> None:
    @routes.get("")
    def first(request: Request) -> Response:
        return _page(desk, request, drawings, drawings.site().cameras[0].name)

    @routes.get("/camera/{camera}")
    def one(request: Request, camera: str) -> Response:
        return _page(desk, request, drawings, camera)

    @routes.post("/versions/{version:int}")
    def go_back(request: Request, version: int) -> Response:
        person = desk.person(request)
        try:
            number = drawings.restore(version, person.name)
        except DrawingRefusedError as e:
            name = drawings.site().cameras[0].name
            return _page(desk, request, drawings, name, problems=e.problems)
        desk.audit.append(person.name, "zones-restored", subject=f"{version} as {number}")
        return desk.go_to("/zones")


def _add_answers(routes: APIRouter, desk: Desk, drawings: Drawings) -> None:
    @routes.get("/status")
    def status() -> Response:
        return JSONResponse(asdict(drawings.standing()))

    @routes.get("/camera/{camera}/trails")
    def walked(camera: str) -> Response:
        _known(drawings, camera)
        return JSONResponse({"trails": trails(list(footprints(desk.state, camera)))})

    @routes.post("/camera/{camera}/preview")
    async def preview(request: Request, camera: str) -> Response:
        body = await request.body()
        return await run_in_threadpool(_preview, drawings, camera, body)

    @routes.post("/camera/{camera}")
    async def save(request: Request, camera: str) -> Response:
        body = await request.body()
        return await run_in_threadpool(_save, desk, request, drawings, (camera, body))


def _page(
    desk: Desk, request: Request, drawings: Drawings, camera: str, problems: list[str] | None = None
) -> Response:
    site = drawings.site()
    spec = next((one for one in site.cameras if one.name == camera), None)
    if spec is None:
        raise HTTPException(404, "no such camera")
    kind = "empty.jpg" if (desk.state / "pictures" / f"{camera}.empty.jpg").is_file() else "jpg"
    known = drawings.versions()
    standing = drawings.standing()
    return desk.page(
        request,
        "zones.html",
        status=400 if problems else 200,
        camera=spec,
        cameras=[one.name for one in site.cameras],
        picture=f"/pictures/{camera}.{kind}",
        drawn=spec.model_dump_json(include={"lines", "zones", "slots"}),
        base=drawings.base(),
        versions=known[:VERSIONS_SHOWN],
        standing=standing,
        problems=problems or [],
        at=lambda at_s: datetime.fromtimestamp(at_s, UTC),
    )


def _preview(drawings: Drawings, camera: str, body: bytes) -> Response:
    _known(drawings, camera)
    try:
        return JSONResponse(_told(drawings.preview(camera, body)))
    except DrawingRefusedError as e:
        return JSONResponse({"problems": e.problems}, status_code=400)


def _save(desk: Desk, request: Request, drawings: Drawings, what: tuple[str, bytes]) -> Response:
    camera, body = what
    _known(drawings, camera)
    person = desk.person(request)
    try:
        number = drawings.save(camera, body, person.name)
    except DrawingRefusedError as e:
        return JSONResponse({"problems": e.problems}, status_code=400)
    desk.audit.append(person.name, "zones-saved", subject=f"{camera} as {number}")
    return JSONResponse({"version": number})


def _known(drawings: Drawings, camera: str) -> None:
    if camera not in {one.name for one in drawings.site().cameras}:
        raise HTTPException(404, "no such camera")


def _told(trial: Trial) -> dict[str, object]:
    span_s = 0.0
    if trial.first_s is not None and trial.last_s is not None:
        span_s = trial.last_s - trial.first_s
    return {
        "frames": trial.frames,
        "span_s": round(span_s, 1),
        "lines": {
            name: {"in": line.crossings_in, "out": line.crossings_out}
            for name, line in trial.lines.items()
        },
        "zones": {
            name: {
                "max": zone.people_max,
                "mean": round(zone.people_s / trial.observed_s, 2) if trial.observed_s else 0.0,
                "last": zone.people_last,
            }
            for name, zone in trial.zones.items()
        },
    }
