"""One sensor from samples to what is sent, on signals drawn here."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from shopfloor_contracts.aggregates import SensorData
from shopfloor_contracts.alerts import AlertData, AlertState
from shopfloor_contracts.rules import Severity
from shopfloor_contracts.sensors import SensorSpec
from shopfloor_edge.sensors.reports import NO_BASELINE
from shopfloor_edge.sensors.watch import SensorWatch

SOURCE = "/sites/plant-3/devices/press-2/cameras/drive-end"
BEGAN_S = 1_800_000_000.0
RATE_HZ = 6000.0
KNOCK_HZ = 107.4


def temperature(**changes):
    """One sample a second, stretches of 10 s, events of a minute, learnt in 10 minutes."""
    fields = {
        "name": "drive-end", "machine": "press-2", "quantity": "temperature", "unit": "°C",
        "rate_hz": 1, "stretch_s": 10, "report_s": 60, "learn_s": 600, "silent_s": 30,
        "false_alarm_s": 86_400,
    }  # fmt: skip
    return SensorSpec(**{**fields, **changes})


def vibration():
    return temperature(
        quantity="vibration", unit="mm/s", rate_hz=RATE_HZ, stretch_s=1, report_s=10, learn_s=40,
        figures=("rms", "crest", "kurtosis"), bands_hz=((10, 1000), (1000, 2999)),
        ring_hz=(1500, 2500), knock_hz=(KNOCK_HZ,),
    )  # fmt: skip


def degrees(seconds, *, level=60.0, seed=1):
    return level + np.random.default_rng(seed).standard_normal(seconds)


def fed(watch, values, *, at_s=BEGAN_S, every_s=1.0):
    """Give samples one by one; return all that is said."""
    said = []
    for number, value in enumerate(values):
        said += watch.add(at_s + number * every_s, np.array([float(value)]))
    return said


def alerts(said):
    return [(data.rule, data.state) for data in said if isinstance(data, AlertData)]


def reports(said):
    return [data for data in said if isinstance(data, SensorData)]


def test_a_window_says_the_sums_of_its_stretches():
    watch = SensorWatch(temperature(), source=SOURCE)
    values = degrees(61)

    said = fed(watch, values)

    [report] = reports(said)
    [figure] = report.figures
    means = values[:60].reshape(6, 10).mean(axis=1)
    assert (figure.name, figure.count, report.frames, report.coverage_ratio) == ("mean", 6, 60, 1)
    assert figure.total == pytest.approx(means.sum(), rel=1e-7)
    assert figure.squares == pytest.approx((means**2).sum(), rel=1e-7)
    assert (figure.minimum, figure.maximum) == pytest.approx((means.min(), means.max()), rel=1e-7)
    assert (report.state, report.model_digest) == ("learning", NO_BASELINE)


def test_every_sample_is_in_one_window():
    watch = SensorWatch(temperature(report_s=25), source=SOURCE)

    said = [*fed(watch, degrees(1234)), *watch.finish()]

    starts = [report.window_start.timestamp() for report in reports(said)]
    assert sum(report.frames for report in reports(said)) == 1234
    assert all(b - a == 25 for a, b in pairwise(starts))


def test_a_machine_that_grows_hot_slowly_is_told_once_and_again_when_it_is_well():
    watch = SensorWatch(temperature(), source=SOURCE)
    fed(watch, degrees(900))
    hot = degrees(1800, seed=2) + np.linspace(0, 2, 1800)

    during = fed(watch, hot, at_s=BEGAN_S + 900)
    after = fed(watch, degrees(1800, seed=3), at_s=BEGAN_S + 2700)

    assert alerts(during) == [("drive-end-drift", AlertState.RAISED)]
    assert alerts(after)[-1] == ("drive-end-drift", AlertState.CLEARED)
    assert reports(during)[-1].state == "drifting"
    assert reports(during)[-1].level_max >= 1
    [raised] = [data for data in during if isinstance(data, AlertData)]
    cleared = [data for data in after if isinstance(data, AlertData)][-1]
    assert (raised.metric, raised.about, raised.threshold) == ("machine-drift", "press-2", 1.0)
    assert raised.alert_id == cleared.alert_id


def test_a_machine_that_steps_is_told_as_critical():
    watch = SensorWatch(temperature(), source=SOURCE)
    fed(watch, degrees(900))

    said = fed(watch, degrees(30, level=80), at_s=BEGAN_S + 900)

    [first, *_] = [data for data in said if isinstance(data, AlertData)]
    assert (first.rule, first.severity) == ("drive-end-abrupt", Severity.CRITICAL)


def test_a_bearing_that_goes_bad_is_told_before_its_vibration_has_grown_by_a_tenth():
    watch = SensorWatch(vibration(), source=SOURCE)
    random = np.random.default_rng(5)
    time = np.arange(int(RATE_HZ)) / RATE_HZ
    since_knock = np.mod(time, 1 / KNOCK_HZ)
    ringing = np.exp(-since_knock / 2e-3) * np.sin(2 * np.pi * 2000 * since_knock)

    told_at = None
    for second in range(160):
        strength = max(0.0, (second - 60) / 100)
        signal = random.standard_normal(len(time)) + strength * ringing
        said = watch.add(BEGAN_S + second, signal)
        if told_at is None and ("drive-end-drift", AlertState.RAISED) in alerts(said):
            told_at = strength

    assert told_at is not None
    grown = math.sqrt(1 + told_at**2 * ringing.var())
    assert told_at > 0
    assert grown < 1.1


def test_silence_is_told_and_its_end():
    watch = SensorWatch(temperature(), source=SOURCE)
    fed(watch, degrees(100))

    gone = watch.tick(BEGAN_S + 99 + 30)
    still = watch.tick(BEGAN_S + 99 + 500)
    back = fed(watch, degrees(1), at_s=BEGAN_S + 700)

    assert alerts(gone) == [("drive-end-silent", AlertState.RAISED)]
    assert alerts(still) == []
    assert alerts(back) == [("drive-end-silent", AlertState.CLEARED)]
    assert reports(still)[-1].state == "silent"
    assert reports(still)[-1].coverage_ratio == 0


def test_a_sensor_that_never_speaks_is_told():
    watch = SensorWatch(temperature(), source=SOURCE, began_s=BEGAN_S)

    assert alerts(watch.tick(BEGAN_S + 29)) == []
    assert alerts(watch.tick(BEGAN_S + 31)) == [("drive-end-silent", AlertState.RAISED)]


def test_a_gap_in_a_recording_is_a_silence_and_ends_the_empty_windows_after_a_while():
    watch = SensorWatch(temperature(), source=SOURCE)
    fed(watch, degrees(100))

    said = fed(watch, degrees(1), at_s=BEGAN_S + 365 * 86_400)

    assert alerts(said) == [
        ("drive-end-silent", AlertState.RAISED),
        ("drive-end-silent", AlertState.CLEARED),
    ]
    assert len(reports(said)) < 70


def test_a_value_that_never_changes_is_told_and_judges_no_machine():
    watch = SensorWatch(temperature(stuck_s=60), source=SOURCE)
    fed(watch, degrees(900))

    stuck = fed(watch, [71.25] * 400, at_s=BEGAN_S + 900)
    back = fed(watch, degrees(5), at_s=BEGAN_S + 1300)

    assert ("drive-end-stuck", AlertState.RAISED) in alerts(stuck)
    assert alerts(back) == [("drive-end-stuck", AlertState.CLEARED)]
    assert reports(stuck)[-1].state == "stuck"
    assert reports(stuck)[-1].figures == []


def test_what_is_late_or_no_number_is_counted_and_changes_nothing():
    good, spoilt = (SensorWatch(temperature(), source=SOURCE) for _ in range(2))
    values = degrees(61)
    expected = reports(fed(good, values))[0]

    fed(spoilt, values[:30])
    spoilt.add(BEGAN_S + 3, np.array([1e6]))
    spoilt.add(BEGAN_S + 29.5, np.array([math.nan]))
    spoilt.add(BEGAN_S + 29.6, np.array([math.inf, 1e300]))
    [report] = reports(fed(spoilt, values[30:], at_s=BEGAN_S + 30))

    assert report.refused == 4
    assert report.model_copy(update={"refused": 0}) == expected


def test_a_stretch_with_holes_gives_no_figures_and_lowers_the_coverage():
    watch = SensorWatch(temperature(), source=SOURCE)

    said = fed(watch, degrees(31), every_s=2.0)

    [report] = reports(said)
    assert (report.figures, report.coverage_ratio, report.frames) == ([], 0.5, 30)


def test_a_restart_goes_on_where_it_was():
    whole, first = (SensorWatch(temperature(), source=SOURCE) for _ in range(2))
    values = np.concatenate([degrees(900), degrees(600, seed=2) + np.linspace(0, 3, 600)])
    expected = fed(whole, values)

    said = [*fed(first, values[:960]), *first.finish()]
    memory = first.memory().model_validate_json(first.memory().model_dump_json())
    second = SensorWatch(temperature(), source=SOURCE)
    second.remember(memory)
    said += fed(second, values[960:], at_s=BEGAN_S + 960)

    assert second.memory().figures == whole.memory().figures
    assert alerts(said) == alerts(expected)


def test_an_alert_that_is_raised_is_not_raised_again_after_a_restart_but_cleared():
    first = SensorWatch(temperature(), source=SOURCE)
    said = fed(first, np.concatenate([degrees(900), degrees(600, level=63, seed=2)]))
    raised = {data.rule: data.alert_id for data in said if isinstance(data, AlertData)}

    second = SensorWatch(temperature(), source=SOURCE)
    second.remember(first.memory())
    after = fed(second, degrees(1200, seed=3), at_s=BEGAN_S + 1500)

    assert "drive-end-drift" in raised
    told = [data for data in after if isinstance(data, AlertData) and data.rule.endswith("drift")]
    assert [(data.state, data.alert_id) for data in told] == [
        (AlertState.CLEARED, raised["drive-end-drift"])
    ]


def test_samples_that_were_taken_before_a_restart_are_not_taken_again():
    first = SensorWatch(temperature(), source=SOURCE)
    values = degrees(300)
    fed(first, values)

    second = SensorWatch(temperature(), source=SOURCE)
    second.remember(first.memory())
    said = fed(second, values)

    assert said == []
