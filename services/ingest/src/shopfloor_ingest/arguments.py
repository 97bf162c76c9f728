"""The command line: every setting as a flag, and the commands that end by themselves."""

from __future__ import annotations

import argparse
from pathlib import Path

from shopfloor_ingest.settings import ENV_PREFIX, Settings

EPILOG = f"""example:
  shopfloor-ingest --broker-host 127.0.0.1 --broker-username ingest \\
      --broker-password-file /etc/shopfloor/ingest.password \\
      --database sqlite:////var/lib/shopfloor/ingest.db --http-port 8080
  shopfloor-ingest backup --config /etc/shopfloor/ingest.toml --to /backup/ingest-monday

Every flag can stand in the file as well (broker_host = "127.0.0.1") or in the environment
({ENV_PREFIX}BROKER_HOST). Exit code: 0 stopped or done, 2 something that you can mend, 1 a fault.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; the docs are tested against it."""
    parser = argparse.ArgumentParser(
        prog="shopfloor-ingest",
        description="Take devices' events from the broker and store each one once.",
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML")
    parser.add_argument(
        "--address-file", type=Path, metavar="PATH", help="write host:port of the API there"
    )
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f" (default {field.default})"
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, metavar="VALUE", help=f"{field.description}{default}")
    _add_commands(parser)
    return parser


def _add_commands(parser: argparse.ArgumentParser) -> None:
    # Left out of the namespace unless given: else they would undo what stands before the command.
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    shared.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML")
    shared.add_argument("--database", metavar="URL", help="the event store")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=False)
    commands.add_parser(
        "reaggregate",
        parents=[shared],
        help="make the sums again from the raw events; ingest may run meanwhile",
    )
    commands.add_parser(
        "timescale",
        parents=[shared],
        help="keep the sums in hypertables, where the server has TimescaleDB",
    )
    backup = commands.add_parser(
        "backup", parents=[shared], help="write the store into a file; ingest may run meanwhile"
    )
    backup.add_argument("--to", type=Path, required=True, metavar="FILE", help="appears whole")
    restore = commands.add_parser(
        "restore", parents=[shared], help="put a backup in the place of the store"
    )
    restore.add_argument(
        "--from", type=Path, required=True, metavar="FILE", dest="source", help="the backup"
    )
    restore.add_argument(
        "--force", action="store_true", help="replace what the database holds, which is lost"
    )
    devices = commands.add_parser("devices", help="who is listed, and who is gone for good")
    actions = devices.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", parents=[shared], help="show every device")
    listing.add_argument("site", nargs="?", metavar="SITE", help="of this site alone")
    remove = actions.add_parser(
        "remove", parents=[shared], help="take one off the list; its events stay"
    )
    remove.add_argument("site", metavar="SITE")
    remove.add_argument("device", metavar="DEVICE")
    for action in (listing, remove):
        action.add_argument("--json", action="store_true", help="print one JSON document")
