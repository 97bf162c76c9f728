"""``shopfloorctl audit``, ``key`` and ``trust``: what is proven, and by whom it is signed."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

from shopfloor_ctl.commands.base import Context, add_passphrase_flag, read_passphrase
from shopfloor_ctl.errors import MistakeError
from shopfloor_ctl.keys import make_key


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Declare the commands."""
    audit = commands.add_parser("audit", help="the registry's audit log")
    actions = audit.add_subparsers(dest="action", required=True, metavar="ACTION")
    one = actions.add_parser("list", parents=[shared], help="who did what")
    one.set_defaults(run=_log)
    one = actions.add_parser("verify", parents=[shared], help="walk the chain of digests")
    one.add_argument("--count", type=int, help="how many rows there were before")
    one.add_argument("--head", help="what the last digest was then")
    one.set_defaults(run=_verify)
    key = commands.add_parser("key", help="your key for promotions")
    actions = key.add_subparsers(dest="action", required=True, metavar="ACTION")
    one = actions.add_parser("make", parents=[shared], help="write FILE and FILE.pub")
    one.add_argument("file", type=Path)
    add_passphrase_flag(one)
    one.set_defaults(run=_make_key)
    trust = commands.add_parser("trust", help="what waits for the TUF signature")
    actions = trust.add_subparsers(dest="action", required=True, metavar="ACTION")
    one = actions.add_parser("pending", parents=[shared], help="what would change")
    one.set_defaults(run=_pending)
    one = actions.add_parser("sign", parents=[shared], help="sign all of it, and publish it")
    one.add_argument("--keys", type=Path, required=True, metavar="FOLDER", help="targets keys")
    add_passphrase_flag(one)
    one.set_defaults(run=_sign)


def _log(context: Context, _: argparse.Namespace) -> int:
    pages = context.client("registry").pages("/audit")
    rows = [row for page in pages for row in page["items"]]
    columns = ["number", "at", "actor", "action", "subject", "detail"]
    context.screen.table(rows, columns, empty="nothing has happened")
    return 0


def _verify(context: Context, parsed: argparse.Namespace) -> int:
    client = context.client("registry")
    found = client.get("/audit/verification", count=parsed.count, head=parsed.head)
    context.screen.record({key: value for key, value in found.items() if value is not None})
    return 0 if found["broken_at"] is None else 1


def _make_key(context: Context, parsed: argparse.Namespace) -> int:
    public = make_key(parsed.file, read_passphrase(parsed.passphrase_file))
    context.screen.record({"public_key": public, "file": f"{parsed.file}.pub"})
    return 0


def _pending(context: Context, _: argparse.Namespace) -> int:
    rows = [
        {"role": one["role"], "change": change}
        for one in context.client("registry").get("/trust/staged")["items"]
        for change in one["changes"]
    ]
    context.screen.table(rows, ["role", "change"], empty="nothing waits")
    return 0


def _sign(context: Context, parsed: argparse.Namespace) -> int:
    try:
        trust: Any = import_module("shopfloor_registry.trust.signing")
        store: Any = import_module("shopfloor_registry.trust.keys")
        errors: Any = import_module("shopfloor_registry.trust.errors")
    except ImportError as e:
        raise MistakeError("signing targets wants the extra 'shopfloor-ctl[trust]'") from e
    client = context.client("registry")
    waiting = client.get("/trust/staged")["items"]
    if not waiting:
        context.screen.remark("nothing waits")
        return 0
    passphrase = read_passphrase(parsed.passphrase_file)
    try:
        keys = store.load_keys(parsed.keys, "targets", lambda *_: passphrase)
        signed = [trust.sign(one["document"].encode(), keys).decode() for one in waiting]
    except errors.TrustError as e:
        raise MistakeError(str(e)) from e
    found = client.send("POST", "/trust/signed", {"documents": signed})
    rows = [{"role": role} for role in found["items"]]
    context.screen.table(rows, ["role"], empty="nothing was published")
    return 0
