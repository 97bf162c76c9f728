"""Bytes per camera-day with every KPI at one-minute windows: ``var/bench/uplink.json``.

The device's own ``Delivery`` and ``UplinkMeter`` send a day of one camera (``uplink_day.py`` says
how it is made) over a sender that counts bytes: PUBLISH packets with topic and header, and 22
bytes of TLS 1.3 for each. The device has one camera, so that nothing is shared with another. Not
counted: TCP and IP headers, keep-alives, connecting, and the way back.
"""

from __future__ import annotations

import json
import sys
import tempfile
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from uplink_day import PEOPLE, minutes, record, shelf_drawn

from shopfloor_contracts.acks import Ack
from shopfloor_contracts.alerts import AlertData, AlertState
from shopfloor_contracts.batches import is_batch
from shopfloor_contracts.events import (
    CameraHealth,
    CameraStatus,
    DeviceHealth,
    Event,
    EventData,
    HeartbeatData,
    build_event,
    source_of,
)
from shopfloor_contracts.rules import Severity
from shopfloor_demo.clips import find_vtest, places
from shopfloor_edge.agent.delivery import PUBLISH_BYTES, Batching, Delivery
from shopfloor_edge.agent.meter import UplinkMeter
from shopfloor_edge.journal.outbox import Draft, Outbox
from shopfloor_edge.journal.usage import Used
from shopfloor_edge.vision.heat_periods import HeatPeriods

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "var" / "bench" / "uplink"
DAY, SEED = datetime(2026, 11, 23), 7  # noqa: DTZ001 — the day's minutes are made UTC by the day
TLS_BYTES = 22
"""RFC 8446 §5.2: record header 5, content type 1, AEAD tag 16."""
ALERT_MINUTES = (605, 790, 1100)
LIMIT_BYTES, GOAL_BYTES = 300_000, 100_000
SETTINGS = [(60, 60, 0), (60, 60, 900), (300, 300, 900), (600, 600, 900), (900, 900, 900)]
"""Seconds: ``batch_s``, ``heartbeat_s`` and ``heat_s``. The last is the one reported."""

Minutes = list[tuple[datetime, list[EventData]]]


