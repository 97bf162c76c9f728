"""The process and its commands: reads the settings, builds everything once."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from shopfloor_identity import commands
from shopfloor_identity.adapters.broker import Broker
from shopfloor_identity.adapters.http import (
    Rates,
    build_api,
    devices_router,
    guarded,
    people_router,
)
from shopfloor_identity.adapters.lists import ListDesk, Refresher
from shopfloor_identity.adapters.metrics import IdentityMeter
from shopfloor_identity.adapters.office import Office, Terms
from shopfloor_identity.adapters.schema import prepare
from shopfloor_identity.adapters.secrets import Vault
from shopfloor_identity.adapters.tables import TOKENS
from shopfloor_identity.ca.authority import Online
from shopfloor_identity.ca.keys import read_certificate
from shopfloor_identity.errors import IdentityError, OperatorError, RefusedError, SettingsError
from shopfloor_identity.settings import ENV_PREFIX, Settings, load_policies, load_settings
from shopfloor_kit.database import cause, open_engine
from shopfloor_kit.errors import DatabaseUrlError, TlsFilesError
from shopfloor_kit.health import health_router
from shopfloor_kit.logging_setup import configure_logging
from shopfloor_kit.tls import tls_options
from shopfloor_kit.tokens import Gatekeeper, Role

log = logging.getLogger(__name__)

EPILOG = f"""example:
  shopfloor-identity ceremony --root /media/safe/root --online /etc/shopfloor/authority
  shopfloor-identity serve --config identity.toml
  shopfloor-identity token oslo/door --serial 4CE0460D0G --config identity.toml
  shopfloor-identity revoke oslo/door --reason stolen --config identity.toml

