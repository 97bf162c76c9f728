"""What can be typed after ``shopfloor-edge console``."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLES = """examples:
  shopfloor-edge console --site store.toml --state DIR    serve until SIGTERM
  shopfloor-edge console staff add Ana --role staff       asks for the PIN, or --make-pin
  shopfloor-edge console staff list
  shopfloor-edge console staff remove Ana                 ends what she is signed in to
  shopfloor-edge console staff qr Tablet-1 --url https://store-1.example.org:8480
                                                          a code that enrols one tablet, once
"""


def add_console_command(parser: argparse.ArgumentParser, default_state: Path) -> None:
    """Add the options of the process, and ``staff``."""
    parser.epilog, parser.formatter_class = EXAMPLES, argparse.RawDescriptionHelpFormatter
    parser.add_argument("--site", type=Path, metavar="FILE", help="site file")
    parser.add_argument(
        "--address-file", type=Path, metavar="FILE", help="written when it listens: its address"
    )
    _add_state(parser, default_state)
    parts = parser.add_subparsers(dest="part", metavar="staff")
    staff = parts.add_parser("staff", help="who may sign in")
    actions = staff.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", help="add a person, or give one a new PIN or role")
    add.add_argument("name")
    add.add_argument("--role", choices=["staff", "manager", "installer"], default="staff")
    add.add_argument("--language", choices=["en", "de"])
    add.add_argument("--make-pin", action="store_true", help="make a PIN and print it once")
    show = actions.add_parser("list", help="names and roles")
    remove = actions.add_parser("remove", help="remove a person")
    remove.add_argument("name")
    code = actions.add_parser("qr", help="print a link that enrols one tablet, as a QR code")
    code.add_argument("name", help="of the tablet")
    code.add_argument("--url", required=True, help="where tablets reach the console")
    code.add_argument("--svg", type=Path, metavar="FILE", help="write a picture of it instead")
    for action in (add, show, remove, code):
        _add_state(action, argparse.SUPPRESS)


def _add_state(parser: argparse.ArgumentParser, default: Path | str) -> None:
    parser.add_argument(
        "--state", type=Path, default=default, metavar="DIR", help="folder of state.db"
    )
