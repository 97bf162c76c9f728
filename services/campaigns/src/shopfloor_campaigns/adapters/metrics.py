"""Metrics of campaigns; no series names a device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from shopfloor_campaigns.domain.jobs import ENDED

Tally = Callable[[], Mapping[tuple[str, int, str], int]]
"""Devices by campaign, wave (from 1) and state."""
Statuses = Callable[[], Mapping[str, str]]
"""Status by campaign."""


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
        # A series that begins above 0 has no increase: the first failures would not be seen.
        for state in ENDED:
            self._ended.labels(str(state))

    def verdict(self, gate: str, answer: str) -> None:
        """Count a look."""
        self._verdicts.labels(gate, answer).inc()

    def ended(self, _campaign: str, state: str) -> None:
        """Count the end of a device's part."""
        self._ended.labels(state).inc()


class DeviceCollector(Collector):
    """Campaigns that have not ended, and their devices, counted when the metrics are asked for."""

    def __init__(self, tally: Tally, statuses: Statuses) -> None:
        self._tally, self._statuses = tally, statuses

    def describe(self) -> Iterable[Metric]:
        """Name the families without asking the database."""
        return [_devices(), _status()]

    def collect(self) -> Iterable[Metric]:
        """Return the families with their samples."""
        devices, status = _devices(), _status()
        for (campaign, wave, state), count in self._tally().items():
            devices.add_metric([campaign, str(wave), state], count)
        for campaign, said in self._statuses().items():
            status.add_metric([campaign, said], 1)
        return [devices, status]


def _status() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "shopfloor_campaign_status",
        "1 of each campaign that has not ended, with its status",
        labels=("campaign", "status"),
    )


def _devices() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "shopfloor_campaign_devices",
        "Devices of a campaign that has not ended, by wave and state",
        labels=("campaign", "wave", "state"),
    )
