"""The database of each kind: migrations, one-time use, an audit log that only grows."""

import threading
from datetime import UTC, datetime

import httpx
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from fakes import postgresql
from fakes.identity import SERIAL, House
from shopfloor_edge.errors import IdentityRefusedError
from shopfloor_edge.identity.keys import new_request
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


def test_of_twelve_that_use_one_token_at_once_one_gets_a_certificate(house):
    token, at = house.invite().token, datetime.now(UTC).isoformat()
    csr = new_request("oslo/door").csr
    body = {"token": token, "serial": SERIAL, "csr": csr, "at": at}
    start, statuses = threading.Barrier(12), []

    def use():
        with httpx.Client(verify=house.context(), base_url=house.url, timeout=30) as client:
            start.wait(20)
            statuses.append(client.post("/api/v1/enrol", json=body).status_code)

    threads = [threading.Thread(target=use) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(statuses) == [201] + [403] * 11
    assert len(house.parts.office.certificates("oslo/door")) == 1
    assert [entry[1] for entry in house.audited()].count("refuse enrol") == 11


def test_the_database_itself_refuses_to_change_the_audit_log(house):
    house.invite()

    for statement in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit"):
        with (
            pytest.raises(DBAPIError, match="can be added to only"),
            house.parts.engine.begin() as connection,
        ):
            connection.exec_driver_sql(statement)
