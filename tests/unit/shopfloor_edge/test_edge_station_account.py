"""The account of a station: totals, guard, overrules, alerts and rates."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from shopfloor_contracts.alerts import AlertData, AlertState
from shopfloor_contracts.recipes import ChartSpec, WatchSpec, parse_recipe
from shopfloor_edge.inspection.arrivals import Trigger
from shopfloor_edge.inspection.feedback import rates_of, wilson
from shopfloor_edge.inspection.ports import Finding, Judgement, Verdict
from shopfloor_edge.journal.outbox import Outbox
from shopfloor_edge.journal.parts import Overrule, PartBook, PartRow, overrule, read_overrules
from shopfloor_edge.main import main
from shopfloor_edge.station.ledger import StationLedger
from shopfloor_edge.station.watching import build_guard, put_away, take_up

RECIPE = parse_recipe(
    """
site = "plant-1"
device = "line-4"
station = "aoi"
window_s = 60
source = "folder:x"
trigger = { kind = "frames" }
products = [{ name = "board", reference = "r.png" }]
[[watch]]
alert = { p0 = 0.01, p1 = 0.2, arl0 = 1e4 }
stop = { p0 = 0.01, p1 = 0.2, arl0 = 1e9 }
""",
    source="test",
)
FAIL = Judgement(Verdict.FAIL, (Finding((0, 0, 5, 5), "difference", 0.9),))
PASS = Judgement(Verdict.PASS)


def open_ledger(folder, at_s=1000.0, recipe=RECIPE):
    book = PartBook(folder, "aoi", max_rows=1000, max_bytes=10**7)
    ledger = StationLedger(recipe, book, build_guard(recipe.watch), digest="0" * 64, at_s=at_s)
    ledger.released(at_s, [], restart=False)
    return ledger


def judge(ledger, judgement, at_s=1000.0):
    ledger.open_part(Trigger(0.0))
    row = PartRow(ledger.part, at_s, judgement.verdict.value, 12.0)
    return ledger.settle(row, judgement)


def events(folder):
    outbox = Outbox(folder, max_rows=1000, max_bytes=10**7)
    found = [waiting.event.data for waiting in outbox.waiting(0, 1000)]
    outbox.close()
    return found


def test_a_window_carries_verdicts_defects_and_latency(tmp_path):
    ledger = open_ledger(tmp_path, at_s=960.0)
    for judgement in (PASS, PASS, FAIL):
        judge(ledger, judgement)

    ledger.close_window(1021.0)

    (window,) = events(tmp_path)
    assert (window.passed, window.failed, window.parts) == (2, 1, 3)
    assert [(d.name, d.parts, d.places) for d in window.defects] == [("difference", 1, 1)]
    assert window.latency_histogram[2] == 3


def test_a_quiet_window_is_reported_too(tmp_path):
    ledger = open_ledger(tmp_path, at_s=960.0)

    ledger.close_window(1020.0)

    assert [window.parts for window in events(tmp_path)] == [0]


def test_a_window_is_not_reported_twice_when_the_clock_is_set_back(tmp_path):
    ledger = open_ledger(tmp_path, at_s=960.0)
    ledger.close_window(1020.0)

    ledger.close_window(900.0)
    ledger.close_window(1081.0)

    starts = [window.window_start for window in events(tmp_path)]
    assert len(starts) == len(set(starts)) == 2


def test_a_stop_and_its_alert_have_one_identity_until_the_restart(tmp_path):
    ledger = open_ledger(tmp_path)
    for _ in range(12):
        judge(ledger, FAIL)
    assert ledger.signal().state == "stopped"

    ledger.released(2000.0, [], restart=True)

    stops = [a for a in events(tmp_path) if isinstance(a, AlertData) and a.metric == "line-stop"]
    assert [alert.state for alert in stops] == [AlertState.RAISED, AlertState.CLEARED]
    assert len({alert.alert_id for alert in stops}) == 1
    assert ledger.signal().state == "running"


def test_a_restart_with_misjudged_golden_parts_lets_no_line_run(tmp_path):
    ledger = open_ledger(tmp_path)

    ledger.released(2000.0, ["good.png: fail, expected pass"], restart=False)

    assert ledger.signal().run is False


def test_an_open_part_of_an_ended_process_is_missed_at_the_next_start(tmp_path):
    open_ledger(tmp_path).open_part(Trigger(0.0))

    ledger = open_ledger(tmp_path)
    ledger.close_window(5000.0)

    assert [window.missed for window in events(tmp_path)] == [1]


def test_no_part_is_lost_when_the_disk_refuses_for_a_while(tmp_path):
    ledger = open_ledger(tmp_path, at_s=960.0)
    judge(ledger, PASS)
    blocker = ledger.book._outbox._connection
    blocker.execute("PRAGMA query_only = ON")
    judge(ledger, FAIL)
    blocker.execute("PRAGMA query_only = OFF")
    judge(ledger, PASS)

    ledger.close_window(1021.0)

    (window,) = events(tmp_path)
    assert (window.passed, window.failed) == (2, 1)
    assert ledger.book.failures == 1


def test_another_recipe_begins_another_window_with_calm_charts(tmp_path):
    ledger = open_ledger(tmp_path, at_s=960.0)
    for _ in range(2):
        judge(ledger, FAIL)
    other = RECIPE.model_copy(update={"latency_budget_ms": 99.0})

    changed = open_ledger(tmp_path, at_s=970.0, recipe=other)

    (window,) = events(tmp_path)
    assert (window.failed, window.zone_version) == (2, RECIPE.version)
    assert changed._known.guard.charts["all"].stop.score == 0


# The first design of a chart takes longer than hypothesis allows a case.
@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=60), st.integers(0, 60))
def test_a_guard_that_was_put_away_goes_on_exactly_where_it_was(parts, cut):
    watch = [WatchSpec(alert=SPEC, stop=STOP), WatchSpec(name="open", alert=EWMA, stop=STOP)]
    whole, before, after = (build_guard(watch) for _ in range(3))
    for bad in parts:
        whole.update({"open"} if bad else (), defective=bad)
    for bad in parts[:cut]:
        before.update({"open"} if bad else (), defective=bad)

    take_up(after, json.loads(json.dumps(put_away(before))))
    for bad in parts[cut:]:
        after.update({"open"} if bad else (), defective=bad)

    assert put_away(after) == put_away(whole)


SPEC = ChartSpec(p0=0.01, p1=0.2, arl0=1000)
STOP = ChartSpec(p0=0.01, p1=0.2, arl0=1e6)
EWMA = ChartSpec(chart="ewma", p0=0.01, p1=0.2, arl0=1000)


def test_overrules_are_counted_once_as_escapes_false_rejects_and_agreement(tmp_path):
    ledger = open_ledger(tmp_path, at_s=960.0)
    for judgement in (PASS, PASS, FAIL, FAIL):
        judge(ledger, judgement)
    for part, good in ((1, False), (2, True), (3, True), (4, False)):
        assert overrule(tmp_path, "aoi", Overrule(part, "", good, "maria", time.time()))

    ledger.close_window(1021.0)
    ledger.close_window(1081.0)

    first, second = events(tmp_path)
    assert (first.escapes, first.false_rejects, first.confirmed) == (1, 1, 2)
    assert (second.escapes, second.false_rejects, second.confirmed) == (0, 0, 0)
    rates = rates_of(read_overrules(tmp_path, "aoi"))
    assert (rates["escapes"].share, rates["false_rejects"].share) == (0.5, 0.5)


def test_a_part_is_overruled_once_and_only_if_it_is_known(tmp_path):
    ledger = open_ledger(tmp_path)
    judge(ledger, PASS)
    said = Overrule(1, "", False, "maria", 0.0)

    assert overrule(tmp_path, "aoi", said) == "pass"
    assert overrule(tmp_path, "aoi", said) is None
    assert overrule(tmp_path, "aoi", Overrule(99, "", True, "maria", 0.0)) is None


@pytest.mark.parametrize(("wrong", "seen"), [(0, 10), (1, 10), (5, 10), (10, 10), (3, 2000)])
def test_wilsons_interval_is_scipys(wrong, seen):
    reference = binomtest(wrong, seen).proportion_ci(0.95, method="wilson")

    rate = wilson(wrong, seen)

    assert (rate.low, rate.high) == pytest.approx((reference.low, reference.high), abs=1e-6)


def test_nothing_seen_says_nothing():
    rate = wilson(0, 0)

    assert (rate.share, rate.low, rate.high) == (None, 0.0, 1.0)


def inspect(folder, *words):
    return main(["inspect", *words, "--state", str(folder)])


def test_people_see_totals_and_give_commands_that_a_station_takes_once(tmp_path, capsys):
    ledger = open_ledger(tmp_path)
    judge(ledger, PASS)

    codes = [inspect(tmp_path, "status", "--json"), inspect(tmp_path, "restart", "--by", "maria")]

    shown = json.loads(capsys.readouterr().out.splitlines()[0])
    assert codes == [0, 0]
    assert shown["totals"] == {"pass": 1}
    assert ledger.book.take_commands() == [("restart", "maria")]
    assert ledger.book.take_commands() == []


def test_an_overrule_of_an_unknown_part_is_the_operators_mistake(tmp_path, capsys):
    open_ledger(tmp_path)

    code = inspect(tmp_path, "overrule", "--part", "9", "--as", "good", "--by", "maria")

    assert code == 2
    assert "part 9 of station aoi: not kept, or overruled before" in capsys.readouterr().err


def test_rates_and_labels_come_from_what_people_said(tmp_path, capsys):
    ledger = open_ledger(tmp_path)
    judge(ledger, FAIL)
    inspect(tmp_path, "overrule", "--part", "1", "--as", "good", "--by", "maria")
    capsys.readouterr()

    codes = [
        inspect(tmp_path, "rates", "--json"),
        inspect(tmp_path, "labels", "--out", str(tmp_path / "labels")),
    ]

    rates = json.loads(capsys.readouterr().out.splitlines()[0])
    assert codes == [0, 0]
    assert (rates["false_rejects"]["wrong"], rates["false_rejects"]["seen"]) == (1, 1)
    assert (tmp_path / "labels" / "labels.jsonl").read_text() == ""
