"""``shopfloor-edge console``: serve it, or change who may sign in."""

from __future__ import annotations

import argparse
import getpass
import sys
import unicodedata
from contextlib import closing
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from shopfloor_edge.console.audit import AuditTrail
from shopfloor_edge.console.people import Entry, Role, Staff
from shopfloor_edge.console.pins import complaint, hash_pin, make_pin
from shopfloor_edge.console.sessions import Tablets
from shopfloor_edge.console.store import Store
from shopfloor_edge.errors import BackendUnavailableError, OperatorError
from shopfloor_edge.settings import load_site
from shopfloor_edge.slots.site import active_site

_HERE = "command line"
"""Who did it, in the audit trail."""


def run_command(arguments: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        OperatorError: something that the caller can mend.
        JournalError: the state folder cannot be written now.
    """
    if arguments.part == "staff":
        _STAFF[arguments.action](arguments)
        return 0
    if arguments.site is None:
        raise OperatorError("--site FILE says what this device watches; it is missing")
    site = active_site(load_site(arguments.site), arguments.state)
    try:
        app = import_module("shopfloor_edge.console.app")
    except ImportError as e:
        raise BackendUnavailableError("console", str(e), extra="console") from e
    return int(app.run_console(site, arguments.state, arguments.address_file))


def _add(arguments: argparse.Namespace) -> None:
    pin = make_pin() if arguments.make_pin else _asked_pin()
    problem = complaint(pin)
    if problem:
        raise OperatorError(problem)
    name = unicodedata.normalize("NFC", arguments.name)
    try:
        entry = Entry(
            name=name, role=Role(arguments.role), language=arguments.language, pin=hash_pin(pin)
        )
    except ValidationError as e:
        raise OperatorError(f"staff: {e.errors()[0]['msg']}") from e
    Staff(arguments.state).change(lambda people: [*_without(people, name), entry])
    _note(arguments.state, "staff-add", f"{name} {arguments.role}")
    print(f"{name}: {arguments.role}" + (f", PIN {pin}" if arguments.make_pin else ""))


def _list(arguments: argparse.Namespace) -> None:
    for entry in Staff(arguments.state).entries():
        print(f"{entry.name}: {entry.role}")


def _remove(arguments: argparse.Namespace) -> None:
    staff, name = Staff(arguments.state), unicodedata.normalize("NFC", arguments.name)
    if staff.find(name) is None:
        raise OperatorError(f"{staff.path}: nobody is named {arguments.name!r}")
    staff.change(lambda people: _without(people, name))
    _note(arguments.state, "staff-remove", name)


def _qr(arguments: argparse.Namespace) -> None:
    parts = urlsplit(arguments.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OperatorError(f"--url is {arguments.url!r}, expected https://HOST:PORT")
    try:
        segno = import_module("segno")
    except ImportError as e:
        raise BackendUnavailableError("QR codes", str(e), extra="console") from e
    name = arguments.name
    if not name.isprintable() or not 1 <= len(name) <= 60:
        raise OperatorError(f"tablet's name is {name[:60]!r}, expected 1–60 printable characters")
    with closing(Store(arguments.state)) as store:
        secret = Tablets(store, _now).invite(name)
    _note(arguments.state, "invite-tablet", name)
    link = f"{parts.scheme}://{parts.netloc}/enrol/{secret}"
    code = segno.make(link, error="m", micro=False)
    if arguments.svg is not None:
        code.save(str(arguments.svg), kind="svg", scale=8, border=4)
    else:
        code.terminal(compact=True)
    print(f"{link}\nOpens once, within 15 minutes, on the tablet {name}.")


def _asked_pin() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("PIN (at least 6 digits): ").strip()
    return sys.stdin.readline(100).strip()


def _without(people: list[Entry], name: str) -> list[Entry]:
    return [entry for entry in people if entry.name.casefold() != name.casefold()]


def _note(state: Path, action: str, subject: str) -> None:
    with closing(Store(state)) as store:
        AuditTrail(store, _now).append(_HERE, action, subject=subject)


def _now() -> datetime:
    return datetime.now(UTC)


_STAFF = {"add": _add, "list": _list, "remove": _remove, "qr": _qr}
