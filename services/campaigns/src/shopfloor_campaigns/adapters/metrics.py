"""Metrics of campaigns; no series names a device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Tally = Callable[[], Mapping[tuple[str, int, str], int]]
"""Devices by campaign, wave (from 1) and state."""


class CampaignMeter:
    """Counts what is decided and how devices end."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._verdicts = Counter(
            "shopfloor_campaign_gate_verdicts",
            "Looks at a gate, by what they came to",
            ("gate", "verdict"),
            registry=registry,
        )
        self._ended = Counter(
            "shopfloor_campaign_updates",
            "Devices that ended an update; the success objective is committed over all",
            ("result",),
            registry=registry,
        )

    def verdict(self, gate: str, answer: str) -> None:
        """Count a look."""
        self._verdicts.labels(gate, answer).inc()

    def ended(self, _campaign: str, state: str) -> None:
        """Count the end of a device's part."""
        self._ended.labels(state).inc()


class DeviceCollector(Collector):
    """Devices of campaigns that have not ended, counted whenever the metrics are asked for."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def describe(self) -> Iterable[Metric]:
        """Name the family without asking the database."""
        return [_family()]

    def collect(self) -> Iterable[Metric]:
        """Return the family with its samples."""
        family = _family()
        for (campaign, wave, state), count in self._tally().items():
            family.add_metric([campaign, str(wave), state], count)
        return [family]


def _family() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "shopfloor_campaign_devices",
        "Devices of a campaign that has not ended, by wave and state",
        labels=("campaign", "wave", "state"),
    )
