from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from shopfloor_contracts.acks import Ack
from shopfloor_contracts.aggregates import (
    HEAT_COLUMNS,
    HEAT_ROWS,
    DwellData,
    HeatData,
    QueueData,
    ShelfData,
    SlotFigures,
    SlotState,
    ZoneDwell,
    ZoneQueue,
)
from shopfloor_contracts.alerts import AlertData, AlertState
from shopfloor_contracts.audits import AuditData, SamplingDesign, SubjectSort
from shopfloor_contracts.base import SLUG_PATTERN
from shopfloor_contracts.errors import EventRejectedError
from shopfloor_contracts.events import (
    EVENT_ADAPTER,
    MAX_EVENT_BYTES,
    BirthData,
    CameraHealth,
    CameraStatus,
    DeathData,
    Event,
    HeartbeatData,
    Kind,
    LineCount,
    OccupancyData,
    TrafficData,
    ZoneOccupancy,
    build_event,
    encode,
    event_id,
    kind_of,
    parse_event,
    source_of,
)
from shopfloor_contracts.feedback import FeedbackAction, FeedbackData, Verdict
from shopfloor_contracts.rules import Metric, Severity

STREAM = uuid.UUID("6f1b0c1e-8f53-4a5e-9d61-0d6f7c1b2a3c")
NOW = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)

