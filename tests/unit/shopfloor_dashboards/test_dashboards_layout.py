"""Panels lie on the grid of 24 without overlap, and no line has a hole."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from shopfloor_contracts import aggregates, events
from shopfloor_dashboards import fragments
from shopfloor_dashboards.layout import COLUMNS, Place, places
from shopfloor_dashboards.macros import MacroError, TimeRange, expand
from shopfloor_dashboards.panels import Limits, lines, number

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted((ROOT / "dashboards/json").glob("*.json"))
NUMBER = number("How many?", "up", "short", Limits(1, 2))
LINES = lines("Since when?", {"": "up"}, "short", Limits(1, 2))
DAY = TimeRange(1000, 2000)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_cell_of_a_board_belongs_to_exactly_one_panel(file):
    boxes = [panel["gridPos"] for panel in json.loads(file.read_text())["panels"]]

    cells = Counter(
        (column, row)
        for box in boxes
        for column in range(box["x"], box["x"] + box["w"])
        for row in range(box["y"], box["y"] + box["h"])
    )

    bottom = max(box["y"] + box["h"] for box in boxes)
    assert cells == Counter((column, row) for column in range(COLUMNS) for row in range(bottom))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_panel_is_too_small_for_its_question(file):
    for panel in json.loads(file.read_text())["panels"]:
        box = panel["gridPos"]
        assert box["w"] >= 6, panel["title"]
        assert box["h"] >= (4 if panel["type"] == "stat" else 8), panel["title"]


def test_a_row_ends_where_the_height_changes_and_its_last_panel_reaches_the_edge():
    found = places([NUMBER, NUMBER, LINES, LINES, LINES])

    assert found == [
        Place(0, 0, 6, 4),
        Place(6, 0, 18, 4),
        Place(0, 4, 12, 8),
        Place(12, 4, 12, 8),
        Place(0, 12, 24, 8),
    ]


def test_variables_come_before_macros_and_a_pattern_keeps_its_dollar():
    sql = "SELECT $__unixEpochFrom() WHERE $__unixEpochFilter(at) AND site ~ '^${site:raw}$'"

    expanded = expand(sql, {"site": "o'slo"}, DAY)

    assert expanded == "SELECT 1000 WHERE at >= 1000 AND at <= 2000 AND site ~ '^o''slo$'"


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("$store", "variable 'store'"),
        ("$__timeFilter(at)", "none that our boards use"),
        ("$__unixEpochFilter()", "none that our boards use"),
        ("${site:csv}", "neither a variable nor a macro"),
    ],
)
def test_what_grafana_would_not_fill_in_is_named(sql, complaint):
    with pytest.raises(MacroError, match=complaint):
        expand(sql, {"site": "oslo"}, DAY)


def test_edges_of_histograms_are_those_of_the_contracts():
    assert fragments.EDGES_S == aggregates.DWELL_EDGES_S
    assert fragments.LATENCY_EDGES_MS == aggregates.LATENCY_EDGES_MS
    assert fragments.INFERENCE_EDGES_MS == events.INFERENCE_EDGES_MS
