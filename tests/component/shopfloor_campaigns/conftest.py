"""The service over a real database of each kind."""

import pytest

from fakes import postgresql
from fakes.campaign_devices import Cloud


@pytest.fixture(scope="session")
def cluster():
    if not postgresql.BINARIES:
        pytest.skip(postgresql.ABSENT)
    pytest.importorskip("psycopg", reason="wants the extra shopfloor-campaigns[postgresql]")
    cluster = postgresql.Cluster()
    yield cluster
    cluster.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def cloud(request, tmp_path):
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/campaigns.db"
    else:
        url = request.getfixturevalue("cluster").make_database()
    cloud = Cloud(url)
    yield cloud
    cloud.close()
