"""``make eval-sensors``: a machine's temperature (NAB) through the watch that a device runs.

Settings are those of the documentation's example for a slow temperature; the healthy time is
NAB's probation: 15 % of at most 5,000 samples; nothing is chosen on the labelled windows. A
detection is the moment at which an alert is raised. Scores follow Lavin, Ahmad: Evaluating
real-time anomaly detection algorithms (ICMLA 2015), of this file alone, with a raised alert as
the one record that is flagged.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import platform
import sys
from bisect import bisect_left
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from shopfloor_contracts.alerts import AlertData, AlertState
from shopfloor_contracts.sensors import SensorSpec
from shopfloor_demo.settings import REPOSITORY
from shopfloor_edge.sensors.watch import SensorWatch

OUT = REPOSITORY / "var" / "eval"
FILE = "realKnownCause/machine_temperature_system_failure.csv"
STEP_S = 300.0
HOUR_S, DAY_S = 3600.0, 86_400.0
PROBATION_SHARE, PROBATION_OF = 0.15, 5000
PROFILES = {"standard": (0.11, 1.0), "low-fp": (0.22, 1.0), "low-fn": (0.11, 2.0)}
"""Weights of a false alarm and of a missed window; a hit has 1."""


@dataclass(frozen=True, slots=True)
class Series:
    """The file: instants in seconds (its clock taken as UTC), values, labelled windows."""

    at_s: list[float]
    values: list[float]
    windows: list[tuple[float, float]]

    @property
    def probation(self) -> int:
        """Samples that a detector may learn from before it is scored."""
        return int(PROBATION_SHARE * min(len(self.values), PROBATION_OF))


@dataclass(frozen=True, slots=True)
class Run:
    """What differs among the runs. Both end their learning before the first labelled window."""

    learn_s: float | None
    """None: NAB's probation."""
    follow_s: float


RUNS = {
    "probation": Run(None, 0.0),
    "one week": Run(7 * DAY_S, 0.0),
    "probation, follows": Run(None, 7 * DAY_S),
    "one week, follows": Run(7 * DAY_S, 7 * DAY_S),
}
"""The first is the figure of record; a week is the longest cycle that most plants have."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alert from raised to cleared."""

    rule: str
    raised_s: float
    cleared_s: float


@dataclass(frozen=True, slots=True)
class Row:
    """Alarms of some rules against the windows."""

    alarms: int
    windows_hit: int
    windows: int
    windows_hit_by_chance: float
    """By as many alarms at random instants."""
    false_alarms: int
    false_alarms_a_month: float
    raised_already: int
    """Windows at whose beginning an alarm stood, raised before: no detection, nor silence."""
    delays_h: list[float]
    """From the beginning of each window that was hit."""
    raised_ratio: float
    """Share of the time after learning in which an alarm stood."""
    nab: dict[str, float]


def read(folder: Path) -> Series:
    """Return the series and its windows."""
    with (folder / "data" / FILE).open() as file:
        rows = list(csv.DictReader(file))
    windows = json.loads((folder / "labels" / "combined_windows.json").read_text())[FILE]
    return Series(
        [_second(row["timestamp"]) for row in rows],
        [float(row["value"]) for row in rows],
        [(_second(start), _second(end)) for start, end in windows],
    )


def spec_of(series: Series, run: Run) -> SensorSpec:
    """Return the settings: hourly means, one false alarm in 30 days."""
    return SensorSpec(
        name="temperature",
        machine="machine",
        quantity="temperature",
        unit="unknown",
        rate_hz=1 / STEP_S,
        stretch_s=HOUR_S,
        report_s=HOUR_S,
        learn_s=run.learn_s or series.probation * STEP_S,
        false_alarm_s=30 * DAY_S,
        follow_s=run.follow_s,
        silent_s=2 * HOUR_S,
        stuck_s=6 * HOUR_S,
    )


