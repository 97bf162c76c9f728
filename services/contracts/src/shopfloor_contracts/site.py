"""The site file: what one device in one building watches, counts and where it reports to."""

from __future__ import annotations

import hashlib
import json
import tomllib
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from shopfloor_contracts.base import Digest, Operator, Slug, refuse_twins
from shopfloor_contracts.errors import SiteFileError
from shopfloor_contracts.problems import describe

Unit = Annotated[float, Field(ge=0.0, le=1.0)]
Point = tuple[Unit, Unit]
"""x, y as shares of the frame's width and height, from the top left corner."""


class LineSpec(Operator):
    """A counting line from ``a`` to ``b``.

    Standing on ``a`` and looking at ``b``, a person who goes from the left hand to the right
    hand comes *in*. Only the segment counts, not its extension.
    """

    name: Slug
    a: Point
    b: Point

    @model_validator(mode="after")
    def _has_length(self) -> LineSpec:
        if max(abs(self.a[0] - self.b[0]), abs(self.a[1] - self.b[1])) < 0.01:
            raise ValueError(
                f"line {self.name!r} has no length: a is {list(self.a)}, b is {list(self.b)}"
            )
        return self


class ZoneSpec(Operator):
    """An area, as a polygon of at least three corners."""

    name: Slug
    polygon: Annotated[list[Point], Field(min_length=3, max_length=64)]

    @field_validator("polygon")
    @classmethod
    def _has_area(cls, polygon: list[Point]) -> list[Point]:
        following = [*polygon[1:], polygon[0]]
        pairs = zip(polygon, following, strict=True)
        doubled = sum(p[0] * q[1] - q[0] * p[1] for p, q in pairs)
        if abs(doubled) < 2e-4:
            raise ValueError("polygon has no area")
        return polygon


class CameraSpec(Operator):
    """A camera and what is counted in its picture."""

    name: Slug
    uri: Annotated[str, Field(min_length=1, max_length=2000)]
    """``rtsp://…``, ``/dev/video0`` or a file."""
    fps: Annotated[float, Field(gt=0, le=60)] = 10.0
    """Frames a second to look at. A live camera's others are shed; a file is read whole."""
    reader: Literal["auto", "gstreamer", "pyav"] = "auto"
    lines: Annotated[list[LineSpec], Field(max_length=64)] = Field(default_factory=list)
    zones: Annotated[list[ZoneSpec], Field(max_length=64)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _names_are_unique(self) -> CameraSpec:
        refuse_twins("line", [line.name for line in self.lines])
        refuse_twins("zone", [zone.name for zone in self.zones])
        return self

    @property
    def zone_version(self) -> str:
        """Digest of the geometry: figures with different versions are not comparable.

        The order in the file does not matter.
        """
        drawn = {
            "lines": sorted((line.model_dump() for line in self.lines), key=_name),
            "zones": sorted((zone.model_dump() for zone in self.zones), key=_name),
        }
        text = json.dumps(drawn, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


class ModelSpec(Operator):
    """Which bundle of the zoo finds people."""

    bundle: Slug = "person-nano"
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    sha256: Digest | None = None
    """Overrides the zoo's digest; for a bundle that a site has pinned."""


class UplinkSpec(Operator):
    """The broker. TLS is used when ``ca_file`` is set, mutual when ``cert_file`` is too."""

    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535)] = 1883
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    heartbeat_s: Annotated[float, Field(ge=1, le=3600)] = 30.0

    @model_validator(mode="after")
    def _is_consistent(self) -> UplinkSpec:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together")
        if self.ca_file is None and self.host not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError(
                f"host {self.host!r} is not this machine: a ca_file for TLS is required"
            )
        return self


class OutboxSpec(Operator):
    """Bounds of what waits on the device; the oldest of the lowest priority goes first."""

    max_rows: Annotated[int, Field(ge=10, le=10_000_000)] = 200_000
    max_bytes: Annotated[int, Field(ge=10_000, le=10_000_000_000)] = 200_000_000


class SiteFile(Operator):
    """One device of one site."""

    schema_version: Literal[1] = 1
    site: Slug
    device: Slug
    window_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    model: ModelSpec = ModelSpec()
    uplink: UplinkSpec = UplinkSpec()
    outbox: OutboxSpec = OutboxSpec()
    cameras: Annotated[list[CameraSpec], Field(min_length=1, max_length=64)]

    @model_validator(mode="after")
    def _camera_names_are_unique(self) -> SiteFile:
        refuse_twins("camera", [camera.name for camera in self.cameras])
        return self


def parse_site(text: str, *, source: str) -> SiteFile:
    """Read a site file; ``source`` names it in errors.

    Raises:
        SiteFileError: all problems at once, each with its key.
    """
    try:
        return SiteFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as e:
        raise SiteFileError(source, [f"not TOML: {e}"]) from e
    except ValidationError as e:
        raise SiteFileError(source, describe(e, SiteFile)) from e


def _name(drawn: dict[str, object]) -> str:
    return str(drawn["name"])