slugs = st.from_regex(SLUG_PATTERN.replace("$", r"\Z"))
counts = st.integers(0, 1_000_000_000)
seconds = st.floats(0, 1e9)
ratios = st.floats(0, 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
instants = st.datetimes(
    datetime(1970, 1, 2),  # noqa: DTZ001 — hypothesis adds the zone
    datetime(9998, 12, 30),  # noqa: DTZ001
    timezones=st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours))),
)
windows = {
    "window_start": instants,
    "window_s": st.floats(0, 86_400, exclude_min=True),
    "coverage_ratio": ratios,
    "frames": counts,
    "model_digest": st.from_regex(r"\A[0-9a-f]{64}\Z"),
    "zone_version": st.from_regex(r"\A[0-9a-f]{12}\Z"),
    "backend": st.none() | slugs,
    "precision": st.sampled_from([None, "fp32", "fp16", "int8", "none"]),
    "degraded": st.none() | st.booleans(),
}
line_counts = st.builds(LineCount, line=slugs, crossings_in=counts, crossings_out=counts)
zone_occupancies = st.builds(
    ZoneOccupancy,
    zone=slugs,
    people_s=seconds,
    observed_s=seconds,
    people_max=counts,
    histogram_s=st.lists(seconds, min_size=8, max_size=8),
)
eight_counts = st.lists(counts, min_size=8, max_size=8)
zone_dwells = st.builds(
    ZoneDwell,
    zone=slugs,
    observed_s=seconds,
    entries=counts,
    exits=counts,
    lost=counts,
    dwell_s=seconds,
    dwell_max_s=seconds,
    histogram=eight_counts,
)
zone_queues = st.builds(
    ZoneQueue,
    zone=slugs,
    observed_s=seconds,
    people_s=seconds,
    people_max=counts,
    length_histogram_s=st.lists(seconds, min_size=8, max_size=8),
    joined=counts,
    served=counts,
    lost=counts,
    wait_s=seconds,
    wait_max_s=seconds,
    wait_histogram=eight_counts,
)
slot_figures = st.builds(
    SlotFigures,
    slot=slugs,
    state=st.sampled_from(SlotState),
    correct_s=seconds,
    empty_s=seconds,
    wrong_s=seconds,
    unknown_s=seconds,
    hidden_s=seconds,
    removals=counts,
    returns=counts,
)
cameras = st.builds(
    CameraHealth,
    camera=slugs,
    status=st.sampled_from(CameraStatus),
    fps=st.floats(0, 1000),
    reason=texts,
)
audits = st.builds(
    lambda shares, **fields: AuditData(low=shares[0], accuracy=shares[1], high=shares[2], **fields),
    st.lists(ratios, min_size=3, max_size=3).map(sorted),
    sort=st.sampled_from(SubjectSort),
    subject=slugs,
    clips=counts,
    agreed=counts,
    missed=counts,
    false=counts,
    effective=seconds,
    counted_ratio=st.none() | st.floats(0, 1e6),
    first_at=instants,
    last_at=instants,
    at=instants,
    model_digest=windows["model_digest"],
    zone_version=windows["zone_version"],
    backend=windows["backend"],
    precision=windows["precision"],
    design=st.builds(
        SamplingDesign,
        method=slugs,
        planned=counts,
        kept=counts,
        eligible=counts,
        strata=counts,
        seed=counts,
    ),
)
payloads = st.one_of(
    audits,
    st.builds(
        TrafficData,
        **windows,
        lines=st.lists(line_counts, min_size=1, max_size=4, unique_by=lambda count: count.line),
    ),
    st.builds(
        OccupancyData,
        **windows,
        zones=st.lists(zone_occupancies, min_size=1, max_size=3, unique_by=lambda z: z.zone),
    ),
    st.builds(
        DwellData,
        **windows,
        zones=st.lists(zone_dwells, min_size=1, max_size=3, unique_by=lambda z: z.zone),
    ),
    st.builds(
        QueueData,
        **windows,
        zones=st.lists(zone_queues, min_size=1, max_size=3, unique_by=lambda z: z.zone),
    ),
    st.builds(
        HeatData,
        **windows,
        observed_s=seconds,
        people_s=seconds,
        cells_s=seconds.map(lambda cell: [[cell] * HEAT_COLUMNS] * HEAT_ROWS),
    ),
    st.builds(
        ShelfData,
        **windows,
        slots=st.lists(slot_figures, min_size=1, max_size=3, unique_by=lambda s: s.slot),
    ),
    st.builds(
        AlertData,
        alert_id=st.uuids(),
        rule=slugs,
        metric=st.sampled_from([str(metric) for metric in Metric]),
        about=st.none() | slugs,
        state=st.sampled_from(AlertState),
        severity=st.sampled_from(Severity),
        at=instants,
        since=instants,
        value=st.floats(-1e9, 1e9),
        threshold=st.floats(-1e9, 1e9),
        track=st.none() | counts,
        suppressed=counts,
    ),
    st.builds(
        FeedbackData,
        alert_id=st.uuids(),
        rule=slugs,
        metric=slugs,
        about=st.none() | slugs,
        action=st.sampled_from(FeedbackAction),
        at=instants,
        after_s=seconds,
        verdict=st.sampled_from(Verdict),
        replaces=st.sampled_from(Verdict),
    ),
    st.builds(
        BirthData,
        boot_id=st.uuids(),
        stream=st.uuids(),
        next_seq=counts,
        software=texts,
        cameras=st.lists(slugs, max_size=4),
    ),
    st.builds(
        DeathData, boot_id=st.uuids(), reason=st.sampled_from(["stopped", "connection-lost"])
    ),
    st.builds(
        HeartbeatData,
        boot_id=st.uuids(),
        uptime_s=seconds,
        outbox_rows=counts,
        outbox_bytes=counts,
        outbox_dropped=counts,
        outbox_write_failures=counts,
        cameras=st.lists(cameras, max_size=3),
    ),
)


@st.composite
def events(draw: st.DrawFn) -> Event:
    seq = draw(counts)
    return build_event(
        draw(payloads),
        source=source_of(draw(slugs), draw(slugs), draw(st.none() | slugs)),
        time=draw(instants),
        stream=draw(st.uuids()),
        seq=seq,
        prevseq=draw(st.none() | st.integers(0, seq - 1)) if seq else None,
    )


def traffic(**changes: object) -> TrafficData:
    return TrafficData.model_validate(
        {
            "window_start": NOW,
            "window_s": 60,
            "coverage_ratio": 1,
            "frames": 600,
            "model_digest": "0" * 64,
            "zone_version": "0" * 12,
            "lines": [{"line": "entrance", "crossings_in": 3}],
            **changes,
        }
    )


