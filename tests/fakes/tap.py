"""What leaves a device, byte for byte: a relay on its loopback address, and a look at its cable.

``python tap.py relay FOLDER TARGET PORT…`` listens on 127.0.0.1 at each port, passes
connections on to the same port of TARGET and writes what the device sends to
``FOLDER/PORT.N.sent``.
``python tap.py doors HERE PORT…`` listens on HERE and passes on to 127.0.0.1.
``python tap.py wire FILE INTERFACE`` counts what comes over the interface, one JSON a second,
with bytes and packets by kind (so that nothing leaves by DNS or another way unseen).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import struct
import sys
import time
from collections import Counter
from pathlib import Path

LOOPBACK = "127.0.0.1"


async def serve(listen: str, target: str, ports: list[int], folder: Path | None) -> None:
    numbers = itertools.count(1)

    async def client(port, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(target, port)
        except OSError:
            writer.transport.abort()
            return
        record = folder / f"{port}.{next(numbers)}.sent" if folder else None
        await asyncio.gather(pump(reader, far_writer, record), pump(far_reader, writer, None))

    servers = [
        await asyncio.start_server(lambda r, w, port=port: client(port, r, w), listen, port)
        for port in ports
    ]
    print("ready", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


async def pump(reader, writer, record) -> None:
    try:
        while data := await reader.read(65_536):
            if record is not None:
                with record.open("ab") as file:
                    file.write(data)
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


def watch(file: Path, interface: str) -> None:
    """Count packets by protocol and destination; IPv6 and ARP as such."""
    cable = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    cable.bind((interface, 0))
    cable.settimeout(0.5)
    packets: Counter[str] = Counter()
    sent_bytes, told_s = 0, 0.0
    print("ready", flush=True)
    while True:
        try:
            frame, (_, _, direction, _, _) = cable.recvfrom(65_536)
            if direction != socket.PACKET_OUTGOING:
                packets[_kind(frame)] += 1
                sent_bytes += len(frame)
        except TimeoutError:
            pass
        if time.monotonic() - told_s >= 1.0:
            told_s = time.monotonic()
            beside = file.with_suffix(".part")
            beside.write_text(json.dumps({"bytes": sent_bytes, "packets": packets}))
            beside.replace(file)


def _kind(frame: bytes) -> str:
    (ether,) = struct.unpack("!H", frame[12:14])
    if ether == 0x0800:
        address = socket.inet_ntoa(frame[30:34])
        if frame[23] == 6:
            return f"tcp to {address}"
        (port,) = struct.unpack("!H", frame[36:38])
        return f"udp to {address}:{port}" if frame[23] == 17 else f"ip-{frame[23]} to {address}"
    return {0x0806: "arp", 0x86DD: "ipv6"}.get(ether, f"ether-{ether:04x}")


if __name__ == "__main__":
    mode, *words = sys.argv[1:]
    if mode == "wire":
        watch(Path(words[0]), words[1])
    elif mode == "doors":
        asyncio.run(serve(words[0], LOOPBACK, [int(word) for word in words[1:]], None))
    else:
        ports = [int(word) for word in words[2:]]
        asyncio.run(serve(LOOPBACK, words[1], ports, Path(words[0])))
