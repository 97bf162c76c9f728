"""What our processes expose: asked of the exporters themselves, so that no list can lag behind."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from shopfloor_campaigns.adapters.metrics import CampaignMeter, DeviceCollector
from shopfloor_edge.station.metrics import StationMetrics
from shopfloor_edge.vision.metrics import VisionMetrics
from shopfloor_ingest.adapters.metrics import FleetFamilies, PrometheusMeter
from shopfloor_registry.adapters.metrics import PrometheusMeter as RegistryMeter
from shopfloor_registry.adapters.metrics import StoredFigures, TrustExpiry

BUILT_IN = frozenset({"up", "ALERTS", "scrape_duration_seconds", "scrape_samples_scraped"})
"""Made by Prometheus itself."""

_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}


def exported_metrics() -> frozenset[str]:
    """Return the name of every series of our services and of a device's vision and station."""
    registry = CollectorRegistry()
    meter = PrometheusMeter(registry)
    meter.watch(queue_depth=lambda: 0, connected=lambda: True)
    meter.watch_database(lambda: True)
    CampaignMeter(registry)
    RegistryMeter(registry)
    asked = (
        DeviceCollector(dict, dict).describe(),
        StoredFigures(dict, lambda: 0).collect(),
        TrustExpiry(dict).describe(),
    )
    ours = [*registry.collect(), *FleetFamilies().all(), *VisionMetrics([]).registry.collect()]
    ours += [*StationMetrics().registry.collect()]
    ours += [family for families in asked for family in families]
    return _sample_names(ours)


def _sample_names(families: Iterable[Metric]) -> frozenset[str]:
    return frozenset(
        family.name + suffix for family in families for suffix in _SUFFIXES.get(family.type, ("",))
    )
