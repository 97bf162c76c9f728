"""What a camera's URI names, and how it is written in a log."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit


class Medium(StrEnum):
    """Ways to reach a camera."""

    RTSP = "rtsp"
    MJPEG = "mjpeg"
    USB = "usb"
    CSI = "csi"
    FILE = "file"
    UNKNOWN = "unknown"


KNOWN_FORMS = "rtsp://, http:// (MJPEG), /dev/video*, csi://0, a file"
_SCHEMES = {
    "rtsp": Medium.RTSP,
    "rtsps": Medium.RTSP,
    "rtspt": Medium.RTSP,
    "http": Medium.MJPEG,
    "https": Medium.MJPEG,
    "csi": Medium.CSI,
    "file": Medium.FILE,
}
# Cameras that take a log-in in the query call it by one of these names.
_SECRET_VALUE = re.compile(
    r"((?:^|&)[^=&]*(?:user|usr|pass|pwd|login|account|token|auth|key)[^=&]*=)[^&]*", re.IGNORECASE
)


def medium_of(uri: str) -> Medium:
    """Tell by the URI alone; nothing is opened."""
    if uri.startswith("/dev/video"):
        return Medium.USB
    scheme, separator, _ = uri.partition("://")
    return _SCHEMES.get(scheme.lower(), Medium.UNKNOWN) if separator else Medium.FILE


def file_of(uri: str) -> Path:
    """Return the path of a file URI or plain path."""
    return Path(uri.removeprefix("file://"))


def redact(uri: str) -> str:
    """Return the URI without user, password, and log-ins in its query."""
    if medium_of(uri) not in (Medium.RTSP, Medium.MJPEG, Medium.UNKNOWN):
        return uri
    try:
        parts = urlsplit(uri)
    except ValueError:
        return f"{uri.partition('://')[0]}://…"
    if "@" in parts.netloc:
        parts = parts._replace(netloc="…@" + parts.netloc.rsplit("@", 1)[1])
    return urlunsplit(parts._replace(query=_SECRET_VALUE.sub(r"\1…", parts.query)))
