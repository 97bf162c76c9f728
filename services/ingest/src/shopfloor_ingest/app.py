"""The process: reads its settings, builds everything once, runs until told to stop."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvicorn
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from shopfloor_ingest.adapters.fleet import (
    DeviceReader,
    FleetCollector,
    FleetFigures,
    WatchedSink,
)
from shopfloor_ingest.adapters.history import SqlHistory
from shopfloor_ingest.adapters.http import build_api
from shopfloor_ingest.adapters.kpi_queries import SqlKpis
from shopfloor_ingest.adapters.metrics import PrometheusMeter
from shopfloor_ingest.adapters.mqtt import BrokerAccount, BrokerLink
from shopfloor_ingest.adapters.reports import SqlReader
from shopfloor_ingest.adapters.store import SqlStore
from shopfloor_ingest.errors import BrokerRefusedError, SettingsError, StoreUnavailableError
from shopfloor_ingest.settings import (
    ENV_PREFIX,
    LOOPBACK,
    Settings,
    load_settings,
    read_password,
)
from shopfloor_ingest.usecases import EventSink, Ingest, Retention
from shopfloor_kit.database import open_engine
from shopfloor_kit.errors import DatabaseUrlError
from shopfloor_kit.health import health_router
from shopfloor_kit.logging_setup import configure_logging

log = logging.getLogger(__name__)

RETENTION_EVERY_S = 600

EPILOG = f"""example:
  shopfloor-ingest --broker-host 127.0.0.1 --broker-username ingest \\
      --broker-password-file /etc/shopfloor/ingest.password \\
      --database sqlite:////var/lib/shopfloor/ingest.db --http-port 8080

