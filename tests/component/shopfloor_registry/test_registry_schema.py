from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from shopfloor_registry.adapters.tables import METADATA


def test_the_migrations_make_the_tables_that_are_declared(database):
    with database.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), METADATA)

    assert differences == []


def test_a_database_that_is_up_to_date_is_left_alone(database):
    database.prepare()

    assert database.complaint() is None
