"""Figures of the fleet for Prometheus: per site, never per device or camera.

Devices come from the database, so that every replica tells all of them; what is counted per event
(freshness, alerts) comes from the batches that this replica has committed, and is merged by the
rules in ``cloud/prometheus``.
"""

from __future__ import annotations

import json
import math
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from shopfloor_contracts.alerts import AlertState
from shopfloor_contracts.events import AlertEvent, CameraStatus, Kind
from shopfloor_ingest.adapters import rows
from shopfloor_ingest.adapters.metrics import FleetFamilies, PrometheusMeter
from shopfloor_ingest.adapters.tables import DEVICES
from shopfloor_ingest.domain.devices import DeviceState
from shopfloor_ingest.domain.fleet import DeviceFigures, Presence, SiteFigures, add_up
from shopfloor_ingest.domain.messages import Accepted, Rejected
from shopfloor_ingest.errors import StoreUnavailableError
from shopfloor_ingest.usecases import EventSink, Outcome
from shopfloor_kit.database import reading

MAX_REMEMBERED = 20_000
"""Ids of alerts that were counted: a redelivery comes within minutes, not after so many."""

CAMERA_STATES = (*(str(status) for status in CameraStatus), "unknown")


class FleetFigures:
    """What committed events say, per site; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest_s: dict[str, float] = {}
        self._alerts: Counter[tuple[str, str]] = Counter()
        self._counted: OrderedDict[str, None] = OrderedDict()

    def take(
        self, batch: Iterable[Accepted | Rejected], *, fresh_alerts: int | None = None
    ) -> None:
        """Note the events of a batch that was committed.

        Args:
            fresh_alerts: how many alerts of it were not stored before, by another replica or
                before a restart; None means all. Never more than that are counted.
        """
        with self._lock:
            left = math.inf if fresh_alerts is None else fresh_alerts
            for judged in batch:
                if isinstance(judged, Accepted) and judged.durable:
                    left -= self._note(judged, count=left > 0)

    def newest_s(self) -> dict[str, float]:
        """Return when the newest event of each site was made, in seconds since 1970."""
        with self._lock:
            return dict(self._newest_s)

    def alerts(self) -> Counter[tuple[str, str]]:
        """Return alerts raised, by site and severity."""
        with self._lock:
            return Counter(self._alerts)

    def _note(self, accepted: Accepted, *, count: bool) -> int:
        """Note one event; return how many alerts were new to us."""
        site, event = accepted.topic.site, accepted.event
        # A device whose clock is ahead must not look fresh for hours after it fell silent.
        made_s = min(event.time, accepted.message.received_at).timestamp()
        self._newest_s[site] = max(made_s, self._newest_s.get(site, made_s))
        if not isinstance(event, AlertEvent) or str(event.id) in self._counted or not count:
            return 0
        self._counted[str(event.id)] = None
        if len(self._counted) > MAX_REMEMBERED:
            self._counted.popitem(last=False)
        if event.data.state is AlertState.RAISED:
            self._alerts[site, str(event.data.severity)] += 1
        return 1


class WatchedSink:
    """An ``EventSink`` whose committed batches are told to the metrics."""

    def __init__(
        self,
        sink: EventSink,
        figures: FleetFigures,
        meter: PrometheusMeter,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._sink, self._figures, self._meter, self._now = sink, figures, meter, now

    def prepare(self) -> None:
        """Create what is missing."""
        self._sink.prepare()

    def write(self, batch: Sequence[Accepted | Rejected]) -> Outcome:
        """Commit one batch, then note it."""
        outcome = self._sink.write(batch)
        committed_at = self._now()
        self._figures.take(batch, fresh_alerts=outcome.stored[str(Kind.ALERT)])
        self._meter.committed([j for j in batch if isinstance(j, Accepted)], committed_at)
        return outcome


class DeviceReader:
    """Every device as the database has it; takes no write lock."""

    def __init__(self, engine: Engine) -> None:
        self._engine = reading(engine)

    def __call__(self) -> list[DeviceFigures]:
        """Return the devices. Raises ``StoreUnavailableError``."""
        try:
            with self._engine.connect() as connection:
                found = connection.execute(select(DEVICES))
                return [figures_of(row.site, rows.device_state(row)) for row in found]
        except SQLAlchemyError as e:
            raise StoreUnavailableError(str(e)) from e


class FleetCollector(Collector):
    """Adds the fleet up whenever the metrics are asked for.

    A database that does not answer costs the fleet's series, which ``database_up`` explains, and
    none of ingest's own.
    """

    def __init__(
        self,
        devices: Callable[[], list[DeviceFigures]],
        figures: FleetFigures,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._devices, self._figures, self._now = devices, figures, now
        self._started_s = now().timestamp()

    def describe(self) -> Iterable[Metric]:
        """Name the families without asking the database."""
        return FleetFamilies().all()

    def collect(self) -> Iterator[Metric]:
        """Return every family with its samples."""
        families = FleetFamilies()
        newest_s = self._figures.newest_s()
        try:
            sites = add_up(self._devices(), self._now())
        except StoreUnavailableError:
            families.complete.add_metric([], 0)
        else:
            families.complete.add_metric([], 1)
            # A site whose devices were all removed or forgotten is nobody's to wait for.
            newest_s = {name: at_s for name, at_s in newest_s.items() if name in sites}
            for name, site in sites.items():
                _describe_site(families, name, site)
                # A site that fell silent before we started grows old from our start on: without
                # this a restart would end its alert for good.
                newest_s.setdefault(name, self._started_s)
        for name, at_s in newest_s.items():
            families.newest.add_metric([name], at_s)
        for (name, severity), count in self._figures.alerts().items():
            families.alerts.add_metric([name, severity], count)
        yield from families.all()


def _describe_site(families: FleetFamilies, name: str, site: SiteFigures) -> None:
    for presence in Presence:
        families.devices.add_metric([name, presence], site.devices[presence])
    for status in CAMERA_STATES:
        # What a site has none of is left out, but for the state that ratios are made of.
        if site.cameras[status] or status == CameraStatus.LIVE:
            families.cameras.add_metric([name, status], site.cameras[status])
    families.heartbeat_age.add_metric([name], site.heartbeat_age_s)
    families.outbox_rows.add_metric([name], site.outbox_rows)
    families.outbox_dropped.add_metric([name], site.outbox_dropped)
    families.write_failures.add_metric([name], site.outbox_write_failures)


def figures_of(site: str, state: DeviceState) -> DeviceFigures:
    """Reduce a device's last heartbeat to what is added up."""
    said = {} if state.heartbeat is None else json.loads(state.heartbeat)
    return DeviceFigures(
        site=site,
        status=state.status,
        last_seen_at=state.last_seen_at,
        cameras=Counter(camera["status"] for camera in said.get("cameras", ())),
        outbox_rows=said.get("outbox_rows", 0),
        outbox_dropped=said.get("outbox_dropped", 0),
        outbox_write_failures=said.get("outbox_write_failures", 0),
    )
