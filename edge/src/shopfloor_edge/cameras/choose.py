"""Which reader opens a camera."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Literal

from shopfloor_edge.cameras.ports import FrameSource
from shopfloor_edge.cameras.uris import Medium, file_of, medium_of
from shopfloor_edge.errors import SourceLostError, SourceUnusableError

Reader = Literal["auto", "gstreamer", "pyav"]


def open_source(uri: str, reader: Reader = "auto") -> FrameSource:
    """Open ``uri`` with the reader asked for; ``auto`` prefers GStreamer.

    Raises:
        SourceUnusableError: no such reader here, or nothing that it can read.
        SourceLostError: not there now.
    """
    _check_exists(uri)
    if reader == "gstreamer" or (reader == "auto" and gstreamer_problem() is None):
        problem = gstreamer_problem()
        if problem is not None:
            raise SourceUnusableError(problem)
        from shopfloor_edge.cameras.gstreamer import GStreamerSource  # noqa: PLC0415

        return GStreamerSource(uri)
    if importlib.util.find_spec("av") is None:
        raise SourceUnusableError(
            "neither GStreamer (Debian: python3-gst-1.0) nor PyAV (pip: shopfloor-edge[pyav]) "
            "is installed"
        )
    from shopfloor_edge.cameras.pyav import PyAvSource  # noqa: PLC0415

    return PyAvSource(uri)


def gstreamer_problem() -> str | None:
    """Return why GStreamer cannot be used here, or None."""
    try:
        gi = importlib.import_module("gi")
        gi.require_version("Gst", "1.0")
        gi.require_version("GstApp", "1.0")
        gi.require_version("GstVideo", "1.0")
    except (ImportError, ValueError) as e:
        return f"GStreamer's Python binding is not usable: {e}"
    return None


def _check_exists(uri: str) -> None:
    """Refuse what no reader could open, with words that a person understands."""
    medium = medium_of(uri)
    if medium is Medium.UNKNOWN:
        raise SourceUnusableError("the URI is none of rtsp://, /dev/video*, a file")
    path = file_of(uri)
    if medium is Medium.USB and not path.exists():
        raise SourceLostError(f"{path} does not exist")
    if medium is Medium.FILE:
        if not path.is_file():
            raise SourceUnusableError(f"{path} does not exist")
        if path.stat().st_size == 0:
            raise SourceUnusableError(f"{path} is empty")
