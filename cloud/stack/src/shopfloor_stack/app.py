"""The command ``shopfloor-cloud``: brings the cloud's parts up on this machine, and ends them."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from shopfloor_contracts.base import SLUG_PATTERN
from shopfloor_stack import compose
from shopfloor_stack.errors import OperatorError, StackError
from shopfloor_stack.pki import Authority
from shopfloor_stack.settings import Settings, read_settings
from shopfloor_stack.stack import Row, Stack

_STOPPED = 3
"""What ``status`` ends with when nothing runs, as service managers do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parsed = _parser().parse_args(arguments)
    try:
        settings = read_settings(os.environ)
        return _run(parsed, settings)
    except OperatorError as e:
        print(f"shopfloor-cloud: {e}", file=sys.stderr)
        return 2
    except StackError as e:
        print(f"shopfloor-cloud: {e}", file=sys.stderr)
        return 1


def _run(parsed: argparse.Namespace, settings: Settings) -> int:
    stack = Stack(settings, say=lambda line: print(line, flush=True))
    if parsed.command == "up":
        stack.up()
        return _show(stack.status())
    if parsed.command == "down":
        ran = stack.down(wipe=parsed.wipe)
        print("ended" if ran else "nothing ran")
        return 0
    if parsed.command == "compose":
        if parsed.arguments:
            return compose.run(settings, parsed.arguments)
        print(compose.prepare(settings))
        return 0
    if parsed.command == "device":
        return _admit(stack, parsed.site, parsed.device)
    return _show(stack.status())


def _show(rows: list[Row]) -> int:
    if not rows:
        print("nothing runs")
        return _STOPPED
    table = Table("part", "state", "address", "log", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row.part, row.state, row.address, "" if row.log is None else _short(row.log))
    # No wrapping: a path that is cut in two cannot be copied.
    Console(width=max(200, Console().width)).print(table)
    return 0 if all(row.is_healthy for row in rows) else 1


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _admit(stack: Stack, site: str, device: str) -> int:
    """Issue a device's certificate, and print what its site file wants."""
    folder = stack.layout.pki
    for name in (site, device):
        # It becomes a user name at the broker, a part of topics, and of a file's name.
        if not re.fullmatch(SLUG_PATTERN, name):
            raise OperatorError(f"{name!r} is no name of a site or device, expected {SLUG_PATTERN}")
    if not (folder / "ca.crt").exists():
        raise OperatorError(f"{folder}: no authority there yet: 'make cloud-up' first")
    authority = Authority(folder)
    # No name has two dots in a row, so no two devices share a file.
    pair = authority.client(f"device-{site}..{device}", f"{site}/{device}")
    print("[uplink]")
    print('host = "127.0.0.1"')
    print(f"port = {stack.ports()['broker']}")
    print(f'ca_file = "{authority.certificate}"')
    print(f'cert_file = "{pair.certificate}"')
    print(f'key_file = "{pair.key}"')
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shopfloor-cloud",
        description="Run the cloud's parts on this machine, on loopback, from OS packages.",
        epilog="Exit code: 0 done, 1 a part does not work, 2 a setting is wrong, 3 nothing runs.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start what does not run, and wait until all is ready")
    down = commands.add_parser("down", help="end what 'up' started; data stays")
    down.add_argument("--wipe", action="store_true", help="remove data, passwords and keys too")
    commands.add_parser("status", help="every part: state, address, log")
    containers = commands.add_parser("compose", help="prepare containers, and run docker compose")
    containers.add_argument(
        "arguments", nargs=argparse.REMAINDER, help="for docker compose: up -d --build --wait"
    )
    device = commands.add_parser("device", help="a certificate for a device, and its [uplink]")
    device.add_argument("site")
    device.add_argument("device")
    return parser


if __name__ == "__main__":
    sys.exit(main())
