"""What alembic runs: our caller's connection and transaction, nothing of its own."""

from __future__ import annotations

from alembic import context

from shopfloor_identity.adapters.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
)
context.run_migrations()
