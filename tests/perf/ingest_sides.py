"""What ``bench_ingest`` compares: processes that take the same messages from one broker.

``python ingest_sides.py SIDE PORT EXPECTED DATABASE ADDRESS_FILE CLIENT_ID``, where a side is
``bare`` (an MQTT client that throws everything away), ``null`` (the real ingest process, its sink
stores nothing), ``raw`` (with its own, but no sums) or ``sql`` (as it is). The first two say
``done`` after as many messages (bare) or events of outboxes (null) as expected.
"""

from __future__ import annotations

import itertools
import signal
import sys
import threading
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from shopfloor_contracts.acks import Ack
from shopfloor_ingest.adapters.mqtt import QUEUE_SIZE, SUBSCRIPTION
from shopfloor_ingest.app import serve
from shopfloor_ingest.domain import rollups
from shopfloor_ingest.domain.messages import Accepted, Rejected, StreamKey
from shopfloor_ingest.domain.watermarks import Arrival, Watermark, extend
from shopfloor_ingest.settings import load_settings
from shopfloor_ingest.usecases import Acknowledgement, Outcome


class NullSink:
    """An ``EventSink`` that keeps watermarks in memory, and no event."""

    def __init__(self, expected: int) -> None:
        self._left = expected
        self._marks: dict[StreamKey, Watermark] = {}

    def prepare(self) -> None:
        """There is nothing to prepare."""

    def write(self, batch: Sequence[Accepted | Rejected]) -> Outcome:
        """Count, and say how far each stream is complete."""
        outcome = Outcome()
        arrivals: dict[StreamKey, list[Arrival]] = defaultdict(list)
        for judged in batch:
            if not isinstance(judged, Accepted):
                outcome.rejected[judged.reason] += 1
                continue
            outcome.stored[judged.topic.kind] += 1
            if judged.durable:
                arrivals[judged.key].append(Arrival(judged.event.seq, judged.event.prevseq))
        self._left -= sum(map(len, arrivals.values()))
        if self._left == 0:
            print("done", flush=True)
        for key, arrived in arrivals.items():
            mark = extend(self._marks.get(key, Watermark()), arrived)
            self._marks[key] = mark
            ack = Ack(stream=key.stream, up_to=mark.up_to)
            outcome.acks.append(Acknowledgement(key.site, key.device, ack))
        return outcome


def receive_and_forget(port: int, expected: int) -> int:
    """Take messages until told to end."""
    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bare", protocol=mqtt.MQTTv5)
    properties = mqtt.Properties(mqtt.PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum = QUEUE_SIZE
    left = itertools.count(expected - 1, -1)
    client.on_message = lambda *_: next(left) or print("done", flush=True)
    client.on_subscribe = lambda *_: print("subscribed", flush=True)
    client.on_connect = lambda *_: client.subscribe(SUBSCRIPTION, qos=1)
    client.connect("127.0.0.1", port, properties=properties)
    client.loop_start()
    done.wait()
    client.disconnect()
    client.loop_stop()
    return 0


def main() -> int:
    """Be the side that the command line names."""
    side, port, expected, database, address_file, client_id = sys.argv[1:]
    if side == "bare":
        return receive_and_forget(int(port), int(expected))
    given = {
        "broker_port": port,
        "database": database,
        "client_id": client_id,
        "http_port": "0",
        "log_level": "warning",
    }
    settings = load_settings(None, {}, given)
    if side == "null":
        sink = NullSink(int(expected))
        return serve(settings, Path(address_file), sink=lambda _engine: sink)
    if side == "raw":
        rollups._READERS.clear()
    return serve(settings, Path(address_file))


if __name__ == "__main__":
    sys.exit(main())
