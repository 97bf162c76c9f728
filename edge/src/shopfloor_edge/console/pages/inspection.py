"""*Inspection*: how a station's line stands, and what people say its parts really were."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from shopfloor_edge.console.desk import Desk
from shopfloor_edge.console.lines import HEIGHT, WIDTH, standing_of
from shopfloor_edge.console.people import Person
from shopfloor_edge.console.texts import has
from shopfloor_edge.journal.part_views import (
    EVIDENCE_FOLDER,
    part_of,
    parts_to_look_at,
    take_back,
)
from shopfloor_edge.journal.parts import Overrule, PartRow, give_command, overrule, stations_of

PAGE = 12
KINDS = {"open": ("review", "fail"), "review": ("review",), "fail": ("fail",), "pass": ("pass",)}
"""What is shown, by the query's word: verdicts of the station."""
COMMANDS = ("stop", "restart", "release")
Show = Annotated[str, Query(pattern="^(open|review|fail|pass)$")]
Before = Annotated[int | None, Query(ge=1, le=2**53)]


@dataclass(frozen=True, slots=True)
class Card:
    """One part as the template shows it."""

    row: PartRow
    at: datetime
    picture: bool
    """Whether the store still has it: the oldest pictures go first."""
    said: str = ""
    """``good`` or ``bad`` once somebody has spoken."""

    @property
    def reason(self) -> str:
        """Key of the text of why it was not judged; empty for none, or one of a later release."""
        key = f"inspection.reason_{self.row.reason}"
        return key if has(key) else ""


def router(desk: Desk) -> APIRouter:
    """Build the routes."""
    routes = APIRouter()
    _add_looks(routes, desk)
    _add_deeds(routes, desk)
    return routes


def _add_looks(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/inspection")
    def page(
        request: Request, station: str = "", show: Show = "open", before: Before = None
    ) -> Response:
        known = stations_of(desk.state)
        if not known:
            return desk.page(request, "inspection_none.html")
        name = _station(known, station)
        rows = parts_to_look_at(desk.state, name, KINDS[show], before=before, limit=PAGE + 1)
        return desk.page(
            request,
            "inspection.html",
            **_shown(desk, name),
            stations=known,
            show=show,
            kinds=tuple(KINDS),
            cards=[_card(desk, name, row) for row in rows[:PAGE]],
            older=rows[PAGE - 1].part if len(rows) > PAGE else None,
            is_first=before is None,
        )

    @routes.get("/inspection/state")
    def state(request: Request, station: str) -> Response:
        name = _station(stations_of(desk.state), station)
        return desk.page(request, "inspection_state.html", **_shown(desk, name))

    @routes.get("/inspection/pictures/{station}/{part}")
    def picture(station: str, part: int) -> Response:
        # Both are looked up in the book, never made a path of.
        row = part_of(desk.state, _station(stations_of(desk.state), station), part)
        path = None if row is None else _picture(desk.state, station, row)
        if path is None:
            raise HTTPException(404, "no picture of this part")
        return desk.picture(path, "image/jpeg")


def _add_deeds(routes: APIRouter, desk: Desk) -> None:
    @routes.post("/inspection/{station}/parts/{part}")
    async def say(request: Request, station: str, part: int) -> Response:
        said = (await desk.form(request)).get("said", "")
        person = desk.person(request)
        card = await run_in_threadpool(_say, desk, person, (station, part), said)
        if "hx-request" not in request.headers:
            return desk.go_to(f"/inspection?station={station}")
        return desk.page(request, "inspection_part.html", station=station, card=card)

    @routes.post("/inspection/{station}/line", dependencies=[desk.require("manager")])
    async def command(request: Request, station: str) -> Response:
        what = (await desk.form(request)).get("command", "")
        await run_in_threadpool(_command, desk, desk.person(request), station, what)
        return desk.go_to(f"/inspection?station={station}")


def _say(desk: Desk, person: Person, which: tuple[str, int], said: str) -> Card:
    name, part = _station(stations_of(desk.state), which[0]), which[1]
    row = part_of(desk.state, name, part)
    if row is None or said not in ("good", "bad", "undo"):
        raise HTTPException(404 if row is None else 400, "no such part, or nothing said")
    subject = f"{name}/{part}"
    if said == "undo":
        if not take_back(desk.state, name, part):
            raise HTTPException(409, "it is in a report already")
        desk.audit.append(person.name, "overrule-undo", subject=subject)
        return _card(desk, name, row)
    opinion = Overrule(part, "", said == "good", person.name, desk.clock().timestamp())
    if overrule(desk.state, name, opinion) is None:
        raise HTTPException(409, "somebody has spoken of this part")
    detail = {"station_said": row.verdict, "person_said": said}
    desk.audit.append(person.name, "overrule", subject=subject, detail=detail)
    return _card(desk, name, row, said)


def _command(desk: Desk, person: Person, station: str, what: str) -> None:
    name = _station(stations_of(desk.state), station)
    if what not in COMMANDS:
        raise HTTPException(400, "no such command")
    # Written first: a command without its row would be one that nobody gave.
    desk.audit.append(person.name, f"line-{what}", subject=name)
    give_command(desk.state, name, what, person.name)


def _station(known: list[str], name: str) -> str:
    if not name and known:
        return known[0]
    if name not in known:
        raise HTTPException(404, "no such station")
    return name


def _shown(desk: Desk, station: str) -> dict[str, Any]:
    standing = standing_of(desk.state, station)
    return {"station": station, "standing": standing, "chart": {"width": WIDTH, "height": HEIGHT}}


def _card(desk: Desk, station: str, row: PartRow, said: str = "") -> Card:
    has_picture = _picture(desk.state, station, row) is not None
    return Card(row, datetime.fromtimestamp(row.at, UTC), has_picture, said)


def _picture(state: Path, station: str, row: PartRow) -> Path | None:
    if not row.evidence:
        return None
    path = state / EVIDENCE_FOLDER / station / row.evidence
    return path if path.is_file() else None
