"""Boards as Grafana's JSON, the same bytes every time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import count

from grafana_foundation_sdk.builders import (
    barchart,
    common,
    dashboard,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import DataSourceRef, GraphThresholdsStyleMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardLink,
    DashboardLinkType,
    DynamicConfigValue,
    GridPos,
    Threshold,
    ThresholdsMode,
    VariableModel,
    VariableRefresh,
)

from shopfloor_dashboards.layout import Place, places
from shopfloor_dashboards.panels import Board, Limits, Look, Panel, Query, Source

TAG = "shopfloor"
RUNBOOKS = "https://docs.shopfloor.example/runbooks"
"""As in ``external_labels`` of ``cloud/prometheus/prometheus.yml``; a variable of each board."""

VARIABLE_OF_SOURCE = {Source.PROMETHEUS: "datasource", Source.POSTGRESQL: "database"}
"""The variable of a board by which a person chooses among data sources of one type."""

_GREEN, _YELLOW, _RED = "green", "yellow", "red"
_SUFFIXES = ("_s", "_ms", "_ratio", "_bytes", "_c", "_at")
_AnyPanel = stat.Panel | timeseries.Panel | barchart.Panel | table.Panel


@dataclass
class SqlTarget(Dataquery, Builder[Dataquery]):
    """A query of PostgreSQL, for which the SDK has no type; builds and encodes itself."""

    letter: str
    sql: str
    form: str

    def build(self) -> SqlTarget:
        """Return itself: nothing is left to be set."""
        return self

    def to_json(self) -> dict[str, object]:
        """Return what Grafana's query editor stores for SQL written by hand."""
        return {
            "refId": self.letter,
            "datasource": _source(Source.POSTGRESQL),
            "editorMode": "code",
            "format": self.form,
            "rawQuery": True,
            "rawSql": self.sql,
        }


def to_json(board: Board) -> str:
    """Return the dashboard's model, with sorted keys and a final line feed."""
    built = dashboard.Dashboard(board.title).uid(board.uid).tags([TAG]).timezone("utc")
    built = built.time(board.since, "now").refresh(board.refresh).editable()
    for variable in _variables(board):
        built = built.with_variable(variable)
    others = dashboard.DashboardLink("Other boards").type(DashboardLinkType.DASHBOARDS)
    others = others.tags([TAG]).as_dropdown(as_dropdown=True).keep_time(keep_time=True)
    built = built.link(others)
    for number, panel, place in zip(count(1), board.panels, places(board.panels), strict=False):
        built = built.with_panel(_panel(number, panel, place))
    model = json.loads(JSONEncoder().encode(built.build()))
    for variable in model["templating"]["list"]:
        # The SDK writes what intervals have to every variable; Grafana's own types refuse that.
        for key in ("auto", "auto_min", "auto_count"):
            variable.pop(key, None)
    return json.dumps(model, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def _source(source: Source) -> DataSourceRef:
    return DataSourceRef(type_val=str(source), uid=f"${{{VARIABLE_OF_SOURCE[source]}}}")


def _variables(board: Board) -> list[Builder[VariableModel]]:
    found: list[Builder[VariableModel]] = [
        dashboard.DatasourceVariable(name).type(str(source))
        for source, name in VARIABLE_OF_SOURCE.items()
        if source in board.sources
    ]
    found.append(dashboard.ConstantVariable("runbooks").value(RUNBOOKS))
    for name, query in board.variables.items():
        found.append(_variable(name, query, Source.PROMETHEUS, single=False))
    for name, query in board.tables.items():
        found.append(_variable(name, query, Source.POSTGRESQL, single=name in board.single))
    for name, values in board.choices.items():
        found.append(dashboard.CustomVariable(name).values(values))
    return found


def _variable(name: str, query: str, source: Source, *, single: bool) -> dashboard.QueryVariable:
    built = dashboard.QueryVariable(name).query(query).datasource(_source(source))
    built = built.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    return built if single else built.include_all(include_all=True).all_value(".*")


def _panel(number: int, panel: Panel, place: Place) -> _AnyPanel:
    shown = _of_look(panel)
    shown = shown.id(number).title(panel.question).description(panel.explanation)
    shown = shown.unit(panel.unit).thresholds(_thresholds(panel.limits))
    shown = shown.datasource(_source(panel.queries[0].source))
    shown = shown.grid_pos(GridPos(h=place.height, w=place.width, x=place.x, y=place.y))
    shown = shown.data_links(_links(panel))
    for letter, query in zip("ABCDEFGH", panel.queries, strict=False):
        shown = shown.with_target(_target(letter, query, panel.look))
    return shown


def _of_look(panel: Panel) -> _AnyPanel:
    match panel.look:
        case Look.NUMBER:
            # The newest value: what is wrong now, not what was wrong on average.
            newest = common.ReduceDataOptions().calcs(["lastNotNull"])
            return stat.Panel().reduce_options(newest)
        case Look.BARS:
            return barchart.Panel().min(0)
        case Look.TABLE:
            return _table(panel)
        case Look.LINES:
            line = common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
            return timeseries.Panel().thresholds_style(line)


def _table(panel: Panel) -> table.Panel:
    shown = table.Panel()
    for column, unit in panel.units.items():
        properties = [DynamicConfigValue("unit", unit)]
        spoken = _spoken(column)
        if spoken != column:
            properties.append(DynamicConfigValue("displayName", spoken))
        shown = shown.override_by_name(column, properties)
    return shown


def _spoken(column: str) -> str:
    """Return a column's name without the unit that Grafana shows beside each value."""
    ending = next((suffix for suffix in _SUFFIXES if column.endswith(suffix)), "")
    return column.removesuffix(ending).replace("_", " ")


def _target(letter: str, query: Query, look: Look) -> Builder[Dataquery]:
    if query.source is Source.POSTGRESQL:
        return SqlTarget(letter, query.expression, "time_series" if look is Look.LINES else "table")
    target = prometheus.Dataquery().ref_id(letter).expr(query.expression)
    return target.datasource(_source(query.source)).legend_format(query.legend)


def _thresholds(limits: Limits) -> dashboard.ThresholdsConfig:
    colours = (_RED, _YELLOW, _GREEN) if limits.falling else (_GREEN, _YELLOW, _RED)
    edges = (limits.bad, limits.warn) if limits.falling else (limits.warn, limits.bad)
    values = (None, *edges)
    steps = [Threshold(value, colour) for value, colour in zip(values, colours, strict=True)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _links(panel: Panel) -> list[Builder[DashboardLink]]:
    to = "".join(f"{part}&" for part in _carried(panel))
    links: list[Builder[DashboardLink]] = [
        dashboard.DashboardLink(f"Go to {uid}").url(f"/d/{uid}?{to}${{__url_time_range}}")
        for uid in panel.to
    ]
    if panel.runbook:
        page = f"${{runbooks}}/{panel.runbook}.md"
        links.append(dashboard.DashboardLink(f"Runbook: {panel.runbook}").url(page))
    return links


def _carried(panel: Panel) -> list[str]:
    where = "__data.fields" if panel.look is Look.TABLE else "__field.labels"
    return [f"var-{name}=${{{where}.{name}}}" for name in panel.carry]
