from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import MetaData, text

from shopfloor_kit.database import open_engine
from shopfloor_kit.problems import MEDIA_TYPE, install_problems
from shopfloor_kit.tokens import Caller, Gatekeeper, Role, issue, list_tokens, revoke, token_table

METADATA = MetaData()
TOKENS = token_table(METADATA)
AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/tokens.db")
    with engine.begin() as connection:
        METADATA.create_all(connection)
    yield engine
    engine.dispose()


@pytest.fixture
def app(engine):
    app, gatekeeper = FastAPI(), Gatekeeper.over(engine, TOKENS)
    install_problems(app)
    operator = Depends(gatekeeper.needs(Role.OPERATOR))

    @app.post("/start")
    def start(caller: Caller = operator) -> str:
        return caller.name

    return app


def make(engine, role=Role.OPERATOR, name="ada"):
    with engine.begin() as connection:
        return issue(connection, TOKENS, Caller(name, role), at=AT)


def call(app, authorization=None):
    async def send():
        transport = httpx.ASGITransport(app)
        headers = {} if authorization is None else {"authorization": authorization}
        async with httpx.AsyncClient(transport=transport, base_url="http://kit") as client:
            return await client.post("/start", headers=headers)

    return asyncio.run(send())


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.APPROVER])
def test_a_token_of_a_high_enough_role_passes(app, engine, role):
    answer = call(app, f"Bearer {make(engine, role)}")

    assert (answer.status_code, answer.json()) == (200, "ada")


def test_a_lower_role_is_told_which_one_is_needed(app, engine):
    answer = call(app, f"bearer {make(engine, Role.VIEWER)}")

    assert answer.status_code == 403
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.json()["detail"] == "'ada' is viewer, this needs operator"


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer x", "Basic YTpi", "Bearer sf_000000000000_" + "a" * 43],
)
def test_without_a_right_token_the_answer_is_a_challenge(app, authorization):
    answer = call(app, authorization)

    assert answer.status_code == 401
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_right_id_with_another_secret_is_refused(app, engine):
    token = make(engine)

    assert call(app, f"Bearer {token[:16]}{'a' * 43}").status_code == 401


def test_a_revoked_token_is_refused_from_then_on(app, engine):
    token = make(engine)
    with engine.begin() as connection:
        (record,) = list_tokens(connection, TOKENS)
        assert revoke(connection, TOKENS, record.id, at=AT)
        assert not revoke(connection, TOKENS, record.id, at=AT)

    assert call(app, f"Bearer {token}").status_code == 401


def test_the_secret_is_not_in_the_database(engine):
    token = make(engine)

    with engine.connect() as connection:
        stored = str(connection.execute(text("SELECT * FROM tokens")).all())

    assert token.rsplit("_", 1)[0].split("_")[1] in stored
    assert token[16:] not in stored
