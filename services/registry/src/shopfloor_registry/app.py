"""The process: reads its settings, builds everything once, serves until told to stop."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from shopfloor_kit.database import open_engine
from shopfloor_kit.errors import KitError
from shopfloor_kit.health import health_router
from shopfloor_kit.logging_setup import configure_logging
from shopfloor_kit.tls import tls_options, with_guard
from shopfloor_kit.tokens import Gatekeeper
from shopfloor_registry.adapters.artefacts import LocalArtefacts
from shopfloor_registry.adapters.audit_log import AuditLog
from shopfloor_registry.adapters.devices import SqlDevices
from shopfloor_registry.adapters.gates_file import DEFAULT_GATES, read_gates
from shopfloor_registry.adapters.http import Parts, build_api
from shopfloor_registry.adapters.http_devices import Fleet
from shopfloor_registry.adapters.http_models import Desk
from shopfloor_registry.adapters.http_trust import Vault
from shopfloor_registry.adapters.metrics import PrometheusMeter, StoredFigures, TrustExpiry
from shopfloor_registry.adapters.offices import add_offices, run_office
from shopfloor_registry.adapters.promotions import SqlPromotions
from shopfloor_registry.adapters.s3 import Bucket, S3Artefacts
from shopfloor_registry.adapters.signatures import is_right
from shopfloor_registry.adapters.sql import Database
from shopfloor_registry.adapters.tables import TOKENS
from shopfloor_registry.adapters.tuf import TufPublisher
from shopfloor_registry.adapters.versions import SqlVersions
from shopfloor_registry.errors import (
    ArtefactError,
    ConflictError,
    RejectedError,
    SettingsError,
    StoreUnavailableError,
)
from shopfloor_registry.settings import ENV_PREFIX, LOOPBACK, Settings, load_settings
from shopfloor_registry.trust.commands import add_trust_commands
from shopfloor_registry.trust.errors import TrustError
from shopfloor_registry.trust.inspection import expiries
from shopfloor_registry.trust.repository import Repository
from shopfloor_registry.usecases.applications import Applications
from shopfloor_registry.usecases.ports import Artefacts
from shopfloor_registry.usecases.promotions import Promoting, Publishing
from shopfloor_registry.usecases.uploads import Uploads

log = logging.getLogger(__name__)

REFRESH_EVERY_S = 60.0

EPILOG = f"""examples:
  shopfloor-registry token make --name ada --role approver
  shopfloor-registry key add --name ada ada.key.pub
  shopfloor-registry serve --database sqlite:////var/lib/shopfloor/registry.db \\
      --folder /var/lib/shopfloor/artefacts --http-port 8081

Every flag can stand in the file as well (http_port = 8081) or in the environment
({ENV_PREFIX}HTTP_PORT). Exit code: 0 done, 2 the settings or the request are wrong, 1 a fault.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code."""
    parsed = _parser().parse_args(arguments)
    if parsed.command == "trust":
        # Works on folders only: the ceremony's machine has neither database nor settings.
        return int(parsed.run(parsed))
    flags = {
        name: value
        for name in Settings.model_fields
        if (value := getattr(parsed, name, None)) is not None
    }
    try:
        settings = load_settings(parsed.config, os.environ, flags)
        configure_logging(settings.log_level)
        database = Database(open_engine(settings.database))
        database.prepare()
        if parsed.command != "serve":
            return run_office(parsed, database, now=_now())
        return _Process(settings, database).run(parsed.address_file)
    except (SettingsError, KitError, RejectedError, ConflictError, TrustError) as e:
        print(f"shopfloor-registry: {e}", file=sys.stderr)
        return 2
    except (StoreUnavailableError, ArtefactError) as e:
        print(f"shopfloor-registry: {e}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shopfloor-registry",
        description="Keep models, say who runs them, and record who promoted what and why.",
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shared = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    shared.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML")
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f" (default {field.default})"
        flag = "--" + name.replace("_", "-")
        shared.add_argument(flag, metavar="VALUE", help=f"{field.description}{default}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", parents=[shared], help="serve the HTTP API")
    serve.add_argument(
        "--address-file", type=Path, metavar="PATH", help="write host:port of the API there"
    )
    add_offices(commands, shared)
    add_trust_commands(commands)
    return parser


class _Process:
    """The composition root: the only place that builds adapters."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings, self._stop = settings, threading.Event()
        self._repository = _open_repository(settings)
        app = assemble(settings, database, self._repository, now=_now)
        self._server = uvicorn.Server(self._config(app))

    def _config(self, api: FastAPI) -> uvicorn.Config:
        settings = self._settings
        app = with_guard(api, settings.crl_file)
        return uvicorn.Config(app, log_config=None, access_log=False, **tls_options(settings.tls))

    def run(self, address_file: Path | None) -> int:
        """Serve until a signal."""
        # uvicorn takes the signals over while it serves and hands them to these at its end.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        refresher = threading.Thread(target=self._refresh, name="tuf-refresh", daemon=True)
        with _listen(self._settings) as listener:
            if address_file is not None:
                _write_address(listener, address_file)
            refresher.start()
            self._server.run(sockets=[listener])
        self._stop.set()
        refresher.join()
        return 0

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._server.should_exit = True

    def _refresh(self) -> None:
        """Sign snapshot and timestamp anew before they expire."""
        repository = self._repository
        while repository is not None:
            try:
                if repository.refresh(now=_now()):
                    log.info("snapshot and timestamp were signed anew")
            except (TrustError, OSError):
                log.exception("snapshot and timestamp cannot be signed")
            if self._stop.wait(REFRESH_EVERY_S):
                return


