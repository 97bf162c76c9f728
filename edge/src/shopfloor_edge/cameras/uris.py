"""What a camera's URI names, and how it is written in a log."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit


class Medium(StrEnum):
    """Ways to reach a camera."""

    RTSP = "rtsp"
    USB = "usb"
    FILE = "file"
    UNKNOWN = "unknown"


def medium_of(uri: str) -> Medium:
    """Tell by the URI alone; nothing is opened."""
    if uri.startswith(("rtsp://", "rtsps://", "rtspt://")):
        return Medium.RTSP
    if uri.startswith("/dev/video"):
        return Medium.USB
    return Medium.UNKNOWN if "://" in uri and not uri.startswith("file://") else Medium.FILE


def file_of(uri: str) -> Path:
    """Return the path of a file URI or plain path."""
    return Path(uri.removeprefix("file://"))


def redact(uri: str) -> str:
    """Return the URI without user and password."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return urlunsplit(parts._replace(netloc="…@" + parts.netloc.rsplit("@", 1)[1]))
