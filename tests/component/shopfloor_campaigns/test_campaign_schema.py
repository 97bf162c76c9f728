"""The database: its migrations, and that one process has it."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from shopfloor_campaigns.adapters.schema import prepare
from shopfloor_campaigns.adapters.sole import sole_writer
from shopfloor_campaigns.adapters.tables import METADATA
from shopfloor_campaigns.errors import DatabaseTakenError
from shopfloor_kit.database import open_engine


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/campaigns.db"
    return request.getfixturevalue("cluster").make_database()


@pytest.fixture
def engine(url):
    engine = open_engine(url)
    yield engine
    engine.dispose()


def test_the_migrations_make_the_tables_that_are_declared(engine):
    prepare(engine)

    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), METADATA)

    assert differences == []


def test_a_second_process_is_refused_in_one_line_until_the_first_has_ended(engine, url):
    other = open_engine(url)
    with (
        sole_writer(engine),
        pytest.raises(DatabaseTakenError, match="another campaigns process"),
        sole_writer(other),
    ):
        pass

    with sole_writer(other):
        pass

    other.dispose()
