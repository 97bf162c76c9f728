"""Every metric of ingest: its own with small fixed labels, the fleet's with a site.

No series names a device or a camera: 5,000 sites stay below 100,000 series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from shopfloor_ingest.domain.messages import Accepted
from shopfloor_ingest.usecases import Outcome

_BATCH_EDGES_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_LAG_EDGES_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_DELAY_EDGES_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)


class PrometheusMeter:
    """Implements the ``Meter`` port."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"shopfloor_ingest_{name}", text, labels, registry=registry)

        self._received = counter("messages_received", "Messages of batches that were committed")
        self._stored = counter("events_stored", "Events stored or taken in, once each", "kind")
        self._duplicates = counter("duplicates", "Events that were stored already")
        self._rejected = counter("rejected", "Messages parked in dead_letters", "reason")
        self._batches = counter("batches", "Committed batches")
        self._failures = counter("write_failures", "Tries to write that did not commit")
        self._dropped = counter("device_dropped", "Events that devices dropped from their outbox")
        self._seconds = Histogram(
            "shopfloor_ingest_batch_seconds",
            "From a batch's first try to its commit",
            buckets=_BATCH_EDGES_S,
            registry=registry,
        )
        self._lag = Histogram(
            "shopfloor_ingest_lag_seconds",
            "From a message's arrival here to its commit",
            buckets=_LAG_EDGES_S,
            registry=registry,
        )
        self._delay = Histogram(
            "shopfloor_ingest_event_delay_seconds",
            "From an event's making on its device to its commit; by the device's clock",
            buckets=_DELAY_EDGES_S,
            registry=registry,
        )
        self._registry = registry

    def watch_database(self, up: Callable[[], bool]) -> None:
        """Read whether the last write committed whenever the metrics are asked for."""
        name, text = "shopfloor_ingest_database_up", "1 when the last write to the database worked"
        Gauge(name, text, registry=self._registry).set_function(up)

    def committed(self, events: Iterable[Accepted], at: datetime) -> None:
        """Note how long the events of a committed batch were on their way."""
        for accepted in events:
            self._lag.observe(max(0.0, (at - accepted.message.received_at).total_seconds()))
            if accepted.durable:
                self._delay.observe(max(0.0, (at - accepted.event.time).total_seconds()))

    def watch(self, *, queue_depth: Callable[[], int], connected: Callable[[], bool]) -> None:
        """Read these two whenever the metrics are asked for."""
        depth, up = "shopfloor_ingest_queue_depth", "shopfloor_ingest_broker_connected"
        Gauge(depth, "Messages waiting to be written", registry=self._registry).set_function(
            queue_depth
        )
        Gauge(up, "1 while subscribed at the broker", registry=self._registry).set_function(
            connected
        )

    def batch_stored(self, messages: int, outcome: Outcome, seconds: float) -> None:
        """Count a committed batch."""
        self._received.inc(messages)
        self._batches.inc()
        self._seconds.observe(seconds)
        self._duplicates.inc(outcome.duplicates)
        # Negative when something given up for dropped was only late: a counter cannot go back.
        self._dropped.inc(max(0, outcome.dropped))
        for kind, count in outcome.stored.items():
            self._stored.labels(kind).inc(count)
        for reason, count in outcome.rejected.items():
            self._rejected.labels(reason).inc(count)

    def write_failed(self) -> None:
        """Count a try that did not commit."""
        self._failures.inc()


class FleetFamilies:
    """The fleet's series of one scrape."""

    def __init__(self) -> None:
        def gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"shopfloor_fleet_{name}", text, labels=labels)

        self.complete = gauge("complete", "1 when the database answered for this scrape")
        self.devices = gauge("devices", "Devices, by presence", "site", "state")
        self.cameras = gauge("cameras", "Cameras, by state", "site", "status")
        self.heartbeat_age = gauge(
            "heartbeat_age_seconds", "Age of the most overdue heartbeat", "site"
        )
        self.outbox_rows = gauge("outbox_rows", "Events that wait on devices", "site")
        self.outbox_dropped = gauge("outbox_dropped", "Events that devices gave up", "site")
        self.write_failures = gauge(
            "outbox_write_failures", "Tries of devices to write their outbox that failed", "site"
        )
        self.newest = gauge(
            "newest_event_timestamp_seconds", "When the site's newest event was made", "site"
        )
        self.alerts = CounterMetricFamily(
            "shopfloor_fleet_alerts", "Alerts that devices raised", labels=["site", "severity"]
        )

    def all(self) -> list[Metric]:
        """Return every family."""
        return list(vars(self).values())
