"""Everything: devices, campaigns, jobs, actions, their histories, verdicts, tokens, audit log."""

from __future__ import annotations

from alembic import op

from shopfloor_campaigns.adapters.tables import METADATA
from shopfloor_kit.audit import guard

revision = "0001"
down_revision = None

_TABLES = {
    *("tokens", "audit", "devices", "campaigns", "jobs", "actions", "statuses"),
    *("evidence", "figures", "observations", "verdicts"),
}


def upgrade() -> None:
    """Create every table of the first version."""
    first = [table for table in METADATA.sorted_tables if table.name in _TABLES]
    METADATA.create_all(op.get_bind(), first, checkfirst=False)
    guard(op.get_bind(), "audit")