def message(**changes: object) -> dict[str, object]:
    event = build_event(
        traffic(), source=source_of("store", "till-1", "door"), time=NOW, stream=STREAM, seq=7
    )
    return {**json.loads(encode(event)), **changes}


def rejection_of(payload: bytes) -> EventRejectedError:
    with pytest.raises(EventRejectedError) as caught:
        parse_event(payload)

    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    return caught.value


@given(events())
@settings(deadline=None)
def test_an_event_reads_back_as_it_was_written(event):
    payload = encode(event)

    assert parse_event(payload) == event
    assert encode(parse_event(payload)) == payload


@given(events())
@settings(deadline=None)
def test_an_event_follows_its_published_schema(event):
    schema = EVENT_ADAPTER.json_schema(mode="serialization")

    Draft202012Validator(schema).validate(json.loads(encode(event)))


@given(st.uuids(), st.sampled_from(Kind), counts)
@settings(deadline=None)
def test_the_same_sequence_always_has_the_same_id(stream, kind, seq):
    assert event_id(stream, kind, seq) == event_id(uuid.UUID(str(stream)), Kind(str(kind)), seq)


def test_ids_differ_by_stream_kind_and_sequence():
    ids = {
        event_id(stream, kind, seq)
        for stream in (STREAM, uuid.UUID(int=1))
        for kind in Kind
        for seq in range(100)
    }

    assert len(ids) == 2 * len(Kind) * 100


def test_an_id_is_the_same_in_every_release():
    assert str(event_id(STREAM, Kind.TRAFFIC, 7)) == "ff542050-a120-54de-9219-ce3d1ee8aa4f"


def test_the_id_of_an_event_comes_from_its_stream_kind_and_sequence():
    one = build_event(traffic(), source=source_of("s", "d"), time=NOW, stream=STREAM, seq=7)
    late = NOW + timedelta(days=1)
    again = build_event(
        traffic(frames=1), source=source_of("s", "d"), time=late, stream=STREAM, seq=7
    )

    assert one.id == again.id == event_id(STREAM, kind_of(one.data), 7)


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"\xff\xfe{}", b"hello", b"[" * 60_000, b'{"a":"\\ud800"}', b"\x00"]
)
def test_what_is_not_json_is_rejected_as_such(payload):
    assert rejection_of(payload).reason == "not-json"


@pytest.mark.parametrize(
    "kind", ["shopfloor.laughter.v1", "shopfloor.traffic.v2", "", "x\n" * 30_000]
)
def test_an_unknown_type_is_rejected_as_such(kind):
    assert rejection_of(json.dumps(message(type=kind)).encode()).reason == "unknown-type"


def test_a_message_without_a_type_is_rejected_as_an_unknown_type():
    assert rejection_of(b"{}").reason == "unknown-type"


@pytest.mark.parametrize(
    "changes",
    [
        {"specversion": "0.3"},
        {"id": "not-a-uuid"},
        {"source": "/sites/store"},
        {"source": "/sites/store/devices/till-1\n<img src=x>"},
        {"source": "/sites/store/devices/till-1/cameras/door/more"},
        {"source": "/sites/-/devices/till-1"},
        {"time": "2026-11-02T09:30:00"},
        {"time": "yesterday"},
        {"time": 1_793_611_800},
        {"time": "9999-12-31T23:59:59-12:00"},
        {"time": "0001-01-01T00:00:00+12:00"},
        {"seq": -1},
        {"seq": True},
        {"seq": "7"},
        {"seq": 10**30},
        {"prevseq": 7},
        {"prevseq": 8},
        {"data": {}},
        {"data": None},
        {"data": [1]},
    ],
)
def test_a_message_against_the_schema_is_rejected_as_such(changes):
    assert rejection_of(json.dumps(message(**changes)).encode()).reason == "schema"


