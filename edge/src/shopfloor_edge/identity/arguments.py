"""What ``shopfloor-edge identity`` takes; imports nothing of it."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_identity_commands(parser: argparse.ArgumentParser) -> None:
    """Add what ``identity`` takes."""
    parser.add_argument("action", choices=["enrol", "renew", "secrets", "status", "serial"])
    parser.add_argument("--site", type=Path, metavar="FILE", help="site file")
    parser.add_argument(
        "--token-file", default="-", metavar="FILE", help="one-time token; default: from stdin"
    )
    parser.add_argument("--serial", help="of this machine; default: what its firmware says")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
