"""Boards as Grafana's JSON, the same bytes every time."""

from __future__ import annotations

import json
from itertools import count

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import DataSourceRef, GraphThresholdsStyleMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardLink,
    DashboardLinkType,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)

from shopfloor_dashboards.panels import Board, Limits, Look, Panel, Query

TAG = "shopfloor"
RUNBOOKS = "https://docs.shopfloor.example/runbooks"
"""As in ``external_labels`` of ``cloud/prometheus/prometheus.yml``; a variable of each board."""

_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_GREEN, _YELLOW, _RED = "green", "yellow", "red"


def to_json(board: Board) -> str:
    """Return the dashboard's model, with sorted keys and a final line feed."""
    built = dashboard.Dashboard(board.title).uid(board.uid).tags([TAG]).timezone("utc")
    built = built.time("now-6h", "now").refresh("30s").editable()
    built = built.with_variable(dashboard.DatasourceVariable("datasource").type("prometheus"))
    built = built.with_variable(dashboard.ConstantVariable("runbooks").value(RUNBOOKS))
    for name, query in board.variables.items():
        built = built.with_variable(_variable(name, query))
    others = dashboard.DashboardLink("Other boards").type(DashboardLinkType.DASHBOARDS)
    others = others.tags([TAG]).as_dropdown(as_dropdown=True).keep_time(keep_time=True)
    built = built.link(others)
    for number, panel in zip(count(1), board.panels, strict=False):
        built = built.with_panel(_panel(number, panel))
    model = json.loads(JSONEncoder().encode(built.build()))
    for variable in model["templating"]["list"]:
        # The SDK writes what intervals have to every variable; Grafana's own types refuse that.
        for key in ("auto", "auto_min", "auto_count"):
            variable.pop(key, None)
    return json.dumps(model, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def _variable(name: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .query(query)
        .datasource(_SOURCE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .include_all(include_all=True)
        .all_value(".*")
    )


def _panel(number: int, panel: Panel) -> stat.Panel | timeseries.Panel:
    shown: stat.Panel | timeseries.Panel
    if panel.look is Look.NUMBER:
        # The newest value: what is wrong now, not what was wrong on average.
        newest = common.ReduceDataOptions().calcs(["lastNotNull"])
        shown = stat.Panel().reduce_options(newest)
    else:
        line = common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
        shown = timeseries.Panel().thresholds_style(line)
    shown = shown.id(number).title(panel.question).description(panel.explanation)
    shown = shown.unit(panel.unit).thresholds(_thresholds(panel.limits)).datasource(_SOURCE)
    shown = shown.span(panel.width).height(4 if panel.look is Look.NUMBER else 8)
    shown = shown.data_links(_links(panel))
    for letter, query in zip("ABCDEFGH", panel.queries, strict=False):
        shown = shown.with_target(_target(letter, query))
    return shown


def _target(letter: str, query: Query) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(letter).expr(query.expression).datasource(_SOURCE)
    return target.legend_format(query.legend)


def _thresholds(limits: Limits) -> dashboard.ThresholdsConfig:
    colours = (_RED, _YELLOW, _GREEN) if limits.falling else (_GREEN, _YELLOW, _RED)
    edges = (limits.bad, limits.warn) if limits.falling else (limits.warn, limits.bad)
    values = (None, *edges)
    steps = [Threshold(value, colour) for value, colour in zip(values, colours, strict=True)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _links(panel: Panel) -> list[Builder[DashboardLink]]:
    links: list[Builder[DashboardLink]] = [
        dashboard.DashboardLink(f"Go to {uid}").url(
            f"/d/{uid}?var-site=${{__field.labels.site}}&${{__url_time_range}}"
        )
        for uid in panel.to
    ]
    if panel.runbook:
        page = f"${{runbooks}}/{panel.runbook}.md"
        links.append(dashboard.DashboardLink(f"Runbook: {panel.runbook}").url(page))
    return links
