"""What the devices of a site do with data, read from their site files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from shopfloor_contracts.rules import Metric
from shopfloor_contracts.site import CameraSpec, SiteFile

ALERT_DAYS = 35
"""How long the device's alert book keeps what is settled (journal/alerts.py)."""
HISTORY_DAYS = 36
"""Days that the device keeps figures of (journal/history.py)."""
TRACK_MINUTES = 15
"""How long it keeps where feet stood, for trying a new zone (vision/footsteps.py)."""
CLOUD_EVENT_DAYS, CLOUD_MINUTE_DAYS = 90, 400
"""Defaults of the cloud's ingest."""
MEASURED_BYTES = (
    (900, 900, 236_000),
    (600, 900, 263_000),
    (300, 900, 342_000),
    (60, 900, 884_000),
    (60, 0, 1_090_000),
)
"""``batch_s``, ``heat_s``, bytes that one camera with every figure sends a day: docs/uplink.md."""
LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
_TOLD = frozenset({"uplink", "updates", "notify", "console"})
_PURPOSES = {
    "identity": ("this device's certificate", "its name, serial, public key and proof of its state")
}
WATCHES_ONE = frozenset({Metric.LOITERING, Metric.RESTRICTED, Metric.WRONG_WAY})
"""Rules that fire on what a single person does."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera and what is made of its picture."""

    name: str
    counted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Clips:
    """Masked clips that a device keeps."""

    folder: str
    """In the state folder."""
    occasion: str
    length_s: float
    keep_days: float
    quota_mb: int


@dataclass(frozen=True, slots=True)
class Destination:
    """One place that a device speaks to."""

    host: str
    purpose: str
    content: str
    protection: str
    leaves_device: bool
    """False: it is this device."""


@dataclass(frozen=True, slots=True)
class Device:
    """One device of the site."""

    name: str
    cameras: tuple[Camera, ...]
    single_person_rules: tuple[str, ...]
    clips: tuple[Clips, ...]
    destinations: tuple[Destination, ...]
    console: str
    """Where the staff's pages listen."""
    console_encrypted: bool
    outbox_mb: int
    bytes_per_day: int | None
    """Of figures, at most as measured; None: each event goes alone, which was not measured."""
    budget_bytes: int | None
    pushes: bool
    """Whether browsers may ask to be told."""
    notices_hours: float | None
    """A notice that cannot be sent is dropped after so long; None: nobody is told."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A whole site."""

    site: str
    time_zone: str
    devices: tuple[Device, ...]

    @property
    def digest(self) -> str:
        """Of everything above, short: a document with another digest is about other settings."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def keeps_clips(self) -> bool:
        """Whether any device keeps masked clips."""
        return any(device.clips for device in self.devices)

    @property
    def longest_clip_days(self) -> float:
        """Return after how many days no clip is left; 0 where none is kept."""
        return max((c.keep_days for d in self.devices for c in d.clips), default=0.0)


def read_facts(sites: Sequence[SiteFile]) -> Facts:
    """Read a site's devices (at least one, all of the same site)."""
    first = sites[0]
    devices = tuple(_device(site) for site in sorted(sites, key=lambda s: s.device))
    return Facts(first.site, first.time_zone, devices)


def _device(site: SiteFile) -> Device:
    watching = tuple(rule.name for rule in site.rules if rule.metric in WATCHES_ONE)
    return Device(
        name=site.device,
        cameras=tuple(Camera(c.name, tuple(_counted(c))) for c in site.cameras),
        single_person_rules=watching,
        clips=tuple(_clips(site)),
        destinations=tuple(_destinations(site)),
        console=f"{site.console.host}:{site.console.port}",
        console_encrypted=site.console.cert_file is not None,
        outbox_mb=round(site.outbox.max_bytes / 1e6),
        bytes_per_day=_bytes_per_day(site),
        budget_bytes=site.uplink.budget_bytes_per_day,
        pushes=site.notify.web_push is not None,
        notices_hours=site.notify.give_up_s / 3600 if site.notify.is_on else None,
    )


