"""``shopfloorctl applications``: the devices' own programs, as sets of wheels."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from shopfloor_contracts.errors import ArchiveError
from shopfloor_contracts.wheelsets import write_wheel_set
from shopfloor_ctl.commands.base import Context
from shopfloor_ctl.errors import MistakeError

COLUMNS = ["name", "version", "platform", "wheels", "path", "digest", "size_bytes", "staged"]


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Declare the commands."""
    applications = commands.add_parser("applications", help="the devices' programs, as wheels")
    actions = applications.add_subparsers(dest="action", required=True, metavar="ACTION")
    one = actions.add_parser("pack", parents=[shared], help="a folder of wheels as one file")
    one.add_argument("folder", type=Path, help="every wheel that a device needs, and no other")
    one.add_argument("--name", default="shopfloor-edge")
    one.add_argument("--version", required=True, dest="of_version", metavar="VERSION")
    one.add_argument("--python", default="cp311", metavar="TAG", help="default cp311")
    one.add_argument("--machine", required=True, help="as x86-64 or aarch64")
    one.add_argument("--out", type=Path, required=True, metavar="FILE")
    one.set_defaults(run=_pack)
    one = actions.add_parser(
        "publish", parents=[shared], help="have a set wait for the TUF signature, with its delta"
    )
    one.add_argument("file", type=Path, help="as of pack")
    one.set_defaults(run=_publish)


def _pack(context: Context, parsed: argparse.Namespace) -> int:
    wheels = sorted(parsed.folder.glob("*.whl"))
    if not wheels:
        raise MistakeError(f"{parsed.folder}: holds no wheels")
    try:
        made = write_wheel_set(
            wheels,
            parsed.out,
            name=parsed.name,
            version=parsed.of_version,
            python=parsed.python,
            machine=parsed.machine,
        )
    except ArchiveError as e:
        raise MistakeError(str(e)) from e
    except OSError as e:
        raise MistakeError(f"{e.filename or parsed.out}: {e.strerror or e}") from e
    size_bytes = parsed.out.stat().st_size
    context.screen.record({"path": made.path, "wheels": len(wheels), "size_bytes": size_bytes})
    return 0


def _publish(context: Context, parsed: argparse.Namespace) -> int:
    client = context.client("registry")
    found = client.upload("/applications", parsed.file, progress=context.screen.progress)
    context.screen.record({key: found[key] for key in COLUMNS})
    return 0
