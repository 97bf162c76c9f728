"""What the report says, and whether the site can be handed over; pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from shopfloor_contracts.site import SiteFile
from shopfloor_provisioning.job import CameraSeen, Collected

CLOCK_S = 5.0
"""Two devices that differ by more put one minute's people into two."""
FREE_BYTES = 2_000_000_000
FPS_RATIO = 0.7
"""Of the frames that are asked for: below it crossings are missed."""


class Check(BaseModel):
    """One line of the hand-over."""

    model_config = ConfigDict(frozen=True)

    name: str
    passed: bool
    found: str
    advice: str = ""


class Shape(BaseModel):
    """A line, zone or slot over the picture; x and y are shares of it."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: str
    points: list[tuple[float, float]]


class CameraReport(BaseModel):
    """One camera of the report."""

    model_config = ConfigDict(frozen=True)

    seen: CameraSeen
    wanted_fps: float
    shapes: list[Shape]


class DeviceReport(BaseModel):
    """One device of the report."""

    model_config = ConfigDict(frozen=True)

    device: str
    checks: list[Check]
    cameras: list[CameraReport]
    collected: Collected | None
    console_url: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing is left to mend."""
        return all(check.passed for check in self.checks)


class Report(BaseModel):
    """A whole site."""

    model_config = ConfigDict(frozen=True)

    schema_version: int = 1
    site: str
    time_zone: str
    made_at: datetime
    devices: list[DeviceReport]

    @property
    def passed(self) -> bool:
        """Whether the site can be handed over."""
        return all(device.passed for device in self.devices)


class CloudSees(BaseModel):
    """What the cloud knows of a device."""

    model_config = ConfigDict(frozen=True)

    seen_at: datetime | None
    problem: str = ""


def report_device(
    site: SiteFile, collected: Collected, cloud: CloudSees, *, since: datetime, console_url: str
) -> DeviceReport:
    """Judge one device; ``since`` is when the report began to wait for an event in the cloud."""
    seen = {camera.camera: camera for camera in collected.cameras}
    cameras = [
        CameraReport(
            seen=seen[spec.name], wanted_fps=spec.fps, shapes=list(_shapes(site, spec.name))
        )
        for spec in site.cameras
        if spec.name in seen
    ]
    checks = [*_processes(collected), *map(_camera, cameras), _clock(collected), _disk(collected)]
    checks += [_cloud(cloud, since), _certificate(collected), _updates(collected)]
    return DeviceReport(
        device=site.device,
        checks=checks,
        cameras=cameras,
        collected=collected,
        console_url=console_url,
    )


def unreachable(device: str, problem: str) -> DeviceReport:
    """Return the report of a device that could not be asked."""
    check = Check(name="device", passed=False, found=problem, advice="mend it, and report again")
    return DeviceReport(device=device, checks=[check], cameras=[], collected=None)


def _processes(collected: Collected) -> Iterator[Check]:
    for process, state in collected.processes.items():
        advice = f"its log says why: journalctl -u shopfloor-{process}"
        passed = state in ("running", "not booted")
        yield Check(
            name=f"process {process}", passed=passed, found=state, advice="" if passed else advice
        )


def _camera(camera: CameraReport) -> Check:
    seen = camera.seen
    name = f"camera {seen.camera}"
    if seen.status != "live":
        advice = "shopfloor-edge camera probe tells what the camera sends"
        found = f"{seen.status}: {seen.reason}" if seen.reason else seen.status
        return Check(name=name, passed=False, found=found, advice=advice)
    found = f"{seen.fps:.1f} of {camera.wanted_fps:g} frames a second"
    # Where nothing moves nothing is inferred, which is no fault.
    if 0 < seen.fps < camera.wanted_fps * FPS_RATIO:
        advice = "fewer cameras, a smaller sub-stream, or a faster device"
        return Check(name=name, passed=False, found=found, advice=advice)
    return Check(name=name, passed=True, found=found)


def _clock(collected: Collected) -> Check:
    off = collected.clock_offset_s
    passed = abs(off) <= CLOCK_S
    advice = "" if passed else "let systemd-timesyncd or chrony keep the clock"
    return Check(name="clock", passed=passed, found=f"{off:+.1f} s", advice=advice)


def _disk(collected: Collected) -> Check:
    passed = collected.free_bytes >= FREE_BYTES
    advice = "" if passed else "an update wants room for a second environment"
    return Check(
        name="disk", passed=passed, found=f"{collected.free_bytes / 1e9:.1f} GB free", advice=advice
    )


def _cloud(cloud: CloudSees, since: datetime) -> Check:
    name = "event seen by the cloud"
    if cloud.problem:
        return Check(name=name, passed=False, found=cloud.problem, advice="look at the agent's log")
    if cloud.seen_at is None:
        advice = "look at the agent's log: certificate, broker's address, firewall"
        return Check(name=name, passed=False, found="nothing has arrived", advice=advice)
    passed = cloud.seen_at >= since
    found = f"last {cloud.seen_at:%Y-%m-%d %H:%M:%S} UTC"
    advice = "" if passed else "nothing has arrived since this report began"
    return Check(name=name, passed=passed, found=found, advice=advice)


def _certificate(collected: Collected) -> Check:
    found = collected.certificate
    passed = found not in ("", "cannot be read")
    return Check(
        name="certificate",
        passed=passed,
        found=f"good until {found}" if passed else found or "none",
    )


def _updates(collected: Collected) -> Check:
    return Check(name="update channel", passed=True, found=collected.update)


def _shapes(site: SiteFile, name: str) -> Iterator[Shape]:
    spec = next(camera for camera in site.cameras if camera.name == name)
    for zone in spec.zones:
        yield Shape(name=zone.name, kind="zone", points=zone.polygon)
    for line in spec.lines:
        yield Shape(name=line.name, kind="line", points=[line.a, line.b])
    for slot in spec.slots:
        x1, y1, x2, y2 = slot.box
        yield Shape(name=slot.name, kind="slot", points=[(x1, y1), (x2, y1), (x2, y2), (x1, y2)])
