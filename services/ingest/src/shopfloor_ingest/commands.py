"""Commands on the event store that do one thing and end."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from shopfloor_ingest.adapters.backup import Seal, back_up, restore
from shopfloor_ingest.adapters.devices import SqlDevices
from shopfloor_ingest.adapters.fleet import figures_of
from shopfloor_ingest.adapters.history import SqlHistory
from shopfloor_ingest.adapters.store import SqlStore
from shopfloor_ingest.adapters.timescale import use_timescale
from shopfloor_ingest.domain.devices import DeviceState
from shopfloor_ingest.domain.fleet import presence_of
from shopfloor_ingest.errors import SettingsError
from shopfloor_ingest.settings import Settings
from shopfloor_kit.database import open_engine

Command = Callable[[Engine, argparse.Namespace, datetime], None]


def run_command(parsed: argparse.Namespace, settings: Settings, now: datetime) -> int:
    """Run what was asked for; return the exit code. Raises ``IngestError``."""
    engine = open_store(settings)
    if parsed.command not in ("restore", "reaggregate", "timescale"):
        _refuse_absent(engine)
    try:
        _COMMANDS[parsed.command](engine, parsed, now)
    finally:
        engine.dispose()
    return 0


def open_store(settings: Settings) -> Engine:
    """Return the engine of the database.

    Raises:
        SettingsError: the folder of a SQLite file does not exist.
    """
    engine = open_engine(settings.database)
    if engine.url.get_backend_name() == "sqlite":
        folder = Path(engine.url.database or ".").parent
        if not folder.is_dir():
            raise SettingsError(f"database: folder {str(folder)!r} does not exist")
    return engine


def _refuse_absent(engine: Engine) -> None:
    # Opening it would make an empty one, and say that nothing was ever stored.
    path = engine.url.database or ""
    if engine.url.get_backend_name() == "sqlite" and not Path(path).exists():
        raise SettingsError(f"database: file {path!r} does not exist")


def _reaggregate(engine: Engine, _parsed: argparse.Namespace, _now: datetime) -> None:
    SqlStore(engine).prepare()
    print(f"sums of {SqlHistory(engine).reaggregate()} days made again")


def _timescale(engine: Engine, _parsed: argparse.Namespace, _now: datetime) -> None:
    print(f"{len(use_timescale(engine))} tables of sums are hypertables")


def _backup(engine: Engine, parsed: argparse.Namespace, now: datetime) -> None:
    print(f"{_described(back_up(engine, parsed.to, now=now))}: {parsed.to}")


def _restore(engine: Engine, parsed: argparse.Namespace, _now: datetime) -> None:
    seal = restore(engine, parsed.source, force=parsed.force)
    SqlStore(engine).prepare()
    print(f"{_described(seal)} of {seal.made_at.isoformat()} restored from {parsed.source}")


def _described(seal: Seal) -> str:
    return f"{seal.events} events, schema {seal.schema_version}, {seal.dump_bytes} bytes"


def _devices(engine: Engine, parsed: argparse.Namespace, now: datetime) -> None:
    SqlStore(engine).prepare()
    devices = SqlDevices(engine)
    if parsed.action == "remove":
        state = devices.remove(parsed.site, parsed.device, now=now)
        said = _device(parsed.site, parsed.device, state, now)
        line = f"{parsed.site}/{parsed.device} removed, last heard {said['last_seen_at']}"
        print(json.dumps(said) if parsed.json else line)
        return
    listed = [_device(*key, state, now) for key, state in devices.listed(parsed.site).items()]
    if parsed.json:
        print(json.dumps(listed))
        return
    for one in listed:
        name = f"{one['site']}/{one['device']}"
        print(f"{name:40} {one['state']:8} last heard {one['last_seen_at']}")


def _device(site: str, name: str, state: DeviceState, now: datetime) -> dict[str, str]:
    presence = presence_of(figures_of(site, state), now)
    seen = state.last_seen_at.isoformat(timespec="seconds")
    return {"site": site, "device": name, "state": str(presence), "last_seen_at": seen}


_COMMANDS: dict[str, Command] = {
    "reaggregate": _reaggregate,
    "timescale": _timescale,
    "backup": _backup,
    "restore": _restore,
    "devices": _devices,
}
