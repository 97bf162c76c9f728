"""Figures over HTTP, from real databases of both kinds."""

from __future__ import annotations

import asyncio
import csv
import io
import uuid
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.ingest_events import EPOCH, FakeDevice
from shopfloor_contracts.events import DURABLE_KINDS, Kind, build_event, encode
from shopfloor_contracts.feedback import FeedbackData
from shopfloor_ingest.adapters.http import build_api
from shopfloor_ingest.adapters.kpi_queries import SqlKpis
from shopfloor_ingest.adapters.reports import SqlReader
from shopfloor_ingest.adapters.store import SqlStore
from shopfloor_ingest.domain.kpis import figures_of
from shopfloor_ingest.domain.messages import Message, judge
from shopfloor_ingest.domain.rollups import SHAPES
from shopfloor_kit.database import open_engine

pytestmark = pytest.mark.timeout(60)
GOLDEN = Path(__file__).parents[2] / "contract" / "golden"
HOUR = timedelta(hours=1)
PROBLEM = "application/problem+json"


class Cloud:
    """A store, and the API over it; the clock stands."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        self.store = SqlStore(self.engine)
        self.store.prepare()
        readers = (SqlReader(self.engine), SqlKpis(self.engine))
        api = build_api(*readers, APIRouter(), now=lambda: EPOCH + 24 * HOUR)
        self._transport = httpx.ASGITransport(api, raise_app_exceptions=False)

    def tell(self, device: FakeDevice, *events) -> None:
        self.store.write(
            [judge(Message(device.topic("traffic"), encode(e), EPOCH)) for e in events]
        )

    def tell_golden(self, kind: str) -> None:
        payload = (GOLDEN / f"{kind}.json").read_bytes()
        outcome = self.store.write(
            [judge(Message(f"shopfloor/v1/store-17/till-1/{kind}", payload, EPOCH))]
        )
        assert outcome.stored == {kind: 1}

    def ask(self, path: str, headers=None, **query) -> httpx.Response:
        return self.ask_fleet(f"sites/{path}", headers, **query)

    def ask_fleet(self, path: str, headers=None, **query) -> httpx.Response:
        async def ask():
            async with httpx.AsyncClient(transport=self._transport, base_url="http://c") as client:
                return await client.get(f"/api/v1/{path}", params=query, headers=headers or {})

        return asyncio.run(ask())

    def close(self) -> None:
        self.engine.dispose()


@pytest.fixture
def cloud(database_url):
    cloud = Cloud(database_url)
    yield cloud
    cloud.close()


def test_traffic_is_told_by_line_camera_and_site(cloud):
    one, two = FakeDevice(camera="cam-1"), FakeDevice(device="gate", camera="cam-2")
    cloud.tell(one, *(one.traffic(s, window_start=EPOCH, line=f"l{s}") for s in (1, 2)))
    cloud.tell(two, two.traffic(1, window_start=EPOCH, coverage=0.5))

    told = {by: cloud.ask("oslo/kpi/traffic", by=by).json() for by in ("zone", "camera", "site")}

    rows = {
        by: [(*row["names"].values(), row["figures"]["crossings_out"]) for row in answer["rows"]]
        for by, answer in told.items()
    }
    assert rows == {
        "zone": [
            ("oslo", "cam-1", "l1", 2),
            ("oslo", "cam-1", "l2", 2),
            ("oslo", "cam-2", "entrance", 2),
        ],
        "camera": [("oslo", "cam-1", 4), ("oslo", "cam-2", 2)],
        "site": [("oslo", 6)],
    }
    site = told["site"]
    assert site["models"] == ["0" * 64]
    assert site["coverage_ratio"] == pytest.approx(2.5 / 3)
    assert site["rows"][0]["coverage_ratio"] == pytest.approx(2.5 / 3)
    assert site["rows"][0]["model_digest"] == "0" * 64


@pytest.mark.parametrize("kind", sorted(DURABLE_KINDS - {Kind.SENSOR, Kind.FEEDBACK}))
@pytest.mark.parametrize("period", ["minute", "hour", "day"])
def test_every_kind_is_told_in_every_period(kind, period, cloud):
    cloud.tell_golden(kind)
    windows = judge_windows(kind)
    stretch = {"from": windows[0].isoformat(), "to": windows[1].isoformat()}

    answer = cloud.ask(f"store-17/kpi/{kind}", period=period, **stretch)

    assert answer.status_code == 200
    rows = answer.json()["rows"]
    assert rows
    assert all(row["figures"] for row in rows)
    if kind not in ("alert", "audit", "feedback"):
        assert answer.json()["models"]
        assert answer.json()["coverage_ratio"] is not None


def judge_windows(kind: str):
    payload = (GOLDEN / f"{kind}.json").read_bytes()
    event = judge(Message(f"shopfloor/v1/store-17/till-1/{kind}", payload, EPOCH)).event
    start = getattr(event.data, "window_start", None) or event.data.at
    return start - HOUR, start + HOUR


def test_waits_have_percentiles(cloud):
    cloud.tell_golden("queue")
    start, end = judge_windows("queue")

    answer = cloud.ask("store-17/kpi/queue", **{"from": start.isoformat(), "to": end.isoformat()})

    for row in answer.json()["rows"]:
        figures = row["figures"]
        if figures["served"]:
            assert figures["wait_p50_s"] <= figures["wait_p95_s"] <= figures["wait_max_s"]


def test_an_inspection_has_rates_with_an_interval_and_times(cloud):
    cloud.tell_golden("inspection")
    start, end = judge_windows("inspection")
    stretch = {"from": start.isoformat(), "to": end.isoformat()}

    answer = cloud.ask("store-17/kpi/inspection", **stretch).json()

    (row,) = answer["rows"]
    figures = row["figures"]
    assert row["names"] == {"site": "store-17", "camera": "press-2", "station": "press-2"}
    assert figures["parts"] == 200
    assert (figures["defect_ratio"], figures["review_ratio"]) == (4 / 200, 1 / 200)
    assert figures["missed_ratio"] == 1 / 201
    assert (figures["escape_ratio"], figures["false_reject_ratio"]) == (0, 1 / 4)
    # Wilson's interval of 4 in 200, worked out by hand.
    assert figures["defect_low_ratio"] == pytest.approx(0.0078, abs=1e-4)
    assert figures["defect_high_ratio"] == pytest.approx(0.0503, abs=1e-4)
    # 20 of 200 took 5 to 10 ms and 170 took 10 to 20.
    assert figures["latency_p50_s"] == pytest.approx((10 + 10 * 80 / 170) / 1000)
    assert (figures["alerted_s"], figures["stopped_s"]) == (60, 0)


def test_an_audit_is_told_as_the_accuracy_that_people_measured(cloud):
    cloud.tell_golden("audit")
    start, end = judge_windows("audit")
    stretch = {"from": start.isoformat(), "to": end.isoformat()}

    answer = cloud.ask("store-17/kpi/audit", zone="entrance", **stretch).json()

    (row,) = answer["rows"]
    figures = row["figures"]
    assert (row["names"]["subject"], row["names"]["sort"]) == ("entrance", "line")
    assert (figures["clips"], figures["agreed"], figures["missed"]) == (24, 41, 2)
    assert figures["audited_accuracy"] == pytest.approx(0.9318, abs=1e-4)
    # Wilson's interval of 93.18 % of 31.7 items.
    assert figures["audited_low"] == pytest.approx(0.7900, abs=1e-4)
    assert figures["audited_high"] == pytest.approx(0.9802, abs=1e-4)
    assert len(row["model_digest"]) == 64


def test_defects_are_told_by_name_and_doubts_beside_them(cloud):
    cloud.tell_golden("inspection")
    start, end = judge_windows("inspection")
    stretch = {"from": start.isoformat(), "to": end.isoformat()}

    told = cloud.ask("store-17/kpi/defect", format="csv", **stretch)

    rows = list(csv.DictReader(io.StringIO(told.text)))
    found = [(row["station"], row["sort"], row["name"], row["parts"]) for row in rows]
    assert found == [("press-2", "defect", "short", "4"), ("press-2", "doubt", "turned", "1")]
    assert cloud.ask("store-17/kpi/defect", zone="press-9", **stretch).json()["rows"] == []


def test_a_line_that_judged_nothing_has_no_rates():
    empty = figures_of(SHAPES["inspection"], dict.fromkeys(SHAPES["inspection"].sums, 0))

    assert {value for name, value in empty.items() if name.endswith("_ratio")} == {None}
    assert empty["latency_p95_s"] is None


def test_heat_of_a_camera_is_the_sum_of_its_grids(cloud):
    cloud.tell_golden("heat")
    start, end = judge_windows("heat")
    stretch = {"from": start.isoformat(), "to": end.isoformat(), "period": "day"}
    source = judge_source("heat")

    answer = cloud.ask("store-17/heat", camera=source, **stretch).json()

    event = judge_event("heat")
    assert answer["cells_s"] == [[pytest.approx(c) for c in row] for row in event.data.cells_s]
    assert answer["models"] == [event.data.model_digest]


def judge_event(kind: str):
    payload = (GOLDEN / f"{kind}.json").read_bytes()
    return judge(Message(f"shopfloor/v1/store-17/till-1/{kind}", payload, EPOCH)).event


def judge_source(kind: str) -> str:
    return judge_event(kind).source.rsplit("/", 1)[1]


def test_pages_join_to_the_whole(cloud):
    device = FakeDevice()
    events = [
        device.traffic(seq, window_start=EPOCH + timedelta(minutes=seq % 7), line=f"l{seq % 3}")
        for seq in range(1, 40)
    ]
    cloud.tell(device, *events)
    whole = cloud.ask("oslo/kpi/traffic", period="minute").json()
    assert whole["next"] is None

    rows, cursor = [], {}
    while True:
        page = cloud.ask("oslo/kpi/traffic", period="minute", limit=4, **cursor).json()
        rows += page["rows"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}

    assert rows == whole["rows"]
    assert len(rows) == 21


def test_a_known_answer_is_not_sent_again_until_it_changes(cloud):
    device = FakeDevice()
    cloud.tell(device, device.traffic(1))
    tag = cloud.ask("oslo/kpi/traffic").headers["etag"]

    same = cloud.ask("oslo/kpi/traffic", headers={"if-none-match": tag})
    cloud.tell(device, device.traffic(2))
    other = cloud.ask("oslo/kpi/traffic", headers={"if-none-match": tag})

    assert (same.status_code, same.content) == (304, b"")
    assert other.status_code == 200
    assert other.headers["etag"] != tag


def test_csv_has_the_rows_of_the_page(cloud):
    device = FakeDevice()
    cloud.tell(device, *(device.traffic(seq) for seq in (1, 2)))

    answer = cloud.ask("oslo/kpi/traffic", period="minute", format="csv", limit=1)

    (line,) = csv.DictReader(io.StringIO(answer.text))
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["x-next-cursor"]
    assert line["bucket_start"] == "2026-03-01T12:01:00Z"
    assert (line["line"], line["crossings_in"], line["coverage_ratio"]) == ("entrance", "1", "1.0")


def test_a_week_is_compared_like_for_like(cloud):
    old, new = FakeDevice(camera="cam-1"), FakeDevice(device="gate", camera="cam-2")
    week = timedelta(days=7)
    cloud.tell(
        old,
        old.traffic(1, window_start=EPOCH - week, crossings=(4, 0)),
        old.traffic(2, window_start=EPOCH - week + HOUR, crossings=(90, 0)),
        old.traffic(3, window_start=EPOCH, crossings=(6, 0)),
    )
    cloud.tell(new, new.traffic(1, window_start=EPOCH, crossings=(50, 0)))

    answer = cloud.ask("oslo/kpi/traffic/week-over-week", by="site").json()

    (row,) = answer["rows"]
    assert row["now"]["figures"]["crossings_in"] == 6
    assert row["before"]["figures"]["crossings_in"] == 4
    assert row["buckets"] == 1
    assert row["before"]["model_digest"] == "0" * 64
    assert row["before"]["coverage_ratio"] == 1.0


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("oslo/kpi/traffic", {"period": "week"}),
        ("oslo/kpi/traffic", {"period": "minute", "from": "2025-01-01T00:00:00Z"}),
        ("oslo/kpi/traffic", {"from": "2026-03-02T00:00:00"}),
        ("oslo/kpi/traffic", {"limit": "0"}),
        ("oslo/kpi/traffic", {"by": "aisle"}),
        ("oslo/kpi/traffic", {"cursor": "bm90aGluZw"}),
        ("oslo/kpi/traffic", {"cursor": "WzEsMl0"}),
        ("oslo/kpi/heartbeat", {}),
        ("oslo/heat", {}),
        ("oslo/kpi/traffic", {"camera": "CAM 1"}),
    ],
)
def test_a_wrong_question_is_a_problem_that_says_what_is_wrong(path, query, cloud):
    device = FakeDevice()
    cloud.tell(device, device.traffic(1))

    answer = cloud.ask(path, **query)

    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert answer.json()["detail"]


def test_a_site_that_was_never_heard_is_not_found(cloud):
    paths = ("bergen/kpi/traffic", "bergen/kpi/traffic/week-over-week", "bergen/heat")

    assert [cloud.ask(path, camera="cam-1").status_code for path in paths] == [404, 404, 404]


def tell_two_sites(cloud):
    oslo, bergen = FakeDevice(), FakeDevice("bergen", camera="cam-9")
    cloud.tell(oslo, *(oslo.traffic(s, window_start=EPOCH, line=f"l{s}") for s in (1, 2)))
    cloud.tell(bergen, bergen.traffic(1, window_start=EPOCH, coverage=0.5))


def test_all_sites_are_told_by_site_unless_asked_otherwise(cloud):
    tell_two_sites(cloud)

    by_site = cloud.ask_fleet("kpi/traffic").json()
    by_camera = cloud.ask_fleet("kpi/traffic", by="camera", camera="cam-9").json()

    rows = [(row["names"], row["figures"]["crossings_out"]) for row in by_site["rows"]]
    assert rows == [({"site": "bergen"}, 2), ({"site": "oslo"}, 4)]
    assert by_site["coverage_ratio"] == pytest.approx(2.5 / 3)
    assert (by_site["kind"], by_site["period"]) == ("traffic", "hour")
    assert [row["names"] for row in by_camera["rows"]] == [{"site": "bergen", "camera": "cam-9"}]


def test_pages_of_all_sites_join_to_the_whole_and_are_csv_too(cloud):
    tell_two_sites(cloud)
    whole = cloud.ask_fleet("kpi/traffic", by="zone").json()["rows"]

    first = cloud.ask_fleet("kpi/traffic", by="zone", limit=2).json()
    second = cloud.ask_fleet("kpi/traffic", by="zone", cursor=first["next"])
    table = cloud.ask_fleet("kpi/traffic", by="zone", format="csv")

    assert first["rows"] + second.json()["rows"] == whole
    assert len(whole) == 3
    assert second.json()["next"] is None
    lines = list(csv.DictReader(io.StringIO(table.text)))
    assert [line["site"] for line in lines] == ["bergen", "oslo", "oslo"]


def test_a_fleet_without_figures_is_an_empty_page_and_a_wrong_question_a_problem(cloud):
    empty = cloud.ask_fleet("kpi/queue")
    tell_two_sites(cloud)
    of_another = cloud.ask_fleet("kpi/traffic", by="zone", limit=1).json()["next"]

    wrong = cloud.ask_fleet("kpi/traffic", cursor=of_another)

    assert (empty.status_code, empty.json()["rows"], empty.json()["next"]) == (200, [], None)
    assert (wrong.status_code, wrong.headers["content-type"]) == (422, PROBLEM)
    assert cloud.ask_fleet("kpi/heartbeat").status_code == 422


TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
INSTANTS = st.datetimes().map(lambda at: f"{at.isoformat()}Z") | TEXTS


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    kind=st.sampled_from([*sorted(DURABLE_KINDS), "else"]),
    end=st.sampled_from(["", "/week-over-week"]),
    query=st.fixed_dictionaries(
        {},
        optional={
            "from": INSTANTS,
            "to": INSTANTS,
            "period": st.sampled_from(["minute", "hour", "day"]) | TEXTS,
            "by": st.sampled_from(["site", "camera", "zone"]),
            "camera": TEXTS,
            "zone": st.just("till") | TEXTS,
            "limit": st.integers() | TEXTS,
            "cursor": st.just("WzEsIm9zbG8iXQ") | TEXTS,
            "format": st.sampled_from(["json", "csv"]) | TEXTS,
        },
    ),
)
def test_whatever_is_asked_is_answered_or_refused_and_never_a_fault(cloud, kind, end, query):
    device = FakeDevice()
    cloud.tell(device, device.traffic(1))

    answer = cloud.ask(f"oslo/kpi/{kind}{end}", **query)

    assert answer.status_code in (200, 422)
    if answer.status_code == 422:
        assert answer.headers["content-type"] == PROBLEM


def feedback(device, seq, *, verdict, replaces="none", alert=1, rule="queue-long"):
    data = FeedbackData(
        alert_id=uuid.UUID(int=alert),
        rule=rule,
        metric="queue-length",
        action="wrong" if verdict == "wrong" else "resolved",
        at=EPOCH,
        after_s=60,
        verdict=verdict,
        replaces=replaces,
    )
    source = f"/sites/{device.site}/devices/{device.device}/cameras/{device.camera}"
    return build_event(data, source=source, time=EPOCH, stream=device.stream, seq=seq)


def tell_feedback(cloud, device, *events):
    topic = device.topic("feedback")
    cloud.store.write([judge(Message(topic, encode(event), EPOCH)) for event in events])


def test_the_precision_of_a_rule_has_its_sample_and_its_interval(cloud):
    device = FakeDevice(camera="cam-1")
    said = ["right"] * 8 + ["wrong"] * 2
    tell_feedback(
        cloud, device, *(feedback(device, n, verdict=v, alert=n) for n, v in enumerate(said, 1))
    )

    (row,) = cloud.ask("oslo/kpi/feedback", period="day", **{"from": EPOCH.isoformat()}).json()[
        "rows"
    ]

    figures = row["figures"]
    assert (row["names"]["rule"], figures["alerts_judged"]) == ("queue-long", 10)
    assert figures["alert_precision"] == pytest.approx(0.8)
    # Wilson's score interval of 8 of 10, by the R function prop.test(8, 10, correct = FALSE).
    assert figures["alert_precision_low"] == pytest.approx(0.4901625, abs=1e-6)
    assert figures["alert_precision_high"] == pytest.approx(0.9433178, abs=1e-6)


@pytest.mark.parametrize("turned", [False, True])
def test_a_verdict_that_is_taken_back_counts_once_whatever_arrives_first(cloud, turned):
    device = FakeDevice(camera="cam-1")
    told = [
        feedback(device, 1, verdict="wrong"),
        feedback(device, 2, verdict="right", replaces="wrong"),
    ]
    for event in reversed(told) if turned else told:
        tell_feedback(cloud, device, event)

    (row,) = cloud.ask("oslo/kpi/feedback", period="day", **{"from": EPOCH.isoformat()}).json()[
        "rows"
    ]

    assert (row["figures"]["said_right"], row["figures"]["said_wrong"]) == (1, 0)
