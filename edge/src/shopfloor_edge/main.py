"""``shopfloor-edge``: the commands of a device."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from shopfloor_contracts.errors import ContractError
from shopfloor_contracts.site import ModelSpec
from shopfloor_edge.commissioning.arguments import (
    add_camera_commands,
    add_sense_options,
    add_spc_commands,
    add_update_commands,
)
from shopfloor_edge.console.arguments import add_console_command
from shopfloor_edge.errors import EdgeError, OperatorError
from shopfloor_edge.identity.arguments import add_identity_commands
from shopfloor_edge.logs import configure_logging
from shopfloor_edge.settings import load_site
from shopfloor_edge.site_view import describe_site
from shopfloor_edge.station.arguments import add_inspect_commands
from shopfloor_edge.superseded import watch_application

EXAMPLES = """examples:
  shopfloor-edge fetch                                  bring the models of the zoo
  shopfloor-edge check --site store.toml                read a site file, say what it counts
  shopfloor-edge doctor --site store.toml               try everything that vision needs here
  shopfloor-edge camera discover                        find ONVIF cameras
  shopfloor-edge camera probe rtsp://…                  measure one, say what to change on it
  shopfloor-edge vision --site store.toml               count until SIGTERM
  shopfloor-edge agent --site store.toml --drain        send what waits, then end
  shopfloor-edge ledger --state var/demo/state          what each figure rests on
  shopfloor-edge spc design --p0 .01 --p1 .03 --arl0 1e6  charts of a defect rate
  shopfloor-edge inspect run --recipe board.toml        judge parts until SIGTERM
  shopfloor-edge sense --config machines.toml           listen to machines' sensors
  shopfloor-edge console --site store.toml              the staff's web app
  shopfloor-edge notify --site store.toml               tell people of alerts, as [notify] says
  shopfloor-edge uplink --state var/demo/state          bytes sent, by day and kind
  shopfloor-edge selftest bundle.tar                    a bundle on its golden clip, here
  shopfloor-edge update status                          what is installed, what is tried
  shopfloor-edge update --from /media/usb --site store.toml
  shopfloor-edge identity enrol --site store.toml --token-file token

