"""Hypertables are only asked of a database that can make them."""

from __future__ import annotations

import subprocess
import sys

from sqlalchemy import inspect

from shopfloor_kit.database import open_engine


def test_a_database_without_the_extension_is_refused_in_one_line(database_url):
    command = [sys.executable, "-m", "shopfloor_ingest.app", "timescale"]

    ended = subprocess.run(
        [*command, "--database", database_url], capture_output=True, text=True, check=False
    )

    reason = {
        "sqlite": "database is sqlite, expected PostgreSQL",
        "postgresql": "database: its server has no extension timescaledb",
    }[database_url.split(":")[0]]
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"shopfloor-ingest: {reason}\n"
    engine = open_engine(database_url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()
