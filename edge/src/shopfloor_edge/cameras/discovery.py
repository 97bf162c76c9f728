"""Find ONVIF cameras in the local network: one WS-Discovery probe, and whoever answers it.

WS-Discovery 1.1 §5 (Probe, ProbeMatches) over UDP as ONVIF Core §7 uses it. Nothing is asked of a
camera beyond that: its streams' addresses need its password.
"""

from __future__ import annotations

import re
import socket
import time
import uuid
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET

from shopfloor_edge.errors import SourceLostError

MULTICAST = ("239.255.255.250", 3702)
RESEND_S = 0.3
"""A datagram may be lost; the answer to the second one is the same camera."""
MAX_ANSWER_BYTES = 65_535
MAX_CAMERAS = 1000
"""A network that answers more often is not answering honestly."""
_NAMES = {
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "d": "http://schemas.xmlsoap.org/ws/2005/04/discovery",
}
_PROBE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:a="{a}" xmlns:d="{d}" '
    'xmlns:n="http://www.onvif.org/ver10/network/wsdl"><e:Header>'
    "<a:MessageID>uuid:{id}</a:MessageID>"
    "<a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>"
    "<a:Action>{d}/Probe</a:Action></e:Header>"
    "<e:Body><d:Probe><d:Types>n:NetworkVideoTransmitter</d:Types></d:Probe></e:Body>"
    "</e:Envelope>"
)
_SCOPE = re.compile(r"^onvif://www\.onvif\.org/(name|hardware|location)/(.+)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """What a camera says of itself; not verified, and shortened."""

    host: str
    service: str
    """Address of its ONVIF device service."""
    name: str = ""
    hardware: str = ""
    location: str = ""


def discover(
    *, timeout_s: float, target: tuple[str, int] = MULTICAST, interface: str = ""
) -> list[FoundCamera]:
    """Ask once (twice, for loss), collect answers until the time is over, sort by host.

    Args:
        target: the multicast group, or one host.
        interface: address of the network to ask in; empty: the system's choice.

    Raises:
        SourceLostError: the network cannot be asked.
    """
    message_id = uuid.uuid4()
    probe = _PROBE.format(id=message_id, **_NAMES).encode()
    found: dict[str, FoundCamera] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        try:
            # ONVIF devices are in the same building: one router away at most.
            link.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 2)
            if interface:
                chosen = socket.inet_aton(interface)
                link.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, chosen)
            link.sendto(probe, target)
            _collect(link, RESEND_S, found, message_id)
            link.sendto(probe, target)
        except OSError as e:
            raise SourceLostError(f"{target[0]}: cannot be asked ({e.strerror or e})") from e
        _collect(link, max(0.0, timeout_s - RESEND_S), found, message_id)
    return sorted(found.values(), key=lambda camera: (camera.host, camera.service))


def parse_answer(datagram: bytes, message_id: uuid.UUID) -> list[FoundCamera]:
    """Read one answer; what is not an answer to ``message_id`` holds no camera."""
    # An entity may grow without bound when it is expanded; SOAP 1.2 §5 forbids a DTD anyway.
    if b"<!" in datagram:
        return []
    try:
        root = ET.fromstring(datagram)  # noqa: S314 — bounded, and no DTD
    except (ET.ParseError, ValueError, LookupError):
        return []
    relates = root.findtext(".//a:RelatesTo", "", _NAMES).strip().lower()
    if not relates.endswith(str(message_id)):
        return []
    matches = [_camera(match) for match in root.iterfind(".//d:ProbeMatch", _NAMES)]
    return [camera for camera in matches if camera is not None]


def _collect(
    link: socket.socket, seconds: float, found: dict[str, FoundCamera], message_id: uuid.UUID
) -> None:
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0 and len(found) < MAX_CAMERAS:
        link.settimeout(left_s)
        try:
            datagram = link.recv(MAX_ANSWER_BYTES)
        except TimeoutError:
            return
        found |= {camera.service: camera for camera in parse_answer(datagram, message_id)}


def _camera(match: ET.Element) -> FoundCamera | None:
    addresses = match.findtext("d:XAddrs", "", _NAMES).split()
    hosts = [(_host(address), address) for address in addresses]
    host, service = next((pair for pair in hosts if pair[0]), ("", ""))
    if not host:
        return None
    scopes = [_SCOPE.match(scope) for scope in match.findtext("d:Scopes", "", _NAMES).split()]
    said = {scope[1].lower(): _plain(unquote(scope[2])) for scope in scopes if scope}
    return FoundCamera(host, _plain(service), **said)


def _host(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return (parts.hostname or "") if parts.scheme in ("http", "https") else ""


def _plain(text: str, limit: int = 100) -> str:
    """Return one short printable line: it is shown in a terminal."""
    return "".join(character for character in text if character.isprintable())[:limit]
