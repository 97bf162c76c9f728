"""What the operator of the registry does on its machine: tokens, signers' keys, the audit log.

Who can run these can write the database anyway: they ask for no token.
"""

from __future__ import annotations

import argparse
import getpass
from datetime import datetime
from pathlib import Path
from typing import Any

from shopfloor_kit.audit import Anchor, Broken
from shopfloor_kit.tokens import Caller, Role, issue, list_tokens, revoke
from shopfloor_registry.adapters.audit_log import AuditLog
from shopfloor_registry.adapters.promotions import SqlPromotions
from shopfloor_registry.adapters.signatures import read_public_key
from shopfloor_registry.adapters.sql import Database, log
from shopfloor_registry.adapters.tables import TOKENS
from shopfloor_registry.errors import ConflictError, RejectedError
from shopfloor_registry.usecases.ports import Entry

Commands = Any  # argparse has no public name for what add_subparsers returns


def add_offices(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Declare ``token``, ``key`` and ``audit``."""
    token = commands.add_parser("token", help="make, list and revoke bearer tokens")
    actions = token.add_subparsers(dest="action", required=True, metavar="ACTION")
    make = actions.add_parser("make", parents=[shared], help="print a new token, once")
    make.add_argument("--name", required=True, help="of the person or service")
    make.add_argument("--role", required=True, choices=[str(role) for role in Role])
    actions.add_parser("list", parents=[shared], help="list tokens, without their secrets")
    ending = actions.add_parser("revoke", parents=[shared], help="end a token at once")
    ending.add_argument("id", help="as listed")
    key = commands.add_parser("key", help="whose keys may sign promotions")
    actions = key.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", parents=[shared], help="trust a public key")
    add.add_argument("--name", required=True, help="whose it is, as in the token")
    add.add_argument("file", type=Path, help="PEM, as of shopfloorctl key make")
    actions.add_parser("list", parents=[shared], help="list keys")
    ending = actions.add_parser("revoke", parents=[shared], help="take no signature of it any more")
    ending.add_argument("key", help="as listed")
    audit = commands.add_parser("audit", help="the audit log")
    actions = audit.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("verify", parents=[shared], help="walk the chain of digests")
    check.add_argument("--count", type=int, help="how many rows there were before")
    check.add_argument("--head", help="what the last digest was then")


def run_office(parsed: argparse.Namespace, database: Database, *, now: datetime) -> int:
    """Run one of the commands; return the exit code."""
    runs = {
        ("token", "make"): _make_token,
        ("token", "list"): _list_tokens,
        ("token", "revoke"): _revoke_token,
        ("key", "add"): _add_key,
        ("key", "list"): _list_keys,
        ("key", "revoke"): _revoke_key,
        ("audit", "verify"): _verify,
    }
    return runs[parsed.command, parsed.action](parsed, database, now)


def _make_token(parsed: argparse.Namespace, database: Database, now: datetime) -> int:
    caller = Caller(parsed.name, Role(parsed.role))
    with database.writing() as connection:
        token = issue(connection, TOKENS, caller, at=now)
        detail = {"role": parsed.role, "id": token.split("_")[1]}
        log(connection, Entry(_me(), "token.make", parsed.name, detail, now))
    print(token)
    return 0


def _list_tokens(_: argparse.Namespace, database: Database, __: datetime) -> int:
    with database.reading() as connection:
        for one in list_tokens(connection, TOKENS):
            state = f"revoked {one.revoked_at}" if one.revoked_at else "valid"
            print(f"{one.id}  {one.role:8}  {one.name}  made {one.made_at}  {state}")
    return 0


def _revoke_token(parsed: argparse.Namespace, database: Database, now: datetime) -> int:
    with database.writing() as connection:
        if not revoke(connection, TOKENS, parsed.id, at=now):
            raise ConflictError(f"no valid token has the id {parsed.id!r}")
        log(connection, Entry(_me(), "token.revoke", parsed.id, {}, now))
    return 0


def _add_key(parsed: argparse.Namespace, database: Database, now: datetime) -> int:
    key = read_public_key(parsed.file)
    entry = Entry(_me(), "key.add", parsed.name, {"public_key": key}, now)
    SqlPromotions(database).add_signer(key, parsed.name, entry)
    print(key)
    return 0


def _list_keys(_: argparse.Namespace, database: Database, __: datetime) -> int:
    for one in SqlPromotions(database).signers():
        state = f"revoked {one.revoked_at}" if one.revoked_at else "valid"
        print(f"{one.public_key}  {one.name}  added {one.added_at}  {state}")
    return 0


def _revoke_key(parsed: argparse.Namespace, database: Database, now: datetime) -> int:
    entry = Entry(_me(), "key.revoke", parsed.key, {}, now)
    SqlPromotions(database).revoke_signer(parsed.key, entry)
    return 0


def _verify(parsed: argparse.Namespace, database: Database, _: datetime) -> int:
    if (parsed.count is None) != (parsed.head is None):
        raise RejectedError("--count and --head belong together")
    anchor = None if parsed.count is None else Anchor(parsed.count, parsed.head)
    found = AuditLog(database).verify(anchor)
    if isinstance(found, Broken):
        print(f"broken at row {found.number}: {found.reason}")
        return 1
    print(f"{found.count} rows hold, head {found.head}")
    return 0


def _me() -> str:
    return f"{getpass.getuser()} on the registry's machine"
