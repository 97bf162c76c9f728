"""The sensor file: which sensors of which machines one device listens to, and what is normal."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from shopfloor_contracts.base import Operator, Slug, refuse_twins
from shopfloor_contracts.errors import SiteFileError
from shopfloor_contracts.problems import describe
from shopfloor_contracts.rules import Severity
from shopfloor_contracts.site import OutboxSpec, UplinkSpec

MAX_SAMPLES = 200_000
"""Of one stretch: four seconds at 50 kHz, 1.6 MB."""
MIN_SIGNAL = 64
"""Samples below which a stretch has no spectrum and no kurtosis worth the name."""
MIN_LEARNING, MAX_LEARNING = 30, 10_000
"""Stretches: fewer give no scale, more are a file of megabytes that is kept while learning."""
_DAY_S = 86_400.0

_MEANING = {
    *("quantity", "unit", "rate_hz", "stretch_s", "figures", "bands_hz", "ring_hz", "knock_hz"),
}

Hertz = Annotated[float, Field(gt=0, le=100_000)]
FigureName = Literal["mean", "rms", "crest", "kurtosis"]


class SensorSpec(Operator):
    """One sensor. Its samples are cut into stretches, and each stretch gives a set of figures."""

    name: Slug
    machine: Slug
    quantity: Literal["vibration", "temperature", "current", "pressure", "other"]
    unit: Annotated[str, Field(min_length=1, max_length=16)]
    rate_hz: Annotated[float, Field(ge=1e-4, le=100_000)]
    """Samples a second."""
    stretch_s: Annotated[float, Field(gt=0, le=_DAY_S)]
    """Length of a stretch: 1 s of vibration, some minutes of a temperature."""
    report_s: Annotated[float, Field(ge=1, le=_DAY_S)] = 60.0
    """One event says the sums of so many seconds."""
    learn_s: Annotated[float, Field(gt=0, le=366 * _DAY_S)]
    """The machine is well for so long, at the beginning."""
    figures: Annotated[tuple[FigureName, ...], Field(min_length=1, max_length=4)] = ("mean",)
    bands_hz: Annotated[tuple[tuple[float, float], ...], Field(max_length=16)] = ()
    """RMS within ``[low, high)``, each its own figure: band-1, band-2, …"""
    ring_hz: tuple[float, float] | None = None
    """Band in which a struck part rings; with ``knock_hz``."""
    knock_hz: Annotated[tuple[Hertz, ...], Field(max_length=8)] = ()
    """How often a bearing's or gear's fault strikes: how far each stands out is knock-1, …, dB."""
    false_alarm_s: Annotated[float, Field(gt=0, le=366 * _DAY_S)] = 30 * _DAY_S
    """Time between two false alarms, as computed."""
    follow_s: Annotated[float, Field(ge=0, le=366 * _DAY_S)] = 0.0
    """The healthy level follows the machine this slowly; 0: never."""
    silent_s: Annotated[float, Field(gt=0, le=_DAY_S)]
    """No sample for so long is an alarm."""
    stuck_s: Annotated[float, Field(ge=0, le=_DAY_S)] = 0.0
    """The very same value for so long is an alarm; 0: never."""
    severity: Severity = Severity.WARNING
    topic: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Of the plant's broker; None: standard input or a file."""

    @property
    def samples(self) -> int:
        """Samples of a whole stretch."""
        return max(1, round(self.rate_hz * self.stretch_s))

    @property
    def learning(self) -> int:
        """Stretches of the healthy time."""
        return int(self.learn_s / self.stretch_s)

    @property
    def version(self) -> str:
        """Digest of what the figures mean: another is not comparable."""
        kept = self.model_dump(mode="json", include=_MEANING)
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:12]

    @field_validator("topic")
    @classmethod
    def _is_one_topic(cls, topic: str | None) -> str | None:
        if topic is not None and any(sign in topic for sign in "+#\0"):
            raise ValueError(f"{topic[:60]!r} names many topics, expected one")
        return topic

    @model_validator(mode="after")
    def _can_be_computed(self) -> SensorSpec:
        problems = [*self._lengths(), *self._frequencies()]
        if problems:
            raise ValueError(f"sensor {self.name!r}: " + "; ".join(problems))
        return self

    def _lengths(self) -> Iterator[str]:
        spectral = bool(self.bands_hz or self.knock_hz)
        if (spectral or set(self.figures) != {"mean"}) and self.samples < MIN_SIGNAL:
            yield f"a stretch has {self.samples} samples: figures but mean want {MIN_SIGNAL}"
        if self.samples > MAX_SAMPLES:
            yield f"a stretch has {self.samples} samples, at most {MAX_SAMPLES}"
        if not MIN_LEARNING <= self.learning <= MAX_LEARNING:
            yield (
                f"learn_s holds {self.learning} stretches, "
                f"expected {MIN_LEARNING} to {MAX_LEARNING}"
            )
        if self.false_alarm_s < 10 * self.stretch_s:
            yield "false_alarm_s is below ten stretches"
        if 0 < self.follow_s < MIN_LEARNING * self.stretch_s:
            yield f"follow_s is below {MIN_LEARNING} stretches"
        if self.report_s < self.stretch_s:
            yield "report_s is below stretch_s"
        if len(set(self.figures)) < len(self.figures):
            yield "a figure stands there twice"

    def _frequencies(self) -> Iterator[str]:
        half = self.rate_hz / 2
        for low, high in self.bands_hz:
            if not 0 <= low < high <= half:
                yield f"band {low:g}–{high:g} Hz is not within 0 to {half:g}, half of rate_hz"
        if (self.ring_hz is None) != (not self.knock_hz):
            yield "ring_hz and knock_hz belong together"
        if self.ring_hz is not None and not 0 < self.ring_hz[0] < self.ring_hz[1] < half:
            yield f"ring_hz is not inside 0 to {half:g}, half of rate_hz"
        for knock in self.knock_hz:
            if not 4 / self.stretch_s <= knock < half:
                yield f"knock_hz {knock:g} is not within {4 / self.stretch_s:g} to {half:g}"


class SensorFile(Operator):
    """One device and the machines around it."""

    schema_version: Literal[1] = 1
    site: Slug
    device: Slug
    outbox: OutboxSpec = OutboxSpec()
    broker: UplinkSpec | None = None
    """Of the plant, for sensors with a topic."""
    sensors: Annotated[list[SensorSpec], Field(min_length=1, max_length=64)]

    @model_validator(mode="after")
    def _fits_together(self) -> SensorFile:
        refuse_twins("sensor", [sensor.name for sensor in self.sensors])
        refuse_twins("topic", [sensor.topic for sensor in self.sensors if sensor.topic])
        if self.broker is None and any(sensor.topic for sensor in self.sensors):
            raise ValueError("a sensor has a topic, and there is no [broker]")
        return self


def parse_sensors(text: str, *, source: str) -> SensorFile:
    """Read a sensor file; ``source`` names it in errors.

    Raises:
        SiteFileError: all problems at once, each with its key.
    """
    try:
        return SensorFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as e:
        raise SiteFileError(source, [f"not TOML: {e}"]) from e
    except ValidationError as e:
        raise SiteFileError(source, describe(e, SensorFile)) from e
