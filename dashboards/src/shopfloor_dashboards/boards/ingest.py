"""Ingest itself: whether it keeps up, and what it refuses."""

from __future__ import annotations

from shopfloor_dashboards.panels import Board, Limits, lines, number

_I = "shopfloor_ingest_"
_R = "[$__rate_interval]"


def _quantile(share: float, histogram: str) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({_I}{histogram}_bucket{_R})))"


BOARD = Board(
    "shopfloor-ingest",
    "Shopfloor: ingest",
    (
        number(
            "Is every ingest subscribed?",
            f"min({_I}broker_connected)",
            "bool_yes_no",
            Limits(1, 1, falling=True),
            runbook="IngestBrokerLost",
        ),
        number(
            "Does the database answer?",
            f"min({_I}database_up) * min(shopfloor_fleet_complete)",
            "bool_yes_no",
            Limits(1, 1, falling=True),
            runbook="IngestDatabaseDown",
        ),
        number(
            "How long does a commit take?",
            _quantile(0.99, "batch_seconds"),
            "s",
            Limits(0.2, 1),
            runbook="IngestSlowCommits",
            explanation="99 of 100 take less.",
        ),
        number(
            "How many messages wait?",
            f"max({_I}queue_depth)",
            "short",
            Limits(500, 1500),
            runbook="IngestQueueFull",
        ),
        lines(
            "How many events are stored?",
            {"{{kind}}": f"sum by (kind) (rate({_I}events_stored_total{_R}))"},
            "eps",
            Limits(4000, 8000),
        ),
        lines(
            "How long are events on their way?",
            {
                "arrival to commit": _quantile(0.99, "lag_seconds"),
                "device to commit": _quantile(0.99, "event_delay_seconds"),
            },
            "s",
            Limits(10, 60),
            runbook="LatencyBudgetBurn",
            explanation="99 of 100 take less. From the device: by its clock.",
        ),
        lines(
            "What is refused, and why?",
            {"{{reason}}": f"sum by (reason) (rate({_I}rejected_total{_R}))"},
            "eps",
            Limits(0.01, 1),
            runbook="DeadLetters",
        ),
        lines(
            "What arrives in vain, or never?",
            {
                "messages": f"sum(rate({_I}messages_received_total{_R}))",
                "stored already": f"sum(rate({_I}duplicates_total{_R}))",
                "given up by devices": f"sum(rate({_I}device_dropped_total{_R}))",
            },
            "eps",
            Limits(4000, 8000),
            runbook="RedeliveryStorm",
        ),
        lines(
            "Do commits work?",
            {
                "batches": f"sum(rate({_I}batches_total{_R}))",
                "tries in vain": f"sum(rate({_I}write_failures_total{_R}))",
            },
            "ops",
            Limits(100, 500),
            runbook="IngestDatabaseDown",
        ),
    ),
)
