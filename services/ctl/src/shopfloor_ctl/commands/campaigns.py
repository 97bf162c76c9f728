"""``shopfloorctl campaigns``: a thin client of the campaigns service."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from shopfloor_ctl.client import Json
from shopfloor_ctl.commands.base import Context, read_lines
from shopfloor_ctl.errors import MistakeError

VERDICT = ["wave", "round", "gate", "answer", "explanation", "at"]
BATCH = 500
"""Devices in one request."""
ORDERS = {
    "approve": "allow a draft to be started",
    "start": "open the first wave",
    "pause": "begin no further device",
    "resume": "go on after a pause or a stop",
    "abort": "end it; devices in the middle are told to stop",
}


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Declare the commands."""
    campaigns = commands.add_parser("campaigns", help="rollouts in waves")
    actions = campaigns.add_subparsers(dest="action", required=True, metavar="ACTION")
    one = actions.add_parser("create", parents=[shared], help="store a plan")
    one.add_argument("file", type=Path, help="TOML or JSON")
    one.set_defaults(run=_create)
    one = actions.add_parser("list", parents=[shared], help="all campaigns")
    one.set_defaults(run=_list)
    for name, run, text in (
        ("show", _show, "a campaign as it stands"),
        ("devices", _devices, "how far each device is"),
        ("verdicts", _verdicts, "what the gates said"),
    ):
        one = actions.add_parser(name, parents=[shared], help=text)
        one.add_argument("name")
        one.set_defaults(run=run)
    one = actions.add_parser("enrol", parents=[shared], help="make devices known; keep tokens")
    one.add_argument("file", type=Path, help="JSON lines: site, device, labels, time_zone")
    one.add_argument(
        "--tokens", type=Path, required=True, metavar="FOLDER", help="for SITE.DEVICE.token"
    )
    one.set_defaults(run=_enrol)
    for name, text in ORDERS.items():
        one = actions.add_parser(name, parents=[shared], help=text)
        one.add_argument("name")
        one.add_argument("--reason", default="", help="for the audit log")
        one.add_argument(
            "--overrule", action="store_true", help="pass over a wave that is undecided"
        )
        one.set_defaults(run=_order, order=name)


def _create(context: Context, parsed: argparse.Namespace) -> int:
    try:
        text = parsed.file.read_bytes()
    except OSError as e:
        raise MistakeError(f"{parsed.file}: {e.strerror}") from e
    kind = "application/toml" if parsed.file.suffix == ".toml" else "application/json"
    context.screen.record(context.client("campaigns").send_text("/campaigns", text, kind))
    return 0


def _enrol(context: Context, parsed: argparse.Namespace) -> int:
    """Create or change devices; the token of a new one is told this once, into a file."""
    wanted = [_device(parsed.file, *one) for one in enumerate(read_lines(parsed.file), start=1)]
    client, made = context.client("campaigns"), 0
    try:
        parsed.tokens.mkdir(parents=True, exist_ok=True, mode=0o700)
        for begin in range(0, len(wanted), BATCH):
            body = {"devices": wanted[begin : begin + BATCH]}
            for name, token in client.send("POST", "/devices", body)["tokens"].items():
                _keep(parsed.tokens / f"{name}.token", token)
                made += 1
    except OSError as e:
        raise MistakeError(f"{parsed.tokens}: {e.strerror or e}") from e
    context.screen.record({"devices": len(wanted), "tokens": made})
    return 0


def _device(file: Path, number: int, line: str) -> Json:
    try:
        said = json.loads(line)
        name = f"{said.pop('site')}.{said.pop('device')}"
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise MistakeError(f"{file}: line {number}: expected an object with site and device") from e
    return {"name": name} | {key: said[key] for key in ("labels", "time_zone") if key in said}


def _keep(path: Path, token: str) -> None:
    """Write a token that nobody else may read, and that is told only once."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    with path.open("w") as file:
        file.write(f"{token}\n")
        file.flush()
        os.fsync(file.fileno())


def _list(context: Context, _: argparse.Namespace) -> int:
    pages = context.client("campaigns").pages("/campaigns", key="campaigns")
    rows = [row for page in pages for row in page["campaigns"]]
    context.screen.table(rows, list(rows[0])[:8] if rows else [], empty="no campaigns")
    return 0


def _show(context: Context, parsed: argparse.Namespace) -> int:
    context.screen.record(context.client("campaigns").get(f"/campaigns/{parsed.name}"))
    return 0


def _devices(context: Context, parsed: argparse.Namespace) -> int:
    path = f"/campaigns/{parsed.name}/devices"
    pages = context.client("campaigns").pages(path, key="devices")
    rows = [row for page in pages for row in page["devices"]]
    context.screen.table(rows, list(rows[0])[:8] if rows else [], empty="no devices")
    return 0


def _verdicts(context: Context, parsed: argparse.Namespace) -> int:
    found = context.client("campaigns").get(f"/campaigns/{parsed.name}")
    rows = [
        {"wave": wave["number"]} | verdict
        for wave in found["waves"]
        for verdict in wave["verdicts"]
    ]
    context.screen.table(rows, VERDICT, empty="no verdicts yet")
    return 0


def _order(context: Context, parsed: argparse.Namespace) -> int:
    body = {"reason": parsed.reason, "overrule": parsed.overrule}
    path = f"/campaigns/{parsed.name}/{parsed.order}"
    context.screen.record(context.client("campaigns").send("POST", path, body))
    return 0
