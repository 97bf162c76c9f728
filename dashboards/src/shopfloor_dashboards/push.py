"""``python -m shopfloor_dashboards.push --url URL``: bring a Grafana to what the files say.

Folder, data sources, dashboards and contact points; what is the same already is left alone. Nothing
is ever deleted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from shopfloor_dashboards.errors import DashboardsError, GrafanaUnavailableError, PushSettingsError
from shopfloor_dashboards.grafana_api import Grafana

FOLDER = {"uid": "shopfloor", "title": "Shopfloor"}
TOKEN = "GRAFANA_TOKEN"  # noqa: S105 — a name
READER_PASSWORD = "SHOPFLOOR_READER_PASSWORD"  # noqa: S105 — a name

_SERVERS_OWN = frozenset({"id", "version", "schemaVersion"})
"""Grafana numbers what it stores, and lifts old dashboards to its own schema."""
_HIDDEN = "[REDACTED]"
_POINTS = "/api/v1/provisioning/contact-points"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the files say."""

    sources: Sequence[Mapping[str, Any]]
    dashboards: Sequence[Mapping[str, Any]]
    contact_points: Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class Report:
    """What was done, or with ``dry_run`` would be."""

    dry_run: bool
    changed: list[str] = field(default_factory=list)
    unchanged: int = 0

    def note(self, verb: str, thing: str) -> bool:
        """Note one change; return whether it is to be made."""
        self.changed.append(f"{verb} {thing}")
        return not self.dry_run

    def text(self) -> str:
        """Return one line per change, and the sum."""
        would = "would be " if self.dry_run else ""
        sums = f"{len(self.changed)} {would}changed, {self.unchanged} as they should be"
        return "\n".join([*self.changed, sums])


def read_wanted(folder: Path, environment: Mapping[str, str]) -> Wanted:
    """Read ``json`` and ``provisioning`` of a folder of dashboards.

    Raises:
        PushSettingsError: a file is missing or not what it should be.
    """
    file = folder / "provisioning/datasources/shopfloor.yml"
    points = folder / "provisioning/contact-points/shopfloor.json"
    try:
        read = yaml.safe_load(file.read_text())["datasources"]
        contact_points = json.loads(points.read_text())
        dashboards = [json.loads(f.read_text()) for f in sorted((folder / "json").glob("*.json"))]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as e:
        raise PushSettingsError(f"{folder}: {e}") from e
    if not dashboards:
        raise PushSettingsError(f"{folder}/json: no dashboards, expected those of make dashboards")
    return Wanted(
        [_with_secret(source, environment) for source in read], dashboards, contact_points
    )


def push(grafana: Grafana, wanted: Wanted, *, dry_run: bool = False) -> Report:
    """Make what is missing, change what differs. Raises ``DashboardsError`` and stops there."""
    report = Report(dry_run)
    grafana.check()
    folder = _Thing("folder", {**FOLDER, "overwrite": True}, "/api/folders", "/api/folders")
    found = grafana.find(folder.path)
    _settle(grafana, report, folder, found=found, same=_within(FOLDER, found))
    for source in wanted.sources:
        thing = _Thing("data source", source, "/api/datasources", "/api/datasources/uid")
        found = grafana.find(thing.path)
        same = _within(source, found) and _knows_secrets(source, found)
        _settle(grafana, report, thing, found=found, same=same)
    for board in wanted.dashboards:
        _push_dashboard(grafana, report, board)
    listed = grafana.find(_POINTS) or []
    known = {point.get("uid"): point for point in listed}
    for point in wanted.contact_points:
        found = known.get(point["uid"])
        thing = _Thing("contact point", point, _POINTS, _POINTS)
        _settle(grafana, report, thing, found=found, same=_within(point, found))
    return report


@dataclass(frozen=True, slots=True)
class _Thing:
    what: str
    body: Mapping[str, Any]
    new: str
    """Where something new is sent."""
    each: str
    """Below which each has its own address."""

    @property
    def path(self) -> str:
        return f"{self.each}/{self.body['uid']}"


def _settle(grafana: Grafana, report: Report, thing: _Thing, *, found: object, same: bool) -> None:
    name = f"{thing.what} {thing.body['uid']}"
    if same:
        report.unchanged += 1
    elif found is None:
        if report.note("create", name):
            grafana.create(thing.new, thing.body)
    elif report.note("change", name):
        grafana.replace(thing.path, thing.body)


def _push_dashboard(grafana: Grafana, report: Report, board: Mapping[str, Any]) -> None:
    found = grafana.find(f"/api/dashboards/uid/{board['uid']}")
    if found is not None:
        in_place = found.get("meta", {}).get("folderUid") == FOLDER["uid"]
        ours = {key: value for key, value in board.items() if key not in _SERVERS_OWN}
        if in_place and _within(ours, found.get("dashboard")):
            report.unchanged += 1
            return
    verb = "create" if found is None else "change"
    if report.note(verb, f"dashboard {board['uid']}"):
        body = {"dashboard": board, "folderUid": FOLDER["uid"], "overwrite": True}
        grafana.create("/api/dashboards/db", body)


def _within(wanted: object, found: object) -> bool:
    """Whether all that ``wanted`` says holds in ``found``; the server may have added to it."""
    if isinstance(wanted, Mapping):
        keys = wanted.keys() - {"secureJsonData"}
        return isinstance(found, Mapping) and all(
            _within(wanted[key], found.get(key)) for key in keys
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(_within(a, b) for a, b in zip(wanted, found, strict=True))
        )
    return found in (wanted, _HIDDEN)


def _knows_secrets(source: Mapping[str, Any], found: Any) -> bool:
    known = found.get("secureJsonFields") or {}
    return all(known.get(name) for name in source.get("secureJsonData", {}))


def _with_secret(source: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Fill the password in; without one Grafana keeps what it has."""
    read = dict(source)
    secret = read.pop("secureJsonData", None)
    password = environment.get(READER_PASSWORD, "")
    if secret and password:
        read["secureJsonData"] = {"password": password}
    return read


def main(arguments: Sequence[str] | None = None) -> int:
    """Push; return the exit code: 0 done, 2 the operator's turn, 1 try again later."""
    given = _parser().parse_args(arguments)
    try:
        wanted = read_wanted(given.folder, os.environ)
        with Grafana(given.url, _token(given.token_file)) as grafana:
            report = push(grafana, wanted, dry_run=given.dry_run)
    except DashboardsError as e:
        print(f"dashboards-push: {e}", file=sys.stderr)
        return 1 if isinstance(e, GrafanaUnavailableError) else 2
    said = {"dry_run": report.dry_run, "changed": report.changed, "unchanged": report.unchanged}
    print(json.dumps(said) if given.json else report.text())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m shopfloor_dashboards.push",
        description="Bring a Grafana's folder, data sources, dashboards and contact points "
        f"to what the files say. The token stands in {TOKEN} or in --token-file.",
        allow_abbrev=False,
    )
    parser.add_argument("--url", required=True, help="e.g. https://grafana.example")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="a service account's token")
    parser.add_argument("--folder", type=Path, default=Path("dashboards"), help="what to push")
    parser.add_argument("--dry-run", action="store_true", help="say what would change")
    parser.add_argument("--json", action="store_true", help="say it as JSON")
    return parser


def _token(file: Path | None) -> str:
    if file is None:
        token = os.environ.get(TOKEN, "")
        if not token:
            raise PushSettingsError(f"no token, expected one in {TOKEN} or --token-file")
        return token
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as e:
        raise PushSettingsError(f"token_file: {e}") from e


if __name__ == "__main__":
    sys.exit(main())
