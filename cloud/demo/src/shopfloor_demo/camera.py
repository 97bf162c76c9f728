"""An RTSP camera for tests: plays a file to every client from its beginning, in real time.

``python -m shopfloor_demo.camera FILE [--port 0] [--address-file PATH] [--once]``

It can also do what bad cameras do: ask for a password, change its picture's size (``--then``),
and send rubbish (``--corrupt-from``).
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
from pathlib import Path

from shopfloor_demo import encoding
from shopfloor_demo.gst import GLib, Gst, GstRtsp, GstRtspServer

_HOST = "127.0.0.1"
_MOUNT = "/stream"
# Not live, so that the server waits for PLAY and each client sees the first frame; the RTP sink
# then sends by the pipeline's clock.
_LAUNCH = (
    "( appsrc name=source format=time caps=video/x-{codec},stream-format=byte-stream,"
    "alignment=au,framerate={fps}/1 ! {codec}parse config-interval=-1 "
    "! rtp{codec}pay name=pay0 pt=96 )"
)
_REALM_ROLE = "viewer"
_PICTURES_AT = 16
"""Bytes of an access unit left whole when it is corrupted, so that it still looks like one."""
_LAST_CLIENTS_S = 5


class _Feeder:
    """Gives one client the access units; looped without end, or once."""

    def __init__(self, units: list[bytes], *, fps: int, once: bool) -> None:
        self._units, self._once = units, once
        self._duration_ns = Gst.SECOND // fps
        self._sent = 0

    def need_data(self, source: Gst.Element, _hint: int) -> None:
        """Push the next access unit with its place in time."""
        if self._once and self._sent >= len(self._units):
            source.emit("end-of-stream")
            return
        buffer = Gst.Buffer.new_wrapped(self._units[self._sent % len(self._units)])
        buffer.pts = buffer.dts = self._sent * self._duration_ns
        buffer.duration = self._duration_ns
        self._sent += 1
        source.emit("push-buffer", buffer)


class Camera:
    """A server with one mount; with ``once`` it ends after a client saw the whole file."""

    def __init__(
        self,
        units: list[bytes],
        *,
        fps: int,
        once: bool,
        loop: GLib.MainLoop,
        codec: encoding.Codec = "h264",
    ) -> None:
        self._units, self._fps, self._once, self._loop = units, fps, once, loop
        self._codec, self._role = codec, ""
        self._clients, self._is_complete = 0, False
        self._server = GstRtspServer.RTSPServer()

    def ask_for(self, user: str, password: str) -> None:
        """Let in only who says this user and password; call it before ``serve``."""
        token = GstRtspServer.RTSPToken()
        token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, _REALM_ROLE)
        auth = GstRtspServer.RTSPAuth()
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
        self._server.set_auth(auth)
        self._role = _REALM_ROLE

    def serve(self, port: int, host: str = _HOST) -> str:
        """Listen on ``host`` and return the address.

        Raises:
            OSError: the port is taken.
        """
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(_LAUNCH.format(fps=self._fps, codec=self._codec))
        factory.set_shared(False)
        factory.connect("media-configure", self._on_client)
        if self._role:
            permissions = GstRtspServer.RTSPPermissions()
            for right in ("media.factory.access", "media.factory.construct"):
                permissions.add_permission_for_role(self._role, right, True)  # noqa: FBT003
            factory.set_permissions(permissions)
        self._server.set_address(host)
        self._server.set_service(str(port))
        self._server.get_mount_points().add_factory(_MOUNT, factory)
        if not self._server.attach(None):
            raise OSError(f"port {port} of {host} is taken")
        GLib.timeout_add_seconds(2, self._forget_silent_clients)
        return f"rtsp://{host}:{self._server.get_bound_port()}{_MOUNT}"

    def _on_client(self, _factory: GstRtspServer.RTSPMediaFactory, media: Gst.Object) -> None:
        feeder = _Feeder(self._units, fps=self._fps, once=self._once)
        source = media.get_element().get_by_name("source")
        source.connect("need-data", feeder.need_data)
        payloader = media.get_element().get_by_name("pay0")
        payloader.get_static_pad("src").add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, self._on_event)
        self._clients += 1
        media.connect("unprepared", self._on_client_gone)

    def _on_event(self, _pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        if info.get_event().type == Gst.EventType.EOS:
            GLib.idle_add(self._on_pass_complete)
        return Gst.PadProbeReturn.OK

    def _on_pass_complete(self) -> bool:
        # A client takes the end of a live stream for a fault and connects again: it must not
        # count the same people twice.
        self._is_complete = True
        self._server.get_mount_points().remove_factory(_MOUNT)
        GLib.timeout_add_seconds(_LAST_CLIENTS_S, self._loop.quit)
        return False  # GLib.SOURCE_REMOVE

    def _on_client_gone(self, _media: Gst.Object) -> None:
        self._clients -= 1
        if self._is_complete and self._clients == 0:
            self._loop.quit()

    def _forget_silent_clients(self) -> bool:
        self._server.get_session_pool().cleanup()
        return True  # GLib.SOURCE_CONTINUE


def main(argv: list[str] | None = None) -> int:
    """Serve the file until SIGTERM, Ctrl-C, or the end of one pass."""
    arguments = _parse(argv)
    if not arguments.file.is_file():
        print(f"camera: {arguments.file} is not a file", file=sys.stderr)
        return 2
    Gst.init(None)
    loop = GLib.MainLoop()
    for number in (signal.SIGTERM, signal.SIGINT):
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, loop.quit)
    codec = arguments.codec
    units = [unit for file in _played(arguments) for unit in encoding.access_units(file, codec)]
    units = _corrupted(units, arguments.corrupt_from)
    camera = Camera(units, fps=arguments.fps, once=arguments.once, loop=loop, codec=codec)
    if arguments.user is not None:
        camera.ask_for(arguments.user, arguments.password or "")
    address = camera.serve(arguments.port, arguments.host)
    print(f"{address} plays {len(units)} frames of {arguments.file}", flush=True)
    if arguments.address_file is not None:
        _announce(arguments.address_file, address)
    loop.run()
    return 0


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="shopfloor_demo.camera", description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE", help="an H.264 file")
    parser.add_argument("--host", default=_HOST, help=f"address to listen on (default {_HOST})")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--address-file", type=Path, help="where to write the rtsp:// address")
    parser.add_argument("--fps", type=int, default=encoding.FPS)
    parser.add_argument("--once", action="store_true", help="end after one pass")
    parser.add_argument("--codec", choices=("h264", "h265"), default="h264", help="of the files")
    parser.add_argument("--then", type=Path, metavar="FILE", help="play this one after the first")
    parser.add_argument(
        "--corrupt-from", type=int, metavar="N", help="send rubbish for pictures from the Nth on"
    )
    parser.add_argument("--user", help="ask for this user, and for --password")
    parser.add_argument("--password")
    return parser.parse_args(argv)


def _played(arguments: argparse.Namespace) -> list[Path]:
    return [arguments.file] if arguments.then is None else [arguments.file, arguments.then]


def _corrupted(units: list[bytes], first: int | None) -> list[bytes]:
    if first is None:
        return units
    rubbish = random.Random(0)
    broken = [
        unit[:_PICTURES_AT] + rubbish.randbytes(max(0, len(unit) - _PICTURES_AT))
        for unit in units[first:]
    ]
    return units[:first] + broken


def _announce(path: Path, address: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(address + "\n")
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main())
