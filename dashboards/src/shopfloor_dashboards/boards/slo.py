"""The objectives: what of their budget is left, and how fast it goes."""

from __future__ import annotations

from dataclasses import replace

from shopfloor_dashboards.panels import Board, Limits, Panel, lines, number

_OBJECTIVES = (
    ("freshness", "FreshnessBudgetBurn", "sites send fresh events"),
    ("inference", "InferenceBudgetBurn", "cameras are live"),
    ("latency", "LatencyBudgetBurn", "events are stored within 60 s"),
    ("update", "UpdateBudgetBurn", "devices commit the update they were offered"),
)


def _panels(key: str, runbook: str, what: str) -> tuple[Panel, Panel]:
    errors = f"slo:shopfloor_{key}_errors:ratio"
    now = number(
        f"How often in the last six hours was it true that {what}?",
        f"1 - {errors}6h",
        "percentunit",
        Limits(0.99, 0.94, falling=True),
        runbook=runbook,
    )
    burn = lines(
        f"How fast does the budget burn, that {what}?",
        {window: f"{errors}{window} / 0.01" for window in ("5m", "30m", "1h", "6h")},
        "short",
        Limits(6, 14.4),
        runbook=runbook,
        explanation="1 uses exactly what 99 % allows; 6 warns, 14.4 calls.",
    )
    # Side by side, of one height: the state and how it came about.
    return replace(now, height=8), replace(burn, width=18)


BOARD = Board(
    "shopfloor-slo",
    "Shopfloor: objectives",
    tuple(panel for objective in _OBJECTIVES for panel in _panels(*objective)),
)