Every setting of the file can stand in the environment too ({ENV_PREFIX}HTTP_PORT).
Exit code: 0 done, 2 something that you can mend, 1 a fault.
"""


class Parts:
    """What the service and the commands share; the only place that builds adapters."""

    def __init__(self, settings: Settings, *, now: Callable[[], datetime] | None = None) -> None:
        self.settings, self.now = settings, now or _now
        self.registry = CollectorRegistry()
        self.online = Online.read(settings.authority)
        self.engine = _open(settings)
        broker = Broker(settings.broker_pid_file, settings.broker_restart)
        self.lists = ListDesk(self.engine, self.online, settings.crl_file, broker, self.now)
        meter = IdentityMeter(self.registry)
        meter.authority_ends("intermediate", self.online.signer.certificate.not_valid_after_utc)
        root = read_certificate(settings.authority / "root.crt")
        meter.authority_ends("root", root.not_valid_after_utc)
        meter.watch_list(self.lists.made_at)
        life = timedelta(days=settings.certificate_days)
        self.office = Office(
            self.engine,
            self.online,
            lists=self.lists,
            vault=Vault(settings.secrets_folder),
            terms=Terms(life, load_policies(settings.attestation_file)),
            meter=meter,
            now=self.now,
        )

    def api(self, rates: Rates | None = None) -> FastAPI:
        """Return the application, without what guards it."""
        checks = {"revoked certificates": self.lists.complaint}
        return build_api(
            health_router(checks, self.registry),
            devices_router(self.office, self.lists, self.online.root, rates or Rates.usual()),
            people_router(self.office, Gatekeeper.over(self.engine, TOKENS)),
        )

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    parsed = build_parser().parse_args(arguments)
    try:
        if parsed.command == "ceremony":
            return commands.ceremony(parsed)
        settings = load_settings(parsed.config, os.environ)
        configure_logging(settings.log_level if parsed.command == "serve" else "error")
        return _serve(parsed, settings) if parsed.command == "serve" else _run(parsed, settings)
    except (OperatorError, RefusedError, DatabaseUrlError, TlsFilesError) as e:
        print(f"shopfloor-identity: {e}", file=sys.stderr)
        return 2
    except IdentityError as e:
        print(f"shopfloor-identity: {e}", file=sys.stderr)
        return 1
    except SQLAlchemyError as e:
        print(f"shopfloor-identity: database: {cause(e)}", file=sys.stderr)
        return 1


def _run(parsed: argparse.Namespace, settings: Settings) -> int:
    if parsed.command == "crl" and parsed.root is not None:
        # Before the parts, which read the root's list.
        commands.renew_root_list(parsed, settings.authority)
    parts = Parts(settings)
    run: dict[str, Callable[[], int]] = {
        "token": lambda: commands.token(parsed, parts.office),
        "operator": lambda: commands.operator(parsed, parts.engine),
        "issue": lambda: commands.issue_service(parsed, parts.office),
        "revoke": lambda: commands.revoke(parsed, parts.office),
        "list": lambda: commands.show(parsed, parts.office),
        "crl": lambda: commands.lists(parsed, parts.lists),
        "audit": lambda: commands.audit(parts.engine),
    }
    try:
        return run[parsed.command]()
    finally:
        parts.close()


def _serve(parsed: argparse.Namespace, settings: Settings) -> int:
    parts = Parts(settings)
    parts.lists.publish(revoked=False)
    config = uvicorn.Config(
        guarded(parts.api()), log_config=None, access_log=False, **tls_options(settings.tls)
    )
    server, refresher = uvicorn.Server(config), Refresher(parts.lists)

    def stop(_number: int, _frame: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with _listen(settings) as listener:
        if parsed.address_file is not None:
            _write_address(listener, parsed.address_file)
        refresher.start()
        try:
            server.run(sockets=[listener])
        finally:
            refresher.stop()
            parts.close()
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every command."""
    parser = argparse.ArgumentParser(
        prog="shopfloor-identity",
        description="Say who a device is: its certificate, and when that no longer counts.",
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subs = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_ceremony(subs.add_parser("ceremony", help="make root and intermediate, offline"))
    serve = subs.add_parser("serve", help="answer devices until SIGTERM")
    serve.add_argument("--address-file", type=Path, metavar="PATH", help="write host:port there")
    token = subs.add_parser("token", help="make a one-time token for a device")
    token.add_argument("device", metavar="SITE/DEVICE")
    token.add_argument("--serial", required=True, help="of the hardware")
    token.add_argument("--minutes", type=int, default=60, help="how long it lives (default 60)")
    token.add_argument("--host", action="append", default=[], help="of the device's console")
    operator = subs.add_parser("operator", help="make a bearer token for a person or a program")
    operator.add_argument("name")
    operator.add_argument("role", choices=[str(role) for role in Role])
    issue = subs.add_parser("issue", help="make key and certificate of a service of ours")
    issue.add_argument("name")
    issue.add_argument("--host", action="append", default=[], help="it is reached under, as server")
    issue.add_argument("--client", action="store_true", help="it is a client beside")
    issue.add_argument("--out", type=Path, required=True, metavar="DIR")
    revoke = subs.add_parser("revoke", help="revoke a certificate, or all of a name")
    revoke.add_argument("which", metavar="SITE/DEVICE|SERIAL")
    revoke.add_argument("--reason", required=True)
    listing = subs.add_parser("list", help="what was issued, the newest first")
    listing.add_argument("name", nargs="?", metavar="SITE/DEVICE")
    crl = subs.add_parser("crl", help="write the lists of revoked certificates now")
    crl.add_argument("--root", type=Path, metavar="DIR", help="make the root's list again too")
    crl.add_argument("--passphrase-file", type=Path, metavar="FILE", help="of root.key")
    crl.add_argument("--days", type=int, default=7, choices=range(1, 401), metavar="N",
                     help="life of the intermediate's list (default 7)")  # fmt: skip
    crl.add_argument("--withdraw", type=Path, action="append", default=[], metavar="CRT",
                     help="an intermediate that is no longer to be believed")  # fmt: skip
    audit = subs.add_parser("audit", help="check that nobody has changed the audit log")
    for command in (serve, token, operator, issue, revoke, listing, crl, audit):
        command.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML")
    for command in (token, listing):
        command.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _add_ceremony(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="offline folder")
    parser.add_argument("--online", type=Path, required=True, metavar="DIR", help="the service's")
    parser.add_argument("--name", default="Shopfloor", help="in both certificates' names")
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help="for root.key")


def _open(settings: Settings) -> Engine:
    engine = open_engine(settings.database)
    if engine.url.get_backend_name() == "sqlite":
        folder = Path(engine.url.database or ".").parent
        if not folder.is_dir():
            raise SettingsError(f"database: folder {str(folder)!r} does not exist")
    prepare(engine)
    return engine


def _now() -> datetime:
    return datetime.now(UTC)


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.http_host, settings.http_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as e:
        raise SettingsError(f"http_host, http_port: cannot listen on {host}:{port}: {e}") from e


def _write_address(listener: socket.socket, path: Path) -> None:
    """Write ``host:port``; a reader sees all of it or nothing."""
    host, port = listener.getsockname()[:2]
    half = path.with_name(path.name + ".tmp")
    half.write_text(f"[{host}]:{port}\n" if ":" in host else f"{host}:{port}\n")
    half.replace(path)


if __name__ == "__main__":
    sys.exit(main())
