"""The process: reads its settings, builds everything once, runs until told to stop."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from shopfloor_campaigns.adapters.devices import token_digest
from shopfloor_campaigns.adapters.http import build_api
from shopfloor_campaigns.adapters.http_campaigns import campaigns_router
from shopfloor_campaigns.adapters.http_ddi import DdiSettings, ddi_router
from shopfloor_campaigns.adapters.metrics import CampaignMeter, DeviceCollector
from shopfloor_campaigns.adapters.pages.console import console_router
from shopfloor_campaigns.adapters.reports import Reports
from shopfloor_campaigns.adapters.schema import prepare
from shopfloor_campaigns.adapters.service import Service
from shopfloor_campaigns.adapters.sole import sole_writer
from shopfloor_campaigns.adapters.tables import TOKENS
from shopfloor_campaigns.adapters.writer import Writer
from shopfloor_campaigns.errors import DatabaseTakenError, SettingsError, StoreUnavailableError
from shopfloor_campaigns.settings import ENV_PREFIX, Settings, load_settings, read_gateway_token
from shopfloor_kit.database import open_engine, reading
from shopfloor_kit.errors import DatabaseUrlError, RevocationListError, TlsFilesError
from shopfloor_kit.health import health_router
from shopfloor_kit.logging_setup import configure_logging
from shopfloor_kit.tls import tls_options, with_guard
from shopfloor_kit.tokens import Caller, Gatekeeper, Role, issue

log = logging.getLogger(__name__)

EPILOG = f"""example:
  shopfloor-campaigns --database sqlite:////var/lib/shopfloor/campaigns.db \\
      --targets-url https://registry.example.org/tuf/targets --http-port 8091
  shopfloor-campaigns token NAME approver   (viewer, operator or approver; printed once)

Every flag can stand in the file as well (http_port = 8091) or in the environment
({ENV_PREFIX}HTTP_PORT). Exit code: 0 stopped, 2 the settings are wrong, 1 a fault.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the process; return its exit code."""
    parsed = _parser().parse_args(arguments)
    given = {key: value for key, value in vars(parsed).items() if value is not None}
    command = given.pop("command", [])
    file, address_file = given.pop("config", None), given.pop("address_file", None)
    try:
        settings = load_settings(file, os.environ, given)
        configure_logging(settings.log_level)
        if command:
            return _issue_token(settings, command)
        return _Process(settings).run(address_file)
    except (SettingsError, DatabaseUrlError, TlsFilesError, RevocationListError) as e:
        print(f"shopfloor-campaigns: {e}", file=sys.stderr)
        return 2
    except (StoreUnavailableError, DatabaseTakenError) as e:
        print(f"shopfloor-campaigns: database: {e}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shopfloor-campaigns",
        description="Roll updates out in waves; stop and take back a wave that does worse.",
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="*", help="token NAME ROLE: make an operator's token")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML")
    parser.add_argument(
        "--address-file", type=Path, metavar="PATH", help="write host:port of the API there"
    )
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f" (default {field.default})"
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, metavar="VALUE", help=f"{field.description}{default}")
    return parser


def _issue_token(settings: Settings, command: Sequence[str]) -> int:
    roles = [str(role) for role in Role]
    if len(command) != 3 or command[0] != "token" or command[2] not in roles:
        raise SettingsError(f"command is {' '.join(command)!r}, expected token NAME ROLE; {roles}")
    engine = _open(settings)
    with engine.begin() as connection:
        caller = Caller(command[1], Role(command[2]))
        print(issue(connection, TOKENS, caller, at=_now()))
    engine.dispose()
    return 0


def _open(settings: Settings) -> Engine:
    engine = open_engine(settings.database)
    if engine.url.get_backend_name() == "sqlite":
        folder = Path(engine.url.database or ".").parent
        if not folder.is_dir():
            raise SettingsError(f"database: folder {str(folder)!r} does not exist")
    prepare(engine)
    return engine


class _Process:
    """The composition root: the only place that builds adapters."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        registry = CollectorRegistry()
        self._engine = engine = _open(settings)
        self._service = Service(engine, CampaignMeter(registry), _now)
        self._writer = Writer(engine, self._service.memory)
        reports = Reports(engine)
        registry.register(DeviceCollector(reports.tally, reports.statuses))
        api = self._api(engine, reports, registry)
        self._server = uvicorn.Server(self._config(api))

    def _config(self, api: FastAPI) -> uvicorn.Config:
        settings = self._settings
        app = with_guard(api, settings.crl_file)
        return uvicorn.Config(app, log_config=None, access_log=False, **tls_options(settings.tls))

    def run(self, address_file: Path | None) -> int:
        """Serve until a signal."""
        # uvicorn takes the signals over while it serves and hands them to these at its end.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        with sole_writer(self._engine), _listen(self._settings) as listener:
            if address_file is not None:
                _write_address(listener, address_file)
            self._writer.start(self._service)
            try:
                self._server.run(sockets=[listener])
            finally:
                self._writer.stop()
        return 0

    def _api(self, engine: Engine, reports: Reports, registry: CollectorRegistry) -> FastAPI:
        settings, token = self._settings, read_gateway_token(self._settings)
        ddi = DdiSettings(
            tenant=settings.tenant,
            poll_s=settings.poll_s,
            targets_url=settings.targets_url,
            artifact_folder=settings.artifact_folder,
            gateway_token_sha256=None if token is None else token_digest(token),
        )
        keeper = Gatekeeper.over(engine, TOKENS)
        return build_api(
            health_router({"database": self._writer.complaint}, registry),
            campaigns_router(reports, self._writer, self._service, keeper),
            console_router(
                engine,
                self._writer,
                service=self._service,
                reports=reports,
                now=_now,
                registry_url=settings.registry_url,
            ),
            ddi_router(reading(engine), self._writer, self._service, ddi, _now),
        )

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._server.should_exit = True


def _now() -> datetime:
    return datetime.now(UTC)


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.http_host, settings.http_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=4096)
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
