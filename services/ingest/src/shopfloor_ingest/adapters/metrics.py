"""Ingest's metrics. Labels are small fixed sets: never a site, a device or a camera."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shopfloor_ingest.usecases import Outcome

_BATCH_EDGES_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


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
        self._registry = registry

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
