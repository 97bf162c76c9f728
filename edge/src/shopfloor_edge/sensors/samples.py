"""Samples as they come in: lines of JSON or CSV, and messages. Nothing here is trusted."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Protocol, TextIO

import numpy as np
from pydantic import Field, ValidationError, model_validator

from shopfloor_contracts.base import Slug, Wire
from shopfloor_contracts.windows import Instant
from shopfloor_edge.errors import OperatorError
from shopfloor_edge.sensing.features import Signal

MAX_LINE_CHARS = 2_000_000
MAX_VALUES = 65_536
"""Of one message: a second of vibration at 65 kHz."""


class SamplesRefusedError(ValueError):
    """A line or message that holds no samples; says why."""


class _Message(Wire):
    """``{"at": "2026-11-21T10:00:00Z", "sensor": "drive-end", "value": 1.2}``, or ``values``."""

    at: Instant | None = None
    sensor: Slug | None = None
    value: float | None = None
    values: Annotated[list[float], Field(min_length=1, max_length=MAX_VALUES)] | None = None

    @model_validator(mode="after")
    def _says_one_of_them(self) -> _Message:
        if (self.value is None) == (self.values is None):
            raise ValueError("expected value or values")
        return self


class Lines(Protocol):
    """What lines are read from."""

    def readline(self, limit: int, /) -> str:
        """Return the next line, of ``limit`` characters at most; empty at the end."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Neighbouring samples of one sensor, the first at ``at_s`` (epoch)."""

    sensor: str
    at_s: float
    values: Signal


def read_message(payload: bytes, *, sensor: str, now_s: float) -> Samples:
    """Read a message of a sensor's topic: a bare number, or an object; without ``at`` it is now.

    Raises:
        SamplesRefusedError: it is neither.
    """
    message = _parsed(payload)
    at_s = now_s if message.at is None else message.at.timestamp()
    return _samples(message, sensor, at_s)


def read_stream(file: Lines, sensors: list[str]) -> Iterator[Samples | SamplesRefusedError]:
    """Read lines of JSON, or CSV with a head, until the end; what is wrong is given, not raised.

    CSV has the columns timestamp, value and, for more than one sensor, sensor. A timestamp without
    a zone is UTC.

    Raises:
        OperatorError: the first line is neither.
    """
    only = sensors[0] if len(sensors) == 1 else None
    first = file.readline(MAX_LINE_CHARS)
    columns = [name.strip().lower() for name in first.split(",")]
    if first.lstrip().startswith("{"):
        yield _checked(lambda: _json_line(first, only), sensors)
        columns = []
    elif not ("timestamp" in columns and "value" in columns) and first.strip():
        raise OperatorError(
            f"first line is {first[:60].strip()!r}, expected JSON or the head timestamp,value"
        )
    for line in iter(lambda: file.readline(MAX_LINE_CHARS), ""):
        yield _checked(partial(_any_line, line, columns, only), sensors)


def open_replay(path: Path) -> TextIO:
    """Open a file of samples.

    Raises:
        OperatorError: it cannot be read.
    """
    try:
        return path.open(encoding="utf-8", errors="replace", newline="")
    except OSError as e:
        raise OperatorError(f"{path}: {e.strerror or e}") from e


def _checked(read: Callable[[], Samples], sensors: list[str]) -> Samples | SamplesRefusedError:
    try:
        samples = read()
    except SamplesRefusedError as e:
        return e
    if samples.sensor not in sensors:
        return SamplesRefusedError(f"sensor {samples.sensor[:63]!r} is not in the sensor file")
    return samples


def _any_line(line: str, columns: list[str], only: str | None) -> Samples:
    return _csv_line(line, columns, only) if columns else _json_line(line, only)


def _json_line(line: str, only: str | None) -> Samples:
    message = _parsed(line.encode("utf-8", "replace"))
    sensor = message.sensor or only
    if sensor is None or message.at is None:
        raise SamplesRefusedError("at and, of several sensors, sensor are wanted")
    return _samples(message, sensor, message.at.timestamp())


def _csv_line(line: str, columns: list[str], only: str | None) -> Samples:
    fields = next(csv.reader([line]), [])
    if len(fields) != len(columns):
        raise SamplesRefusedError(f"{len(fields)} fields, the head has {len(columns)}")
    found = dict(zip(columns, fields, strict=True))
    try:
        at = datetime.fromisoformat(found["timestamp"].strip())
        value = float(found["value"])
    except ValueError as e:
        raise SamplesRefusedError(str(e)[:100]) from e
    if not 1970 <= at.year < 9999:
        raise SamplesRefusedError(f"year {at.year} is not in 1970–9998")
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    sensor = found.get("sensor") or only
    if sensor is None:
        raise SamplesRefusedError("no column says which sensor")
    return Samples(sensor, at.timestamp(), np.array([value]))


def _parsed(payload: bytes) -> _Message:
    if len(payload) > MAX_LINE_CHARS:
        raise SamplesRefusedError(f"{len(payload)} bytes, at most {MAX_LINE_CHARS}")
    try:
        # A bare number is what most PLC gateways publish.
        found = json.loads(payload)
        if isinstance(found, (int, float)) and not isinstance(found, bool):
            found = {"value": found}
        return _Message.model_validate(found)
    except ValidationError as e:
        problem = e.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise SamplesRefusedError(f"{where}: {problem['msg']}"[:100].lstrip(": ")) from e
    except (ValueError, RecursionError) as e:
        raise SamplesRefusedError(f"not JSON: {str(e)[:80]}") from e


def _samples(message: _Message, sensor: str, at_s: float) -> Samples:
    values = [message.value] if message.values is None else message.values
    return Samples(sensor, at_s, np.array(values, dtype=np.float64))