exit codes: 0 done, 1 our fault or worth a retry, 2 something that you can mend
"""
DEFAULT_STATE = Path("var/state")
KEPT = frozenset({"vision", "agent", "sense", "inspect", "console", "notify"})
"""Commands that run until they are stopped, and are started again."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every command; the docs are tested against it."""
    parser = argparse.ArgumentParser(
        prog="shopfloor-edge",
        description="Count people on cameras, on this device; send only figures.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--log-level", default="info", choices=["debug", "info", "warning", "error"]
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    vision = commands.add_parser("vision", help="watch the cameras and write the journal")
    agent = commands.add_parser("agent", help="send the journal to the cloud")
    check = commands.add_parser("check", help="check a site file")
    notify = commands.add_parser("notify", help="tell people of alerts beside the console")
    for command in (vision, agent, check, notify):
        command.add_argument("--site", type=Path, required=True, metavar="FILE", help="site file")
    doctor = commands.add_parser("doctor", help="say what works on this device, and what to mend")
    doctor.add_argument("--site", type=Path, metavar="FILE", help="site file (default: none)")
    doctor.add_argument("--recipe", type=Path, metavar="FILE", help="of a station, tried too")
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    ledger = commands.add_parser("ledger", help="show what each figure rests on")
    ledger.add_argument("--json", action="store_true", help="print one JSON object")
    uplink = commands.add_parser("uplink", help="show what has left, beside the video that did not")
    uplink.add_argument("--json", action="store_true", help="print one JSON object")
    sense = commands.add_parser("sense", help="listen to sensors of machines, chart their figures")
    add_sense_options(sense)
    for command in (vision, agent, ledger, uplink, doctor, sense, notify):
        command.add_argument(
            "--state",
            type=Path,
            default=DEFAULT_STATE,
            metavar="DIR",
            help=f"folder of state.db (default {DEFAULT_STATE})",
        )
    vision.add_argument("--scene", type=Path, metavar="PNG", help="masked picture, at the end")
    vision.add_argument("--report", type=Path, metavar="JSON", help="totals, at the end")
    vision.add_argument(
        "--crossings", type=Path, metavar="JSONL", help="every crossing with its time; stays here"
    )
    agent.add_argument("--drain", action="store_true", help="end when all is acknowledged")
    add_camera_commands(commands.add_parser("camera", help="find cameras, measure one"))
    add_spc_commands(commands.add_parser("spc", help="design control charts of a defect rate"))
    add_update_commands(
        commands.add_parser("update", help="updates: status, rollback, check, or from a folder"),
        commands.add_parser("selftest", help="run a bundle on its golden clip, on this device"),
        state=DEFAULT_STATE,
    )
    add_inspect_commands(
        commands.add_parser("inspect", help="judge every part of a line"), DEFAULT_STATE
    )
    add_console_command(
        commands.add_parser("console", help="the staff's web app; who may sign in"), DEFAULT_STATE
    )
    add_identity_commands(
        commands.add_parser("identity", help="this device's certificate: enrol, renew, status")
    )
    fetch = commands.add_parser("fetch", help="bring model bundles into the cache")
    fetch.add_argument("bundle", nargs="*", help="names; default: every bundle of the zoo")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; errors become one line and an exit code."""
    arguments = build_parser().parse_args(argv)
    configure_logging(arguments.log_level)
    if arguments.command in KEPT:
        watch_application()
    try:
        return _run(arguments)
    except (OperatorError, ContractError) as e:
        print(f"shopfloor-edge: {e}", file=sys.stderr)
        return 2
    except EdgeError as e:
        print(f"shopfloor-edge: {e}", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command not in ("vision", "agent", "check"):
        return _BESIDE.get(arguments.command, _look)(arguments)
    site = load_site(arguments.site)
    if arguments.command == "check":
        print("\n".join(describe_site(site)))
        return 0
    # Each process loads only what is its own: the agent never has pixels in its memory.
    if arguments.command == "agent":
        app = importlib.import_module("shopfloor_edge.agent.app")
        slots = importlib.import_module("shopfloor_edge.slots.site")
        site = slots.active_site(site, arguments.state)
        return int(app.run_agent(site, arguments.state, drain=arguments.drain))
    app = importlib.import_module("shopfloor_edge.vision.app")
    outputs = app.Outputs(arguments.scene, arguments.report, arguments.crossings)
    return int(app.run_vision(site, arguments.state, outputs))


def _look(arguments: argparse.Namespace) -> int:
    """Run a command that only shows something, and needs no site file."""
    if arguments.command == "camera":
        app = importlib.import_module("shopfloor_edge.commissioning.app")
        return int(app.run_camera(arguments))
    if arguments.command == "spc":
        view = importlib.import_module("shopfloor_edge.commissioning.spc")
        return int(view.show_spc(arguments))
    if arguments.command == "ledger":
        view = importlib.import_module("shopfloor_edge.ledger_view")
        return int(view.show_ledger(arguments.state, as_json=arguments.json))
    if arguments.command == "uplink":
        view = importlib.import_module("shopfloor_edge.uplink_view")
        return int(view.show_uplink(arguments.state, as_json=arguments.json))
    app = importlib.import_module("shopfloor_edge.doctor.app")
    known = load_site(arguments.site) if arguments.site else None
    return int(
        app.run_doctor(known, arguments.state, json_wanted=arguments.json, recipe=arguments.recipe)
    )


def _update(arguments: argparse.Namespace) -> int:
    """Run a command about what is installed."""
    if arguments.command == "selftest":
        test = importlib.import_module("shopfloor_edge.commissioning.selftest")
        spec = ModelSpec(threads=arguments.threads, backend=arguments.backend)
        return int(test.run_selftest(arguments.bundle, spec, json_wanted=arguments.json))
    command = importlib.import_module("shopfloor_edge.agent.updater.command")
    site = load_site(arguments.site) if arguments.site else None
    return int(command.run_update(site, arguments))


def _identity(arguments: argparse.Namespace) -> int:
    command = importlib.import_module("shopfloor_edge.identity.command")
    site = load_site(arguments.site) if arguments.site else None
    return int(command.run_identity(site, arguments))


def _inspect(arguments: argparse.Namespace) -> int:
    people = importlib.import_module("shopfloor_edge.station.people")
    return int(people.run_inspect(arguments))


def _console(arguments: argparse.Namespace) -> int:
    """Serve the console, or change who may sign in to it."""
    command = importlib.import_module("shopfloor_edge.console.command")
    return int(command.run_command(arguments))


def _sense(arguments: argparse.Namespace) -> int:
    app = importlib.import_module("shopfloor_edge.sensors.app")
    options = app.Options(arguments.replay, tuple(arguments.relearn))
    return int(app.run_sense(arguments.config, arguments.state, options))


def _notify(arguments: argparse.Namespace) -> int:
    app = importlib.import_module("shopfloor_edge.notifier.app")
    slots = importlib.import_module("shopfloor_edge.slots.site")
    site = slots.active_site(load_site(arguments.site), arguments.state)
    return int(app.run_notify(site, arguments.state))


def _fetch(arguments: argparse.Namespace) -> int:
    zoo = importlib.import_module("shopfloor_edge.inference.zoo")
    for name in arguments.bundle or sorted(zoo.load_zoo()):
        for build in zoo.find_manifest(name).builds:
            path = zoo.resolve(build, download=True)
            print(f"{name} {build.target}: {os.path.relpath(path)}")
    return 0


_BESIDE: dict[str, Callable[[argparse.Namespace], int]] = {
    "console": _console,
    "fetch": _fetch,
    "identity": _identity,
    "inspect": _inspect,
    "notify": _notify,
    "sense": _sense,
    "update": _update,
    "selftest": _update,
}
"""Commands that are neither one of the two processes of a site file nor only show something."""


if __name__ == "__main__":
    sys.exit(main())
