"""Which reader opens a camera."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from shopfloor_contracts.site import CameraSpec
from shopfloor_edge.cameras.address import CameraAddress, address_of, check_known
from shopfloor_edge.cameras.ports import FrameSource
from shopfloor_edge.cameras.reach import check_reachable
from shopfloor_edge.cameras.uris import Medium, file_of
from shopfloor_edge.errors import SourceLostError, SourceUnusableError

Reader = Literal["auto", "gstreamer", "pyav"]
OnPacket = Callable[[Any, Any], None]


class CameraOpener:
    """Opens one camera of a site file, as often as it is called.

    Inference reads the sub-stream where there is one: people are found as well in a small
    picture, for a fraction of the decoding.

    Args:
        evidence: open the main stream instead.
    """

    def __init__(self, spec: CameraSpec, *, evidence: bool = False) -> None:
        self._spec = spec
        self._uri = spec.uri if evidence or spec.sub_uri is None else spec.sub_uri

    def __call__(self) -> FrameSource:
        """Open it; raises as ``open_address``."""
        spec = self._spec
        address = address_of(
            self._uri,
            username=spec.username,
            password_file=spec.password_file,
            transport=spec.transport,
        )
        return open_address(address, spec.reader)

    def stamp(self) -> int:
        """Return a number that is another one after somebody wrote a new password."""
        if self._spec.password_file is None:
            return 0
        try:
            return Path(self._spec.password_file).stat().st_mtime_ns
        except OSError:
            return 0


def open_source(uri: str, reader: Reader = "auto") -> FrameSource:
    """Open a URI that says everything itself; see ``open_address``."""
    return open_address(address_of(uri), reader)


def open_address(
    address: CameraAddress, reader: Reader = "auto", *, on_packet: OnPacket | None = None
) -> FrameSource:
    """Open the camera with the reader asked for; ``auto`` prefers GStreamer.

    Args:
        on_packet: told the caps and buffer of every compressed frame; by GStreamer only.

    Raises:
        SourceUnusableError: no such reader here, or nothing that it can read.
        SourceLostError: not there now.
    """
    _check_exists(address)
    if reader == "gstreamer" or (reader == "auto" and gstreamer_problem() is None):
        problem = gstreamer_problem()
        if problem is not None:
            raise SourceUnusableError(problem)
        from shopfloor_edge.cameras.gstreamer import GStreamerSource  # noqa: PLC0415

        return GStreamerSource(address, on_packet=on_packet)
    if importlib.util.find_spec("av") is None:
        raise SourceUnusableError(
            "neither GStreamer (Debian: python3-gst-1.0) nor PyAV (pip: shopfloor-edge[pyav]) "
            "is installed"
        )
    if address.medium is Medium.CSI:
        raise SourceUnusableError(f"{address.name}: only GStreamer reads it")
    from shopfloor_edge.cameras.pyav import PyAvSource  # noqa: PLC0415

    return PyAvSource(address)


def gstreamer_problem() -> str | None:
    """Return why GStreamer cannot be used here, or None."""
    try:
        importlib.import_module("shopfloor_edge.cameras.gst")
    except (ImportError, ValueError) as e:
        return f"GStreamer's Python binding is not usable: {e}"
    return None


def _check_exists(address: CameraAddress) -> None:
    """Refuse what no reader could open, with words that a person understands."""
    check_known(address)
    network = address.host_and_port
    if network is not None:
        check_reachable(*network)
    path = file_of(address.uri)
    if address.medium is Medium.USB and not path.exists():
        raise SourceLostError(f"{path} does not exist")
    if address.medium is Medium.FILE:
        if not path.is_file():
            raise SourceUnusableError(f"{path} does not exist")
        if path.stat().st_size == 0:
            raise SourceUnusableError(f"{path} is empty")
