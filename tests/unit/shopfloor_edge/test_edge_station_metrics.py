"""The station's metrics: what a scrape of it says."""

from __future__ import annotations

import urllib.request

import pytest

from shopfloor_edge.errors import MetricsPortError
from shopfloor_edge.inspection.line import LineSignal
from shopfloor_edge.scrapes import LOOPBACK, serve
from shopfloor_edge.station.metrics import StationMetrics


def test_parts_are_counted_as_the_book_has_them() -> None:
    metrics = StationMetrics()

    metrics.counted({"pass": 3, "fail": 1, "stops": 2})
    metrics.counted({"pass": 5, "fail": 1, "missed": 4})

    found = {
        verdict: metrics.registry.get_sample_value(
            "shopfloor_station_parts_total", {"verdict": verdict}
        )
        for verdict in ("pass", "fail", "review", "missed")
    }
    assert found == {"pass": 5, "fail": 1, "review": 0, "missed": 4}


def test_the_line_is_in_one_state() -> None:
    metrics = StationMetrics()
    levels = {"all": {"alert": 1.2, "stop": 0.4}}

    metrics.describe(LineSignal("running", run=True, warning=False), {}, released=True)
    metrics.describe(LineSignal("stopped", run=False, warning=True), levels, released=False)

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"shopfloor_station_{name}", labels)

    states = [value("line_state", state=s) for s in ("running", "alerted", "held", "stopped")]
    assert states == [0, 0, 0, 1]
    assert value("chart_level", chart="all", limit="stop") == 0.4
    assert value("released") == 0


def test_a_scrape_is_answered_on_loopback_and_a_taken_port_is_named() -> None:
    metrics = StationMetrics()
    metrics.judged(12.0)
    server = serve(metrics.registry, 0)
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{server.port}/metrics") as answer:
            text = answer.read().decode()

        with pytest.raises(MetricsPortError, match=r"\[metrics\] port"):
            serve(metrics.registry, server.port)
    finally:
        server.close()
    assert "shopfloor_station_latency_seconds_count 1.0" in text
