"""Composition root of ``shopfloor-edge sense``."""

from __future__ import annotations

import logging
import queue
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from shopfloor_contracts.errors import SiteFileError
from shopfloor_contracts.sensors import SensorFile, parse_sensors
from shopfloor_edge.errors import OperatorError
from shopfloor_edge.sensors.broker import PlantBroker
from shopfloor_edge.sensors.desk import Desk
from shopfloor_edge.sensors.memory import forget
from shopfloor_edge.sensors.samples import (
    Samples,
    SamplesRefusedError,
    open_replay,
    read_message,
    read_stream,
)
from shopfloor_edge.sensors.standard_input import PatientInput
from shopfloor_edge.settings import MAX_SITE_BYTES

log = logging.getLogger(__name__)

TICK_S = 0.5
COMMIT_LINES = 5_000
"""Of a replay: so many lines share one fsync."""


@dataclass(frozen=True, slots=True)
class Options:
    """What can be typed beside the file and the state folder."""

    replay: Path | None = None
    """``-`` is standard input."""
    relearn: tuple[str, ...] = ()


def run_sense(path: Path, state: Path, options: Options) -> int:
    """Listen until SIGTERM, or until the replay is over; return the exit code.

    Raises:
        OperatorError: a sensor has no source, or the file or a secret cannot be read.
        SiteFileError: the sensor file says something that cannot be run.
        JournalError: the state folder cannot be written at the start.
    """
    file = load_sensors(path)
    names = [spec.name for spec in file.sensors]
    for name in options.relearn:
        if name not in names:
            raise OperatorError(f"--relearn {name!r}: the sensors are {', '.join(names)}")
        forget(state, name)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    if options.replay is not None:
        return replay(file, state, options.replay, stop)
    return listen(file, state, stop)


def load_sensors(path: Path) -> SensorFile:
    """Read and check a sensor file.

    Raises:
        SiteFileError: it cannot be read, or what it says cannot be run.
    """
    try:
        if path.stat().st_size > MAX_SITE_BYTES:
            raise SiteFileError(str(path), [f"larger than {MAX_SITE_BYTES} bytes"])
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        raise SiteFileError(str(path), [e.strerror or str(e)]) from e
    except UnicodeDecodeError as e:
        raise SiteFileError(str(path), ["not UTF-8 text"]) from e
    return parse_sensors(text, source=str(path))


def replay(file: SensorFile, state: Path, path: Path, stop: threading.Event) -> int:
    """Take a recording, or standard input, in the time that its samples tell.

    Raises:
        OperatorError: it cannot be read.
        JournalError: the state folder cannot be written at the start.
    """
    source = None if str(path) == "-" else open_replay(path)
    lines = source or PatientInput(sys.stdin, stop)
    desk = Desk(file, state, live_s=None)
    try:
        for number, found in enumerate(read_stream(lines, [s.name for s in file.sensors]), 1):
            _hand(desk, found)
            if number % COMMIT_LINES == 0:
                desk.commit()
            if stop.is_set():
                break
    finally:
        lost = desk.close()
        if source is not None:
            source.close()
    print(f"{desk.events} events, {desk.alerts} of them alerts; {desk.refused} lines refused")
    return 1 if lost else 0


def listen(file: SensorFile, state: Path, stop: threading.Event) -> int:
    """Take what the plant's broker brings, until stopped.

    Raises:
        OperatorError: a sensor has no topic, or a secret cannot be read.
        JournalError: the state folder cannot be written at the start.
    """
    topics = {spec.topic: spec.name for spec in file.sensors if spec.topic is not None}
    without = [spec.name for spec in file.sensors if spec.topic is None]
    if without or file.broker is None:
        raise OperatorError(f"sensor {without[0]!r} has no topic; give one, or --replay FILE")
    # The wall clock as it was at the start, going on evenly: setting it makes no sample late.
    offset_s = time.time() - time.monotonic()
    desk = Desk(file, state, live_s=lambda: time.monotonic() + offset_s)
    broker = PlantBroker(file.broker, list(topics), client_id=f"{file.site}/{file.device}/sensors")
    broker.open()
    log.info("sensors started", extra={"sensors": len(file.sensors)})
    dropped, ticked_s = 0, 0.0
    try:
        while not stop.is_set():
            now_s = time.monotonic() + offset_s
            try:
                topic, payload = broker.messages.get(timeout=TICK_S)
                _hear(desk, topics[topic], payload, now_s=now_s)
            except queue.Empty:
                pass
            if now_s - ticked_s >= TICK_S:
                desk.tick(now_s)
                ticked_s = now_s
            if broker.dropped > dropped:
                log.warning("messages dropped, too many", extra={"dropped": broker.dropped})
                dropped = broker.dropped
    finally:
        broker.close()
        lost = desk.close()
    log.info("sensors stopped", extra={"events": desk.events, "refused": desk.refused})
    return 1 if lost else 0


def _hear(desk: Desk, sensor: str, payload: bytes, *, now_s: float) -> None:
    try:
        desk.take(read_message(payload, sensor=sensor, now_s=now_s))
    except SamplesRefusedError as e:
        desk.refuse(str(e), sensor)


def _hand(desk: Desk, found: Samples | SamplesRefusedError) -> None:
    if isinstance(found, Samples):
        desk.take(found)
    else:
        desk.refuse(str(found), "")
