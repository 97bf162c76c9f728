"""The site file: what one device in one building watches, counts and where it reports to."""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Iterable
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import Field, ValidationError, field_validator, model_validator

from shopfloor_contracts.base import Digest, Operator, Slug, refuse_twins
from shopfloor_contracts.console import ConsoleSpec
from shopfloor_contracts.device_identity import IdentitySpec
from shopfloor_contracts.errors import SiteFileError
from shopfloor_contracts.notify import NotifySpec
from shopfloor_contracts.polygons import crosses_itself, has_area
from shopfloor_contracts.problems import describe
from shopfloor_contracts.rules import NEEDS_ANALYTIC, AlertsSpec, Metric, RuleSpec

Unit = Annotated[float, Field(ge=0.0, le=1.0)]
Point = tuple[Unit, Unit]
"""x, y as shares of the frame's width and height, from the top left corner."""
Analytics = tuple[Literal["occupancy", "dwell", "queue"], ...]


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
    """An area, as a polygon of at least three corners, and what is computed in it."""

    name: Slug
    polygon: Annotated[list[Point], Field(min_length=3, max_length=64)]
    analytics: Annotated[Analytics, Field(max_length=3)] = ("occupancy",)

    @field_validator("polygon")
    @classmethod
    def _has_area(cls, polygon: list[Point]) -> list[Point]:
        if not has_area(polygon):
            raise ValueError("polygon has no area")
        if crosses_itself(polygon):
            raise ValueError("polygon crosses itself: name its corners in order around the area")
        following = [*polygon[1:], polygon[0]]
        pairs = zip(polygon, following, strict=True)
        if abs(sum(p[0] * q[1] - q[0] * p[1] for p, q in pairs)) < 2e-4:
            raise ValueError("polygon has no area")
        return polygon

    @field_validator("analytics")
    @classmethod
    def _analytics_are_unique(cls, analytics: Analytics) -> Analytics:
        refuse_twins("analytic", analytics)
        return analytics


class SlotSpec(Operator):
    """A place on a shelf, and what belongs there."""

    name: Slug
    box: tuple[Unit, Unit, Unit, Unit]
    """x1, y1, x2, y2: drawn tightly around the product that stands there."""
    expects: Annotated[str, Field(min_length=1, max_length=60)]
    """A class of the model."""

    @model_validator(mode="after")
    def _has_area(self) -> SlotSpec:
        x1, y1, x2, y2 = self.box
        if x2 - x1 < 0.01 or y2 - y1 < 0.01:
            raise ValueError(f"slot {self.name!r} has no area: box is {list(self.box)}")
        return self


class CameraSpec(Operator):
    """A camera and what is counted in its picture."""

    name: Slug
    uri: Annotated[str, Field(min_length=1, max_length=2000)]
    """``rtsp://…``, ``http://…`` (MJPEG), ``/dev/video0``, ``csi://0``, a file: the main stream."""
    sub_uri: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    """The camera's smaller stream: people are found in it, the main one is kept for evidence."""
    username: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Instead of the one in the URI; for both streams."""
    password_file: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """Read at every connection, so that a new password needs no restart."""
    transport: Literal["tcp", "udp"] = "tcp"
    """Of RTSP. A packet that UDP loses spoils the picture until the next key frame."""
    fps: Annotated[float, Field(gt=0, le=60)] = 10.0
    """Frames a second to look at. A live camera's others are shed; a file is read whole."""
    picture_check: bool = True
    """Count nothing while the lens is covered or out of focus, or the picture frozen or moved."""
    motion_gate: bool = True
    """Skip inference while nothing moves. Off: every frame that is due is inferred."""
    reader: Literal["auto", "gstreamer", "pyav"] = "auto"
    lines: Annotated[list[LineSpec], Field(max_length=64)] = Field(default_factory=list)
    zones: Annotated[list[ZoneSpec], Field(max_length=64)] = Field(default_factory=list)
    slots: Annotated[list[SlotSpec], Field(max_length=64)] = Field(default_factory=list)
    heat: bool = False
    """Whether to add up where people stand."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> CameraSpec:
        refuse_twins("line", [line.name for line in self.lines])
        refuse_twins("zone", [zone.name for zone in self.zones])
        refuse_twins("slot", [slot.name for slot in self.slots])
        return self

    @property
    def zone_version(self) -> str:
        """Digest of the geometry: figures with different versions are not comparable.

        The order in the file does not matter.
        """
        drawn = {
            "lines": sorted((line.model_dump() for line in self.lines), key=_name),
            "zones": sorted((zone.model_dump(include=_DRAWN) for zone in self.zones), key=_name),
        }
        if self.slots:
            drawn["slots"] = sorted((slot.model_dump() for slot in self.slots), key=_name)
        text = json.dumps(drawn, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


class ModelSpec(Operator):
    """Which bundle of the zoo finds people."""

    bundle: Slug = "person-nano"
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    sha256: Digest | None = None
    """Overrides the zoo's digest; for a bundle that a site has pinned."""
    backend: Literal["auto", "onnxruntime", "openvino", "litert", "tensorrt", "motion"] = "auto"
    """Runtime. "auto" takes an accelerator where the bundle has a build for it, else the CPU."""


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
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = 20
    """A device that is cut off is known to be gone after one and a half of it."""
    batch_s: Annotated[float, Field(ge=0, le=3600)] = 60.0
    """How long an event waits for others at most; alerts never wait. 0 sends each event alone."""
    batch_events: Annotated[int, Field(ge=1, le=500)] = 200
    """So many wait at most."""
    budget_bytes_per_day: Annotated[int, Field(ge=10_000, le=10**12)] | None = None
    """Of a UTC day. What has the lowest priority waits for the next day first; alerts never do."""

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


