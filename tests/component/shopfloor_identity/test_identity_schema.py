"""The database of each kind: migrations, one-time use, an audit log that only grows."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from fakes import postgresql
from fakes.identity import House
from shopfloor_edge.errors import IdentityRefusedError
from shopfloor_identity.adapters.tables import METADATA


@pytest.fixture(scope="module")
def cluster():
    if not postgresql.BINARIES:
        pytest.skip(postgresql.ABSENT)
    pytest.importorskip("psycopg", reason="wants the extra shopfloor-identity[postgresql]")
    cluster = postgresql.Cluster()
    yield cluster
    cluster.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request, tmp_path):
    url = f"sqlite:///{tmp_path}/identity.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("cluster").make_database()
    with House(tmp_path / "house", database=url).serving() as house:
        yield house


def test_the_migrations_make_the_tables_that_are_declared(house):
    with house.parts.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), METADATA)

    assert differences == []


def test_enrolment_revocation_and_replay_are_the_same_on_both(house, tmp_path):
    invitation = house.invite()
    device = house.device(tmp_path / "door")
    device.enrol(invitation)
    house.parts.office.revoke("oslo/door", "stolen", "ada")

    with pytest.raises(IdentityRefusedError, match="is revoked"):
        device.renew()
    with pytest.raises(IdentityRefusedError, match="was used at"):
        device.enrol(invitation)

    actions = [entry[1] for entry in house.audited()]
    assert actions == ["invite", "enrol", "revoke", "refuse renew", "refuse enrol"]


def test_the_database_itself_refuses_to_change_the_audit_log(house):
    house.invite()

    for statement in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit"):
        with (
            pytest.raises(DBAPIError, match="can be added to only"),
            house.parts.engine.begin() as connection,
        ):
            connection.exec_driver_sql(statement)