class Line:
    """A way out that is always there, acknowledged at once."""

    def __init__(self) -> None:
        self.wire_bytes, self.messages, self.alerts_alone = 0, 0, 0

    def say(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> bool:
        """Count one message."""
        self.messages += 1
        self.wire_bytes += len(payload) + len(topic) + PUBLISH_BYTES + TLS_BYTES
        self.alerts_alone += topic.endswith("/alert")
        assert is_batch(topic) or topic.endswith("/alert")
        return True


@dataclass(frozen=True, slots=True)
class Outcome:
    """One day with one setting."""

    used: dict[str, Used]
    line: Line
    longest_alert_wait_s: float


def send_day(day: Minutes, batch_s: float, heartbeat_s: float, heat_s: float) -> Outcome:
    """Let the device's own code send the day, and count."""
    line, meter = Line(), UplinkMeter()
    boot, due_s, now_s, alert_wait_s = uuid.UUID(int=SEED, version=4), 0.0, 0.0, 0.0
    sequence = iter(range(1, 10**6))

    def company() -> Event | None:
        nonlocal due_s
        if now_s < due_s:
            return None
        due_s = now_s + heartbeat_s - 1
        return heartbeat(boot, next(sequence), now_s, at)

    with tempfile.TemporaryDirectory() as folder:
        outbox = Outbox(Path(folder), max_rows=10**6, max_bytes=10**9)
        delivery = Delivery(
            outbox, line, site="store-17", device="till-1",
            batching=Batching(batch_s, 500), company=company, on_sent=meter.sent,
        )  # fmt: skip
        heat = HeatPeriods(heat_s)
        for minute, (at, figures) in enumerate(day):
            now_s = 60.0 * minute
            delivery.pump(now_s)
            kept = heat.take(figures) + (heat.close() if minute == len(day) - 1 else [])
            drafts = [draft(data, at, minute) for data in kept]
            if minute in ALERT_MINUTES:
                drafts.append(draft(alert(at), at, minute))
            outbox.commit(drafts)
            before = line.alerts_alone
            delivery.pump(now_s, flush=minute == len(day) - 1)
            if minute in ALERT_MINUTES and line.alerts_alone == before:
                alert_wait_s = max(alert_wait_s, 60.0)
            acked = Ack(stream=outbox.position().stream, up_to=delivery.on_the_way)
            position = outbox.position()
            delivery.acknowledge(
                acked.model_copy(update={"up_to": position.acked + delivery.on_the_way}), now_s
            )
        outbox.close()
    return Outcome(meter.take(), line, alert_wait_s)


def draft(data: EventData, at: datetime, minute: int) -> Draft:
    """Return the figures as vision commits them, some seconds after the minute."""
    committed_at = at + timedelta(seconds=60.3, microseconds=minute * 7919 % 900_000)
    return Draft(data, source_of("store-17", "till-1", "door"), committed_at)


def alert(at: datetime) -> AlertData:
    """Return an alert of a queue."""
    return AlertData(
        alert_id=uuid.uuid4(), rule="queue-too-long", metric="queue-length", about="till",
        state=AlertState.RAISED, severity=Severity.WARNING, at=at, since=at, value=7, threshold=5,
    )  # fmt: skip


def heartbeat(boot: uuid.UUID, seq: int, now_s: float, at: datetime) -> Event:
    """Return a heartbeat with every figure of health."""
    frames = int(now_s * 10) + 1
    data = HeartbeatData(
        boot_id=boot,
        uptime_s=now_s + 12.3,
        outbox_rows=7,
        outbox_bytes=9000 + frames % 977,
        outbox_dropped=0,
        cameras=[
            CameraHealth(camera="door", status=CameraStatus.LIVE, fps=9.9 + frames % 13 / 100)
        ],
        health=DeviceHealth(
            inference_histogram=[0, 0, frames, frames // 7, frames // 90, 3, 1, 0, 0],
            score_histogram=[0, frames // 2, *[frames // n for n in (3, 4, 5, 6, 5, 3, 2, 9)]],
            memory_available_bytes=900_000_000 + frames * 4096 % 50_000_000,
            disk_free_bytes=20_000_000_000 - frames * 4096,
            temperature_c=51 + frames % 80 / 10,
            clock_error_s=0.01 + frames % 100 / 10_000,
        ),
    )
    root = source_of("store-17", "till-1")
    return build_event(data, source=root, time=at, stream=boot, seq=seq)


def main() -> int:
    """Print the table, write the figures; 1 above the limit."""
    import os  # noqa: PLC0415

    where = places(os.environ, ROOT)
    if where.mirror is None:
        print("wants the mirror: set SHOPFLOOR_MIRROR")
        return 2
    people, video_per_s = record(WORK / "people", find_vtest(where, say=print), PEOPLE)
    shelf_clip = where.mirror / "data" / "video" / "bottle-detection.mp4"
    shelf, _ = record(WORK / "shelf", shelf_clip, shelf_drawn())
    day: Minutes = list(minutes({**people, **shelf}, DAY, SEED))
    print(f"{'batch_s':>8} {'heat_s':>7} {'messages':>9} {'bytes per camera-day':>21}")
    table, raw_bytes = [], 0
    for batch_s, heartbeat_s, heat_s in SETTINGS:
        best = send_day(day, batch_s, heartbeat_s, heat_s)
        print(f"{batch_s:8} {heat_s:7} {best.line.messages:9,} {best.line.wire_bytes:21,}")
        raw_bytes = max(raw_bytes, sum(used.raw_bytes for used in best.used.values()))
        table.append({"batch_s": batch_s, "heat_s": heat_s, "bytes": best.line.wire_bytes})
    result = {
        "bytes_per_camera_day": best.line.wire_bytes,
        "by_kind": {kind: used.wire_bytes for kind, used in sorted(best.used.items())},
        "raw_json_bytes": raw_bytes,
        "video_bytes": round(video_per_s * 86_400),
        "tls_bytes": best.line.messages * TLS_BYTES,
        "by_setting": table,
        "settings": {
            "window_s": 60,
            "batch_s": batch_s,
            "heartbeat_s": heartbeat_s,
            "heat_s": heat_s,
        },
        "alerts": len(ALERT_MINUTES),
        "alerts_sent_at_once": best.line.alerts_alone if best.longest_alert_wait_s == 0 else 0,
        "limit_bytes": LIMIT_BYTES,
        "goal_bytes": GOAL_BYTES,
    }
    (ROOT / "var" / "bench" / "uplink.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=1))
    return 0 if best.line.wire_bytes <= LIMIT_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
