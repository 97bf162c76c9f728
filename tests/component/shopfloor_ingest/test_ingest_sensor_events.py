"""Events of machine sensors: stored once, summed by machine and by figure, asked for over HTTP."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter
from sqlalchemy import text

from fakes.ingest_events import EPOCH
from shopfloor_contracts.events import parse_event
from shopfloor_ingest.adapters.http import build_api
from shopfloor_ingest.adapters.kpi_queries import SqlKpis
from shopfloor_ingest.adapters.reports import SqlReader
from shopfloor_ingest.adapters.store import SqlStore
from shopfloor_ingest.domain.kpis import figures_of
from shopfloor_ingest.domain.messages import Message, judge
from shopfloor_ingest.domain.rollups import SHAPES, Origin, collect
from shopfloor_kit.database import open_engine

pytestmark = pytest.mark.timeout(60)
GOLDEN = Path(__file__).parents[2] / "contract" / "golden" / "sensor.json"


def test_a_sensors_event_is_stored_once_however_often_it_comes(database_url):
    engine = open_engine(database_url)
    store = SqlStore(engine)
    store.prepare()
    event = judge(Message("shopfloor/v1/store-17/till-1/sensor", GOLDEN.read_bytes(), EPOCH))

    first, second = (store.write([event]) for _ in range(2))

    with engine.connect() as connection:
        rows = connection.execute(text("SELECT kind, camera, seq FROM events")).fetchall()
    engine.dispose()
    assert (first.stored, second.stored, second.duplicates) == ({"sensor": 1}, {}, 1)
    assert [tuple(row) for row in rows] == [("sensor", "drive-end", 49)]


def data(**changes):
    """Return the golden window with some of its fields changed."""
    return parse_event(GOLDEN.read_bytes()).data.model_copy(update=changes)


def sums(*windows):
    """Return the sums of the hour: of the machine, and of the first figure."""
    found = collect((Origin("plant", "press-2", "drive-end"), one) for one in windows)

    def row(kind, name=""):
        shape = SHAPES[kind]
        (hit,) = [
            one for key, one in found[kind].items() if key[1] == 3600 and (not name or name in key)
        ]
        return figures_of(
            shape, dict(zip((*shape.sums, *shape.maxima), (*hit.sums, *hit.maxima), strict=True))
        )

    return row("sensor"), row("figure", "rms")


def test_windows_are_summed_to_times_in_each_state_and_means():
    quiet = data(state="normal", level_max=0.2, score_max=5.0, refused=0)

    machine, rms = sums(data(), quiet)

    assert (machine["drifting_s"], machine["normal_s"], machine["refused"]) == (60, 60, 2)
    assert (machine["level_max"], machine["score_max"]) == (1.02, 5.0)
    assert rms["stretches"] == 120
    assert rms["mean"] == pytest.approx(1.4)
    assert (rms["minimum"], rms["maximum"]) == (1.31, 1.52)


def test_the_lowest_value_may_lie_below_zero():
    one = data().figures[0]
    cold = one.model_copy(update={"minimum": -40.5, "maximum": -3.0, "total": -600.0})
    warm = one.model_copy(update={"minimum": -12.0, "maximum": -1.5, "total": -300.0})

    _, rms = sums(data(figures=[cold]), data(figures=[warm]))

    assert (rms["minimum"], rms["maximum"], rms["mean"]) == (-40.5, -1.5, -7.5)


def test_figures_too_large_to_be_summed_are_counted_and_break_no_sum():
    one = data().figures[0]
    huge = one.model_copy(update={"total": 1e12, "maximum": 1e12, "minimum": -1e12})

    _, rms = sums(data(), data(figures=[huge]))

    assert (rms["stretches"], rms["unsummed"]) == (60, 60)
    assert rms["mean"] == pytest.approx(1.4)
    assert rms["maximum"] == 1e12


def test_a_silent_sensor_has_its_time_though_it_has_no_figure():
    found = collect([(Origin("plant", "press-2", "oil"), data(figures=[], state="silent"))])

    assert "figure" not in found or not found["figure"]
    assert len(found["sensor"]) == 3


def test_sums_are_asked_for_by_machine_and_by_figure(database_url):
    engine = open_engine(database_url)
    store = SqlStore(engine)
    store.prepare()
    store.write([judge(Message("shopfloor/v1/store-17/till-1/sensor", GOLDEN.read_bytes(), EPOCH))])
    began = data().window_start
    readers = (SqlReader(engine), SqlKpis(engine))
    api = build_api(*readers, APIRouter(), now=lambda: began + timedelta(hours=1))
    stretch = {"from": began.isoformat(), "to": (began + timedelta(hours=1)).isoformat()}

    async def ask(kind):
        transport = httpx.ASGITransport(api)
        async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
            answer = await client.get(f"/api/v1/sites/store-17/kpi/{kind}", params=stretch)
            return answer.json()["rows"]

    (machine,), figures = asyncio.run(ask("sensor")), asyncio.run(ask("figure"))
    engine.dispose()

    assert machine["names"] == {"site": "store-17", "camera": "drive-end", "machine": "press-2"}
    assert machine["figures"]["drifting_s"] == 60
    means = {row["names"]["name"]: row["figures"]["mean"] for row in figures}
    assert means == {"rms": pytest.approx(1.4), "band-1": pytest.approx(0.2)}
    assert {row["names"]["unit"] for row in figures} == {"mm/s"}
