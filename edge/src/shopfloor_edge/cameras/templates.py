"""GStreamer pipelines as data: one per way to reach a camera."""

from __future__ import annotations

from shopfloor_edge.cameras.uris import Medium
from shopfloor_edge.errors import SourceUnusableError

# Frames are shed after the decoder, never before it: a dropped packet corrupts every picture
# until the next key frame. TCP, because a lost UDP packet does the same.
_LIVE = "decodebin ! videoconvert ! video/x-raw,format=I420 ! appsink name=sink "
_LIVE += "max-buffers=1 drop=true sync=false"
_LOSSLESS = "decodebin ! videoconvert ! video/x-raw,format=I420 ! appsink name=sink "
_LOSSLESS += "max-buffers=2 drop=false sync=false"

PIPELINES = {
    Medium.RTSP: "rtspsrc name=source protocols=tcp latency=100 drop-on-latency=true "
    f"timeout=5000000 tcp-timeout=5000000 ! application/x-rtp,media=video ! {_LIVE}",
    Medium.USB: f"v4l2src name=source ! {_LIVE}",
    Medium.FILE: f"filesrc name=source ! {_LOSSLESS}",
}


def pipeline_for(medium: Medium) -> str:
    """Return the pipeline's description.

    Raises:
        SourceUnusableError: there is none.
    """
    try:
        return PIPELINES[medium]
    except KeyError:
        raise SourceUnusableError("the URI is none of rtsp://, /dev/video*, a file") from None
