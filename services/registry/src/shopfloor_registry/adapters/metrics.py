"""Every metric of the registry; labels are small fixed sets."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from shopfloor_registry.domain.promotions import Judgement, Promotion
from shopfloor_registry.errors import StoreUnavailableError
from shopfloor_registry.trust.errors import TrustError

log = logging.getLogger(__name__)

KEPT_S = 600.0


class PrometheusMeter:
    """Implements the port ``Meter``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"shopfloor_registry_{name}", text, labels, registry=registry)

        self._uploads = counter(
            "uploads", "Bundles that came in, by what became of them", "outcome"
        )
        self._failures = counter("gate_failures", "Verdicts against a move", "gate")
        self._promotions = counter("promotions", "Moves of versions, by where to", "stage")

    def uploaded(self, outcome: str) -> None:
        """Count an upload: ``created``, ``repeated`` or ``refused``."""
        self._uploads.labels(outcome).inc()

    def judged(self, judgement: Judgement) -> None:
        """Count the gates that failed."""
        for verdict in judgement.verdicts:
            if not verdict.passed:
                self._failures.labels(verdict.gate).inc()

    def promoted(self, promotion: Promotion) -> None:
        """Count a move."""
        self._promotions.labels(str(promotion.to)).inc()


class TrustExpiry(Collector):
    """When each role of the TUF repository expires.

    Reading its 256 bins takes about a second of CPU, so that an answer is kept for a while.
    """

    def __init__(
        self,
        expiries: Callable[[], Mapping[str, datetime]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._expiries, self._clock = expiries, clock
        self._known: Mapping[str, datetime] = {}
        self._due_s = -math.inf

    def describe(self) -> Iterator[Metric]:
        """Name the family without reading the repository."""
        yield self._family()

    def collect(self) -> Iterator[Metric]:
        """Yield no sample while the repository cannot be read."""
        if self._clock() >= self._due_s:
            self._known, self._due_s = self._read(), self._clock() + KEPT_S
        family = self._family()
        for role, at in self._known.items():
            family.add_metric([role], at.timestamp())
        yield family

    def _read(self) -> Mapping[str, datetime]:
        try:
            return self._expiries()
        except (TrustError, OSError):
            log.exception("the TUF repository cannot be read")
            return {}

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(
            "shopfloor_registry_trust_expires_timestamp_seconds",
            "When a role's signed metadata expires; of the bins, the first",
            labels=["role"],
        )


class StoredFigures(Collector):
    """What the database holds, read when the metrics are asked for."""

    def __init__(self, stages: Callable[[], Mapping[str, int]], devices: Callable[[], int]) -> None:
        self._stages, self._devices = stages, devices

    def collect(self) -> Iterator[Metric]:
        """Yield nothing but ``complete`` 0 when the database does not answer."""
        complete = GaugeMetricFamily(
            "shopfloor_registry_complete", "1 when the database answered for this scrape"
        )
        try:
            stages, devices = self._stages(), self._devices()
        except StoreUnavailableError:
            complete.add_metric([], 0)
            yield complete
            return
        complete.add_metric([], 1)
        yield complete
        versions = GaugeMetricFamily(
            "shopfloor_registry_versions", "Versions, by stage", labels=["stage"]
        )
        for stage, count in stages.items():
            versions.add_metric([stage], count)
        yield versions
        known = GaugeMetricFamily("shopfloor_registry_devices", "Devices that are known")
        known.add_metric([], devices)
        yield known
