"""Dashboards are generated, and the checker catches what is planted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from shopfloor_dashboards.check import check, expressions, surroundings, unparsable
from shopfloor_dashboards.grafana import RUNBOOKS, to_json
from shopfloor_dashboards.main import BOARDS, main
from shopfloor_dashboards.promql import metric_names

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted((ROOT / "dashboards/json").glob("*.json"))
AROUND = surroundings(ROOT)
FLEET = (ROOT / "dashboards/json/shopfloor-fleet.json").read_text()

wants_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="wants promtool: apt-get install prometheus"
)


def test_what_is_committed_is_what_the_code_makes(tmp_path):
    assert main([str(tmp_path)]) == 0

    made = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert made == {file.name: file.read_text() for file in FILES}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_the_same_board_is_the_same_bytes(board):
    assert to_json(board) == to_json(board)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dashboard_has_no_findings(file):
    assert check(file.read_text(), AROUND) == []


@wants_promtool
def test_every_query_parses():
    assert unparsable([query for file in FILES for query in expressions(file.read_text())]) == []


@pytest.mark.parametrize(
    ("right", "wrong", "finding"),
    [
        ("shopfloor_fleet_outbox_rows", "shopfloor_fleet_outbox_row", "is exported by nobody"),
        ("fleet:shopfloor_sites_fresh:ratio", "fleet:shopfloor_site_fresh:ratio", "exported by"),
        ('"unit": "s"', '"unit": "seconds"', "unit is 'seconds'"),
        ('"unit": "s"', '"unit": "short"', "seconds are shown as 'short'"),
        ('"unit": "percentunit"', '"unit": "short"', "a ratio is shown as 'short'"),
        ('"unit": "short"', '"unit": "s"', "are shown as seconds"),
        ("/SiteDown.md", "/SiteDwon.md", "there is no runbook 'SiteDwon'"),
        ("/d/shopfloor-site?", "/d/shopfloor-sites?", "there is no board 'shopfloor-sites'"),
        ("How many sites are down?", "Sites down", "is no question"),
        ("${runbooks}/", "${runbook}/", "leads neither to a board nor to a runbook"),
    ],
)
def test_a_planted_typo_is_caught(right, wrong, finding):
    assert right in FLEET

    found = check(FLEET.replace(right, wrong), AROUND)

    assert any(finding in line for line in found), found


def test_a_planted_typo_in_a_series_of_campaigns_is_caught():
    text = (ROOT / "dashboards/json/shopfloor-campaigns.json").read_text()

    found = check(text.replace("shopfloor_campaign_updates", "shopfloor_campaign_update"), AROUND)

    assert any("is exported by nobody" in line for line in found), found


def test_thresholds_that_fall_are_caught():
    board = json.loads(FLEET)
    board["panels"][0]["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"] = 99

    assert "thresholds are [None, 99, 5" in check(json.dumps(board), AROUND)[0]


@wants_promtool
def test_a_planted_typo_in_a_query_is_caught():
    broken = FLEET.replace("topk(10, max by (site)", "topk(10, max by site")

    found = unparsable(expressions(broken))

    assert found
    assert all("does not parse" in line for line in found)


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('sum by (site) (rate(a_total{b="c d"}[5m]))', {"a_total"}),
        ("a:b:c / on (site) group_left (x) d offset 5m", {"a:b:c", "d"}),
        ("max_over_time((a unless b)[1d:1m]) > bool 3", {"a", "b"}),
        ("count(up == 0) or vector(0)", {"up"}),
        ("histogram_quantile(0.99, sum by (le) (x_bucket))", {"x_bucket"}),
        ('label_replace(a, "b", "$1", "c", "(d)")', {"a"}),
    ],
)
def test_the_names_of_an_expression_are_its_series(expression, names):
    assert metric_names(expression) == names


def test_links_lead_down_from_the_fleet_over_a_site_to_a_device_and_its_runbooks():
    texts = [(ROOT / f"dashboards/json/shopfloor-{n}.json").read_text() for n in ("site", "device")]

    assert "/d/shopfloor-site?var-site=${__field.labels.site}&" in FLEET
    device = "/d/shopfloor-device?var-site=${__data.fields.site}&var-device=${__data.fields.device}"
    assert device in texts[0]
    assert "${runbooks}/DeviceOffline.md" in texts[1]


def test_a_board_has_a_variable_for_each_kind_of_data_source_that_it_asks():
    provisioned = yaml.safe_load(
        (ROOT / "dashboards/provisioning/datasources/shopfloor.yml").read_text()
    )
    types = {source["type"] for source in provisioned["datasources"]}

    for file in FILES:
        board = json.loads(file.read_text())
        asked = {target["datasource"]["type"] for p in board["panels"] for target in p["targets"]}
        listed = board["templating"]["list"]
        offered = {each["query"] for each in listed if each["type"] == "datasource"}
        assert asked == offered
        assert asked <= types


def test_a_folder_that_is_not_there_is_told(tmp_path, capsys):
    assert main([str(tmp_path / "none")]) == 2

    assert "no such folder" in capsys.readouterr().err


def test_dashboards_and_alerts_link_to_the_same_runbooks():
    prometheus = yaml.safe_load((ROOT / "cloud/prometheus/prometheus.yml").read_text())

    assert prometheus["global"]["external_labels"]["runbooks"] == RUNBOOKS


def test_every_declared_series_is_shown_or_documented():
    shown = {
        name
        for file in FILES
        for query in expressions(file.read_text())
        for name in metric_names(query.text)
    }
    # A station serves its own series on its device; its guide lists them.
    guides = (ROOT / "docs/monitoring.md", ROOT / "docs/inspection.md")
    documented = "".join(guide.read_text() for guide in guides)

    unknown = {
        name
        for name in AROUND.metrics - shown
        if name.startswith("shopfloor_")
        and not name.endswith(("_sum", "_count", "_bucket"))
        and name not in documented
        and name.replace("shopfloor_ingest", "…") not in documented
    }

    assert unknown == set()
