"""What can be typed after ``shopfloor-edge inspect``."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLES = """examples:
  shopfloor-edge inspect check --recipe board.toml        read a recipe, judge its golden parts
  shopfloor-edge inspect run --recipe board.toml          inspect until SIGTERM
  shopfloor-edge inspect run --recipe board.toml --dry-run  judge, and tell the line nothing
  shopfloor-edge inspect status --state var/state         totals, and why the line stands
  shopfloor-edge inspect stop --by maria                  stop the line now
  shopfloor-edge inspect restart --by maria               a person has looked at a stopped line
  shopfloor-edge inspect release --by maria               judge the golden parts again
  shopfloor-edge inspect overrule --part 812 --as good --by maria
  shopfloor-edge inspect rates                            escapes and false rejects
  shopfloor-edge inspect labels --out labels              overruled parts as labelled data
"""


def add_inspect_commands(parser: argparse.ArgumentParser, default_state: Path) -> None:
    """Add ``run``, ``check`` and what people say to a station."""
    parser.epilog, parser.formatter_class = EXAMPLES, argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    run = actions.add_parser("run", help="inspect until SIGTERM")
    run.add_argument("--dry-run", action="store_true", help="tell the line nothing")
    check = actions.add_parser("check", help="check a recipe, judge its golden parts")
    for command in (run, check):
        command.add_argument("--recipe", type=Path, required=True, metavar="FILE")
    status = actions.add_parser("status", help="totals, charts, and why the line stands")
    stop = actions.add_parser("stop", help="stop the line")
    restart = actions.add_parser("restart", help="let a stopped line run again")
    release = actions.add_parser("release", help="judge the golden parts again")
    overrule = actions.add_parser("overrule", help="say what a part really was")
    overrule.add_argument("--part", type=int, required=True, metavar="N", help="station's number")
    overrule.add_argument("--as", dest="said", choices=["good", "bad"], required=True)
    for command in (stop, restart, release, overrule):
        command.add_argument("--by", required=True, metavar="NAME", help="who says so")
    rates = actions.add_parser("rates", help="escape and false-reject rates, with confidence")
    labels = actions.add_parser("labels", help="write overruled parts as labelled data")
    labels.add_argument("--out", type=Path, required=True, metavar="DIR")
    for command in (check, status, rates):
        command.add_argument("--json", action="store_true", help="print one JSON object")
    for command in (run, status, stop, restart, release, overrule, rates, labels):
        command.add_argument(
            "--state",
            type=Path,
            default=default_state,
            metavar="DIR",
            help=f"folder of state.db (default {default_state})",
        )
    for command in (status, stop, restart, release, overrule, rates, labels):
        command.add_argument("--station", metavar="NAME", help="where a device has several")