def watch(series: Series, spec: SensorSpec) -> list[Alarm]:
    """Run the series through a watch; return its alarms."""
    sensor = SensorWatch(spec, source="/sites/nab/devices/nab/cameras/temperature")
    said = []
    for at_s, value in zip(series.at_s, series.values, strict=True):
        said += sensor.add(at_s, np.array([value]))
    said += sensor.finish()
    alerts = [data for data in said if isinstance(data, AlertData)]
    ends = {a.alert_id: a.at.timestamp() for a in alerts if a.state is AlertState.CLEARED}
    return [
        Alarm(a.rule, a.at.timestamp(), ends.get(a.alert_id, series.at_s[-1]))
        for a in alerts
        if a.state is AlertState.RAISED
    ]


def judge(series: Series, alarms: list[Alarm]) -> Row:
    """Count alarms against the windows."""
    began_s = series.at_s[series.probation]
    raised = sorted(alarm.raised_s for alarm in alarms)
    hits = [[at for at in raised if start <= at <= end] for start, end in series.windows]
    false = [at for at in raised if not any(s <= at <= e for s, e in series.windows)]
    span_s = series.at_s[-1] - began_s
    chance = sum(1 - (1 - (e - s) / span_s) ** len(raised) for s, e in series.windows)
    standing = [
        any(a.raised_s < start < a.cleared_s for a in alarms) for start, _end in series.windows
    ]
    return Row(
        alarms=len(raised),
        windows_hit=sum(map(bool, hits)),
        windows=len(hits),
        windows_hit_by_chance=round(chance, 2),
        false_alarms=len(false),
        false_alarms_a_month=round(len(false) / (span_s / DAY_S / 30), 2),
        raised_already=sum(standing),
        delays_h=[
            round((hit[0] - start) / HOUR_S, 1)
            for hit, (start, _) in zip(hits, series.windows, strict=True)
            if hit
        ],
        raised_ratio=round(_covered(alarms) / span_s, 3),
        nab={name: round(nab_score(series, raised, name), 1) for name in PROFILES},
    )


def nab_score(series: Series, raised: list[float], profile: str) -> float:
    """Return 100 for every window hit at its beginning and nothing else, 0 for no alarm at all."""
    false_weight, miss_weight = PROFILES[profile]
    windows = [
        (bisect_left(series.at_s, start), bisect_left(series.at_s, end))
        for start, end in series.windows
    ]
    found: dict[int, float] = {}
    false = 0.0
    for at_s in raised:
        at = bisect_left(series.at_s, at_s)
        inside = next((i for i, (s, e) in enumerate(windows) if s <= at <= e), None)
        if inside is not None:
            start, end = windows[inside]
            gain = _sigmoid(-(end - at + 1) / (end - start + 1)) / _sigmoid(-1.0)
            found[inside] = max(found.get(inside, -1.0), gain)
            continue
        before = [(s, e) for s, e in windows if e < at]
        past = (at - before[-1][1]) / (before[-1][1] - before[-1][0]) if before else math.inf
        false += false_weight * _sigmoid(past)
    nothing = -miss_weight * len(windows)
    raw = sum(found.values()) + false - miss_weight * (len(windows) - len(found))
    return 100 * (raw - nothing) / (len(windows) - nothing)