@pytest.mark.parametrize("payload", [b"[]", b"null", b"1", b'"shopfloor.traffic.v1"'])
def test_json_that_is_no_object_is_rejected_as_against_the_schema(payload):
    assert rejection_of(payload).reason == "schema"


def test_a_message_over_the_limit_is_rejected_unread():
    payload = json.dumps(message()).encode()

    parse_event(payload.ljust(MAX_EVENT_BYTES))

    assert rejection_of(payload.ljust(MAX_EVENT_BYTES + 1)).reason == "too-large"
    assert rejection_of(b"\xff" * (MAX_EVENT_BYTES + 1)).reason == "too-large"


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_any_bytes_are_an_event_or_are_rejected_with_a_reason(payload):
    reason = None
    try:
        parse_event(payload)
    except EventRejectedError as e:
        reason = e.reason

    assert reason in (None, "not-json", "unknown-type", "schema")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("field", ["window_s", "coverage_ratio"])
def test_a_number_that_is_none_is_refused_when_written_and_when_read(field, number):
    data = {**message()["data"], field: number}

    with pytest.raises(ValidationError):
        traffic(**{field: number})

    assert rejection_of(json.dumps(message(data=data)).encode()).reason == "schema"


@pytest.mark.parametrize(
    "changes",
    [
        {"lines": []},
        {"lines": [{"line": "a"}, {"line": "a"}]},
        {"lines": [{"line": f"line-{n}"} for n in range(65)]},
        {"coverage_ratio": 1.01},
        {"window_s": 0},
        {"model_digest": "0" * 63},
        {"zone_version": "latest"},
    ],
)
def test_an_aggregate_that_cannot_be_merged_is_refused(changes):
    with pytest.raises(ValidationError):
        traffic(**changes)


def test_a_zone_that_is_told_twice_is_refused():
    zone = ZoneOccupancy(zone="hall", people_s=0, observed_s=0, people_max=0, histogram_s=[0.0] * 8)
    window = traffic().model_dump(exclude={"lines"})

    with pytest.raises(ValidationError, match="two zones are named 'hall'"):
        OccupancyData(**window, zones=[zone, zone])


def test_what_an_older_writer_did_not_say_is_none_and_is_not_written():
    data = traffic()

    assert (data.backend, data.precision, data.degraded) == (None, None, None)
    assert not {"backend", "precision", "degraded"} & message()["data"].keys()


@pytest.mark.parametrize("rows", [HEAT_ROWS - 1, HEAT_ROWS + 1])
def test_a_heat_map_has_the_size_that_everyone_knows(rows):
    window = traffic().model_dump(exclude={"lines"})

    with pytest.raises(ValidationError):
        HeatData(**window, observed_s=1, people_s=0, cells_s=[[0.0] * HEAT_COLUMNS] * rows)


def test_the_fields_of_a_newer_writer_are_ignored():
    newer = message(tenant="acme", data={**message()["data"], "children": 2})
    newer["data"]["lines"] = [{"line": "entrance", "crossings_in": 3, "groups_in": 1}]

    assert parse_event(json.dumps(newer).encode()) == parse_event(json.dumps(message()).encode())


def test_an_instant_with_another_offset_is_read_as_utc():
    event = parse_event(json.dumps(message(time="2026-11-02T10:30:00+01:00")).encode())

    assert (event.time, event.time.utcoffset()) == (NOW, timedelta(0))


def test_absent_attributes_are_not_written():
    assert "prevseq" not in message()


def test_an_acknowledgement_reads_back_as_it_was_written():
    ack = Ack(stream=STREAM, up_to=41)

    assert Ack.model_validate_json(ack.model_dump_json()) == ack


@pytest.mark.parametrize("up_to", ["-1", "1.5", "null", "1e30", "NaN"])
def test_an_acknowledgement_of_no_sequence_is_refused(up_to):
    with pytest.raises(ValidationError):
        Ack.model_validate_json(f'{{"stream": "{STREAM}", "up_to": {up_to}}}')
