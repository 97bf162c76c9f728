"""What the service counts. Names of sites and devices are in the audit log, not here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge


class IdentityMeter:
    """The metrics of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._issued = Counter(
            "shopfloor_identity_issued",
            "Certificates that were handed out",
            ["how"],
            registry=registry,
        )
        self._refused = Counter(
            "shopfloor_identity_refused",
            "Requests that got nothing",
            ["action", "reason"],
            registry=registry,
        )
        self._revoked = Counter(
            "shopfloor_identity_revoked", "Certificates that were revoked", registry=registry
        )
        self._ends = Gauge(
            "shopfloor_identity_authority_ends_seconds",
            "When a certificate of the authority ends, since 1970",
            ["authority"],
            registry=registry,
        )
        self._listed = Gauge(
            "shopfloor_identity_list_seconds",
            "When the list of revoked certificates was made, since 1970",
            registry=registry,
        )

    def issued(self, how: str) -> None:
        """Count a certificate."""
        self._issued.labels(how).inc()

    def refused(self, action: str, reason: str) -> None:
        """Count a request that got nothing."""
        self._refused.labels(action, reason).inc()

    def revoked(self, count: int) -> None:
        """Count revoked certificates."""
        self._revoked.inc(count)

    def authority_ends(self, authority: str, at: datetime) -> None:
        """Note when root or intermediate ends."""
        self._ends.labels(authority).set(at.timestamp())

    def watch_list(self, made_at: Callable[[], datetime]) -> None:
        """Ask for the list's age at each scrape."""
        self._listed.set_function(lambda: made_at().timestamp())
