"""An ONVIF device's side of WS-Discovery: a real UDP socket on loopback that answers probes."""

import contextlib
import re
import socket
import struct
import threading

GROUP = "239.255.255.250"
ANSWER = (
    '<?xml version="1.0" encoding="UTF-8"?><SOAP-ENV:Envelope '
    'xmlns:SOAP-ENV="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    'xmlns:wsdd="http://schemas.xmlsoap.org/ws/2005/04/discovery"><SOAP-ENV:Header>'
    "<wsa:RelatesTo>{relates}</wsa:RelatesTo></SOAP-ENV:Header><SOAP-ENV:Body>"
    "<wsdd:ProbeMatches><wsdd:ProbeMatch><wsdd:Scopes>{scopes}</wsdd:Scopes>"
    "<wsdd:XAddrs>{addresses}</wsdd:XAddrs></wsdd:ProbeMatch></wsdd:ProbeMatches>"
    "</SOAP-ENV:Body></SOAP-ENV:Envelope>"
)
SCOPES = (
    "onvif://www.onvif.org/type/video_encoder onvif://www.onvif.org/name/Front%20door "
    "onvif://www.onvif.org/hardware/DS-2CD2 onvif://www.onvif.org/location/hall"
)


class OnvifDevice:
    """Answers every probe for video transmitters, ``copies`` times."""

    def __init__(self, link, *, host="192.0.2.7", copies=1, noise=(), answers=True):
        self._link, self.host, self._copies, self._noise = link, host, copies, noise
        self._answers = answers
        self.port = link.getsockname()[1]
        self.probes = []

    def serve(self, stop):
        self._link.settimeout(0.05)
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                self._answer(*self._link.recvfrom(65_535))

    def _answer(self, probe, sender):
        text = probe.decode()
        if not self._answers or "NetworkVideoTransmitter" not in text:
            return
        self.probes.append(text)
        relates = re.search(r"<a:MessageID>(.+?)</a:MessageID>", text)[1]
        addresses = f"http://{self.host}/onvif/device_service http://[fe80::1]/onvif"
        answer = ANSWER.format(relates=relates, scopes=SCOPES, addresses=addresses)
        for datagram in [*self._noise, *[answer.encode()] * self._copies]:
            self._link.sendto(datagram, sender)


@contextlib.contextmanager
def onvif_device(*, multicast=False, **kwargs):
    """Run a device on a free port; with ``multicast`` it listens to the group on loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        link.bind((GROUP if multicast else "127.0.0.1", 0))
        if multicast:
            member = struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton("127.0.0.1"))
            link.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        device, stop = OnvifDevice(link, **kwargs), threading.Event()
        thread = threading.Thread(target=device.serve, args=(stop,))
        thread.start()
        try:
            yield device
        finally:
            stop.set()
            thread.join()
