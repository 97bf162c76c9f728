"""``shopfloorctl campaigns``: a thin client of the campaigns service."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from shopfloor_ctl.commands.base import Context
from shopfloor_ctl.errors import MistakeError

VERDICT = ["wave", "round", "gate", "answer", "explanation", "at"]
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
