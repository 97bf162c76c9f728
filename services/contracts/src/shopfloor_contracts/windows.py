"""What every aggregate rests on, and the instants and short texts that events are made of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, PlainSerializer

from shopfloor_contracts.base import Count, Digest, Ratio, Slug, Wire


def _in_utc(at: datetime) -> datetime:
    # Python's datetime ends with the year 9999; a window may be added without overflow.
    if not 1970 <= at.year < 9999:
        raise ValueError(f"year {at.year} is not in 1970–9998")
    return at.astimezone(UTC)


Instant = Annotated[
    AwareDatetime,
    AfterValidator(_in_utc),
    PlainSerializer(lambda at: at.astimezone(UTC).isoformat().replace("+00:00", "Z")),
]
ShortText = Annotated[str, Field(max_length=200)]


class Window(Wire):
    """What every aggregate rests on."""

    window_start: Instant
    window_s: Annotated[float, Field(gt=0, le=86_400)]
    coverage_ratio: Ratio
    """Share of the window in which the camera was really observed."""
    frames: Count
    """Frames that were inferred."""
    model_digest: Digest
    zone_version: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    """Digest of the camera's lines and zones as configured."""
    backend: Slug | None = None
    """Runtime that found the people; None from a writer that did not say yet."""
    precision: Literal["fp32", "fp16", "int8", "none"] | None = None
    """Numbers that the model was run in. "none" says that no model was, and motion had to do:
    the figures are degraded."""
    degraded: bool | None = None
    """Whether another than the best way of this device had to do; None when not said."""
