"""The system's GStreamer, imported in one place because gi wants versions said first."""

from __future__ import annotations

from shopfloor_edge.cameras.unwinding import prefer_gcc_unwinder

prefer_gcc_unwinder()

import gi  # noqa: E402

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")

from gi.repository import GLib, Gst, GstApp, GstRtsp, GstRtspServer  # noqa: E402

__all__ = ["GLib", "Gst", "GstApp", "GstRtsp", "GstRtspServer"]
