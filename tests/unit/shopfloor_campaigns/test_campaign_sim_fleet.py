"""The fleet that ``make sim-fleet`` plays fits the campaigns that it plays."""

import importlib
import json
from pathlib import Path

from shopfloor_campaigns.adapters.bodies import PlanBody, to_plan
from shopfloor_contracts.selectors import parse_selector

PERF = Path(__file__).resolve().parents[2] / "perf"


def test_no_plan_of_the_simulated_fleet_asks_for_a_label_that_no_device_has(monkeypatch):
    monkeypatch.syspath_prepend(str(PERF))
    fleet = importlib.import_module("sim_fleet")
    labels, lots = fleet.labels_of(500)
    known = {key for said in labels for key in said}
    plans = [fleet.plan("good", "2.0"), fleet.plan(lots[0], "2.0", f"lot={lots[0]}", 500)]

    for made in plans:
        plan = to_plan(PlanBody.model_validate_json(json.dumps(made)))
        selector = parse_selector(plan.selector)
        matched = sum(map(selector.matches, labels))
        assert selector.warnings(known, matched=matched) == []
        assert not any(selector.matches(said) and "lab" in said for said in labels)
