"""What can be typed after ``shopfloor-edge camera``, ``spc`` and ``sense``."""

from __future__ import annotations

import argparse
from pathlib import Path

PROBE_S = 8.0
"""Sees two key frames of a camera that sends one every four seconds, the most that is advised."""
PARTS_PER_MINUTE = 200.0
"""A line of three or four parts a second, as assembled boards are inspected."""
DISCOVER_S = 3.0
"""ONVIF devices answer within half a second; a sleepy one and a lost packet are waited for."""


def add_camera_commands(parser: argparse.ArgumentParser) -> None:
    """Add ``probe`` and ``discover``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    probe = actions.add_parser("probe", help="measure one camera and say what to change on it")
    probe.add_argument("uri", metavar="URI", help="as in a site file")
    probe.add_argument("--json", action="store_true", help="print one JSON object")
    probe.add_argument("--snapshot", type=Path, metavar="PNG", help="write a masked picture")
    probe.add_argument(
        "--seconds", type=_seconds, default=PROBE_S, metavar="N", help="look so long"
    )
    probe.add_argument("--username", help="instead of the one in the URI")
    probe.add_argument("--password-file", metavar="FILE", help="instead of the one in the URI")
    probe.add_argument("--transport", choices=["tcp", "udp"], default="tcp", help="of RTSP")
    discover = actions.add_parser("discover", help="list ONVIF cameras in this network")
    discover.add_argument("--json", action="store_true", help="print one JSON array")
    discover.add_argument("--timeout", type=_seconds, default=DISCOVER_S, metavar="S")
    discover.add_argument("--interface", default="", metavar="ADDRESS", help="ask in this network")


def add_spc_commands(parser: argparse.ArgumentParser) -> None:
    """Add ``design``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    design = actions.add_parser("design", help="limits of the charts, and how soon they tell")
    design.add_argument("--p0", type=float, required=True, help="normal defect rate, as 0.01")
    design.add_argument("--p1", type=float, required=True, help="defect rate to be found soon")
    design.add_argument("--arl0", type=float, required=True, help="parts between false alarms")
    design.add_argument(
        "--parts-per-minute", type=float, default=PARTS_PER_MINUTE, help="speed of the line"
    )
    design.add_argument("--json", action="store_true", help="print one JSON object")


def add_sense_options(parser: argparse.ArgumentParser) -> None:
    """Add what ``shopfloor-edge sense`` takes beside the state folder."""
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="sensor file")
    parser.add_argument(
        "--replay",
        type=Path,
        metavar="FILE",
        help="CSV or JSON lines instead of the broker; - is stdin",
    )
    parser.add_argument(
        "--relearn",
        action="append",
        default=[],
        metavar="SENSOR",
        help="forget its baseline: the machine was mended or set otherwise",
    )


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.1 <= seconds <= 600:
        raise argparse.ArgumentTypeError(f"{text} is not within 0.1 to 600")
    return seconds


def add_update_commands(
    update: argparse.ArgumentParser, selftest: argparse.ArgumentParser, *, state: Path
) -> None:
    """Add what ``update`` and ``selftest`` take."""
    update.add_argument(
        "action", nargs="?", choices=["status", "rollback", "check"], help="default: --from"
    )
    update.add_argument(
        "--from", dest="folder", type=Path, metavar="FOLDER", help="a copied TUF repository"
    )
    update.add_argument("--target", metavar="PATH", help="TUF path, where several updates fit")
    update.add_argument(
        "--kind", choices=["model", "config", "wheels"], default="model", help="of rollback"
    )
    update.add_argument("--shadow-s", type=_endured, default=0.0, help="beside the active one")
    update.add_argument("--trial-s", type=_endured, default=600.0, help="until it is good")
    update.add_argument("--site", type=Path, metavar="FILE", help="site file")
    update.add_argument(
        "--state", type=Path, default=state, metavar="DIR", help=f"state folder (default {state})"
    )
    selftest.add_argument(
        "bundle", nargs="?", type=Path, help="archive or unpacked folder; none: what can run here"
    )
    selftest.add_argument("--threads", type=int, default=1)
    selftest.add_argument(
        "--backend",
        default="auto",
        choices=["auto", "onnxruntime", "openvino", "litert", "tensorrt", "motion"],
    )
    for command in (update, selftest):
        command.add_argument("--json", action="store_true", help="print one JSON object")


def _endured(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 2_592_000:
        raise argparse.ArgumentTypeError(f"{text} s, expected 0 to 2592000 (30 days)")
    return value
