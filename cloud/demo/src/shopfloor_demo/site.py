"""The demo's site files, as an operator would write them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shopfloor_contracts.site import SiteFile, parse_site

Corner = tuple[float, float]

CAMERA_NAME = "entrance"
FULL_FRAME: tuple[Corner, ...] = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Drawing:
    """A counting line and a zone, in shares of the picture."""

    line: str
    a: Corner
    b: Corner
    zone: str
    polygon: Sequence[Corner]


# The paved crossing in the middle of vtest.avi; people enter it from the path on the left, from
# the road on the right and over the car park behind.
VTEST = Drawing(
    line="walkway",
    a=(0.45, 0.24),
    b=(0.45, 0.56),
    zone="square",
    polygon=((0.47, 0.33), (0.80, 0.28), (0.94, 0.62), (0.62, 0.70), (0.47, 0.57)),
)
MIDDLE = Drawing(line="middle", a=(0.5, 0.0), b=(0.5, 1.0), zone="view", polygon=FULL_FRAME)


@dataclass(frozen=True, slots=True)
class Uplink:
    """Where the device reports to, and as whom."""

    port: int
    password_file: Path


@dataclass(frozen=True, slots=True)
class Device:
    """Who the device is, and how long its windows are.

    A minute is what stores run with; it also keeps the uplink a thousand times smaller than
    the video.
    """

    site: str = "demo-store"
    device: str = "counter-1"
    window_s: float = 60.0
    heartbeat_s: float = 30.0

    @property
    def user(self) -> str:
        """Name at the broker; the access rules make a topic of it."""
        return f"{self.site}/{self.device}"


def write_site(path: Path, device: Device, *, uri: str, drawing: Drawing, uplink: Uplink) -> None:
    """Write the site file of one device with one camera, after reading it as the device will."""
    text = _TEMPLATE.format(
        site=_quoted(device.site),
        device=_quoted(device.device),
        window_s=float(device.window_s),
        heartbeat_s=float(device.heartbeat_s),
        port=uplink.port,
        user=_quoted(device.user),
        password_file=_quoted(str(uplink.password_file)),
        camera=_quoted(CAMERA_NAME),
        uri=_quoted(uri),
        line=_quoted(drawing.line),
        a=list(drawing.a),
        b=list(drawing.b),
        zone=_quoted(drawing.zone),
        polygon=[list(corner) for corner in drawing.polygon],
    )
    parse_site(text, source=str(path))
    path.write_text(text)


def read_site(path: Path) -> SiteFile:
    """Read a site file."""
    return parse_site(path.read_text(), source=str(path))


def _quoted(text: str) -> str:
    # A JSON string is a TOML basic string.
    return json.dumps(text, ensure_ascii=False)


_TEMPLATE = """\
schema_version = 1
site = {site}
device = {device}
window_s = {window_s}

[uplink]
host = "127.0.0.1"
port = {port}
username = {user}
password_file = {password_file}
heartbeat_s = {heartbeat_s}
batch_s = 1.0

[[cameras]]
name = {camera}
uri = {uri}
fps = 10.0

[[cameras.lines]]
name = {line}
a = {a}
b = {b}

[[cameras.zones]]
name = {zone}
polygon = {polygon}
"""
