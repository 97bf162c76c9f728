"""``shopfloor-site``: a store in one command. Exit codes: 0 done, 1 a device's fault, 2 yours."""

from __future__ import annotations

import argparse
import fcntl
import importlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from shopfloor_provisioning import view
from shopfloor_provisioning.command import EVENT_WAIT_S, Options, Site
from shopfloor_provisioning.device import REPOSITORY
from shopfloor_provisioning.errors import OperatorError, ProvisioningError
from shopfloor_provisioning.job import Result

EXAMPLES = """examples:
  shopfloor-site plan store-7                     what would change, and why
  shopfloor-site apply store-7                    bring every device there, then report
  shopfloor-site apply store-7 --wheelhouse /media/usb/wheelhouse
  shopfloor-site status store-7                   processes of every device
  shopfloor-site report store-7                   the commissioning report again
  shopfloor-site privacy store-7                  what is stored where, as a document
  shopfloor-site destroy store-7 --yes            take the devices back

exit codes: 0 done, 1 a device or the cloud did not do it, 2 something that you can mend
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; every error is a line that says what to do."""
    parsed = build_parser().parse_args(arguments)
    site: Site | None = None
    try:
        path = _site_path(parsed)
        site = Site(path, _options(parsed), os.environ, say=_say)
        with _alone(site, wanted=parsed.command in ("apply", "destroy")):
            return _COMMANDS[parsed.command](site, parsed)
    except ProvisioningError as e:
        text = str(e) if site is None else site.secrets.hide(str(e))
        print("\n".join(f"shopfloor-site: {line}" for line in text.splitlines()), file=sys.stderr)
        return 2 if isinstance(e, OperatorError) else 1
    except KeyboardInterrupt:
        print("shopfloor-site: interrupted; the same command goes on from there", file=sys.stderr)
        return 130


def _plan(site: Site, parsed: argparse.Namespace) -> int:
    site.check()
    results = site.plan()
    if parsed.json:
        print(
            json.dumps({n: r.model_dump(exclude={"pins", "collected"}) for n, r in results.items()})
        )
    else:
        view.show_plan(results)
    return _complain(results)


def _apply(site: Site, parsed: argparse.Namespace) -> int:
    if parsed.dry_run:
        return _plan(site, parsed)
    site.rehearse()
    site.check()
    with view.progress([device.name for device in site.devices]) as tell:
        results = site.apply(tell)
    changes = view.show_applied(results)
    code = _complain(results)
    view.show_pins(results)
    for device in (d for d in site.devices if not results[d.name].error):
        url = site.console_url(device, site.composed()[device.name])
        if url:
            print(f"console of {device.name}: {url}")
    if code or parsed.no_report or all(d.connector == "chroot" for d in site.devices):
        return code
    return _show_report(site, waits=bool(changes))


def _report(site: Site, parsed: argparse.Namespace) -> int:
    del parsed
    return _show_report(site, waits=True)


def _show_report(site: Site, *, waits: bool) -> int:
    if waits:
        print("waiting for each device's sign of life in the cloud", flush=True)
    report, page = site.report()
    view.show_report(report)
    print(page)
    return 0 if report.passed else 1


def _privacy(site: Site, parsed: argparse.Namespace) -> int:
    documents = importlib.import_module("shopfloor_provisioning.privacy.documents")
    sites = [composed.site for composed in site.composed().values()]
    into = parsed.out or site.var / "privacy"
    written = documents.write_privacy(sites, into, today=datetime.now(UTC).date())
    for line in written.changed:
        print(f"differs from what was signed off: {line}")
    print("\n".join(str(path) for path in written.files))
    return 0


def _status(site: Site, parsed: argparse.Namespace) -> int:
    results = site.status()
    if parsed.json:
        print(json.dumps({n: r.processes for n, r in results.items()}))
    else:
        view.show_status(results)
    stopped = any(
        s not in ("running", "not booted") for r in results.values() for s in r.processes.values()
    )
    return _complain(results) or (1 if stopped else 0)


