from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError

from shopfloor_kit.database import open_engine, reading
from shopfloor_kit.errors import DatabaseUrlError


@pytest.fixture
def engine(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/a.db", busy_timeout_ms=20)
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 20)],
)
def test_the_engine_is_set_up_for_durability(engine, pragma, value):
    with engine.connect() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


def test_a_failed_transaction_leaves_nothing(engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE a (b)")

    def crash():
        with engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO a VALUES (1)")
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        crash()

    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM a").scalar() == 0


def test_writers_take_turns_and_readers_do_not_wait(engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE a (b)")

    with engine.begin():
        with reading(engine).connect() as reader:
            assert reader.exec_driver_sql("SELECT count(*) FROM a").scalar() == 0
        with pytest.raises(OperationalError, match="locked"), engine.begin():
            pass


@pytest.mark.parametrize("url", ["", "nonsense", "sqlite://", "mysql://h/d"])
def test_an_unusable_url_is_named(url):
    with pytest.raises(DatabaseUrlError, match="expected sqlite:///path"):
        open_engine(url)
