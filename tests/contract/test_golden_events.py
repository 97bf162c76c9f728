"""Messages on disk: today's reader understands them, today's writer makes the same bytes."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shopfloor_contracts.acks import Ack
from shopfloor_contracts.aggregates import (
    HEAT_COLUMNS,
    HEAT_ROWS,
    DefectCount,
    DwellData,
    FigureSums,
    HeatData,
    InspectionData,
    QueueData,
    SensorData,
    ShelfData,
    SlotFigures,
    SlotState,
    ZoneDwell,
    ZoneQueue,
)
from shopfloor_contracts.alerts import AlertData, AlertState
from shopfloor_contracts.audits import AuditData, SamplingDesign, SubjectSort
from shopfloor_contracts.batches import pack, pack_slim, unpack
from shopfloor_contracts.events import (
    BirthData,
    CameraHealth,
    CameraStatus,
    DeathData,
    DeviceHealth,
    Event,
    EventData,
    HeartbeatData,
    Kind,
    LineCount,
    OccupancyData,
    TrafficData,
    ZoneOccupancy,
    build_event,
    encode,
    kind_of,
    parse_event,
    source_of,
)
from shopfloor_contracts.feedback import FeedbackAction, FeedbackData, Verdict
from shopfloor_contracts.rules import Metric, Severity

GOLDEN = Path(__file__).parent / "golden"
OUTBOX = uuid.UUID("6f1b0c1e-8f53-4a5e-9d61-0d6f7c1b2a3c")
BOOT = uuid.UUID("0b7a1c55-52de-4f0e-8c39-9a2f5a4f7d10")
NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
WINDOW = {
    "window_start": NOON,
    "window_s": 60.0,
    "coverage_ratio": 0.985,
    "frames": 591,
    "model_digest": "c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d",
    "zone_version": "3f9a0c12be47",
}
ALERT_ID = uuid.UUID("1a9e6a51-6a0e-5a0e-8a54-2a1a4c1f0d11")
ACK = Ack(stream=OUTBOX, up_to=42)


def event(data: EventData, *, camera: str | None, seq: int, prevseq: int | None = None) -> Event:
    return build_event(
        data,
        source=source_of("store-17", "till-1", camera),
        time=NOON + timedelta(seconds=61, milliseconds=250),
        stream=OUTBOX if camera else BOOT,
        seq=seq,
        prevseq=prevseq,
    )


EVENTS = {
    # prevseq 39: the device has dropped its event 40.
    Kind.TRAFFIC: event(
        TrafficData(
            **WINDOW,
            lines=[
                LineCount(line="entrance", crossings_in=12, crossings_out=9),
                LineCount(line="till-row", crossings_in=0, crossings_out=4),
            ],
        ),
        camera="door",
        seq=41,
        prevseq=39,
    ),
    Kind.OCCUPANCY: event(
        OccupancyData(
            **WINDOW,
            zones=[
                ZoneOccupancy(
                    zone="hall",
                    people_s=131.5,
                    observed_s=59.1,
                    people_max=5,
                    histogram_s=[4.0, 15.1, 20.0, 16.0, 4.0, 0.0, 0.0, 0.0],
                )
            ],
        ),
        camera="door",
        seq=42,
        prevseq=41,
    ),
    Kind.DWELL: event(
        DwellData(
            **WINDOW,
            backend="onnxruntime",
            precision="int8",
            degraded=False,
            zones=[
                ZoneDwell(
                    zone="hall",
                    observed_s=59.1,
                    entries=3,
                    exits=2,
                    lost=1,
                    dwell_s=47.5,
                    dwell_max_s=41.0,
                    histogram=[0, 1, 0, 1, 0, 0, 0, 0],
                )
            ],
        ),
        camera="door",
        seq=43,
        prevseq=42,
    ),
    Kind.QUEUE: event(
        QueueData(
            **WINDOW,
            zones=[
                ZoneQueue(
                    zone="till-1",
                    observed_s=59.1,
                    people_s=88.6,
                    people_max=3,
                    length_histogram_s=[9.1, 20.0, 20.5, 9.5, 0.0, 0.0, 0.0, 0.0],
                    joined=4,
                    served=3,
                    lost=0,
                    wait_s=96.2,
                    wait_max_s=40.4,
                    wait_histogram=[0, 0, 2, 1, 0, 0, 0, 0],
                )
            ],
        ),
        camera="door",
        seq=44,
        prevseq=43,
    ),
    Kind.HEAT: event(
        HeatData(
            **WINDOW,
            observed_s=59.1,
            people_s=61.4,
            cells_s=[
                [59.1 if (row, column) == (9, 16) else 0.0 for column in range(HEAT_COLUMNS)]
                if row < HEAT_ROWS - 1
                else [2.3] + [0.0] * (HEAT_COLUMNS - 1)
                for row in range(HEAT_ROWS)
            ],
        ),
        camera="door",
        seq=45,
        prevseq=44,
    ),
    Kind.SHELF: event(
        ShelfData(
            **WINDOW,
            slots=[
                SlotFigures(
                    slot="left",
                    state=SlotState.EMPTY,
                    correct_s=40.0,
                    empty_s=18.4,
                    wrong_s=0.0,
                    unknown_s=0.7,
                    hidden_s=3.5,
                    removals=1,
                    returns=0,
                )
            ],
        ),
        camera="shelf-3",
        seq=46,
        prevseq=45,
    ),
    Kind.INSPECTION: event(
        InspectionData(
            **WINDOW,
            station="press-2",
            passed=195,
            failed=4,
            reviewed=1,
            missed=1,
            escapes=0,
            false_rejects=1,
            confirmed=3,
            defects=[DefectCount(name="short", parts=4, places=5)],
            doubts=[DefectCount(name="turned", parts=1)],
            latency_histogram=[0, 20, 170, 9, 1, 0, 0, 0, 0],
            line="alerted",
        ),
        camera="press-2",
        seq=48,
        prevseq=47,
    ),
    Kind.SENSOR: event(
        SensorData(
            **WINDOW,
            sensor="drive-end",
            machine="press-2",
            quantity="vibration",
            unit="mm/s",
            figures=[
                FigureSums(
                    name="rms", count=60, total=84.0, squares=117.9, minimum=1.31, maximum=1.52
                ),
                FigureSums(
                    name="band-1", count=60, total=12.0, squares=2.41, minimum=0.17, maximum=0.25
                ),
            ],
            score_max=3.4,
            level_max=1.02,
            state="drifting",
            refused=2,
        ),
        camera="drive-end",
        seq=49,
        prevseq=48,
    ),
    Kind.ALERT: event(
        AlertData(
            alert_id=ALERT_ID,
            rule="queue-too-long",
            metric=Metric.QUEUE_LENGTH,
            about="till-1",
            state=AlertState.RAISED,
            severity=Severity.WARNING,
            at=NOON + timedelta(seconds=61),
            since=NOON + timedelta(seconds=1),
            value=7.0,
            threshold=5.0,
            suppressed=2,
        ),
        camera="door",
        seq=47,
        prevseq=46,
    ),
    Kind.FEEDBACK: event(
        FeedbackData(
            alert_id=ALERT_ID,
            rule="queue-too-long",
            metric=Metric.QUEUE_LENGTH,
            about="till-1",
            action=FeedbackAction.WRONG,
            at=NOON + timedelta(seconds=102.5),
            after_s=41.5,
            verdict=Verdict.WRONG,
            replaces=Verdict.RIGHT,
        ),
        camera="door",
        seq=50,
        prevseq=49,
    ),
    Kind.AUDIT: event(
        AuditData(
            sort=SubjectSort.LINE,
            subject="entrance",
            clips=24,
            agreed=41,
            missed=2,
            false=1,
            accuracy=0.9318,
            low=0.79,
            high=0.9802,
            effective=31.7,
            counted_ratio=0.9767,
            first_at=NOON - timedelta(days=3),
            last_at=NOON - timedelta(hours=2),
            at=NOON,
            model_digest=WINDOW["model_digest"],
            zone_version=WINDOW["zone_version"],
            backend="onnxruntime",
            precision="int8",
            design=SamplingDesign(
                method="stratified-ratio-wilson",
                planned=192,
                kept=188,
                eligible=164,
                strata=8,
                seed=7001,
            ),
        ),
        camera="door",
        seq=51,
        prevseq=50,
    ),
    Kind.BIRTH: event(
        BirthData(
            boot_id=BOOT,
            stream=OUTBOX,
            next_seq=43,
            software="shopfloor-edge 0.1.0",
            cameras=["door", "shelf-3"],
        ),
        camera=None,
        seq=0,
    ),
    Kind.HEARTBEAT: event(
        HeartbeatData(
            boot_id=BOOT,
            uptime_s=3600.5,
            outbox_rows=2,
            outbox_bytes=1048,
            outbox_dropped=1,
            outbox_write_failures=0,
            cameras=[
                CameraHealth(camera="door", status=CameraStatus.LIVE, fps=9.85),
                CameraHealth(
                    camera="shelf-3",
                    status=CameraStatus.STALLED,
                    fps=0.0,
                    reason="no frame for 3 s (Tür 2)",
                ),
            ],
        ),
        camera=None,
        seq=1,
    ),
    Kind.DEATH: event(DeathData(boot_id=BOOT, reason="connection-lost"), camera=None, seq=2),
}

HEARTBEAT_WITH_HEALTH = event(
    HeartbeatData(
        boot_id=BOOT,
        uptime_s=7200.5,
        outbox_rows=0,
        outbox_bytes=0,
        outbox_dropped=0,
        cameras=[CameraHealth(camera="door", status=CameraStatus.LIVE, fps=9.9)],
        health=DeviceHealth(
            inference_histogram=[0, 3, 4021, 1888, 41, 7, 2, 0, 1],
            score_histogram=[0, 0, 0, 12, 81, 160, 402, 977, 1405, 310],
            memory_available_bytes=1_204_371_456,
            disk_free_bytes=20_401_094_656,
            temperature_c=61.5,
            clock_error_s=0.0031,
        ),
    ),
    camera=None,
    seq=3,
)
BATCHED = [EVENTS[kind] for kind in (Kind.TRAFFIC, Kind.OCCUPANCY, Kind.DWELL, Kind.HEAT)]
BATCHED.append(HEARTBEAT_WITH_HEALTH)
"""With a gap before the first (prevseq 39), and a chain of three behind it."""
BATCH_TOPIC = "shopfloor/v1/store-17/till-1/batch"


@pytest.mark.parametrize("kind", Kind)
def test_todays_reader_understands_the_golden_event(kind):
    assert parse_event((GOLDEN / f"{kind}.json").read_bytes()) == EVENTS[kind]


@pytest.mark.parametrize("kind", Kind)
def test_todays_writer_makes_the_golden_bytes(kind):
    assert encode(EVENTS[kind]) == (GOLDEN / f"{kind}.json").read_bytes()


@pytest.mark.parametrize("kind", Kind)
def test_a_reader_ignores_what_a_newer_writer_adds_anywhere(kind):
    newer = with_more(json.loads((GOLDEN / f"{kind}.json").read_bytes()))

    assert parse_event(json.dumps(newer).encode()) == EVENTS[kind]


def with_more(node: object) -> object:
    """Add a field of the future to every object."""
    if isinstance(node, list):
        return [with_more(item) for item in node]
    if isinstance(node, dict):
        return {**{k: with_more(v) for k, v in node.items()}, "added-later": {"deep": [1, None]}}
    return node


def test_the_golden_acknowledgement_is_read_and_written_the_same():
    golden = (GOLDEN / "ack.json").read_bytes()

    assert Ack.model_validate_json(golden) == ACK
    assert ACK.model_dump_json().encode() == golden


def test_the_golden_heartbeat_with_health_is_read_and_written_the_same():
    golden = (GOLDEN / "heartbeat-health.json").read_bytes()

    assert parse_event(golden) == HEARTBEAT_WITH_HEALTH
    assert encode(HEARTBEAT_WITH_HEALTH) == golden


def test_a_reader_ignores_what_a_newer_writer_adds_to_health():
    newer = with_more(json.loads((GOLDEN / "heartbeat-health.json").read_bytes()))

    assert parse_event(json.dumps(newer).encode()) == HEARTBEAT_WITH_HEALTH


def test_todays_reader_unpacks_the_golden_batch_into_the_events_one_by_one():
    parts = unpack(BATCH_TOPIC, (GOLDEN / "batch.sfb1").read_bytes())

    # A chain is left unsaid: absent means "the one before".
    chained = [one.prevseq == one.seq - 1 for one in BATCHED]
    unsaid = [
        one.model_copy(update={"prevseq": None}) if is_chained else one
        for one, is_chained in zip(BATCHED, chained, strict=True)
    ]
    assert chained == [False, True, True, True, False]
    assert [parse_event(part.payload) for part in parts] == unsaid
    kinds = [part.topic.rsplit("/", 1)[1] for part in parts]
    assert kinds == ["traffic", "occupancy", "dwell", "heat", "heartbeat"]


def test_todays_writer_says_what_the_golden_batch_says():
    # Not the same bytes: another zstd may find a shorter frame for the same content.
    golden = unpack(BATCH_TOPIC, (GOLDEN / "batch.sfb1").read_bytes())

    assert unpack(BATCH_TOPIC, pack(BATCHED)) == golden
    assert pack(BATCHED)[:12] == (GOLDEN / "batch.sfb1").read_bytes()[:12]


def test_a_reader_ignores_what_a_newer_writer_adds_inside_a_batch():
    newer = [json.dumps(with_more(json.loads(encode(one)))).encode() for one in BATCHED]

    parts = unpack(BATCH_TOPIC, pack_slim(newer))

    assert [parse_event(part.payload) for part in parts] == BATCHED


def test_every_golden_file_is_tested():
    names = {path.name for path in GOLDEN.iterdir()} - {"README.md"}

    assert names == {*(f"{kind}.json" for kind in (*Kind, "ack", "heartbeat-health")), "batch.sfb1"}
    assert all(kind_of(EVENTS[kind].data) is kind for kind in Kind)
