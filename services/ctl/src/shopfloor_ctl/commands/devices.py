"""``shopfloorctl devices`` and ``groups``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from shopfloor_ctl.client import Json
from shopfloor_ctl.commands.base import Context, read_lines
from shopfloor_ctl.commands.sync import sync
from shopfloor_ctl.errors import MistakeError

COLUMNS = ["site", "device", "hardware", "labels", "reported", "last_seen_at"]


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Declare the commands."""
    devices = commands.add_parser("devices", help="devices and their labels")
    actions = devices.add_subparsers(dest="action", required=True, metavar="ACTION")
    one = actions.add_parser("list", parents=[shared], help="those that a query matches")
    one.add_argument("query", nargs="?", default="", help="as 'region=emea,!lab'")
    one.set_defaults(run=_list)
    one = actions.add_parser("show", parents=[shared], help="all that is known of one")
    one.add_argument("device", metavar="SITE/DEVICE")
    one.set_defaults(run=_show)
    one = actions.add_parser("label", parents=[shared], help="set labels; LABEL- removes one")
    one.add_argument("device", metavar="SITE/DEVICE")
    one.add_argument("labels", nargs="+", metavar="LABEL=VALUE")
    one.set_defaults(run=_label)
    one = actions.add_parser("import", parents=[shared], help="make known what a file lists")
    one.add_argument("file", type=Path, help="JSON lines: site, device, hardware, labels, …")
    one.set_defaults(run=_import)
    one = actions.add_parser("sync", parents=[shared], help="exchange with the campaigns service")
    one.set_defaults(run=sync)
    groups = commands.add_parser("groups", help="queries with names")
    actions = groups.add_subparsers(dest="action", required=True, metavar="ACTION")
    one = actions.add_parser("list", parents=[shared], help="all groups")
    one.set_defaults(run=_groups)
    one = actions.add_parser("show", parents=[shared], help="the devices of a group")
    one.add_argument("name")
    one.set_defaults(run=_members)
    one = actions.add_parser("set", parents=[shared], help="name a query")
    one.add_argument("name")
    one.add_argument("query")
    one.set_defaults(run=_set_group)
    one = actions.add_parser("remove", parents=[shared], help="forget a group")
    one.add_argument("name")
    one.set_defaults(run=_remove_group)


def _list(context: Context, parsed: argparse.Namespace) -> int:
    pages = context.client("registry").pages("/devices", query=parsed.query)
    _show_pages(context, pages)
    return 0


def _members(context: Context, parsed: argparse.Namespace) -> int:
    _show_pages(context, context.client("registry").pages(f"/groups/{parsed.name}/devices"))
    return 0


def _show_pages(context: Context, pages: Iterable[Json]) -> None:
    found = list(pages)
    for warning in found[0]["warnings"]:
        context.screen.remark(f"warning: {warning}")
    rows = [row for page in found for row in page["items"]]
    context.screen.table(rows, COLUMNS, empty="no devices")


def _show(context: Context, parsed: argparse.Namespace) -> int:
    found = context.client("registry").get(f"/devices/{_place(parsed.device)}")
    context.screen.record(found)
    return 0


def _label(context: Context, parsed: argparse.Namespace) -> int:
    labels: dict[str, str | None] = {}
    for said in parsed.labels:
        key, equals, value = said.partition("=")
        if not equals and not said.endswith("-"):
            raise MistakeError(f"{said!r}: expected LABEL=VALUE, or LABEL- to remove it")
        labels[key if equals else said[:-1]] = value if equals else None
    path = f"/devices/{_place(parsed.device)}/labels"
    context.screen.record(context.client("registry").send("PUT", path, {"labels": labels}))
    return 0


def _import(context: Context, parsed: argparse.Namespace) -> int:
    client, count = context.client("registry"), 0
    for number, line in enumerate(read_lines(parsed.file), start=1):
        try:
            said = json.loads(line)
            place = f"/devices/{_place(said.pop('site') + '/' + said.pop('device'))}"
            labels = said.pop("labels", {})
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise MistakeError(
                f"{parsed.file}: line {number}: expected an object with site and device"
            ) from e
        client.send("PUT", place, said)
        if labels:
            client.send("PUT", f"{place}/labels", {"labels": labels})
        count += 1
    context.screen.record({"devices": count})
    return 0


def _groups(context: Context, _: argparse.Namespace) -> int:
    rows = context.client("registry").get("/groups")["items"]
    context.screen.table(rows, ["name", "query", "made_by"], empty="no groups")
    return 0


def _set_group(context: Context, parsed: argparse.Namespace) -> int:
    path, body = f"/groups/{parsed.name}", {"query": parsed.query}
    found = context.client("registry").send("PUT", path, body)
    for warning in found["warnings"]:
        context.screen.remark(f"warning: {warning}")
    context.screen.table(found["items"], ["name", "query"], empty="")
    return 0


def _remove_group(context: Context, parsed: argparse.Namespace) -> int:
    context.client("registry").send("DELETE", f"/groups/{parsed.name}")
    return 0


def _place(text: str) -> str:
    site, slash, device = text.partition("/")
    if not slash or not site or not device or "/" in device:
        raise MistakeError(f"device is {text!r}, expected SITE/DEVICE")
    return text