def _counted(camera: CameraSpec) -> Iterator[str]:
    for line in camera.lines:
        yield f"people who cross the line {line.name}, in and out"
    words = {"occupancy": "how many people", "dwell": "how long people stay", "queue": "the queue"}
    for zone in camera.zones:
        yield f"{', '.join(words[a] for a in zone.analytics)} in the zone {zone.name}"
    if camera.slots:
        yield f"goods on {len(camera.slots)} places of a shelf"
    if camera.heat:
        yield "where people stand, added up on a grid"


def _clips(site: SiteFile) -> Iterator[Clips]:
    evidence, audits = site.evidence, site.audits
    if evidence.enabled:
        yield Clips(
            folder="evidence",
            occasion="when a rule fires",
            length_s=evidence.before_s + evidence.after_s,
            keep_days=evidence.keep_days,
            quota_mb=round(evidence.quota_bytes / 1e6),
        )
    if audits.enabled:
        yield Clips(
            folder="audits",
            occasion=f"drawn by lot, {audits.clips_per_day} a day and camera",
            length_s=audits.clip_s,
            keep_days=audits.keep_days,
            quota_mb=round(audits.quota_bytes / 1e6),
        )


def _destinations(site: SiteFile) -> Iterator[Destination]:
    uplink, updates, notify = site.uplink, site.updates, site.notify
    yield _place(
        f"{uplink.host}:{uplink.port}",
        "figures and alerts, to the cloud",
        "counts per window, alerts (rule, camera, zone, time, figure), the device's state",
        ("TLS, certificate of this device" if uplink.cert_file else "TLS")
        if uplink.ca_file
        else "none",
    )
    for url, purpose in (
        (updates.registry_url, "models and updates, signed"),
        (updates.campaigns_url, "which update, and how it went"),
    ):
        if url is not None:
            scheme, _, rest = url.partition("://")
            content = "the device's name, versions and sums of its figures"
            yield _place(
                rest.split("/")[0], purpose, content, "TLS" if scheme == "https" else "none"
            )
    words = "words: rule, camera, zone and time"
    for target in notify.targets:
        for host in target.hosts:
            yield _place(host, f"notices by {target.kind} ({target.name})", words, "TLS")
    if notify.web_push is not None:
        for host in notify.web_push.hosts:
            content = f"{words}, encrypted for the browser that asked"
            yield _place(host, "notices in browsers", content, "TLS and end to end")
    if notify.home_assistant is not None:
        host = f"{notify.home_assistant.host}:{notify.home_assistant.port}"
        protection = "TLS" if notify.home_assistant.ca_file else "none"
        yield _place(host, "states of rules, to Home Assistant", words, protection)
    yield from _others(site.model_dump(mode="json"))


def _others(sections: dict[str, object]) -> Iterator[Destination]:
    """Return the hosts of sections that are not told above, so that none is left out."""
    for name, section in sections.items():
        if name in _TOLD or not isinstance(section, dict):
            continue
        for key, value in section.items():
            if not isinstance(value, str) or not key.endswith(("host", "url")):
                continue
            scheme, _, rest = value.rpartition("://")
            purpose, content = _PURPOSES.get(name, (f"[{name}] {key}", "not told here: ask"))
            protection = "TLS" if scheme in ("https", "mqtts") else "none"
            yield _place(rest.split("/")[0], purpose, content, protection)


def _place(host: str, purpose: str, content: str, protection: str) -> Destination:
    name = host if host == "::1" else host.rpartition(":")[0] or host
    here = name.strip("[]") in LOCAL
    return Destination(
        host, purpose, content, "inside the device" if here else protection, not here
    )


def _bytes_per_day(site: SiteFile) -> int | None:
    """Return the measured figure of the nearest setting that sends more, times the cameras."""
    for batch_s, heat_s, count in MEASURED_BYTES:
        if site.uplink.batch_s >= batch_s and site.heat_s >= heat_s:
            return count * len(site.cameras)
    return None
