"""Everything: devices, campaigns, jobs, actions, their histories, verdicts, tokens, audit log."""

from __future__ import annotations

from alembic import op

from shopfloor_campaigns.adapters.tables import METADATA
from shopfloor_kit.audit import guard

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create everything; the next migration freezes this list."""
    METADATA.create_all(op.get_bind(), checkfirst=False)
    guard(op.get_bind(), "audit")
