"""The process: reads its settings, builds everything once, runs until told to stop."""

from __future__ import annotations

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
from shopfloor_ingest.arguments import build_parser
from shopfloor_ingest.commands import open_store, run_command
from shopfloor_ingest.errors import (
    BackupError,
    BrokerRefusedError,
    DevicePresentError,
    SettingsError,
    StoreUnavailableError,
    UnknownDeviceError,
)
from shopfloor_ingest.settings import LOOPBACK, Settings, load_settings, read_password
from shopfloor_ingest.usecases import EventSink, Ingest, Retention
from shopfloor_kit.errors import DatabaseUrlError
from shopfloor_kit.health import health_router
from shopfloor_kit.logging_setup import configure_logging

log = logging.getLogger(__name__)

RETENTION_EVERY_S = 600
_OPERATORS = (
    SettingsError,
    BrokerRefusedError,
    BackupError,
    UnknownDeviceError,
    DevicePresentError,
)
"""What an operator mends."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the process; return its exit code."""
    parsed = build_parser().parse_args(arguments)
    given = {
        name: value
        for name, value in vars(parsed).items()
        if name in Settings.model_fields and value is not None
    }
    try:
        settings = load_settings(parsed.config, os.environ, given)
        configure_logging(settings.log_level)
        if parsed.command is not None:
            return run_command(parsed, settings, _now())
        return serve(settings, parsed.address_file)
    except (DatabaseUrlError, *_OPERATORS) as e:
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


class _Process:
    """The composition root: the only place that builds adapters."""

    def __init__(self, settings: Settings, sink: Callable[[Engine], EventSink]) -> None:
        registry = CollectorRegistry()
        engine = open_store(settings)
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
