"""A generator of load: publishes ready MQTT packets over plain sockets, at a given rate.

``python ingest_load.py PORT FORM DEVICES MINUTES EVENTS_PER_S`` makes the packets, says ``ready``,
waits for a line on stdin, sends, and prints what it sent, how long that took and its own CPU as
JSON. 0 events per second is as fast as the broker takes them. QoS 1; what the broker confirms is
read and counted, so that nothing is sent into the void.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time
from datetime import UTC, datetime

from ingest_traffic import Packet, Traffic

WINDOW = 1000
"""Unconfirmed messages at most: below the broker's limit of what it queues."""
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
_CHUNK = 1 << 16


class Publisher:
    """One MQTT 5 connection that only publishes."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # CONNECT: MQTT 5, clean start, keep-alive off, no properties, client id "load".
        self._socket.sendall(b"\x10\x11\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x04load")
        self._rest = b""
        self.confirmed = -1  # the CONNACK is counted as well
        while self.confirmed < 0:
            self._read(1.0)

    def send(self, packet: bytes) -> None:
        """Send one packet; read meanwhile, should the broker be slower than we are."""
        self._socket.sendall(packet)
        self._read(0.0)

    def wait_below(self, sent: int, limit: int) -> None:
        """Wait until fewer than ``limit`` of the ``sent`` packets are unconfirmed."""
        while sent - self.confirmed >= limit:
            self._read(0.05)

    def _read(self, timeout_s: float) -> None:
        if not select.select([self._socket], [], [], timeout_s)[0]:
            return
        data = self._socket.recv(_CHUNK)
        if not data:
            raise SystemExit("the broker has closed the connection")
        data = self._rest + data
        at = 0
        # CONNACK and PUBACK are shorter than 128 bytes: their length is one byte.
        while at + 2 <= len(data) and at + 2 + data[at + 1] <= len(data):
            at += 2 + data[at + 1]
            self.confirmed += 1
        self._rest = data[at:]


def publish_packet(packet: Packet, number: int) -> bytes:
    """Return a PUBLISH with QoS 1 (MQTT 5 §3.3)."""
    topic = packet.topic.encode()
    body = struct.pack(">H", len(topic)) + topic
    body += struct.pack(">HB", number % 65_535 + 1, 0) + packet.payload
    length, left = b"", len(body)
    while True:
        left, digit = left >> 7, left & 127
        length += bytes([digit | (128 if left else 0)])
        if not left:
            return b"\x32" + length + body


def main() -> int:
    """Send what the command line says."""
    port, form, devices, minutes, rate = sys.argv[1:]
    traffic = Traffic(devices=int(devices), start=START)
    source = traffic.batches if form == "batches" else traffic.singles
    packets = [(publish_packet(p, n), p.events) for n, p in enumerate(source(int(minutes)))]
    publisher = Publisher(int(port))
    print("ready", flush=True)
    sys.stdin.readline()
    started_s, cpu_s, events = time.perf_counter(), time.process_time(), 0
    for number, (packet, carries) in enumerate(packets):
        publisher.wait_below(number, WINDOW)
        if float(rate):
            ahead_s = events / float(rate) - (time.perf_counter() - started_s)
            if ahead_s > 0.002:
                time.sleep(ahead_s)
        publisher.send(packet)
        events += carries
    publisher.wait_below(len(packets), 1)
    took_s, used_s = time.perf_counter() - started_s, time.process_time() - cpu_s
    print(json.dumps({"events": events, "messages": len(packets), "s": took_s, "cpu_s": used_s}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
