"""Every SQL panel answers on a real PostgreSQL that the real ingest has filled, as the reader."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from fakes import postgresql
from fakes.shops import open_shops
from shopfloor_dashboards.fragments import MOST_SERIES, extreme
from shopfloor_dashboards.macros import TimeRange, expand
from shopfloor_dashboards.sql_check import Answer, sql_findings
from shopfloor_ingest.domain.kpis import wilson
from shopfloor_ingest.domain.percentiles import percentile

psycopg = pytest.importorskip("psycopg", reason="wants psycopg: the extra 'postgresql' of ingest")
pytestmark = [
    pytest.mark.skipif(not postgresql.BINARIES, reason=postgresql.ABSENT),
    pytest.mark.timeout(90),
]
ROOT = Path(__file__).resolve().parents[3]
READER = (ROOT / "cloud/postgresql/reader.sql").read_text()
FILES = [
    file
    for file in sorted((ROOT / "dashboards/json").glob("*.json"))
    if "rawSql" in file.read_text()
]
BUSINESS = (ROOT / "dashboards/json/shopfloor-business.json").read_text()
INSPECTION = (ROOT / "dashboards/json/shopfloor-inspection.json").read_text()
DEVICE = (ROOT / "dashboards/json/shopfloor-device.json").read_text()


class Shops:
    """A filled database, as the role of the dashboards sees it."""

    def __init__(self, cluster: postgresql.Cluster) -> None:
        url = cluster.make_database()
        ended = open_shops(url)
        # Less than a week: what is there of the week before must not be counted as now.
        start, end = ended - timedelta(days=2), ended + timedelta(minutes=1)
        self.range = TimeRange(int(start.timestamp()), int(end.timestamp()))
        with psycopg.connect(url, autocommit=True) as owner:
            # Twice: whoever runs the script again must not be told that the role exists.
            owner.execute(READER)
            owner.execute(READER)
        self._reader = url.replace("shopfloor@", "shopfloor_reader@")

    def ask(self, sql: str) -> Answer:
        with closing(psycopg.connect(self._reader)) as connection:
            try:
                found = connection.execute(sql)
            except psycopg.Error as e:
                raise ValueError(str(e).splitlines()[0]) from e
            names = [column.name for column in found.description]
            return Answer(names, found.fetchall())

    def findings(self, board: str) -> list[str]:
        return sql_findings(board, self.ask, self.range)


@pytest.fixture(scope="module")
def shops():
    cluster = postgresql.Cluster()
    yield Shops(cluster)
    cluster.stop()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_query_of_a_board_answers_with_numbers(file, shops):
    assert shops.findings(file.read_text()) == []


@pytest.mark.parametrize(
    ("board", "right", "wrong", "finding"),
    [
        (BUSINESS, "rollup_traffic", "rollup_trafic", 'relation "rollup_trafic" does not exist'),
        (BUSINESS, "crossings_in", "crossings_inn", 'column "crossings_inn" does not exist'),
        (BUSINESS, "$__unixEpochFilter(", "$__unixEpochFliter(", "is none that our boards use"),
        (BUSINESS, "${site:raw}", "${store:raw}", "variable 'store' is not of this board"),
        (BUSINESS, "ORDER BY time, metric", "ORDER BY time metric", "syntax error"),
        (BUSINESS, "bucket_s = $bucket", "bucket_s = 61", "no number in 0 rows"),
        (BUSINESS, "max(people)", "max(peoples)", 'column "peoples" does not exist'),
        (BUSINESS, '"unit": "percentunit"', '"unit": "short"', "is shown as 'short'"),
        (BUSINESS, '"unit": "s"', '"unit": "ms"', "is shown as 'ms'"),
        (BUSINESS, '"unit": "short"', '"unit": "s"', "has no such ending"),
        (BUSINESS, '"options": "change_ratio"', '"options": "changes_ratio"', "not in the answer"),
        (INSPECTION, "rollup_defect", "rollup_defekt", 'relation "rollup_defekt" does not exist'),
        (INSPECTION, "sort = 'defect'", "sort = 'defects'", "no number in 0 rows"),
        (INSPECTION, "latency_ms", "latency_s", "is shown as 'ms'"),
        (DEVICE, "AS metric", "AS metrics", "expected time, metric and a number"),
        (DEVICE, "hottest_c", "hottest_k", "is shown as 'celsius'"),
        (DEVICE, "health,temperature_c", "health,temperature_k", "no number in 1 rows"),
    ],
)
def test_a_planted_typo_in_sql_is_caught(board, right, wrong, finding, shops):
    assert right in board

    found = shops.findings(board.replace(right, wrong))

    assert any(finding in line for line in found), found


def test_percentiles_of_a_panel_are_those_of_the_api(shops):
    panels = json.loads(BUSINESS)["panels"]
    (panel,) = [panel for panel in panels if panel["title"] == "How long do people wait?"]
    variables = {"site": "oslo", "camera": ".*", "zone": ".*", "by": "site", "bucket": "3600"}

    rows = shops.ask(expand(panel["targets"][0]["rawSql"], variables, shops.range)).rows

    # Two devices of six and seven people: both histograms of an hour, merged.
    merged, edges = [0, 2, 2, 2, 0, 0, 3, 4], (5, 15, 30, 60, 120, 300, 600)
    expected = {
        "oslo, half are below": percentile(merged, edges, 0.5, largest=700),
        "oslo, 9 of 10 are below": percentile(merged, edges, 0.9, largest=700),
    }
    assert len(rows) == 8
    for _, metric, value_s in rows:
        assert value_s == pytest.approx(expected[metric])


def test_the_interval_of_a_panel_is_that_of_the_api(shops):
    panels = json.loads(INSPECTION)["panels"]
    (panel,) = [panel for panel in panels if panel["title"] == "How does the defect rate go?"]
    variables = {"site": "oslo", "station": ".*", "bucket": "3600"}

    rows = shops.ask(expand(panel["targets"][0]["rawSql"], variables, shops.range)).rows

    # Two devices of a hundred parts each, four of which fail.
    low, high = wilson(8, 200)
    expected = {"measured": 0.04, "at least": low, "at most": high}
    assert len(rows) == 12
    for _, metric, value_ratio in rows:
        assert value_ratio == pytest.approx(expected[metric])


def test_the_strangest_device_is_the_one_whose_scores_have_moved(shops):
    board = json.loads((ROOT / "dashboards/json/shopfloor-model.json").read_text())
    title = "Whose scores differ most from the others with the same model?"
    (panel,) = [panel for panel in board["panels"] if panel["title"] == title]
    variables = {"site": ".*", "model": ".*", "bucket": "3600"}

    answer = shops.ask(expand(panel["targets"][0]["rawSql"], variables, shops.range))

    drift = answer.columns.index("drift")
    assert {(row[0], row[1]) for row in answer.rows} == {("oslo", "door"), ("oslo", "till")}
    assert all(row[drift] > 0.25 for row in answer.rows)


def test_a_panel_shows_the_lines_that_go_the_farthest_and_no_more(shops):
    series = (
        "SELECT t AS time, 'n' || n AS metric, CASE WHEN t = 3 THEN n ELSE 0 END AS value "
        "FROM generate_series(1, 5) AS t, generate_series(1, 90) AS n"
    )

    largest, smallest = (
        shops.ask(extreme(series, "value", smallest=small)).rows for small in (False, True)
    )

    assert {row[1] for row in largest} == {f"n{n}" for n in range(71, 91)}
    assert len(largest) == len(smallest) == 5 * MOST_SERIES


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("DELETE FROM devices", "cannot execute DELETE in a read-only transaction"),
        ("SET TRANSACTION READ WRITE; DELETE FROM devices", "permission denied"),
        ("SELECT payload FROM dead_letters", "permission denied for table dead_letters"),
        ("CREATE TABLE mine (n int)", "read-only transaction"),
    ],
)
def test_the_reader_reads_and_does_nothing_else(sql, complaint, shops):
    with pytest.raises(ValueError, match=complaint):
        shops.ask(sql)
