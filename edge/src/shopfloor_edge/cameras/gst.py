"""The system's GStreamer, imported in one place: gi wants versions said first."""

from __future__ import annotations

from shopfloor_edge.cameras.unwinding import prefer_gcc_unwinder

prefer_gcc_unwinder()

import gi  # noqa: E402

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstVideo", "1.0")

# GstApp adds appsink's methods.
from gi.repository import GLib, Gst, GstApp, GstVideo  # noqa: E402

__all__ = ["GLib", "Gst", "GstApp", "GstVideo"]
