"""``shopfloorctl campaigns`` against the service, and the plan of the guide."""

import json
import re
from pathlib import Path

import pytest

from fakes.campaign_devices import Cloud, plan
from shopfloor_campaigns.domain.plan import Gate
from shopfloor_ctl.main import main
from shopfloor_kit.tokens import Role

GUIDE = (Path(__file__).parents[3] / "docs/campaigns.md").read_text()
(GUIDES_PLAN,) = re.findall(r"^```toml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def cloud(tmp_path):
    cloud = Cloud(f"sqlite:///{tmp_path}/campaigns.db")
    yield cloud
    cloud.close()


@pytest.fixture
def ctl(cloud, tmp_path, capsys):
    """Return a function that runs a command and gives what it printed."""
    (tmp_path / "token").write_text(cloud.tokens[Role.APPROVER])

    def run(*words, code=0):
        assert main([*words, "--profile", str(tmp_path / "ctl.json")]) == code
        return capsys.readouterr().out

    run("login", "campaigns", cloud.url, "--token-file", str(tmp_path / "token"))
    return run


def test_a_campaign_is_led_by_commands(cloud, ctl, tmp_path):
    cloud.add(2)
    gate = {"gate": "count-difference", "limit": 0.1, "minimum": 50}
    (tmp_path / "plan.json").write_text(json.dumps(plan(gates=[gate])))

    ctl("campaigns", "create", str(tmp_path / "plan.json"))
    for order in ("approve", "start", "pause", "resume"):
        ctl("campaigns", order, "nano-2", "--reason", "a test")
    cloud.settle()
    table = ctl("campaigns", "list")
    devices = ctl("campaigns", "devices", "nano-2")

    assert re.search(r"^nano-2 +running", table, re.MULTILINE)
    assert "offered" in devices
    assert "nano-2" in ctl("campaigns", "show", "nano-2")
    assert ctl("campaigns", "verdicts", "nano-2") == ""
    ctl("campaigns", "abort", "nano-2", "--reason", "typo")
    assert cloud.show("nano-2")["status"] == "aborted"
    ctl("campaigns", "start", "nano-2", code=1)


def test_verdicts_are_shown_with_their_explanation(cloud, ctl):
    (device,) = cloud.add(1)
    gate = {"gate": "count-difference", "limit": 0.1, "minimum": 50}
    cloud.create(plan(waves=["100%"], gates=[gate]))
    cloud.ordered("nano-2", "approve", "start")
    device.install(counts=(10, 190, 0))
    cloud.settle()

    told = ctl("campaigns", "verdicts", "nano-2")

    title, first = told.splitlines()[:2]
    assert title.split()[:4] == ["WAVE", "ROUND", "GATE", "ANSWER"]
    assert first.split()[0] == "1"
    assert "count-difference" in first
    assert "fail" in first
    assert "crossings of the old model" in first


def test_the_plan_of_the_guide_is_taken_and_its_gates_are_all_there_are(cloud, ctl, tmp_path):
    (tmp_path / "plan.toml").write_text(GUIDES_PLAN.replace('"…"', f'"{"b" * 64}"'))

    ctl("campaigns", "create", str(tmp_path / "plan.toml"))

    assert cloud.show("nano-2")["plan"]["timing"]["shadow_s"] == 86400
    assert all(f"`{gate}`" in GUIDE for gate in Gate)
