"""A registry in this process, on each kind of database, and people who call it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fakes import bundles, postgresql
from shopfloor_kit.database import open_engine
from shopfloor_kit.tokens import Caller, Role, issue
from shopfloor_registry.adapters.promotions import SqlPromotions
from shopfloor_registry.adapters.sql import Database
from shopfloor_registry.adapters.tables import TOKENS
from shopfloor_registry.app import assemble
from shopfloor_registry.domain.promotions import PREFIX
from shopfloor_registry.settings import Settings
from shopfloor_registry.usecases.ports import Entry

EPOCH = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROLES = {"vera": Role.VIEWER, "otto": Role.OPERATOR, "ada": Role.APPROVER}


@dataclass
class Clock:
    """Each look is a second later."""

    at: datetime = EPOCH

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


class Client:
    """Speaks to the application without a socket."""

    def __init__(self, app):
        self._app = app

    def request(self, method, path, *, content=None, **options):
        async def send():
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://registry") as client:
                body = content if content is None or isinstance(content, bytes) else _async(content)
                return await client.request(method, path, content=body, **options)

        return asyncio.run(send())

    def get(self, path, **options):
        return self.request("GET", path, **options)


async def _async(chunks):
    for chunk in chunks:
        yield chunk


@dataclass
class Registry:
    """The application, and what a test does with it."""

    client: Client
    database: Database
    folder: object
    tokens: dict[str, str]
    keys: dict[str, Ed25519PrivateKey] = field(default_factory=dict)

    def call(self, method, path, *, by="otto", **options):
        headers = options.pop("headers", {})
        if by is not None:
            headers |= {"Authorization": f"Bearer {self.tokens[by]}"}
        return self.client.request(method, f"/api/v1{path}", headers=headers, **options)

    def upload(self, *, by="otto", folder=None, **changes):
        content = bundles.pack(folder or self.folder, **changes).read_bytes()
        return self.call("POST", "/bundles", by=by, content=content)

    def judge(self, to, *, by="otto", version="1.0"):
        path = f"/models/tiny/versions/{version}/judgements"
        return self.call("POST", path, by=by, json={"to": to})

    def promote(self, to, *, by="otto", version="1.0", signer=None, change=lambda body: body):
        judged = self.judge(to, by=by, version=version)
        if judged.status_code != 200:
            return judged
        record, key = judged.json()["record"], self.keys[signer or by]
        body = {
            "to": to,
            "record": record,
            "public_key": key.public_key().public_bytes_raw().hex(),
            "signature": key.sign(PREFIX + record.encode()).hex(),
        }
        path = f"/models/tiny/versions/{version}/promotions"
        return self.call("POST", path, by=by, json=change(body))

    def report(self, *, version="1.0", metric="latency-ms", value=30.0, by="otto"):
        measures = [
            {"metric": metric, "value": value, "data": "a Raspberry Pi 5", "target": target}
            for target in ("onnx-fp32", "litert-int8")
        ]
        path = f"/models/tiny/versions/{version}/evidence"
        return self.call("POST", path, by=by, json={"measures": measures})

    def stage_of(self, version="1.0"):
        return self.call("GET", f"/models/tiny/versions/{version}").json()["stage"]


@pytest.fixture(scope="session")
def cluster():
    if not postgresql.BINARIES:
        pytest.skip(postgresql.ABSENT)
    pytest.importorskip("psycopg", reason="wants the extra shopfloor-registry[postgresql]")
    cluster = postgresql.Cluster()
    yield cluster
    cluster.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """An empty database of each kind; a test of one kind alone is marked ``only_sqlite``."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/registry.db"
    else:
        url = request.getfixturevalue("cluster").make_database()
    database = Database(open_engine(url, busy_timeout_ms=10_000))
    database.prepare()
    yield database
    database.engine.dispose()


@pytest.fixture
def repository():
    return None


@pytest.fixture
def registry(database, repository, tmp_path):
    settings = Settings(folder=tmp_path / "artefacts", upload_bytes_max=100_000)
    clock = Clock()
    app = assemble(settings, database, repository, now=clock)
    tokens, keys = {}, {}
    for name, role in ROLES.items():
        with database.writing() as connection:
            tokens[name] = issue(connection, TOKENS, Caller(name, role), at=EPOCH)
        keys[name] = Ed25519PrivateKey.generate()
        public = keys[name].public_key().public_bytes_raw().hex()
        entry = Entry("root", "key.add", name, {"public_key": public}, EPOCH)
        SqlPromotions(database).add_signer(public, name, entry)
    return Registry(Client(app), database, tmp_path, tokens, keys)
