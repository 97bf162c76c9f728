"""``shopfloorctl``: reads what was typed, runs it, says what is wrong in one line."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from shopfloor_ctl.client import Client
from shopfloor_ctl.commands import applications, campaigns, devices, models, trust
from shopfloor_ctl.commands.base import Context
from shopfloor_ctl.errors import CtlError, MistakeError
from shopfloor_ctl.profile import DEFAULT, Profile, Service, read_profile, write_profile
from shopfloor_ctl.screen import Screen

EPILOG = """examples:
  shopfloorctl login registry https://registry.example.org
  shopfloorctl models upload person-nano.tar
  shopfloorctl models promote person-nano 1 --to staging --key ada.key
  shopfloorctl devices list 'region=emea,format in (hyper,super),!lab'

Exit code: 0 done, 1 refused or no answer, 2 a mistake in what was typed.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    parsed = build_parser().parse_args(arguments)
    context = Context(parsed.profile.expanduser(), Screen(as_json=parsed.json), parsed.json)
    try:
        with context.opened:
            return int(parsed.run(context, parsed))
    except CtlError as e:
        print(f"shopfloorctl: {e}", file=sys.stderr)
        return 2 if isinstance(e, MistakeError) else 1
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def build_parser() -> argparse.ArgumentParser:
    """Declare every command."""
    shared = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    shared.add_argument("--json", action="store_true", help="print JSON")
    shared.add_argument(
        "--profile", type=Path, default=DEFAULT, metavar="FILE", help=f"default {DEFAULT}"
    )
    parser = argparse.ArgumentParser(
        prog="shopfloorctl",
        description="Models, devices and campaigns, from an operator's machine.",
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    login = commands.add_parser("login", parents=[shared], help="keep a service's URL and a token")
    login.add_argument("service", choices=("registry", "campaigns"))
    login.add_argument("url")
    login.add_argument(
        "--token-file", type=Path, metavar="FILE", help="instead of being asked for the token"
    )
    login.set_defaults(run=_login)
    config = commands.add_parser("config", parents=[shared], help="show the services that are set")
    config.set_defaults(run=_config)
    for module in (models, applications, devices, campaigns, trust):
        module.add(commands, shared)
    return parser


def _login(context: Context, parsed: argparse.Namespace) -> int:
    service = Service(parsed.url, _read_token(parsed.token_file))
    # Kept only when the service takes it.
    with closing(Client(service)) as client:
        client.get(f"/{'models' if parsed.service == 'registry' else 'campaigns'}", limit=1)
    before = read_profile(context.profile)
    write_profile(context.profile, Profile(before.services | {parsed.service: service}))
    context.screen.remark(f"{parsed.service} at {parsed.url} is set")
    return 0


def _config(context: Context, _: argparse.Namespace) -> int:
    services = read_profile(context.profile).services
    rows = [{"service": name, "url": one.url} for name, one in services.items()]
    context.screen.table(rows, ["service", "url"], empty="nothing is set: shopfloorctl login")
    return 0


def _read_token(file: Path | None) -> str:
    try:
        if file is not None:
            return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as e:
        raise MistakeError(f"{file}: {e}") from e
    if not sys.stdin.isatty():
        raise MistakeError("no terminal to ask for the token: give --token-file")
    return getpass.getpass("token: ").strip()


if __name__ == "__main__":
    sys.exit(main())
