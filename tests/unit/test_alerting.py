"""Alerts: each is tested, explained and made of series that exist; a usual day calls few people."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from shopfloor_dashboards.declared import BUILT_IN, exported_metrics
from shopfloor_dashboards.promql import metric_names

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "cloud/prometheus"
RUNBOOKS = ROOT / "docs/runbooks"
HEADINGS = ["What it means", "How to confirm", "What to do", "How to prevent"]

wants_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="wants promtool: apt-get install prometheus"
)
wants_amtool = pytest.mark.skipif(
    shutil.which("amtool") is None, reason="wants amtool: apt-get install prometheus-alertmanager"
)


def rules():
    files = sorted((PROMETHEUS / "rules").glob("*.yml"))
    return [
        rule
        for file in files
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
    ]


ALERTS = [rule for rule in rules() if "alert" in rule]
NAMES = sorted({rule["alert"] for rule in ALERTS})


def alerts_seen_firing():
    """Return name and severity of every alert that a rule test sees firing."""
    return {
        (check["alertname"], fired["exp_labels"]["severity"])
        for file in (PROMETHEUS / "tests").glob("*.yml")
        for test in yaml.safe_load(file.read_text())["tests"]
        for check in test["alert_rule_test"]
        for fired in check["exp_alerts"]
    }


def run(*command, cwd=ROOT):
    return subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def copied(folder: Path) -> Path:
    shutil.copytree(PROMETHEUS, folder / "prometheus")
    return folder / "prometheus"


def test_every_alert_has_a_rule_test_that_sees_it_firing():
    assert {(rule["alert"], rule["labels"]["severity"]) for rule in ALERTS} == alerts_seen_firing()


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_has_a_runbook(name):
    page = (RUNBOOKS / f"{name}.md").read_text()

    assert page.startswith(f"# {name}\n")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == HEADINGS


def test_every_runbook_is_of_an_alert_or_says_when_it_is_wanted():
    others = {p.stem for p in RUNBOOKS.glob("*.md")} - {"README", *NAMES}

    assert all("\n## When\n" in (RUNBOOKS / f"{name}.md").read_text() for name in others)


@pytest.mark.parametrize("rule", ALERTS, ids=lambda r: f"{r['alert']}-{r['labels']['severity']}")
def test_every_alert_says_how_bad_it_is_and_where_to_read_on(rule):
    waits = "for" in rule and "keep_firing_for" in rule

    assert rule["labels"]["severity"] in ("critical", "warning", "info", "none")
    assert rule["labels"]["scope"] in ("site", "ingest", "slo", "updates")
    assert rule["annotations"]["summary"]
    link = rule["annotations"]["runbook_url"]
    assert link == "{{ $externalLabels.runbooks }}/" + rule["alert"] + ".md"
    assert waits or rule["alert"] == "Watchdog"


def test_every_series_of_a_rule_is_exported_or_recorded():
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    known = exported_metrics() | BUILT_IN | recorded

    unknown = {name for rule in rules() for name in metric_names(rule["expr"])} - known

    assert unknown == set()


def test_every_command_of_a_runbook_exists():
    text = "\n".join(page.read_text() for page in RUNBOOKS.glob("*.md"))

    commands = set(re.findall(r"shopfloor-edge ([a-z]+)", text))

    assert commands <= {
        *("agent", "camera", "check", "doctor", "identity"),
        *("inspect", "ledger", "spc", "vision"),
    }
    assert set(re.findall(r"(?<!:)shopfloor_\w+", text)) <= exported_metrics()


GROUPS = [
    *("fleet", "slo-freshness", "slo-inference", "slo-latency", "slo-updates"),
    *("cameras", "sites", "ingest", "updates"),
]
"""In the order in which they use each other; promtool takes those unnamed as they come."""


@wants_promtool
def test_the_configuration_is_valid():
    checked = run("promtool", "check", "config", PROMETHEUS / "prometheus.yml")

    assert checked.returncode == 0, checked.stdout + checked.stderr


@wants_promtool
def test_the_rule_tests_pass():
    checked = run("promtool", "test", "rules", *sorted((PROMETHEUS / "tests").glob("*.yml")))

    assert checked.returncode == 0, checked.stdout + checked.stderr


@wants_promtool
def test_the_rule_tests_miss_each_alert_that_no_longer_fires(tmp_path):
    copy = copied(tmp_path)
    for file in (copy / "rules").glob("*.yml"):
        content = yaml.safe_load(file.read_text())
        for rule in (rule for group in content["groups"] for rule in group["rules"]):
            if "alert" in rule:
                rule["expr"] = "vector(0) > 1"
        file.write_text(json.dumps(content))

    checked = run("promtool", "test", "rules", *(copy / "tests").glob("*.yml"))

    missed = set(re.findall(r"alertname: ?(\w+)", checked.stdout + checked.stderr))
    assert checked.returncode != 0
    assert missed == set(NAMES)


def told(matchers: str) -> str:
    """Return the number of alerts of a day that began and that no inhibition held back."""

    def heard(offset: str) -> str:
        firing = f'ALERTS{{{matchers}alertstate="firing",alertname!="Watchdog"}}{offset}'
        down = f'ALERTS{{alertstate="firing",alertname="SiteDown"}}{offset}'
        return f"(({firing} unless on (site) {down}) or ({firing} and {down}))"

    return f"sum(sum_over_time(({heard('')} unless {heard(' offset 1m')})[1d:1m]))"


def day(folder: Path, *, sites: int, seed: int) -> str:
    """Return a rule test of one day: restarts, flapping cameras, two outages, one lost camera."""
    rng = random.Random(seed)
    series = []
    for n in range(sites):
        online, live, unknown = [3] * 1440, [12] * 1440, [0] * 1440
        newest = list(range(0, 1440 * 60, 60))
        for _ in range(3):  # a restart of each device
            start, length = rng.randrange(1400), rng.randint(2, 4)
            for t in range(start, start + length):
                online[t] -= 1
        for _ in range(2):  # a camera that is gone for a moment
            start, length = rng.randrange(1400), rng.randint(1, 4)
            for t in range(start, start + length):
                live[t] -= 1
        if n < 2:  # the line is cut for half an hour
            start = rng.randrange(100, 1300)
            for t in range(start, start + 30):
                online[t], live[t], unknown[t], newest[t] = 0, 0, 12, newest[start - 1]
        if n == 2:
            live[600:780] = [11] * 180
        states = {
            'shopfloor_fleet_devices{site="%s",state="online"}': online,
            'shopfloor_fleet_devices{site="%s",state="offline"}': [3 - x for x in online],
            'shopfloor_fleet_cameras{site="%s",status="live"}': live,
            'shopfloor_fleet_cameras{site="%s",status="absent"}': [
                12 - x - y for x, y in zip(live, unknown, strict=True)
            ],
            'shopfloor_fleet_cameras{site="%s",status="unknown"}': unknown,
            'shopfloor_fleet_newest_event_timestamp_seconds{site="%s"}': newest,
        }
        series += [
            {"series": name % f"site-{n}", "values": " ".join(map(str, values))}
            for name, values in states.items()
        ]
    series.append({"series": 'up{job="ingest",instance="a:1"}', "values": "1x1440"})
    critical, cameras = told('severity="critical",'), told('alertname="CamerasLost",')
    # What is only information calls nobody; of it there is at most one per loss of a camera.
    calls, informs = told('severity!="info",'), told('severity="info",')
    checks = [
        {"expr": f"{calls} <= bool {sites // 3}", "eval_time": "1439m"},
        {"expr": f"{informs} <= bool {2 * sites + 1}", "eval_time": "1439m"},
        {"expr": f"{informs} >= bool {sites}", "eval_time": "1439m"},
        {"expr": f"{critical} == bool 2", "eval_time": "1439m"},
        {"expr": f"{cameras} == bool 1", "eval_time": "1439m"},
    ]
    wanted = [{"labels": "{}", "value": 1}]
    test = {
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [{**check, "exp_samples": wanted} for check in checks],
    }
    file = folder / "tests" / "day.yml"
    content = {
        "rule_files": ["../rules/*.yml"],
        "group_eval_order": GROUPS,
        "evaluation_interval": "1m",
        "tests": [test],
    }
    file.write_text(json.dumps(content))
    return str(file)


@wants_promtool
def test_a_usual_day_of_the_fleet_calls_at_most_once_for_three_sites(tmp_path):
    copy = copied(tmp_path)

    checked = run("promtool", "test", "rules", day(copy, sites=12, seed=1))

    assert checked.returncode == 0, checked.stdout + checked.stderr


@wants_promtool
def test_rules_without_patience_would_overrun_the_budget_of_a_day(tmp_path):
    copy = copied(tmp_path)
    for file in (copy / "rules").glob("*.yml"):
        file.write_text(re.sub(r"\n +(for|keep_firing_for): .*", "", file.read_text()))

    checked = run("promtool", "test", "rules", day(copy, sites=12, seed=1))

    assert checked.returncode != 0


@wants_amtool
def test_alertmanager_takes_its_configuration():
    checked = run("amtool", "check-config", ROOT / "cloud/alertmanager/alertmanager.yml")

    assert checked.returncode == 0, checked.stdout + checked.stderr


@wants_amtool
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["alertname=Watchdog", "severity=none"], "watchdog"),
        (["alertname=SiteDown", "severity=critical"], "pager"),
        (["alertname=CamerasLost", "severity=warning"], "operators"),
        (["alertname=CameraGone", "severity=info"], "sites"),
    ],
)
def test_an_alert_goes_to_who_should_look(labels, receiver):
    file = ROOT / "cloud/alertmanager/alertmanager.yml"

    routed = run("amtool", "config", "routes", "test", f"--config.file={file}", *labels)

    assert routed.stdout.strip() == receiver


def test_only_what_can_wait_is_muted_in_quiet_hours():
    routes = yaml.safe_load((ROOT / "cloud/alertmanager/alertmanager.yml").read_text())["route"]

    muted = [route["matchers"] for route in routes["routes"] if "mute_time_intervals" in route]

    assert muted == [['severity="warning"']]
    assert "mute_time_intervals" not in routes
