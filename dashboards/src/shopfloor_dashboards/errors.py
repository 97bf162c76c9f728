"""Errors of the dashboards' commands.

DashboardsError
├── PushSettingsError        the operator mends the address, the token or a file
├── GrafanaRefusedError      the operator mends the token's role, or what Grafana names
└── GrafanaUnavailableError  try again later
"""

from __future__ import annotations


class DashboardsError(Exception):
    """The command cannot do what it was asked to."""


class PushSettingsError(DashboardsError):
    """What was given cannot be used; nothing was sent."""


class GrafanaRefusedError(DashboardsError):
    """Grafana answers, and does not want this; or it is no Grafana."""


class GrafanaUnavailableError(DashboardsError):
    """Nobody answers, or Grafana says that the fault is its own."""