def assemble(
    settings: Settings,
    database: Database,
    repository: Repository | None,
    *,
    now: Callable[[], datetime],
) -> FastAPI:
    """Build the application on a database that was prepared.

    Raises:
        SettingsError: a folder, a bucket or the file of gates is not usable.
    """
    folder = _make_folder(settings.folder / "incoming")
    artefacts, registry = _artefacts(settings, folder), CollectorRegistry()
    meter = PrometheusMeter(registry)
    versions, promotions = SqlVersions(database), SqlPromotions(database)
    devices, audit = SqlDevices(database), AuditLog(database)
    registry.register(StoredFigures(versions.stages, devices.count))
    rules = read_gates(settings.gates or DEFAULT_GATES)
    publishing, applications = None, None
    if repository is not None:
        registry.register(TrustExpiry(partial(expiries, repository, now=now)))
        publisher = TufPublisher(repository, folder, now)
        publishing = Publishing(versions, artefacts, publisher, audit.add, now)
        applications = Applications(publisher, audit.add, now)
    desk = Desk(
        versions=versions,
        promotions=promotions,
        uploads=Uploads(versions, artefacts, meter, folder, now),
        promoting=Promoting(versions, promotions, rules, is_right, meter, now),
        publishing=publishing,
        applications=applications,
        artefacts=artefacts,
        upload_bytes_max=settings.upload_bytes_max,
        now=now,
    )
    parts = Parts(
        desk=desk,
        fleet=Fleet(devices, versions, now),
        vault=Vault(audit, repository, now),
        gate=Gatekeeper.over(database.engine, TOKENS),
        health=health_router({"database": database.complaint}, registry),
    )
    return build_api(parts)


def _artefacts(settings: Settings, folder: Path) -> Artefacts:
    if settings.s3_bucket is None:
        return LocalArtefacts(settings.folder)
    bucket = Bucket(
        settings.s3_bucket, settings.s3_prefix, settings.s3_endpoint, settings.s3_region
    )
    return S3Artefacts(bucket, folder)


def _open_repository(settings: Settings) -> Repository | None:
    if settings.tuf_repository is None:
        log.warning("no tuf_repository is set: nothing is published")
        return None
    return Repository(settings.tuf_repository, online=settings.tuf_online_keys)


def _make_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise SettingsError(f"folder: {folder}: {e.strerror}") from e
    return folder


def _now() -> datetime:
    return datetime.now(UTC)


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.http_host, settings.http_port
    if host not in LOOPBACK:
        log.warning("tokens travel in the clear without a proxy for TLS", extra={"host": host})
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as e:
        raise SettingsError(f"http_host, http_port: cannot listen on {host}:{port}: {e}") from e


def _write_address(listener: socket.socket, path: Path) -> None:
    """Write ``host:port``; a reader sees all of it or nothing."""
    host, port = listener.getsockname()[:2]
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    half = path.with_name(path.name + ".tmp")
    half.write_text(address + "\n")
    half.replace(path)


if __name__ == "__main__":
    sys.exit(main())