class EvidenceSpec(Operator):
    """Masked clips around alerts. They stay on the device."""

    enabled: bool = False
    before_s: Annotated[float, Field(ge=0, le=60)] = 5.0
    after_s: Annotated[float, Field(ge=0, le=60)] = 5.0
    keep_days: Annotated[float, Field(gt=0, le=90)] = 7.0
    quota_bytes: Annotated[int, Field(ge=1_000_000, le=100_000_000_000)] = 500_000_000
    """All cameras together; the oldest clip goes first."""


class AuditsSpec(Operator):
    """Masked clips of moments that were drawn by lot, for people to check. They stay here."""

    enabled: bool = False
    clips_per_day: Annotated[int, Field(ge=1, le=2000)] = 48
    """Of each camera; busier hours get more, no hour gets none."""
    clip_s: Annotated[float, Field(ge=4, le=60)] = 10.0
    keep_days: Annotated[float, Field(gt=0, le=90)] = 14.0
    quota_bytes: Annotated[int, Field(ge=1_000_000, le=100_000_000_000)] = 1_000_000_000
    """All cameras together; the oldest clip goes first."""


class MetricsSpec(Operator):
    """Prometheus metrics of the process, on 127.0.0.1 only."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """0 is off."""


class UpdatesSpec(Operator):
    """Where updates come from, and what they may cost. Off until ``root_file`` is set."""

    root_file: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """The registry's root of trust, as it was when the device was provisioned."""
    registry_url: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    """Its TUF repository is below, at ``tuf/``."""
    campaigns_url: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    token_file: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """The device's token for the campaigns; read at every poll."""
    ca_file: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """For TLS; the machine's own authorities where it is absent."""
    poll_min_s: Annotated[float, Field(ge=0.1, le=3600)] = 5.0
    poll_max_s: Annotated[float, Field(ge=1, le=86_400)] = 3600.0
    """The campaigns say when to come again; within these bounds they are believed."""
    bytes_per_s: Annotated[int, Field(ge=1000, le=10**10)] | None = None
    """Of a download, so that alerts still find their way out."""
    window: (
        Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")] | None
    ) = None
    """Downloads begin and go on only then, in the site's time zone: ``22:00-06:00``."""
    reserve_bytes: Annotated[int, Field(ge=0, le=10**12)] = 200_000_000
    """Of the disk; an update that would leave less free is refused before it begins."""
    shadow_cpu_ratio: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Of one core, for a new model beside the active one."""
    shadow_agreement_min: Unit = 0.5
    """Of the active model's crossings; a new one that surely agrees with fewer is not tried."""

    os_handler: Literal["swupdate", "rauc"] | None = None
    """Installs images of the OS; without one they are refused."""
    os_options: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=20)
    ] = Field(default_factory=list)
    """For its command line, as ``["-k", "/etc/shopfloor/os.pem"]``."""

    @model_validator(mode="after")
    def _is_consistent(self) -> UpdatesSpec:
        if self.poll_min_s > self.poll_max_s:
            raise ValueError(f"poll_min_s is {self.poll_min_s}, above poll_max_s")
        urls = {"registry_url": self.registry_url, "campaigns_url": self.campaigns_url}
        for name, url in urls.items():
            if url is not None and not _is_safe(url):
                raise ValueError(f"{name} is {url!r}, expected https:// (http:// on this machine)")
        if self.campaigns_url is not None and None in (self.registry_url, self.root_file):
            raise ValueError(
                "campaigns_url wants registry_url and root_file: nothing is installed "
                "that the registry has not signed"
            )
        return self