Every flag can stand in the file as well (broker_host = "127.0.0.1") or in the environment
({ENV_PREFIX}BROKER_HOST). Exit code: 0 stopped, 2 the settings or the account are wrong, 1 a fault.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the process; return its exit code."""
    parsed = _parser().parse_args(arguments)
    given = {key: value for key, value in vars(parsed).items() if value is not None}
    command = given.pop("command", None)
    file, address_file = given.pop("config", None), given.pop("address_file", None)
    try:
        settings = load_settings(file, os.environ, given)
        configure_logging(settings.log_level)
        if command == "reaggregate":
            return _reaggregate(settings)
        return serve(settings, address_file)
    except (SettingsError, DatabaseUrlError, BrokerRefusedError) as e:
        print(f"shopfloor-ingest: {e}", file=sys.stderr)
        return 2
    except StoreUnavailableError as e:
        print(f"shopfloor-ingest: database: {e}", file=sys.stderr)
        return 1


def serve(
    settings: Settings,
    address_file: Path | None = None,
    *,
    sink: Callable[[Engine], EventSink] = SqlStore,
) -> int:
    """Run one process until a signal; return its exit code.

    Args:
        sink: makes where events go; the only place that another store is plugged in. The engine
            is that of the database, which answers over HTTP all the same.
    """
    return _Process(settings, sink).run(address_file)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shopfloor-ingest",
        description="Take devices' events from the broker and store each one once.",
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=("reaggregate",),
        help="make the sums again from the raw events, and end; ingest may run meanwhile",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML")
    parser.add_argument(
        "--address-file", type=Path, metavar="PATH", help="write host:port of the API there"
    )
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f" (default {field.default})"
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, metavar="VALUE", help=f"{field.description}{default}")
    return parser


def _reaggregate(settings: Settings) -> int:
    engine = _open(settings)
    SqlStore(engine).prepare()
    days = SqlHistory(engine).reaggregate()
    print(f"sums of {days} days made again")
    engine.dispose()
    return 0


def _open(settings: Settings) -> Engine:
    engine = open_engine(settings.database)
    if engine.url.get_backend_name() == "sqlite":
        _check_folder(engine.url.database)
    return engine


class _Process:
    """The composition root: the only place that builds adapters."""

    def __init__(self, settings: Settings, sink: Callable[[Engine], EventSink]) -> None:
        registry = CollectorRegistry()
        engine = _open(settings)
        meter = PrometheusMeter(registry)
        self._settings, self._history = settings, SqlHistory(engine)
        self._fatal: Exception | None = None
        self._stop = threading.Event()
        self._link = _make_link(settings, self._give_up)
        fleet = FleetFigures()
        watched = WatchedSink(sink(engine), fleet, meter, now=_now)
        self._ingest = Ingest(inbox=self._link, sink=watched, acks=self._link, meter=meter)
        meter.watch(queue_depth=self._link.depth, connected=lambda: self._link.complaint() is None)
        meter.watch_database(lambda: self._ingest.complaint() is None)
        registry.register(FleetCollector(DeviceReader(engine), fleet, now=_now))
        checks = {"broker": self._link.complaint, "database": self._ingest.complaint}
        api = build_api(
            SqlReader(engine), SqlKpis(engine), health_router(checks, registry), now=_now
        )
        self._server = uvicorn.Server(uvicorn.Config(api, log_config=None, access_log=False))

    def run(self, address_file: Path | None) -> int:
        """Serve until a signal or a fatal fault."""
        # uvicorn takes the signals over while it serves and hands them to these at its end.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        writer = threading.Thread(target=self._write, name="writer")
        cleaner = threading.Thread(target=self._clean, name="retention")
        with _listen(self._settings) as listener:
            if address_file is not None:
                _write_address(listener, address_file)
            _collect_rarely()
            writer.start()
            cleaner.start()
            self._link.start()
            self._server.run(sockets=[listener])
        self._stop.set()
        writer.join()
        cleaner.join()
        self._link.stop()
        if isinstance(self._fatal, BrokerRefusedError):
            raise self._fatal
        return 0 if self._fatal is None else 1

    def _write(self) -> None:
        try:
            self._ingest.run(self._stop)
        except Exception as e:
            # Nothing of the batch was confirmed: the broker and the devices send it again.
            log.exception("writer ended by a fault")
            self._give_up(e)

    def _clean(self) -> None:
        retention = _retention(self._settings)
        while not self._stop.wait(RETENTION_EVERY_S):
            try:
                gone = retention.enforce(self._history, datetime.now(UTC), self._stop)
            except StoreUnavailableError as e:
                log.warning("retention waits for the database", extra={"complaint": str(e)})
            else:
                log.info("retention has run", extra={"deleted": gone})

    def _give_up(self, error: Exception) -> None:
        self._fatal = error
        self._server.should_exit = True

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._server.should_exit = True


def _collect_rarely() -> None:
    """Let the garbage collector look at what was imported never, and at events seldom.

    A batch makes many objects without cycles, which go by themselves: by default a fifth of the
    process's time would go into looking through them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _retention(settings: Settings) -> Retention:
    events, minutes = settings.keep_events_days, settings.keep_minutes_days
    return Retention(
        events=timedelta(days=events) if events else None,
        minutes=timedelta(days=minutes) if minutes else None,
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _make_link(settings: Settings, give_up: Callable[[BrokerRefusedError], None]) -> BrokerLink:
    account = BrokerAccount(
        host=settings.broker_host,
        port=settings.broker_port,
        client_id=settings.client_id,
        session_expiry_s=settings.session_expiry_s,
        username=settings.broker_username,
        password=read_password(settings),
        ca_file=settings.broker_ca_file,
        cert_file=settings.broker_cert_file,
        key_file=settings.broker_key_file,
    )
    try:
        return BrokerLink(account, on_fatal=give_up)
    except OSError as e:
        raise SettingsError(f"broker_ca_file, broker_cert_file or broker_key_file: {e}") from e


def _check_folder(database: str | None) -> None:
    folder = Path(database or ".").parent
    if not folder.is_dir():
        raise SettingsError(f"database: folder {str(folder)!r} does not exist")


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.http_host, settings.http_port
    if host not in LOOPBACK:
        log.warning("the API asks for no password and is open to a network", extra={"host": host})
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