def _destroy(site: Site, parsed: argparse.Namespace) -> int:
    remote = [d.name for d in site.devices if d.connector != "local"]
    if remote and not parsed.yes:
        raise OperatorError(
            f"state, identity and programs of {', '.join(remote)} would be removed: say --yes"
        )
    results = site.destroy()
    view.show_applied(results)
    return _complain(results)


def _complain(results: dict[str, Result]) -> int:
    """Print each device's error; return 2 when all of them can be mended by the caller."""
    failed = [result for result in results.values() if result.error]
    for result in failed:
        print(f"shopfloor-site: {result.error}", file=sys.stderr)
    if not failed:
        return 0
    return 2 if all(result.operator for result in failed) else 1


def _site_path(parsed: argparse.Namespace) -> Path:
    named = Path(parsed.name)
    path = named if named.suffix == ".toml" else parsed.sites / f"{parsed.name}.toml"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in parsed.sites.glob("*.toml"))) or "none"
        raise OperatorError(f"{path}: no such file; sites there: {there}")
    return Path(path)


def _options(parsed: argparse.Namespace) -> Options:
    wheelhouse = parsed.wheelhouse
    if wheelhouse is None and (REPOSITORY / "var/wheelhouse").is_dir():
        wheelhouse = REPOSITORY / "var/wheelhouse"
    elif wheelhouse is not None and not wheelhouse.is_dir():
        raise OperatorError(f"--wheelhouse {wheelhouse}: no such folder")
    return Options(
        var=parsed.var,
        wheelhouse=None if wheelhouse is None else wheelhouse.absolute(),
        devices=tuple(parsed.device or ()),
        at_once=parsed.at_once,
        event_wait_s=parsed.event_wait,
    )


@contextmanager
def _alone(site: Site, *, wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    site.var.parent.mkdir(parents=True, exist_ok=True)
    with (site.var.parent / f".{site.store.site}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise OperatorError(f"site {site.store.site}: another command is at work on it") from e
        yield


def _say(line: str) -> None:
    print(line, flush=True)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every command; the docs are tested against it."""
    parser = argparse.ArgumentParser(
        prog="shopfloor-site",
        description="Bring a site's devices from a bare host to counting people, from one file.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    helps = {
        "plan": "say what would change; change nothing",
        "apply": "do it, then report",
        "status": "say which processes run",
        "destroy": "take the devices back: processes, programs, settings, identity, state",
        "report": "write the commissioning report",
        "privacy": "write what is stored where, and the notices",
    }
    for name, text in helps.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("name", metavar="NAME", help="of cloud/sites/NAME.toml, or a path")
        command.add_argument(
            "--sites", type=Path, default=REPOSITORY / "cloud/sites", metavar="DIR"
        )
        _add_common(command)
    _add_special(commands)
    return parser


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--var", type=Path, default=REPOSITORY / "var/sites", metavar="DIR",
        help="reports, and devices on this machine (default var/sites)",
    )  # fmt: skip
    command.add_argument("--device", action="append", metavar="NAME", help="this one only")
    command.add_argument(
        "--wheelhouse",
        type=Path,
        metavar="DIR",
        help="wheels, as on a USB stick (default var/wheelhouse)",
    )
    command.add_argument("--at-once", type=int, choices=range(1, 65), default=8, metavar="N")
    wait = "for a sign of life in the cloud (default %(default)g s)"
    command.add_argument("--event-wait", type=float, default=EVENT_WAIT_S, metavar="S", help=wait)


def _add_special(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    for name in ("plan", "apply", "status"):
        commands.choices[name].add_argument("--json", action="store_true", help="print JSON")
    commands.choices["privacy"].add_argument(
        "--out", type=Path, metavar="DIR", help="default var/sites/NAME/privacy"
    )
    apply = commands.choices["apply"]
    apply.add_argument("--dry-run", action="store_true", help="as plan")
    apply.add_argument("--no-report", action="store_true", help="end when it is applied")
    commands.choices["destroy"].add_argument("--yes", action="store_true", help="remove it")


_COMMANDS = {
    "plan": _plan,
    "apply": _apply,
    "status": _status,
    "destroy": _destroy,
    "report": _report,
    "privacy": _privacy,
}


if __name__ == "__main__":
    sys.exit(main())