class SiteFile(Operator):
    """One device of one site."""

    schema_version: Literal[1] = 1
    site: Slug
    device: Slug
    time_zone: str = "UTC"
    """IANA name, for quiet hours: ``Europe/Berlin``."""
    window_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    heat_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    """Heat of so many seconds is one event, as 900; below ``window_s`` each window is one."""
    model: ModelSpec = ModelSpec()
    uplink: UplinkSpec = UplinkSpec()
    outbox: OutboxSpec = OutboxSpec()
    metrics: MetricsSpec = MetricsSpec()
    evidence: EvidenceSpec = EvidenceSpec()
    audits: AuditsSpec = AuditsSpec()
    updates: UpdatesSpec = UpdatesSpec()
    console: ConsoleSpec = ConsoleSpec()
    notify: NotifySpec = NotifySpec()
    identity: IdentitySpec = IdentitySpec()
    cameras: Annotated[list[CameraSpec], Field(min_length=1, max_length=64)]
    alerts: AlertsSpec = AlertsSpec()
    rules: Annotated[list[RuleSpec], Field(max_length=256)] = Field(default_factory=list)

    @field_validator("time_zone")
    @classmethod
    def _is_a_time_zone(cls, name: str) -> str:
        if name not in available_timezones():
            near = difflib.get_close_matches(name, available_timezones(), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ", such as 'Europe/Berlin'"
            raise ValueError(f"{name[:60]!r} is no time zone{hint}")
        return name

    @model_validator(mode="after")
    def _rules_are_about_what_exists(self) -> SiteFile:
        refuse_twins("rule", [rule.name for rule in self.rules])
        cameras = {camera.name: camera for camera in self.cameras}
        problems = [_rule_problem(rule, cameras) for rule in self.rules]
        found = [problem for problem in problems if problem]
        if found:
            raise ValueError("; ".join(found))
        return self

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


_DRAWN = {"name", "polygon"}
"""What is computed in a zone can change without changing the figures that it had before."""


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    here = parts.hostname in ("127.0.0.1", "localhost", "::1")
    return parts.scheme == "https" or (parts.scheme == "http" and here)


def _name(drawn: dict[str, object]) -> str:
    return str(drawn["name"])


def _rule_problem(rule: RuleSpec, cameras: dict[str, CameraSpec]) -> str | None:
    """Say what ``rule`` names that does not exist or is not computed."""
    camera = cameras.get(rule.camera)
    if camera is None:
        return (
            f"rule {rule.name!r}: no camera is named {rule.camera!r}{_near(rule.camera, cameras)}"
        )
    named = {
        "zone": (rule.zone, [zone.name for zone in camera.zones]),
        "line": (rule.line, [line.name for line in camera.lines]),
        "slot": (rule.slot, [slot.name for slot in camera.slots]),
    }
    for what, (name, names) in named.items():
        if name is not None and name not in names:
            return (
                f"rule {rule.name!r}: camera {rule.camera!r} has no {what} {name!r}"
                f"{_near(name, names)}"
            )
    if rule.metric is Metric.COMPLIANCE and not camera.slots:
        return f"rule {rule.name!r}: camera {rule.camera!r} has no slots"
    wanted = NEEDS_ANALYTIC.get(rule.metric)
    for zone in camera.zones:
        if zone.name == rule.zone and wanted is not None and wanted not in zone.analytics:
            return f"rule {rule.name!r}: zone {zone.name!r} does not compute {wanted!r}"
    return None


def _near(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