def draw(path: Path, series: Series, runs: dict[str, list[Alarm]]) -> None:
    """Write the series with its windows (green), learning (grey), and one strip of alarms a run."""
    width, height, left, strip = 1800, 560, 190, 46
    image = np.full((height + strip * len(runs) + 90, width, 3), 255, np.uint8)
    first, span = series.at_s[0], series.at_s[-1] - series.at_s[0]

    def x(at_s: float) -> int:
        return left + int((at_s - first) / span * (width - left - 30))

    bottom = height + strip * len(runs)
    cv2.rectangle(image, (left, 50), (x(series.at_s[series.probation]), bottom), (230,) * 3, -1)
    for start, end in series.windows:
        cv2.rectangle(image, (x(start), 50), (x(end), bottom), (190, 235, 190), -1)
    low, high = min(series.values), max(series.values)
    points = [
        (x(at), int(height - 20 - (v - low) / (high - low) * (height - 80)))
        for at, v in zip(series.at_s, series.values, strict=True)
    ]
    cv2.polylines(image, [np.array(points, np.int32)], isClosed=False, color=(120, 70, 30))
    for row, (name, alarms) in enumerate(runs.items()):
        top = height + row * strip
        _write(image, name, (10, top + 28))
        for alarm in sorted(alarms, key=lambda a: a.rule, reverse=True):
            abrupt = alarm.rule.endswith("abrupt")
            colour = (40, 40, 200) if abrupt else (60, 170, 250)
            span_px = (x(alarm.raised_s), max(x(alarm.raised_s) + 2, x(alarm.cleared_s)))
            inset = 6 if abrupt else 14
            cv2.rectangle(
                image, (span_px[0], top + inset), (span_px[1], top + strip - inset), colour, -1
            )
    _write(image, "grey: learning  green: NAB's windows  orange: drift  red: abrupt", (left, 34))
    for value in (low, high):
        at = int(height - 20 - (value - low) / (high - low) * (height - 80))
        _write(image, f"{value:.0f}", (left - 50, at + 6))
    for day in range(0, int(span / DAY_S) + 1, 10):
        date = datetime.fromtimestamp(first + day * DAY_S, UTC)
        _write(image, f"{date:%d %b}", (x(first + day * DAY_S), bottom + 40))
    cv2.imwrite(str(path), image)


def _write(image: np.ndarray, text: str, at: tuple[int, int]) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (40, 40, 40), 1, cv2.LINE_AA)


def _sigmoid(position: float) -> float:
    return -1.0 if position > 3 else 2 / (1 + math.exp(5 * position)) - 1


def _covered(alarms: list[Alarm]) -> float:
    """Return the seconds in which any alarm stood."""
    total, until = 0.0, -math.inf
    for alarm in sorted(alarms, key=lambda alarm: alarm.raised_s):
        total += max(0.0, alarm.cleared_s - max(alarm.raised_s, until))
        until = max(until, alarm.cleared_s)
    return total


def _second(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def main() -> int:
    """Evaluate, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mirror", type=Path, default=REPOSITORY.parent / "shared")
    arguments = parser.parse_args()
    mirror = Path(os.environ.get("SHOPFLOOR_MIRROR", arguments.mirror))
    series = read(mirror / "data" / "nab")
    rows: dict[str, Row] = {}
    pictured: dict[str, list[Alarm]] = {}
    others: dict[str, int] = {}
    for name, run in RUNS.items():
        alarms = watch(series, spec_of(series, run))
        machine = [a for a in alarms if a.rule.endswith(("drift", "abrupt"))]
        others[name] = len(alarms) - len(machine)
        pictured[name] = machine
        rows[name] = judge(series, machine)
        for kind in ("drift", "abrupt"):
            rows[f"{name}, {kind}"] = judge(series, [a for a in machine if a.rule.endswith(kind)])
    table = Table("learnt in, alerts", "alarms", "windows hit", "by chance", "false", "a month",
                  "raised before", "delays, h", "time raised", "NAB")  # fmt: skip
    for name, row in rows.items():
        table.add_row(
            name, str(row.alarms), f"{row.windows_hit} of {row.windows}",
            f"{row.windows_hit_by_chance:.1f}", str(row.false_alarms),
            f"{row.false_alarms_a_month:.1f}", str(row.raised_already),
            " ".join(map(str, row.delays_h)), f"{row.raised_ratio:.0%}",
            f"{row.nab['standard']:.1f}",
        )  # fmt: skip
    Console(width=140).print(table)
    OUT.mkdir(parents=True, exist_ok=True)
    draw(OUT / "sensors.png", series, pictured)
    report = {
        "file": FILE,
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "settings": spec_of(series, RUNS["probation"]).model_dump(mode="json"),
        "learnt_samples": series.probation,
        "runs": {name: asdict(row) for name, row in rows.items()},
        "runs_differ_in": {name: asdict(run) for name, run in RUNS.items()},
        "alerts_about_the_sensor": others,
        "alarms": {name: [asdict(a) for a in found] for name, found in pictured.items()},
    }
    (OUT / "sensors.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"{(OUT / 'sensors.json').relative_to(REPOSITORY)}, sensors.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
