"""``shopfloor-edge camera``: what is printed, and what is an error."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict

from shopfloor_edge.cameras.address import address_of
from shopfloor_edge.cameras.discovery import FoundCamera, discover
from shopfloor_edge.commissioning.advice import advise
from shopfloor_edge.commissioning.snapshot import write_snapshot
from shopfloor_edge.commissioning.survey import StreamFacts, survey
from shopfloor_edge.errors import OperatorError, SourceUnusableError


def run_camera(arguments: argparse.Namespace) -> int:
    """Run the action that was typed.

    Raises:
        OperatorError: the camera refuses, or what the URI names is no video.
        SourceLostError: nobody answers; worth another try.
    """
    if arguments.action == "discover":
        return _discover(arguments)
    try:
        return _probe(arguments)
    except SourceUnusableError as e:
        raise OperatorError(str(e)) from e


def _probe(arguments: argparse.Namespace) -> int:
    address = address_of(
        arguments.uri,
        username=arguments.username,
        password_file=arguments.password_file,
        transport=arguments.transport,
    )
    facts, frame = survey(address, seconds=arguments.seconds)
    masked = write_snapshot(frame, arguments.snapshot) if arguments.snapshot else None
    advice = advise(facts)
    if arguments.json:
        found = {"camera": address.name, **asdict(facts), "advice": advice, "snapshot": masked}
        print(json.dumps(found))
        return 0
    print(address.name)
    for name, value in _lines(facts):
        print(f"  {name:<12} {value}")
    if masked is not None:
        print(f"  {'snapshot':<12} {arguments.snapshot} ({masked})")
    print("\n".join(f"  change: {sentence}" for sentence in advice) or "  nothing to change")
    return 0


def _lines(facts: StreamFacts) -> Iterator[tuple[str, str]]:
    profile = f", profile {facts.profile}" if facts.profile else ""
    announced = f"{facts.announced_fps:g}" if facts.announced_fps else "nothing"
    interval_s, offset_s = facts.key_frame_interval_s, facts.clock_offset_s
    yield "codec", f"{facts.codec}{profile}"
    yield "picture", f"{facts.width_px} x {facts.height_px}"
    yield "rate", f"{facts.fps:g} frames/s measured, {announced} announced"
    yield "key frame", "unknown" if interval_s is None else f"every {interval_s:g} s"
    yield "bitrate", f"{facts.bitrate_kbps:g} kbit/s"
    yield (
        "decoding",
        (
            f"{facts.decode_ms:g} ms of processor a frame, {facts.decode_cores:g} cores "
            f"({facts.decoder})"
        ),
    )
    yield (
        "clock",
        "unknown" if offset_s is None else f"{offset_s:+.1f} s against this device (± 0.2 s)",
    )


def _discover(arguments: argparse.Namespace) -> int:
    found = discover(timeout_s=arguments.timeout, interface=arguments.interface)
    if arguments.json:
        print(json.dumps([asdict(camera) for camera in found]))
        return 0
    for camera in found:
        print(_line(camera))
    if not found:
        print("no ONVIF camera answered; multicast must not be filtered between it and here")
    return 0


def _line(camera: FoundCamera) -> str:
    said = ", ".join(filter(None, (camera.name, camera.hardware, camera.location)))
    return f"{camera.host:<16} {said or 'says nothing of itself'}  {camera.service}"
