"""GStreamer pipelines as data: one way in per medium, one way to decode per platform.

A platform is used when every element that it needs is installed; the plain software one always
is. Decoders are plugged by rank, so that a stream which the hardware cannot decode is still read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shopfloor_edge.cameras.address import CameraAddress
from shopfloor_edge.cameras.uris import Medium
from shopfloor_edge.errors import SourceUnusableError


@dataclass(frozen=True, slots=True)
class Platform:
    """How one kind of hardware decodes."""

    name: str
    needs: tuple[str, ...]
    """Elements without which the platform is not used."""
    decoders: tuple[str, ...]
    """Hardware decoders, plugged before any other."""
    convert: str
    """From the decoder's memory to I420 in ours."""
    csi: str | None = None
    """Source of a camera on the board's ribbon cable; ``{sensor}`` is its number."""


_CPU_CONVERT = "videoconvert ! video/x-raw,format=I420"
SOFTWARE = Platform(
    "software",
    needs=(),
    decoders=(),
    convert=_CPU_CONVERT,
    csi="libcamerasrc name=source ! video/x-raw",
)
PLATFORMS = (
    Platform(
        "jetson",
        needs=("nvv4l2decoder", "nvvidconv"),
        decoders=("nvv4l2decoder",),
        # nvvidconv has no 24-bit colour; I420 is what we want anyway.
        convert="nvvidconv ! video/x-raw,format=I420",
        csi="nvarguscamerasrc name=source sensor-id={sensor} "
        "! video/x-raw(memory:NVMM),format=NV12",
    ),
    Platform(
        "intel-va",
        needs=("vah264dec", "vapostproc"),
        decoders=("vah264dec", "vah265dec", "vajpegdec"),
        convert=f"vapostproc ! video/x-raw ! {_CPU_CONVERT}",
    ),
    # Coral's Dev Board has NXP's VPU, its Dev Board Mini a decoder behind V4L2 as many small boards
    # do; each shows its ribbon-cable camera as a V4L2 device.
    Platform(
        "coral-dev",
        needs=("vpudec",),
        decoders=("vpudec",),
        convert=_CPU_CONVERT,
        csi="v4l2src name=source device=/dev/video{sensor}",
    ),
    Platform(
        "v4l2",
        needs=("v4l2h264dec",),
        decoders=("v4l2h264dec", "v4l2h265dec"),
        convert=_CPU_CONVERT,
        csi="v4l2src name=source device=/dev/video{sensor}",
    ),
    SOFTWARE,
)

# Frames are shed after the decoder, never before it: a dropped packet corrupts every picture
# until the next key frame. That is also why TCP is the default: a lost UDP packet does the same.
_LIVE_SINK = "appsink name=sink max-buffers=1 drop=true sync=false"
_FILE_SINK = "appsink name=sink max-buffers=2 drop=false sync=false"
_SOURCES = {
    Medium.RTSP: "rtspsrc name=source protocols={transport} latency=100 drop-on-latency=true "
    "timeout=5000000 tcp-timeout=5000000 ! application/x-rtp,media=video ! decodebin",
    Medium.MJPEG: "souphttpsrc name=source is-live=true do-timestamp=true timeout=5 retries=0 "
    "! multipartdemux ! image/jpeg ! decodebin",
    Medium.USB: "v4l2src name=source ! decodebin",
    Medium.FILE: "filesrc name=source ! decodebin",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """The platform that is used, and why not a faster one."""

    platform: Platform
    fallback: str = ""
    """Empty when nothing was expected that is not there."""


def choose_platform(
    is_installed: Callable[[str], bool], platforms: Sequence[Platform] = PLATFORMS
) -> Choice:
    """Return the first platform whose elements are all there.

    A platform of which only a part is installed is named in ``fallback``.
    """
    halves: list[str] = []
    for platform in platforms:
        missing = [element for element in platform.needs if not is_installed(element)]
        if not missing:
            return Choice(platform, "; ".join(halves))
        if len(missing) < len(platform.needs):
            halves.append(f"{platform.name}: {', '.join(missing)} is not installed")
    return Choice(SOFTWARE, "; ".join(halves))


def pipeline_for(address: CameraAddress, platform: Platform) -> str:
    """Return the pipeline's description; location and log-in are set on its ``source``.

    Raises:
        SourceUnusableError: there is none.
    """
    medium = address.medium
    sink = _FILE_SINK if medium is Medium.FILE else _LIVE_SINK
    return f"{_source(address, platform)} ! {platform.convert} ! {sink}"


def _source(address: CameraAddress, platform: Platform) -> str:
    if address.medium is not Medium.CSI:
        return _SOURCES[address.medium].format(transport=address.transport)
    sensor = address.uri.partition("://")[2] or "0"
    if not sensor.isdecimal():
        raise SourceUnusableError(f"{address.uri}: expected a sensor's number, such as csi://0")
    if platform.csi is None:
        raise SourceUnusableError(f"{address.uri}: {platform.name} has no camera connector")
    return platform.csi.format(sensor=int(sensor))
