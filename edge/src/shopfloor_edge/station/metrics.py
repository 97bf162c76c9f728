"""Every metric of the station process. Labels are the station's charts and small fixed sets."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shopfloor_contracts.aggregates import LATENCY_EDGES_MS
from shopfloor_edge.inspection.line import LineSignal

VERDICTS = ("pass", "fail", "review", "missed")
STATES = ("running", "alerted", "held", "stopped")


class StationMetrics:
    """The process' registry; safe to scrape from any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._parts = Counter(
            "shopfloor_station_parts",
            "Parts by verdict, since the station's book was begun",
            ["verdict"],
            registry=self.registry,
        )
        self._latency = Histogram(
            "shopfloor_station_latency_seconds",
            "From a part's trigger to its verdict",
            buckets=[edge / 1000 for edge in LATENCY_EDGES_MS],
            registry=self.registry,
        )
        self._line = Gauge(
            "shopfloor_station_line_state",
            "1 for what the line may do",
            ["state"],
            registry=self.registry,
        )
        self._levels = Gauge(
            "shopfloor_station_chart_level",
            "How near a chart is to its limit, 1 at the limit",
            ["chart", "limit"],
            registry=self.registry,
        )
        self._beat = self._gauge("last_tick_timestamp_seconds", "When the station last looked up")
        self._waiting = self._gauge("waiting_parts", "Triggers that wait to be judged")
        self._released = self._gauge("released", "1 when the golden parts were judged rightly")
        self._refused = self._gauge("book_failures", "Times that the disk refused the book")
        self._counted = dict.fromkeys(VERDICTS, 0)
        for verdict in VERDICTS:
            self._parts.labels(verdict)
        for state in STATES:
            self._line.labels(state)

    def judged(self, latency_ms: float) -> None:
        """Note how long a part's verdict took."""
        self._latency.observe(latency_ms / 1000)

    def counted(self, totals: Mapping[str, int]) -> None:
        """Take the book's totals by verdict."""
        for verdict, before in self._counted.items():
            self._counted[verdict] = totals.get(verdict, 0)
            self._parts.labels(verdict).inc(self._counted[verdict] - before)

    def describe(
        self, signal: LineSignal, levels: Mapping[str, Mapping[str, float]], *, released: bool
    ) -> None:
        """Take how the line stands."""
        for state in STATES:
            self._line.labels(state).set(signal.state == state)
        for chart, limits in levels.items():
            for limit, level in limits.items():
                self._levels.labels(chart, limit).set(level)
        self._released.set(released)

    def looked_up(self, at_s: float, *, waiting: int, failures: int) -> None:
        """Say that the process lives, and what waits."""
        self._beat.set(at_s)
        self._waiting.set(waiting)
        self._refused.set(failures)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"shopfloor_station_{name}", text, registry=self.registry)
